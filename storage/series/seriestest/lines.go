// Package seriestest shows series as text, and counts rows the slow way.
package seriestest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// Lines shows the cells of a table, sorted, equal keys and times added up.
func Lines(t *series.Table) []string {
	s := series.NewSum(t.Kind, t.Measures)
	s.Add(t, nil)
	sum := s.Result()
	out := make([]string, sum.Len())
	for i := range out {
		c := cell{start: sum.Time(i), count: sum.Counts[i]}
		for j, col := range t.Kind.Columns() {
			c.key = append(c.key, value(&sum.Keys[j], col, sum.Keys[j].Codes[i]))
		}
		if sum.Measures.Has(series.Errors) {
			for e := range c.errors {
				c.errors[e] = sum.Errors[e][i]
			}
		}
		if sum.Measures.Has(series.BytesIn) {
			c.in = sum.BytesIn[i]
		}
		if sum.Measures.Has(series.BytesOut) {
			c.out = sum.BytesOut[i]
		}
		if sum.Measures.Has(series.Durations) {
			bins, counts := sum.Bins.Of(i)
			c.bins = make(map[int16]int64)
			for j, b := range bins {
				c.bins[b] = counts[j]
			}
		}
		if sum.Measures.Has(series.Sources) {
			c.addrs = make(map[netip.Addr]bool)
			lo := int32(0)
			if i > 0 {
				lo = sum.Addrs.Ends[i-1]
			}
			for _, code := range sum.Addrs.Codes[lo:sum.Addrs.Ends[i]] {
				c.addrs[netip.AddrFrom16([16]byte(sum.Addrs.Addrs[16*(code-1):])).Unmap()] = true
			}
		}
		out[i] = c.String()
	}
	slices.Sort(out)
	return out
}

func value(v *series.Values, col tokenwatch.Col, code uint32) string {
	switch {
	case code == 0:
		return "null"
	case col.Kind() == tokenwatch.KindText:
		return fmt.Sprintf("%q", v.Text.At(int(code)))
	case col.Kind() == tokenwatch.KindAddr:
		return netip.AddrFrom16([16]byte(v.Addrs[16*(code-1):])).Unmap().String()
	default:
		return fmt.Sprint(v.Ints[code-1])
	}
}

// cell is one cell as it is shown.
type cell struct {
	start  int64
	key    []string
	count  int64
	errors [series.NumErrors]int64
	in     int64
	out    int64
	bins   map[int16]int64
	addrs  map[netip.Addr]bool
}

func (c *cell) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v: %d events, errors %v, bytes %d in %d out", time.Unix(0, c.start).UTC().Format(time.RFC3339), c.key, c.count, c.errors, c.in, c.out)
	for _, bin := range slices.Sorted(maps.Keys(c.bins)) {
		fmt.Fprintf(&b, " %d×%d", series.Value(bin), c.bins[bin])
	}
	for _, a := range slices.SortedFunc(maps.Keys(c.addrs), netip.Addr.Compare) {
		fmt.Fprintf(&b, " %v", a)
	}
	return b.String()
}

// Naive counts rows one by one, and shows what Lines shows of them.
func Naive(batches []*tokenwatch.Batch, k series.Kind, ms series.Measures) []string {
	cells := make(map[string]*cell)
	for _, b := range batches {
		for i := range b.Rows() {
			if !b.Has(tokenwatch.ColTime, i) || b.Bool(tokenwatch.ColDuplicate, i) || k != series.Minutes && !b.Has(k.Columns()[0], i) {
				continue
			}
			start := time.Unix(0, b.Int(tokenwatch.ColTime, i)).UTC().Truncate(k.Step()).UnixNano()
			var key []string
			for _, col := range k.Columns() {
				key = append(key, text(b, col, i))
			}
			id := fmt.Sprint(start, key)
			c := cells[id]
			if c == nil {
				c = &cell{start: start, key: key, bins: make(map[int16]int64), addrs: make(map[netip.Addr]bool)}
				cells[id] = c
			}
			c.take(b, i, ms.Of(k))
		}
	}
	var out []string
	for _, c := range cells {
		out = append(out, c.String())
	}
	slices.Sort(out)
	return out
}

func text(b *tokenwatch.Batch, col tokenwatch.Col, i int) string {
	switch {
	case !b.Has(col, i):
		return "null"
	case col.Kind() == tokenwatch.KindText:
		return fmt.Sprintf("%q", b.Text(col, i))
	case col.Kind() == tokenwatch.KindAddr:
		return b.Addr(i).String()
	default:
		return fmt.Sprint(b.Int(col, i))
	}
}

func (c *cell) take(b *tokenwatch.Batch, i int, ms series.Measures) {
	c.count++
	if ms.Has(series.Errors) {
		status, outcome := b.Int(tokenwatch.ColStatus, i), b.Text(tokenwatch.ColOutcome, i)
		for e, is := range [series.NumErrors]bool{
			series.Authn:     status == 401 || status == 407,
			series.Authz:     status == 403 || status <= 0 && outcome == "denied",
			series.NotFound:  status == 404 || status == 410,
			series.Throttled: status == 429,
			series.Server:    status >= 500,
		} {
			if is {
				c.errors[e]++
			}
		}
		switch {
		case status == 401 || status == 407 || status == 403 || status == 404 || status == 410 || status == 429:
		case status >= 400 && status < 500, status <= 0 && outcome == "failure":
			c.errors[series.Client]++
		}
	}
	if ms.Has(series.BytesIn) {
		c.in += b.Int(tokenwatch.ColBytesIn, i)
	}
	if ms.Has(series.BytesOut) {
		c.out += b.Int(tokenwatch.ColBytesOut, i)
	}
	if ms.Has(series.Durations) && b.Has(tokenwatch.ColDuration, i) {
		c.bins[series.Bin(b.Int(tokenwatch.ColDuration, i))]++
	}
	if ms.Has(series.Sources) && b.Has(tokenwatch.ColSrcIP, i) {
		c.addrs[b.Addr(i)] = true
	}
}
