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
			if _, ok := v.seg.Counts(c); ok {
				v.counts, v.counted = c, true
				return
			}
		}
	case 1:
		if c := tokenwatch.Col(cols[0]); a.weighted(cols[0]) {
			if _, ok := v.seg.Counts(c); ok {
				v.counts, v.counted = c, true
			}
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
			x.byCounts.Add(1)
			return e.counted(x, v, worker, to)
		}
		return e.read(x, v, a, worker, to)
	})
}

// counted sends the values of one column, each with its number of rows.
func (e *events) counted(x *execution, v *visit, worker int, to sink) error {
	values, weights := x.engine.cache.counts(x.tenant, v.seg, v.counts)
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

// read decodes first what conditions need, and then, if rows are left, the rest.
func (e *events) read(x *execution, v *visit, a ask, worker int, to sink) error {
	var first tokenwatch.ColSet
	for _, c := range v.where {
		for _, col := range expr.Columns(c, nil) {
			first = first.With(tokenwatch.Col(col))
		}
	}
	if v.dups {
		first = first.With(tokenwatch.ColDuplicate)
	}
	var second tokenwatch.ColSet
	for i, need := range a.need {
		if need && !first.Has(tokenwatch.Col(i)) {
			second = second.With(tokenwatch.Col(i))
		}
	}
	w := &window{x: x, seg: v.seg, frame: expr.Frame{Cols: make([]expr.Vec, tokenwatch.NumColumns), Rows: v.hi - v.lo}}
	if first == 0 {
		if err := w.load(second, v.lo, v.hi); err != nil {
			return err
		}
		return e.each(x, v, w, nil, worker, to)
	}
	if err := w.load(first, v.lo, v.hi); err != nil {
		return err
	}
	where := v.where
	if v.dups {
		not, err := expr.Not(expr.EventColumn(tokenwatch.ColDuplicate))
		if err != nil {
			return err
		}
		where = append(where[:len(where):len(where)], not)
	}
	cond, err := expr.And(where...)
	if err != nil {
		return err
	}
	if second == 0 {
		return e.each(x, v, w, cond, worker, to)
	}
	// What is left of each chunk, before anything else is decoded.
	var left [][]int32
	lo, hi := v.hi, v.lo
	for from := v.lo; from < v.hi; from += chunkRows {
		end := min(from+chunkRows, v.hi)
		w.show(first, from, end)
		sel, err := w.frame.Filter(cond, nil, make([]int32, 0, end-from))
		if err != nil {
			return err
		}
		if len(sel) > 0 {
			lo, hi = min(lo, from), end
		}
		left = append(left, sel)
		if err := x.took(end - from); err != nil {
			return err
		}
	}
	if lo >= hi {
		return nil
	}
	if err := w.load(second, lo, hi); err != nil {
		return err
	}
	for from := lo; from < hi; from += chunkRows {
		sel := left[(from-v.lo)/chunkRows]
		if len(sel) == 0 {
			continue
		}
		end := min(from+chunkRows, hi)
		w.show(first|second, from, end)
		if len(sel) == end-from {
			sel = nil
		}
		if err := to(worker, &chunk{Frame: &w.frame, sel: sel, segment: v.index, first: from}); err != nil {
			return err
		}
	}
	return nil
}

// each sends all rows of a visit for which cond is true.
func (e *events) each(x *execution, v *visit, w *window, cond expr.Expr, worker int, to sink) error {
	var sel []int32
	for from := v.lo; from < v.hi; from += chunkRows {
		end := min(from+chunkRows, v.hi)
		w.show(w.loaded, from, end)
		c := &chunk{Frame: &w.frame, segment: v.index, first: from}
		if cond != nil {
			var err error
			if sel, err = w.frame.Filter(cond, nil, sel[:0]); err != nil {
				return err
			}
			if c.sel = sel; c.sel == nil {
				c.sel = []int32{}
			}
		}
		if err := x.took(end - from); err != nil {
			return err
		}
		if c.rows() == 0 {
			continue
		}
		if err := to(worker, c); err != nil {
			return err
		}
	}
	return nil
}

// window shows parts of the decoded columns of a segment.
type window struct {
	x      *execution
	seg    storage.Segment
	frame  expr.Frame
	loaded tokenwatch.ColSet
	cols   [tokenwatch.NumColumns]decoded
}

// decoded is a column of a segment from row first on.
type decoded struct {
	vector *tokenwatch.Vector
	attrs  *tokenwatch.Attributes
	first  int
}

// load decodes columns for the rows from lo up to hi.
func (w *window) load(cols tokenwatch.ColSet, lo, hi int) error {
	w.loaded |= cols
	if cols == 0 {
		return nil
	}
	return w.x.engine.cache.load(w.x, w.seg, cols, lo, hi, &w.cols)
}

// show makes the frame show rows from from to to. The distance of from to where
// a column was loaded from is a multiple of 8.
func (w *window) show(cols tokenwatch.ColSet, from, to int) {
	w.frame.Reset(to - from)
	for c := range cols.All() {
		d := &w.cols[c]
		if c.Kind() == tokenwatch.KindMap {
			w.frame.Cols[c] = expr.Vec{Type: expr.TypeMap, Attrs: d.attrs, First: from - d.first}
			continue
		}
		w.frame.Cols[c] = expr.Show(d.vector, c.Kind(), from-d.first, to-d.first)
		w.x.bytesRead.Add(int64(w.frame.Cols[c].Width()) * int64(to-from))
	}
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
