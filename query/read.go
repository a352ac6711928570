package query

import (
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/storage"
)

// read decodes first what conditions need, and then, if rows are left, the rest.
func (e *events) read(x *execution, v *visit, a ask, worker int, to sink) error {
	w := &window{x: x, seg: v.seg, frame: expr.Frame{Cols: make([]expr.Vec, tokenwatch.NumColumns), Rows: v.hi - v.lo}}
	var need tokenwatch.ColSet
	for i, named := range a.need {
		if named {
			need = need.With(tokenwatch.Col(i))
		}
	}
	pick, first, err := w.picker(v, need)
	if err != nil {
		return err
	}
	later := need &^ first
	if first == 0 && pick.found == nil || later == 0 {
		if err := w.load(later, v.lo, v.hi); err != nil {
			return err
		}
		for from := v.lo; from < v.hi; from += chunkRows {
			end := min(from+chunkRows, v.hi)
			sel, err := pick.rows(from, end)
			if err != nil {
				return err
			}
			if err := x.took(end - from); err != nil {
				return err
			}
			if err := w.send(v, need, from, end, sel, worker, to); err != nil {
				return err
			}
		}
		return nil
	}
	// What is left of each chunk, before anything else is decoded.
	var left [][]int32
	lo, hi := v.hi, v.lo
	for from := v.lo; from < v.hi; from += chunkRows {
		end := min(from+chunkRows, v.hi)
		sel, err := pick.rows(from, end)
		if err != nil {
			return err
		}
		if len(sel) > 0 {
			lo, hi = min(lo, from), end
		}
		left = append(left, append([]int32{}, sel...)) // none is not all
		if err := x.took(end - from); err != nil {
			return err
		}
	}
	if lo >= hi {
		return nil
	}
	if err := w.load(later, lo, hi); err != nil {
		return err
	}
	for from := lo; from < hi; from += chunkRows {
		if err := w.send(v, need, from, min(from+chunkRows, hi), left[(from-v.lo)/chunkRows], worker, to); err != nil {
			return err
		}
	}
	return nil
}

// window shows parts of the decoded columns of a segment.
type window struct {
	x     *execution
	seg   storage.Segment
	frame expr.Frame
	cols  [tokenwatch.NumColumns]decoded
	ints  [tokenwatch.NumColumns][]int64 // of narrow columns, as they are shown
}

// load decodes columns for the rows from lo up to hi.
func (w *window) load(cols tokenwatch.ColSet, lo, hi int) error {
	if cols == 0 {
		return nil
	}
	return w.x.engine.cache.load(w.x, w.seg, cols, lo, hi, &w.cols)
}

// show makes the frame show rows from from to to; of narrow columns only the rows of
// sel need be there. The distance of from to where a column was loaded from is a
// multiple of 8.
func (w *window) show(cols tokenwatch.ColSet, from, to int, sel []int32) {
	w.frame.Reset(to - from)
	for c := range cols.All() {
		d := &w.cols[c]
		if c.Kind() == tokenwatch.KindMap {
			w.frame.Cols[c] = expr.Vec{Type: expr.TypeMap, Attrs: d.attrs, First: from - d.first}
			continue
		}
		w.frame.Cols[c] = d.show(c.Kind(), from-d.first, to-d.first, sel, &w.ints[c])
		w.x.bytesRead.Add(int64(w.frame.Cols[c].Width()) * int64(to-from))
	}
}

// send sends the rows sel of some columns on; nil is all.
func (w *window) send(v *visit, cols tokenwatch.ColSet, from, end int, sel []int32, worker int, to sink) error {
	switch {
	case sel != nil && len(sel) == 0:
		return nil
	case len(sel) == end-from:
		sel = nil
	}
	w.show(cols, from, end, sel)
	return to(worker, &chunk{Frame: &w.frame, sel: sel, segment: v.index, first: from})
}

// decoded is a column of a segment from row first on.
type decoded struct {
	vector *tokenwatch.Vector
	attrs  *tokenwatch.Attributes
	first  int
	narrow *narrow     // instead of the vector's numbers; may be nil
	space  *expr.Space // of the vector's codes; may be nil
}

// show makes a vector of the rows from from to to, counted from first. Narrow
// numbers are written to buf, so that they last until it is used again.
func (d *decoded) show(k tokenwatch.Kind, from, to int, sel []int32, buf *[]int64) expr.Vec {
	if d.narrow == nil {
		v := expr.Show(d.vector, k, from, to)
		v.Space = d.space
		return v
	}
	if cap(*buf) < to-from {
		*buf = make([]int64, max(to-from, chunkRows))
	}
	v := tokenwatch.Vector{Ints: (*buf)[:to-from]}
	if sel != nil && 4*len(sel) < to-from {
		d.narrow.writeSome(v.Ints, from, sel)
	} else {
		d.narrow.write(v.Ints, from)
	}
	if d.vector.Valid != nil {
		v.Valid = d.vector.Valid[from/8 : (to+7)/8]
	}
	return expr.Show(&v, k, 0, to-from)
}

// picker tells the rows of chunks that fulfil conditions. Ranges of narrow columns
// come first: they are looked at as they are kept.
type picker struct {
	w      *window
	ranges []narrowRange
	found  []int32           // rows of the visit, ascending, that fulfil conditions on texts; nil: no such conditions
	rest   expr.Expr         // nil: nothing more
	cols   tokenwatch.ColSet // of rest

	first int // row of the visit
	bufs  [2][]int32
}

// narrowRange is the rows of a narrow column whose kept number is low to high.
type narrowRange struct {
	d         *decoded
	low, high uint32
	none      bool
}

// searchRows is from how many rows on it is worth while to search a part of a segment
// rather than a column that is kept.
const searchRows = 16384

