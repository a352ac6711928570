package query

import (
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// maxTop is how many rows are kept sorted on the way; beyond it all are
// gathered first.
const maxTop = 16384

// sorter gathers rows of many workers; of each it keeps no more than the first
// keep in the order.
type sorter struct {
	x     *execution
	order []orderKey
	types []expr.Type
	keep  int // negative: all
	parts []*table
	edge  []*edge
	bound *bound // of the first key, if that is the time; may be nil
}

// edge is the last row that a worker still keeps: whatever comes after it in the
// order by its first key need not be looked at.
type edge struct {
	known bool
	first expr.Vec // of one row: the first key
}

func newSorter(x *execution, order []orderKey, types []expr.Type, keep int) *sorter {
	return &sorter{x: x, order: order, types: types, keep: keep, parts: make([]*table, x.workers), edge: make([]*edge, x.workers)}
}

// take is a sink.
func (s *sorter) take(worker int, c *chunk) error {
	if s.parts[worker] == nil {
		s.parts[worker], s.edge[worker] = newTable(s.types), &edge{}
	}
	t := s.parts[worker]
	e := s.edge[worker]
	k := s.order[0]
	for n := range c.rows() {
		i := int(rowAt(c.sel, n))
		if e.known && s.compareKey(k, &c.Cols[k.column], i, &e.first, 0) > 0 {
			continue
		}
		t.add(c.Cols, i)
		if s.keep >= 0 && t.n >= 2*s.keep+1024 {
			s.trim(t, e)
		}
	}
	return t.recharge(s.x)
}

// trim drops the rows that are not among the first.
func (s *sorter) trim(t *table, e *edge) {
	rows := s.sort(t)
	if len(rows) > s.keep {
		rows = rows[:s.keep]
	}
	t.keep(rows)
	if t.n == s.keep && t.n > 0 {
		col := t.cols[s.order[0].column]
		e.known, e.first = true, col.Gather([]int32{int32(t.n - 1)})
		if s.bound != nil && !e.first.IsNull(0) {
			s.bound.at.tighten(e.first.Ints[0], s.bound.descending)
		}
	}
}

// compareKey orders two rows by one key.
func (s *sorter) compareKey(k orderKey, a *expr.Vec, i int, b *expr.Vec, j int) int {
	x, y := a.IsNull(i), b.IsNull(j)
	switch {
	case x && y:
		return 0
	case x != y:
		if x == k.nullsFirst {
			return -1
		}
		return 1
	}
	c := expr.Compare(a, i, b, j)
	if k.descending {
		return -c
	}
	return c
}

// sort returns the rows of a table in order. Of equal rows the one that came
// first is first.
func (s *sorter) sort(t *table) []int32 {
	rows := make([]int32, t.n)
	for i := range rows {
		rows[i] = int32(i)
	}
	slices.SortStableFunc(rows, func(a, b int32) int {
		for _, k := range s.order {
			col := &t.cols[k.column]
			if c := s.compareKey(k, col, int(a), col, int(b)); c != 0 {
				return c
			}
		}
		return 0
	})
	return rows
}

// result is all rows in order, or as many as are kept.
func (s *sorter) result() (*table, error) {
	all := newTable(s.types)
	for _, t := range s.parts {
		if t == nil {
			continue
		}
		if all.n == 0 {
			all = t
			continue
		}
		for i := range t.n {
			all.add(t.cols, i)
		}
		s.x.charge(-t.size)
	}
	rows := s.sort(all)
	if s.keep >= 0 && len(rows) > s.keep {
		rows = rows[:s.keep]
	}
	all.keep(rows)
	return all, all.recharge(s.x)
}
