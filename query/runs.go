package query

import (
	"net/netip"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// maxSought is for how many values of one condition runs of rows are looked for.
const maxSought = 16

// narrowed returns the visits of those runs of rows of a visit that may fulfil its
// conditions, as far as the segment knows where values may be.
func (v *visit) narrowed() []visit {
	runs := [][2]int{{v.lo, v.hi}}
	for _, cond := range v.where {
		if of, ok := v.runsOf(cond); ok {
			runs = overlap(runs, of)
		}
	}
	if len(runs) == 1 && runs[0] == [2]int{v.lo, v.hi} {
		return []visit{*v}
	}
	out := make([]visit, len(runs))
	for i, r := range runs {
		out[i] = *v
		out[i].lo, out[i].hi = r[0], r[1]
	}
	return out
}

// runsOf is where the rows of a segment lie that may fulfil a condition.
func (v *visit) runsOf(cond expr.Expr) (runs [][2]int, ok bool) {
	col, values, ok := expr.InValues(cond)
	if !ok {
		var addr [16]byte
		if col, addr, ok = expr.AddrValue(cond); !ok {
			return nil, false
		}
		values = []string{netip.AddrFrom16(addr).Unmap().String()}
	}
	if len(values) > maxSought || tokenwatch.Col(col) == tokenwatch.ColToken {
		return nil, false
	}
	for _, value := range values {
		of, ok := v.seg.Runs(tokenwatch.Col(col), value)
		if !ok {
			return nil, false
		}
		runs = append(runs, of...)
	}
	return joinedRuns(runs), true
}

// joinedRuns puts runs in order and joins those that touch.
func joinedRuns(runs [][2]int) [][2]int {
	slices.SortFunc(runs, func(a, b [2]int) int { return a[0] - b[0] })
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 && r[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], r[1])
		} else {
			out = append(out, r)
		}
	}
	return out
}

// overlap returns what is in both of two lists of runs, each in order.
func overlap(a, b [][2]int) (out [][2]int) {
	for len(a) > 0 && len(b) > 0 {
		lo, hi := max(a[0][0], b[0][0]), min(a[0][1], b[0][1])
		if lo < hi {
			out = append(out, [2]int{lo, hi})
		}
		if a[0][1] < b[0][1] {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}
