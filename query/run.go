package query

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// run runs the plan. The chunks it sends have its columns, and nothing else.
func (p *plan) run(x *execution, out sink) error {
	if p.limit == 0 {
		return x.alive()
	}
	switch {
	case p.groups != nil:
		t, err := aggregated(x, p.groups.keys, p.groups.aggs, len(p.groups.keys) == 0, func(to sink, weighted func(int) bool) error {
			return p.scan(x, ask{need: p.need, where: p.where, weighted: weighted, uses: usesOf(p.groups.keys, p.groups.aggs)}, to)
		})
		if err != nil {
			return err
		}
		defer func() { x.charge(-t.size) }()
		read := func(to sink, _ func(int) bool) error { return t.emit(x, 0, t.n, len(t.cols), filtered(p.having, to)) }
		return p.finish(x, read, out)
	case p.late():
		return p.runLate(x, out)
	default:
		read := func(to sink, _ func(int) bool) error {
			return p.scan(x, ask{need: p.need, where: p.where}, to)
		}
		return p.finish(x, read, out)
	}
}

// scan reads what the plan reads from.
func (p *plan) scan(x *execution, a ask, to sink) error { return p.from.scan(x, a, to) }

// source calls a sink with rows.
type source func(to sink, weighted func(int) bool) error

// finish projects rows, and makes them distinct, sorted and limited.
func (p *plan) finish(x *execution, read source, out sink) error {
	if p.distinct {
		t, err := aggregated(x, p.project, nil, false, read)
		if err != nil {
			return err
		}
		defer func() { x.charge(-t.size) }()
		return p.sorted(x, func(to sink) error { return t.emit(x, 0, t.n, len(t.cols), to) }, out)
	}
	return p.sorted(x, func(to sink) error { return read(projected(p.project, to), nil) }, out)
}

// projected computes expressions of chunks.
func projected(list []expr.Expr, to sink) sink {
	return func(worker int, c *chunk) error {
		f := &expr.Frame{N: c.rows(), Cols: make([]expr.Vec, len(list))}
		for i, e := range list {
			v, err := c.Eval(e, c.sel)
			if err != nil {
				return err
			}
			f.Cols[i] = v
		}
		return to(worker, &chunk{Frame: f})
	}
}

