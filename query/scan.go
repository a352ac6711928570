package query

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/storage"
)

// events is the table of events; its fields are the columns of the schema.
type events struct {
	alias string
	all   bool // duplicates, too
}

func (e *events) fields() []field {
	out := make([]field, tokenwatch.NumColumns)
	for i := range out {
		c := tokenwatch.Col(i)
		out[i] = field{table: e.alias, name: c.String(), typ: expr.TypeOf(c.Kind()), token: c == tokenwatch.ColToken}
	}
	return out
}

// leaveOutDuplicates looks which tables of events are asked for their duplicates.
func (x *execution) leaveOutDuplicates(r relation, named map[string]bool) {
	switch r := r.(type) {
	case *events:
		r.all = r.all || named[r.alias+".duplicate"]
	case *joined:
		x.leaveOutDuplicates(r.left, named)
		x.leaveOutDuplicates(r.right, named)
	}
}

// visit is one segment that a scan reads, and how.
type visit struct {
	index   int // among the segments of the execution
	seg     storage.Segment
	where   []expr.Expr // what is not known to be true of all its rows
	dups    bool        // it has duplicates to leave out
	lo, hi  int         // rows to look at
	counts  tokenwatch.Col
	counted bool // the counts of that column answer it
}

// visits prunes: it returns the segments that may hold what is asked for.
func (e *events) visits(x *execution, a ask) ([]visit, error) {
	segments, err := x.allSegments()
	if err != nil {
		return nil, err
	}
	var list []expr.Expr
	if a.where != nil {
		list = expr.Conjuncts(a.where)
	}
	if neverTrue(list) {
		x.pruned.Add(int64(len(segments)))
		return nil, nil
	}
	var out []visit
	for i, s := range segments {
		v := visit{index: i, seg: s, hi: s.Rows()}
		if !e.prune(&v, list) {
			x.pruned.Add(1)
			continue
		}
		if !e.all {
			b, ok := s.Bounds(tokenwatch.ColDuplicate)
			v.dups = !ok || b.Max != 0
		}
		e.byCounts(&v, a)
		out = append(out, v)
	}
	return out, nil
}

func neverTrue(list []expr.Expr) bool {
	return slices.ContainsFunc(list, func(c expr.Expr) bool {
		v, ok := expr.ConstValue(c)
		return ok && (v.IsNull() || !v.Bool)
	})
}

// prune looks at what a segment's head tells of each condition. It is false if no
// row can fulfil all of them.
func (e *events) prune(v *visit, list []expr.Expr) bool {
	for _, cond := range list {
		if col, low, high, ok := expr.Bounds(cond); ok {
			b, known := v.seg.Bounds(tokenwatch.Col(col))
			if known && (b.Nulls == v.seg.Rows() || b.Max < low || b.Min > high) {
				return false
			}
			if known && b.Nulls == 0 && b.Min >= low && b.Max <= high {
				continue // true of all rows
			}
			if low == high && !v.seg.MayHold(tokenwatch.Col(col), strconv.FormatInt(low, 10)) {
				return false
			}
		} else if col, values, ok := expr.InValues(cond); ok {
			if !e.mayHold(v, tokenwatch.Col(col), values) {
				return false
			}
		} else if col, sub, ok := expr.Substring(cond); ok {
			if !v.seg.MayContain(tokenwatch.Col(col), sub) {
				return false
			}
		} else if col, addr, ok := expr.AddrValue(cond); ok {
			if !v.seg.MayHold(tokenwatch.Col(col), netip.AddrFrom16(addr).Unmap().String()) {
				return false
			}
		}
		v.where = append(v.where, cond)
	}
	return v.lo < v.hi
}

