package query

import (
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// uses is what a question makes of rows, where rows that stand for many will do:
// its keys and the arguments of its aggregates, but for approx_quantile(duration),
// which bins of durations answer. It is nil if rows must be looked at one by one.
type uses struct {
	exprs     []expr.Expr
	durations bool
}

// usesOf looks at a question for groups of events.
func usesOf(keys []expr.Expr, aggs []*aggregate) *uses {
	u := &uses{exprs: slices.Clone(keys)}
	for _, a := range aggs {
		if !a.weighs() {
			return nil
		}
		if a.arg == nil {
			continue
		}
		if at, ok := expr.ColumnAt(a.arg); ok && tokenwatch.Col(at) == tokenwatch.ColDuration && a.name == "approx_quantile" {
			u.durations = true
			continue
		}
		u.exprs = append(u.exprs, a.arg)
	}
	return u
}

// bySeries returns the cells of a segment's rows that answer a question just as
// the rows would, nil if the segment has none that do.
func (e *events) bySeries(x *execution, v *visit, a ask) (*series.Table, error) {
	if a.uses == nil || e.all || v.lo != 0 || v.hi != v.seg.Rows() {
		return nil, nil
	}
	exprs := append(slices.Clone(a.uses.exprs), v.where...)
	var cols []int
	for _, one := range exprs {
		cols = expr.Columns(one, cols)
	}
	slices.Sort(cols)
	cols = slices.Compact(cols)
	ms := series.Measures(0)
	if a.uses.durations {
		ms = series.Durations
	}
	for _, k := range series.Kinds {
		if !e.suits(v, k, exprs, cols) {
			continue
		}
		if t, err := v.seg.Series(x.ctx, k, ms); t != nil || err != nil {
			return t, err
		}
	}
	return nil, nil
}

// suits tells whether the cells of a series stand for all rows that may matter,
// and expressions are the same for all rows of a cell.
func (e *events) suits(v *visit, k series.Kind, exprs []expr.Expr, cols []int) bool {
	// counted tells whether all rows without a value in a column, which the series
	// leaves out, are left out by a condition too, or there are none.
	counted := func(c tokenwatch.Col) bool {
		if b, ok := v.seg.Bounds(c); ok && b.Nulls == 0 {
			return true
		}
		return slices.ContainsFunc(v.where, func(cond expr.Expr) bool {
			at, _, ok := expr.InValues(cond)
			if !ok {
				at, _, ok = expr.AddrValue(cond)
			}
			if !ok {
				at, _, _, ok = expr.Bounds(cond)
			}
			return ok && tokenwatch.Col(at) == c
		})
	}
	if !counted(tokenwatch.ColTime) || k != series.Minutes && !counted(k.Columns()[0]) {
		return false
	}
	for _, c := range cols {
		if tokenwatch.Col(c) != tokenwatch.ColTime && !slices.Contains(k.Columns(), tokenwatch.Col(c)) {
			return false
		}
	}
	for _, one := range exprs {
		if !expr.Coarse(one, int(tokenwatch.ColTime), int64(k.Step())) {
			return false
		}
	}
	return true
}

// fromSeries sends cells as rows that stand for many, with bins as their
// durations if the question is for these.
func (e *events) fromSeries(x *execution, v *visit, t *series.Table, durations bool, worker int, to sink) error {
	var of []int32 // the cell of each row; nil: each is a row
	weights := t.Counts
	var values expr.Vec
	if durations {
		of, weights, values = binRows(t)
	}
	f := &expr.Frame{N: len(weights), Cols: make([]expr.Vec, tokenwatch.NumColumns)}
	show := func(c tokenwatch.Col, cells expr.Vec) {
		if of != nil {
			cells = cells.Gather(of)
		}
		f.Cols[c] = cells
	}
	times := expr.Vec{Type: expr.TypeTime, Ints: make([]int64, t.Len())}
	for i := range times.Ints {
		times.Ints[i] = t.Time(i)
	}
	show(tokenwatch.ColTime, times)
	for i, c := range t.Kind.Columns() {
		if c == tokenwatch.ColSrcIP {
			show(c, addrVec(&t.Keys[i]))
			continue
		}
		cells := keyVec(t, c)
		cells.Distinct = cells.Codes != nil
		show(c, cells)
	}
	if durations {
		f.Cols[tokenwatch.ColDuration] = values
	}
	c := &chunk{Frame: f, weights: weights, segment: v.index}
	if err := x.took(len(weights)); err != nil {
		return err
	}
	for _, cond := range v.where {
		sel, err := c.Filter(cond, c.sel, make([]int32, 0, c.rows()))
		if err != nil {
			return err
		}
		c.sel = sel
	}
	if c.rows() == 0 {
		return nil
	}
	return to(worker, c)
}

// addrVec is keys that are addresses.
func addrVec(k *series.Values) expr.Vec {
	v := expr.Vec{Type: expr.TypeAddr, Addrs: make([]byte, 0, 16*len(k.Codes))}
	for _, code := range k.Codes { // none is null
		v.Addrs = append(v.Addrs, k.Addrs[16*(code-1):16*code]...)
	}
	return v
}

// binRows makes a row of each bin of each cell, and one of the rows of a cell that
// have no duration.
func binRows(t *series.Table) (of []int32, weights []int64, durations expr.Vec) {
	var valid []bool
	durations.Type = expr.TypeInt
	for i := range t.Len() {
		bins, counts := t.Bins.Of(i)
		left := t.Counts[i]
		for j, b := range bins {
			of, weights, valid = append(of, int32(i)), append(weights, counts[j]), append(valid, true)
			durations.Ints = append(durations.Ints, series.Value(b))
			left -= counts[j]
		}
		if left > 0 {
			of, weights, valid = append(of, int32(i)), append(weights, left), append(valid, false)
			durations.Ints = append(durations.Ints, 0)
		}
	}
	if slices.Contains(valid, false) {
		durations.Valid = make(tokenwatch.Bitmap, (len(valid)+7)/8)
		for i, ok := range valid {
			if ok {
				durations.Valid.Set(i)
			}
		}
	}
	if of == nil {
		of, weights = []int32{}, []int64{}
	}
	return of, weights, durations
}