// sorted puts projected rows in order and leaves out those beyond the limit.
func (p *plan) sorted(x *execution, read func(sink) error, out sink) error {
	columns := len(p.columns)
	if len(p.order) == 0 {
		return limited(read, p.offset, p.limit, columns, out)
	}
	keep := -1
	if p.limit >= 0 && p.offset+p.limit <= maxTop {
		keep = int(p.offset + p.limit)
	}
	types := make([]expr.Type, len(p.project))
	for i, e := range p.project {
		types[i] = e.Type()
	}
	s := newSorter(x, p.order, types, keep)
	if err := read(s.take); err != nil {
		return err
	}
	t, err := s.result()
	if err != nil {
		return err
	}
	defer func() { x.charge(-t.size) }()
	from, to := int(min(p.offset, int64(t.n))), t.n
	if p.limit >= 0 {
		to = int(min(p.offset+p.limit, int64(t.n)))
	}
	if err := t.emit(x, from, to, columns, out); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// limited sends rows on until there are enough.
func limited(read func(sink) error, offset, limit int64, columns int, out sink) error {
	cut := func(worker int, c *chunk) error {
		c.Cols = c.Cols[:columns]
		return out(worker, c)
	}
	if offset == 0 && limit < 0 {
		return read(cut)
	}
	var mu sync.Mutex
	var done atomic.Bool
	err := read(func(worker int, c *chunk) error {
		if done.Load() {
			return errEnough
		}
		mu.Lock()
		defer mu.Unlock()
		n := int64(c.N)
		from := min(offset, n)
		offset -= from
		to := n
		if limit >= 0 {
			to = min(n, from+limit)
			limit -= to - from
		}
		if to > from {
			sel := make([]int32, 0, to-from)
			for i := from; i < to; i++ {
				sel = append(sel, int32(i))
			}
			part := &chunk{Frame: &expr.Frame{N: c.N, Cols: c.Cols[:columns]}, sel: sel}
			if err := out(worker, part); err != nil {
				return err
			}
		}
		if limit == 0 {
			done.Store(true)
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) && done.Load() {
		return nil
	}
	return err
}

// aggregated groups rows by keys: in parts, one a worker, that are merged once.
// With whole, there is one group even of no rows.
func aggregated(x *execution, keys []expr.Expr, aggs []*aggregate, whole bool, read source) (*table, error) {
	parts := make([]*part, x.workers)
	types := make([]expr.Type, len(keys))
	for i, k := range keys {
		types[i] = k.Type()
	}
	err := read(func(worker int, c *chunk) error {
		if parts[worker] == nil {
			parts[worker] = newPart(keys, types, aggs)
		}
		return parts[worker].take(x, c)
	}, weightable(keys, aggs))
	if err != nil {
		return nil, err
	}
	var all *part
	for _, p := range parts {
		switch {
		case p == nil:
		case all == nil:
			all = p
		default:
			all.merge(p)
			x.charge(-p.size)
			if err := all.recharge(x); err != nil {
				return nil, err
			}
		}
	}
	if all == nil {
		all = newPart(keys, types, aggs)
	}
	return all.result(x, whole)
}

// weightable tells of which one field all keys and arguments are, so that rows
// that stand for many will do. It is nil if rows must be looked at one by one.
func weightable(keys []expr.Expr, aggs []*aggregate) func(int) bool {
	var cols []int
	for _, k := range keys {
		cols = expr.Columns(k, cols)
	}
	for _, a := range aggs {
		if !a.weighs() {
			return nil
		}
		if a.arg != nil {
			cols = expr.Columns(a.arg, cols)
		}
	}
	return func(field int) bool {
		for _, c := range cols {
			if c != field {
				return false
			}
		}
		return true
	}
}

// part is the aggregation of the rows of one worker.
type part struct {
	keys   []expr.Expr
	aggs   []*aggregate
	groups *grouper
	accs   []accumulator
	size   int64 // charged

	vecs []expr.Vec
	buf  []uint32
}

func newPart(keys []expr.Expr, types []expr.Type, aggs []*aggregate) *part {
	p := &part{keys: keys, aggs: aggs, groups: newGrouper(types), vecs: make([]expr.Vec, len(keys))}
	for _, a := range aggs {
		p.accs = append(p.accs, a.accumulator())
	}
	return p
}

func (p *part) take(x *execution, c *chunk) error {
	n := c.rows()
	if n == 0 {
		return nil
	}
	var err error
	for i, k := range p.keys {
		if p.vecs[i], err = c.Eval(k, c.sel); err != nil {
			return err
		}
	}
	groups := p.groups.of(p.vecs, n)
	for i, a := range p.aggs {
		p.accs[i].grow(p.groups.n)
		if err := p.feed(p.accs[i], a, c, groups); err != nil {
			return err
		}
	}
	return p.recharge(x)
}

// feed gives one aggregate the rows of a chunk.
func (p *part) feed(acc accumulator, a *aggregate, c *chunk, groups []uint32) error {
	sel, weights := c.sel, c.weights
	if sel != nil && weights != nil {
		own := make([]int64, len(sel))
		for k, i := range sel {
			own[k] = weights[i]
		}
		weights = own
	}
	if a.filter != nil {
		hits, err := c.Filter(a.filter, sel, make([]int32, 0, len(groups)))
		if err != nil || len(hits) == 0 {
			return err
		}
		if len(hits) < len(groups) {
			p.buf = p.buf[:0]
			k := 0
			for _, i := range hits {
				for rowAt(sel, k) != i {
					k++
				}
				p.buf = append(p.buf, groups[k])
			}
			groups, sel = p.buf, hits
		}
	}
	var v, by expr.Vec
	var err error
	if a.arg != nil {
		if v, err = c.Eval(a.arg, sel); err != nil {
			return err
		}
	}
	if a.by == nil {
		acc.add(groups, &v, nil, weights)
		return nil
	}
	if by, err = c.Eval(a.by, sel); err != nil {
		return err
	}
	acc.add(groups, &v, &by, weights)
	return nil
}

func rowAt(sel []int32, k int) int32 {
	if sel == nil {
		return int32(k)
	}
	return sel[k]
}

func (p *part) recharge(x *execution) error {
	now := p.groups.bytes()
	for _, a := range p.accs {
		now += a.bytes()
	}
	grown := now - p.size
	p.size = now
	return x.charge(grown)
}

// merge takes in another part.
func (p *part) merge(o *part) {
	to := make([]uint32, o.groups.n)
	for from := 0; from < o.groups.n; from += chunkRows {
		end := min(from+chunkRows, o.groups.n)
		rows := make([]int32, 0, end-from)
		for i := from; i < end; i++ {
			rows = append(rows, int32(i))
		}
		for k := range p.vecs {
			p.vecs[k] = o.groups.first.cols[k].Gather(rows)
		}
		copy(to[from:end], p.groups.of(p.vecs, end-from))
	}
	for i, a := range p.accs {
		a.grow(p.groups.n)
		a.merge(o.accs[i], to)
	}
}

// result is a table of the keys and the aggregates.
func (p *part) result(x *execution, whole bool) (*table, error) {
	if whole && p.groups.n == 0 {
		p.groups.n, p.groups.first.n = 1, 1
	}
	n := p.groups.n
	t := p.groups.first
	for _, a := range p.accs {
		a.grow(n)
		v, err := a.result(n)
		if err != nil {
			return nil, err
		}
		if v.Type == expr.TypeNull || n == 0 {
			v = expr.Vec{Type: v.Type}
		}
		t.cols = append(t.cols, v)
	}
	t.n = n
	t.size = p.size
	return t, x.charge(0)
}