// mayHold narrows the rows to those of the tokens asked for, where they lie together.
func (e *events) mayHold(v *visit, col tokenwatch.Col, values []string) bool {
	any := false
	lo, hi := v.seg.Rows(), 0
	sorted := col == tokenwatch.ColToken && len(values) <= 64
	for _, s := range values {
		if len(values) <= 64 && !v.seg.MayHold(col, s) {
			continue
		}
		any = true
		if !sorted {
			continue
		}
		l, h, ok := v.seg.TokenRows(tokenwatch.TokenID(s))
		if !ok {
			sorted = false
			continue
		}
		if l < h {
			lo, hi = min(lo, l), max(hi, h)
		}
	}
	if any && sorted {
		v.lo, v.hi = max(v.lo, lo), min(v.hi, hi)
	}
	return any && v.lo < v.hi
}

// byCounts tells whether the counts of one column answer for a segment.
func (e *events) byCounts(v *visit, a ask) {
	if a.weighted == nil || e.all || v.lo != 0 || v.hi != v.seg.Rows() {
		return
	}
	var cols []int
	for i, need := range a.need {
		if need {
			cols = append(cols, i)
		}
	}
	for _, c := range v.where {
		cols = expr.Columns(c, cols)
	}
	slices.Sort(cols)
	cols = slices.Compact(cols)
	switch len(cols) {
	case 0:
		for _, c := range []tokenwatch.Col{tokenwatch.ColMethod, tokenwatch.ColStatus, tokenwatch.ColHost, tokenwatch.ColSource, tokenwatch.ColFormat, tokenwatch.ColToken} {
			if v.seg.Counted(c) {
				v.counts, v.counted = c, true
				return
			}
		}
	case 1:
		if c := tokenwatch.Col(cols[0]); a.weighted(cols[0]) {
			v.counts, v.counted = c, v.seg.Counted(c)
		}
	}
}

func (e *events) scan(x *execution, a ask, to sink) error {
	visits, err := e.visits(x, a)
	if err != nil {
		return err
	}
	if a.order != nil {
		a.order.sort(visits)
	}
	return x.parallel(len(visits), func(worker, i int) error {
		v := &visits[i]
		if a.order != nil && a.order.passes(v) {
			x.pruned.Add(1)
			return x.alive()
		}
		if v.counted {
			if values, weights, ok := x.engine.cache.counts(x.tenant, v.seg, v.counts); ok {
				x.byCounts.Add(1)
				return e.counted(x, v, values, weights, worker, to)
			}
		}
		t, err := e.bySeries(x, v, a)
		if err != nil {
			return err
		}
		if t != nil {
			x.bySeries.Add(1)
			return e.fromSeries(x, v, t, a.uses.durations, worker, to)
		}
		parts := v.narrowed()
		if len(parts) == 0 {
			x.pruned.Add(1)
			return x.alive()
		}
		for i := range parts {
			if err := e.read(x, &parts[i], a, worker, to); err != nil {
				return err
			}
		}
		return nil
	})
}

// counted sends the values of one column, each with its number of rows.
func (e *events) counted(x *execution, v *visit, values expr.Vec, weights []int64, worker int, to sink) error {
	c := &chunk{Frame: &expr.Frame{N: len(weights), Cols: make([]expr.Vec, tokenwatch.NumColumns)}, weights: weights, segment: v.index}
	c.Cols[v.counts] = values
	if err := x.took(len(weights)); err != nil || len(weights) == 0 {
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

// bound is the place in an order by time that rows must be before to matter.
type bound struct {
	descending bool
	at         timeBound
}

// passes tells whether all rows of a segment come after the bound.
func (b *bound) passes(v *visit) bool {
	at, ok := b.at.get()
	if !ok {
		return false
	}
	bounds, known := v.seg.Bounds(tokenwatch.ColTime)
	if !known || bounds.Nulls > 0 {
		return false
	}
	if b.descending {
		return bounds.Max < at
	}
	return bounds.Min > at
}

// sort puts first the segments that may hold the first rows of the order.
func (b *bound) sort(visits []visit) {
	slices.SortStableFunc(visits, func(v, w visit) int {
		x, _ := v.seg.Bounds(tokenwatch.ColTime)
		y, _ := w.seg.Bounds(tokenwatch.ColTime)
		if b.descending {
			return cmp.Compare(y.Max, x.Max)
		}
		return cmp.Compare(x.Min, y.Min)
	})
}
