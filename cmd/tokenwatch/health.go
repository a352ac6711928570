package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwatch/tokenwatch"
)

// sourceMetrics tells of the sources that the engine knows when it is asked: of
// each tenant those with most records by name, the others as one.
type sourceMetrics struct {
	engine interface {
		Tenants() []string
		Sources(ctx context.Context, tenant string) ([]tokenwatch.SourceRecord, error)
	}
}

const (
	namedSources = 100 // of a tenant
	otherSources = "(others)"
)

func (sourceMetrics) descriptions() [7]*prometheus.Desc {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"tenant", "source"}, nil)
	}
	return [...]*prometheus.Desc{
		describe("tokenwatch_source_records_total", "Records stored, by source."),
		describe("tokenwatch_source_rejects_total", "Records that could not be stored, by source."),
		describe("tokenwatch_source_events_per_second", "Events in the last hour of event time, by second."),
		describe("tokenwatch_source_last_event_seconds", "Time of the newest event, seconds since 1970."),
		describe("tokenwatch_source_lag_seconds", "How far the newest event of the last request was behind its coming."),
		describe("tokenwatch_source_silent", "1 while the source is silent for longer than usually."),
		describe("tokenwatch_source_rejecting", "1 while much more of what the source sends is refused than usually."),
	}
}

// Describe says what there is.
func (m sourceMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range m.descriptions() {
		out <- d
	}
}

// Collect asks the engine.
func (m sourceMetrics) Collect(out chan<- prometheus.Metric) {
	for _, tenant := range m.engine.Tenants() {
		list, err := m.engine.Sources(context.Background(), tenant)
		if err != nil {
			continue
		}
		slices.SortStableFunc(list, func(a, b tokenwatch.SourceRecord) int { return cmp.Compare(b.Records, a.Records) })
		for i := range list[:min(len(list), namedSources)] {
			m.emit(out, &list[i], list[i].Name)
		}
		if len(list) > namedSources {
			other := sumOf(list[namedSources:])
			m.emit(out, &other, otherSources)
		}
	}
}

// sumOf is several sources as one: silent or rejecting if one of them is.
func sumOf(list []tokenwatch.SourceRecord) (sum tokenwatch.SourceRecord) {
	for i := range list {
		s := &list[i]
		sum.Tenant = s.Tenant
		sum.Records += s.Records
		sum.Rejects += s.Rejects
		sum.Rate += s.Rate
		sum.Lag = max(sum.Lag, s.Lag)
		if s.Last.After(sum.Last) {
			sum.Last = s.Last
		}
		if s.State == tokenwatch.SourceSilent || s.State == tokenwatch.SourceRejecting && sum.State != tokenwatch.SourceSilent {
			sum.State = s.State
		}
	}
	return sum
}

func (m sourceMetrics) emit(out chan<- prometheus.Metric, s *tokenwatch.SourceRecord, name string) {
	last := 0.0
	if !s.Last.IsZero() {
		last = float64(s.Last.UnixMilli()) / 1000
	}
	is := func(state tokenwatch.SourceState) float64 {
		if s.State == state {
			return 1
		}
		return 0
	}
	values := [...]float64{
		float64(s.Records), float64(s.Rejects), s.Rate, last, s.Lag.Seconds(), is(tokenwatch.SourceSilent), is(tokenwatch.SourceRejecting),
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	types := [...]prometheus.ValueType{counter, counter, gauge, gauge, gauge, gauge, gauge}
	for i, d := range m.descriptions() {
		out <- prometheus.MustNewConstMetric(d, types[i], values[i], s.Tenant, name)
	}
}
