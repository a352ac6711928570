package promql

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tokenwatch/tokenwatch/storage/series"
)

// Metric is one name that expressions may select.
type Metric struct {
	Name   string
	Type   string   // counter, gauge or histogram, as Prometheus has it
	Help   string   // one sentence
	Labels []string // besides __name__

	kind     series.Kind
	measures series.Measures
	label    string   // of variants: the label that tells them apart, "" if there is one
	variants []string // its values
	gauge    bool
	lacks    func(t *series.Table, cell, variant int) bool // a series begins with a cell that does not lack it; nil: with any
	value    func(t *series.Table, cell, variant int) float64
}

// prefixes are what the names of the metrics of a series begin with, and what
// it counts.
var prefixes = map[series.Kind]struct{ name, of string }{
	series.Minutes:   {"tokenwatch_", "of a host, method and status, by the minute"},
	series.Tokens:    {"tokenwatch_token_", "of a token, by the hour"},
	series.Actors:    {"tokenwatch_actor_", "of an actor, by the hour"},
	series.Addresses: {"tokenwatch_address_", "from an address, by the hour"},
	series.Routes:    {"tokenwatch_route_", "of a token on a route, by the day"},
}

// bounds are the upper bounds of the buckets of durations.
var bounds = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	30 * time.Second, time.Minute,
}

var bucketNames = func() (names []string) {
	for _, b := range bounds {
		names = append(names, strconv.FormatFloat(b.Seconds(), 'f', -1, 64))
	}
	return append(names, "+Inf")
}()

// bucketBins are the bins that a bucket holds, up to the last.
var bucketBins = func() (bins []int16) {
	for _, b := range bounds {
		bin := series.Bin(int64(b))
		if series.Value(bin) > int64(b) { // most of it lies beyond
			bin--
		}
		bins = append(bins, bin)
	}
	return append(bins, series.Bin(1<<63-1))
}()

// Metrics are all there are, in the order of the series.
var Metrics = func() (list []Metric) {
	var errorNames []string
	for e := range series.NumErrors {
		errorNames = append(errorNames, e.String())
	}
	for _, k := range series.Kinds {
		p := prefixes[k]
		var keys []string
		for _, c := range k.Columns() {
			keys = append(keys, c.String())
		}
		add := func(name, typ, help string, m Metric) {
			if m.measures.Of(k) != m.measures {
				return
			}
			m.Name, m.Type, m.Help, m.kind = p.name+name, typ, help+" "+p.of+".", k
			m.Labels = append(m.Labels, keys...)
			if m.label != "" {
				m.Labels = append(m.Labels, m.label)
			}
			list = append(list, m)
		}
		add("events_total", "counter", "Events", Metric{value: func(t *series.Table, i, _ int) float64 { return float64(t.Counts[i]) }})
		add("errors_total", "counter", "Events that are errors, by kind,", Metric{measures: series.Errors, label: "error", variants: errorNames, lacks: nothing(func(t *series.Table, i, v int) int64 { return t.Errors[v][i] }),
			value: func(t *series.Table, i, v int) float64 { return float64(t.Errors[v][i]) }})
		add("bytes_in_total", "counter", "Bytes of requests", Metric{measures: series.BytesIn,
			lacks: nothing(func(t *series.Table, i, _ int) int64 { return t.BytesIn[i] }),
			value: func(t *series.Table, i, _ int) float64 { return float64(t.BytesIn[i]) }})
		add("bytes_out_total", "counter", "Bytes of answers", Metric{measures: series.BytesOut,
			lacks: nothing(func(t *series.Table, i, _ int) int64 { return t.BytesOut[i] }),
			value: func(t *series.Table, i, _ int) float64 { return float64(t.BytesOut[i]) }})
		add("duration_seconds_bucket", "histogram", "Durations", Metric{measures: series.Durations, lacks: untimed, label: labels.BucketLabel, variants: bucketNames,
			value: func(t *series.Table, i, v int) float64 {
				return overBins(t, i, func(b int16) float64 {
					if b <= bucketBins[v] {
						return 1
					}
					return 0
				})
			}})
		add("duration_seconds_count", "histogram", "Events that tell a duration", Metric{measures: series.Durations, lacks: untimed,
			value: func(t *series.Table, i, _ int) float64 { return overBins(t, i, func(int16) float64 { return 1 }) }})
		add("duration_seconds_sum", "histogram", "Durations added up, within 1 %,", Metric{measures: series.Durations, lacks: untimed,
			value: func(t *series.Table, i, _ int) float64 {
				return overBins(t, i, func(b int16) float64 { return float64(series.Value(b)) / 1e9 })
			}})
		add("source_addresses", "gauge", "Distinct addresses that events came from", Metric{measures: series.Sources, gauge: true,
			lacks: nothing(func(t *series.Table, i, _ int) int64 { return int64(t.Addrs.Len(i)) }),
			value: func(t *series.Table, i, _ int) float64 { return float64(t.Addrs.Len(i)) }})
	}
	return list
}()

// overBins adds up what each duration of a cell counts.
func overBins(t *series.Table, cell int, f func(bin int16) float64) (sum float64) {
	bins, counts := t.Bins.Of(cell)
	for i, b := range bins {
		sum += f(b) * float64(counts[i])
	}
	return sum
}

// nothing tells whether a number is 0.
func nothing(of func(t *series.Table, cell, variant int) int64) func(t *series.Table, cell, variant int) bool {
	return func(t *series.Table, cell, variant int) bool { return of(t, cell, variant) == 0 }
}

// untimed tells whether no event of a cell tells a duration.
func untimed(t *series.Table, cell, _ int) bool {
	bins, _ := t.Bins.Of(cell)
	return len(bins) == 0
}

// Documentation has a line of a table for every metric, as METRICS.md lists them.
func Documentation() []string {
	var lines []string
	for _, m := range Metrics {
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s |", m.Name, m.Type, strings.Join(m.Labels, ", "), m.Help))
	}
	return lines
}
