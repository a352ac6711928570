package block

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/series"
	"github.com/tokenwatch/tokenwatch/storage/series/seriestest"
)

// checkSeries holds the series that a segment carries against its rows, and what
// is read of them in part against the whole.
func checkSeries(t *testing.T, m *Merged, all *tokenwatch.Batch, what string) {
	t.Helper()
	for _, k := range series.Kinds {
		for _, ms := range []series.Measures{series.AllMeasures, 0, series.Durations, series.Errors | series.BytesIn} {
			got, err := m.Series(k, ms)
			if err != nil {
				t.Fatalf("%s: %s: %v", what, k, err)
			}
			if got == nil {
				continue
			}
			want := seriestest.Lines(series.Of(all, k, ms))
			if lines := seriestest.Lines(got); !slices.Equal(lines, want) {
				t.Fatalf("%s: %s: the segment has\n%q\nits rows\n%q", what, k, lines, want)
			}
		}
	}
}

// TestSeriesWritten: a busy hour carries its series, within their price.
func TestSeriesWritten(t *testing.T) {
	dec := NewDecoder()
	e := traffic(1 << 15)
	e.Offset = 1
	written, bytes := NewEncoder(), 0
	head, err := written.Merge(pieces(t, dec, []tokenwatch.Entry{*e}), func(chunk []byte) error { bytes += len(chunk); return nil })
	if err != nil {
		t.Fatal(err)
	}
	h, err := readMergedHead(head)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.series) == 0 {
		t.Fatal("a busy hour carries no series")
	}
	for _, s := range h.series {
		if s.cells > h.rows/seriesRowsPerCell {
			t.Errorf("%s has %d cells of %d rows", s.kind, s.cells, h.rows)
		}
		t.Logf("%s: %d cells, chunks %v", s.kind, s.cells, s.chunks)
	}
	m, err := dec.OpenMerged(head, nil)
	if err != nil {
		t.Fatal(err)
	}
	paid, _ := m.SeriesBytes()
	t.Logf("%.2f of %.2f bytes a row", float64(paid)/float64(h.rows), float64(bytes)/float64(h.rows))
	if paid > 3*h.rows {
		t.Errorf("series take %d bytes of %d rows", paid, h.rows)
	}
}

// showSeries shows the series that a merged segment carries.
func showSeries(t *testing.T, m *Merged) (out string) {
	for _, k := range series.Kinds {
		table, err := m.Series(k, series.AllMeasures)
		if err != nil {
			t.Fatal(err)
		}
		if table == nil {
			continue
		}
		out += fmt.Sprintf("series of %s\n", k)
		for _, line := range seriestest.Lines(table) {
			out += "  " + line + "\n"
		}
	}
	return out
}