// searchable tells of which conditions on texts the segment can be asked: nothing
// else is needed of their columns.
func searchable(v *visit, need tokenwatch.ColSet) (tests, rest []expr.Expr) {
	if v.hi-v.lo < min(searchRows, v.seg.Rows()) {
		return nil, v.where
	}
	uses := make(map[int]int)
	for _, c := range v.where {
		cols := slices.Sorted(slices.Values(expr.Columns(c, nil)))
		for _, col := range slices.Compact(cols) {
			uses[col]++
		}
	}
	for _, c := range v.where {
		col, _, ok := expr.TextTest(c)
		if !ok || uses[col] > 1 || need.Has(tokenwatch.Col(col)) || tokenwatch.Col(col).Kind() != tokenwatch.KindString {
			rest = append(rest, c)
			continue
		}
		tests = append(tests, c)
	}
	return tests, rest
}

// search asks the segment for the rows that fulfil tests, among those within the
// ranges. It returns the tests that cannot be answered so.
func (p *picker) search(v *visit, tests []expr.Expr) (rest []expr.Expr, err error) {
	var among []int32
	if len(tests) > 0 && len(p.ranges) > 0 {
		among = []int32{}
		for from := v.lo; from < v.hi; from += chunkRows {
			sel, err := p.rows(from, min(from+chunkRows, v.hi))
			if err != nil {
				return nil, err
			}
			for _, i := range sel {
				among = append(among, i+int32(from-v.lo))
			}
		}
	}
	for _, c := range tests {
		col, test, _ := expr.TextTest(c)
		rows, ok, err := v.seg.Search(p.w.x.ctx, tokenwatch.Col(col), test, v.lo, v.hi, among)
		if err != nil {
			return nil, err
		}
		if !ok {
			rest = append(rest, c)
			continue
		}
		if among = rows; among == nil {
			among = []int32{}
		}
		p.found, p.ranges = among, nil
	}
	return rest, nil
}

// foundIn moves the rows of a chunk from the front of a list to buf.
func foundIn(list *[]int32, first, rows int, buf []int32) []int32 {
	n, _ := slices.BinarySearch(*list, int32(first+rows))
	buf = buf[:0]
	for _, i := range (*list)[:n] {
		buf = append(buf, i-int32(first))
	}
	*list = (*list)[n:]
	return buf
}

// picker loads what the conditions of a visit need, and returns those columns.
func (w *window) picker(v *visit, need tokenwatch.ColSet) (*picker, tokenwatch.ColSet, error) {
	p := &picker{w: w, first: v.lo}
	tests, where := searchable(v, need)
	var first tokenwatch.ColSet
	for _, c := range where {
		for _, col := range expr.Columns(c, nil) {
			first = first.With(tokenwatch.Col(col))
		}
	}
	if v.dups {
		first = first.With(tokenwatch.ColDuplicate)
	}
	if err := w.load(first, v.lo, v.hi); err != nil {
		return nil, 0, err
	}
	var rest []expr.Expr
	for _, c := range where {
		col, low, high, ok := expr.Bounds(c)
		if !ok || w.cols[col].narrow == nil {
			rest = append(rest, c)
			continue
		}
		r := narrowRange{d: &w.cols[col]}
		r.low, r.high, r.none = r.d.narrow.between(low, high)
		p.ranges = append(p.ranges, r)
	}
	left, err := p.search(v, tests)
	if err != nil {
		return nil, 0, err
	}
	if len(left) > 0 { // its columns are not loaded yet
		var cols tokenwatch.ColSet
		for _, c := range left {
			for _, col := range expr.Columns(c, nil) {
				cols = cols.With(tokenwatch.Col(col))
			}
		}
		if err := w.load(cols&^first, v.lo, v.hi); err != nil {
			return nil, 0, err
		}
		first |= cols
		rest = append(rest, left...)
	}
	if v.dups {
		not, err := expr.Not(expr.EventColumn(tokenwatch.ColDuplicate))
		if err != nil {
			return nil, 0, err
		}
		rest = append(rest, not)
	}
	if len(rest) == 0 {
		return p, first, nil
	}
	for _, c := range rest {
		for _, col := range expr.Columns(c, nil) {
			p.cols = p.cols.With(tokenwatch.Col(col))
		}
	}
	p.rest, err = expr.And(rest...)
	return p, first, err
}

// rows returns the rows of a chunk that fulfil the conditions, counted from its first
// one, until it is called again; nil is all. Chunks are asked for in order.
func (p *picker) rows(from, end int) (sel []int32, err error) {
	if p.found != nil {
		p.bufs[0] = foundIn(&p.found, from-p.first, end-from, p.bufs[0])
		if sel = p.bufs[0]; len(sel) == 0 {
			return []int32{}, nil
		}
	}
	for i := range p.ranges {
		r := &p.ranges[i]
		switch {
		case r.none:
			return []int32{}, nil
		case sel == nil:
			p.bufs[0] = r.d.narrow.within(from-r.d.first, end-from, r.low, r.high, p.bufs[0])
			sel = p.bufs[0]
		default:
			sel = r.d.narrow.among(sel, from-r.d.first, r.low, r.high)
		}
		if valid := r.d.vector.Valid; valid != nil {
			sel = slices.DeleteFunc(sel, func(i int32) bool { return !valid.At(from - r.d.first + int(i)) })
		}
		if len(sel) == 0 {
			return []int32{}, nil
		}
	}
	if p.rest == nil {
		return sel, nil
	}
	p.w.show(p.cols, from, end, sel)
	p.bufs[1] = slices.Grow(p.bufs[1][:0], end-from)
	return p.w.frame.Filter(p.rest, sel, p.bufs[1])
}
