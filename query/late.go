package query

import (
	"slices"
	"sync/atomic"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// timeBound is a time that workers agree on, or none yet.
type timeBound struct {
	known atomic.Bool
	value atomic.Int64
}

func (b *timeBound) get() (int64, bool) { return b.value.Load(), b.known.Load() }

// tighten moves the bound, never back.
func (b *timeBound) tighten(to int64, descending bool) {
	for {
		old := b.value.Load()
		if b.known.Load() && (to > old) != descending {
			return
		}
		if b.value.CompareAndSwap(old, to) {
			b.known.Store(true)
			return
		}
	}
}

// late tells whether the first rows of an order can be found by their keys
// alone, and everything else be read of those rows only.
func (p *plan) late() bool {
	_, ok := p.from.(*events)
	return ok && !p.distinct && len(p.order) > 0 && p.limit >= 0 && p.offset+p.limit <= maxLate
}

const maxLate = 4096

// runLate finds the places of the first rows, then reads them whole.
func (p *plan) runLate(x *execution, out sink) error {
	e := p.from.(*events)
	keep := int(p.offset + p.limit)
	var keys []expr.Expr
	order := make([]orderKey, len(p.order))
	need := make([]bool, tokenwatch.NumColumns)
	for i, k := range p.order {
		order[i] = k
		order[i].column = len(keys)
		keys = append(keys, p.project[k.column])
		for _, c := range expr.Columns(p.project[k.column], nil) {
			need[c] = true
		}
	}
	types := make([]expr.Type, 0, len(keys)+2)
	for _, k := range keys {
		types = append(types, k.Type())
	}
	types = append(types, expr.TypeInt, expr.TypeInt) // segment and row
	s := newSorter(x, order, types, keep)
	a := ask{need: need, where: p.where}
	if c, ok := expr.ColumnAt(keys[0]); ok && tokenwatch.Col(c) == tokenwatch.ColTime {
		a.order = &bound{descending: order[0].descending}
		s.bound = a.order
	}
	err := e.scan(x, a, func(worker int, c *chunk) error {
		n := c.rows()
		f := &expr.Frame{N: n, Cols: make([]expr.Vec, len(types))}
		for i, k := range keys {
			v, err := c.Eval(k, c.sel)
			if err != nil {
				return err
			}
			f.Cols[i] = v
		}
		f.Cols[len(keys)] = expr.ConstOf(expr.Int(int64(c.segment)))
		rows := make([]int64, n)
		for k := range rows {
			rows[k] = int64(c.first) + int64(rowAt(c.sel, k))
		}
		f.Cols[len(keys)+1] = expr.Vec{Type: expr.TypeInt, Ints: rows}
		return s.take(worker, &chunk{Frame: f})
	})
	if err != nil {
		return err
	}
	t, err := s.result()
	if err != nil {
		return err
	}
	defer func() { x.charge(-t.size) }()
	from := int(min(p.offset, int64(t.n)))
	return p.fetch(x, t.cols[len(keys)].Ints[from:], t.cols[len(keys)+1].Ints[from:], out)
}

// fetch reads some rows and sends them in the order given.
func (p *plan) fetch(x *execution, segments, rows []int64, out sink) error {
	if len(rows) == 0 {
		return nil
	}
	var cols tokenwatch.ColSet
	for _, e := range p.project[:len(p.columns)] {
		for _, c := range expr.Columns(e, nil) {
			cols = cols.With(tokenwatch.Col(c))
		}
	}
	places := make([]int, len(rows)) // by segment, then row
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int {
		if segments[a] != segments[b] {
			return int(segments[a] - segments[b])
		}
		return int(rows[a] - rows[b])
	})
	t := newTable(typesOf(p.columns))
	at := make([]int32, len(rows)) // where in t the i-th row is
	list, err := x.allSegments()
	if err != nil {
		return err
	}
	for len(places) > 0 {
		seg := segments[places[0]]
		n := 1
		// Rows near each other are read at once.
		for n < len(places) && segments[places[n]] == seg && rows[places[n]]-rows[places[n-1]] <= chunkRows {
			n++
		}
		lo, hi := int(rows[places[0]]), int(rows[places[n-1]])+1
		w := &window{x: x, seg: list[seg], frame: expr.Frame{Cols: make([]expr.Vec, tokenwatch.NumColumns)}}
		if err := w.load(cols, lo, hi); err != nil {
			return err
		}
		w.show(cols, lo, hi, nil)
		sel := make([]int32, n)
		for i, k := range places[:n] {
			sel[i] = int32(rows[k] - int64(lo))
			at[k] = int32(t.n + i)
		}
		vecs := make([]expr.Vec, len(p.columns))
		for i, e := range p.project[:len(p.columns)] {
			if vecs[i], err = w.frame.Eval(e, sel); err != nil {
				return err
			}
		}
		for i := range sel {
			t.add(vecs, i)
		}
		places = places[n:]
	}
	t.keep(at)
	if err := t.recharge(x); err != nil {
		return err
	}
	defer func() { x.charge(-t.size) }()
	return t.emit(x, 0, t.n, len(t.cols), out)
}
