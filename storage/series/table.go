package series

import (
	"math"

	"github.com/tokenwatch/tokenwatch"
)

// Table is cells of one series, those of one key together and in the order of
// their times. It is only to be read.
type Table struct {
	Kind     Kind
	Measures Measures // those it has
	Steps    []int64  // of each cell: it begins so many steps after 1970
	Keys     []Values // of each of the kind's columns
	Counts   []int64  // of each cell, at least 1

	Errors            [NumErrors][]int64 // of each cell
	BytesIn, BytesOut []int64            // of each cell
	Bins              Bins
	Addrs             Sets
}

// Len is how many cells there are.
func (t *Table) Len() int { return len(t.Steps) }

// Time is when a cell begins, in nanoseconds since 1970.
func (t *Table) Time(cell int) int64 { return t.Steps[cell] * int64(t.Kind.Step()) }

// Values is one column of the keys of cells.
type Values struct {
	Codes []uint32           // of each cell; 0 is null
	Text  tokenwatch.Strings // KindText: value of each code, that of 0 is ""
	Ints  []int64            // KindInt: value of code i is i-1
	Addrs []byte             // KindAddr: value of code i is the 16 bytes from 16·(i-1)
}

// Bins is how the durations of each cell are spread: cell i has the bins from
// Ends[i-1] up to Ends[i], ascending.
type Bins struct {
	Ends   []int32
	Bin    []int16
	Counts []int64
}

// Of returns the bins of a cell.
func (b *Bins) Of(cell int) (bins []int16, counts []int64) {
	lo, hi := span(b.Ends, cell)
	return b.Bin[lo:hi], b.Counts[lo:hi]
}

// Sets is which addresses the events of each cell came from: cell i has the
// codes from Ends[i-1] up to Ends[i], ascending.
type Sets struct {
	Ends  []int32
	Codes []uint32 // of Addrs, from 1 on
	Addrs []byte   // 16 bytes each
}

// Len is how many addresses a cell has.
func (s *Sets) Len(cell int) int {
	lo, hi := span(s.Ends, cell)
	return int(hi - lo)
}

func span(ends []int32, i int) (lo, hi int32) {
	if i > 0 {
		lo = ends[i-1]
	}
	return lo, ends[i]
}

// Quantile is a value within 0.8 % of the first at which the share of the numbers
// in bins up to it reaches q; false if there are none. Bins ascend.
func Quantile(bins []int16, counts []int64, q float64) (int64, bool) {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	left := min(max(int64(math.Ceil(q*float64(total)))-1, 0), total-1)
	for i, n := range counts {
		if left -= n; left < 0 {
			return Value(bins[i]), true
		}
	}
	return Value(bins[len(bins)-1]), true
}

// add is a sum that stops at the ends of what int64 holds.
func add(a, b int64) int64 {
	c := a + b
	switch {
	case a > 0 && b > 0 && c < 0:
		return 1<<63 - 1
	case a < 0 && b < 0 && c >= 0:
		return -1 << 63
	}
	return c
}
