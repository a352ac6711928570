package query

import (
	"errors"
	"sync"

	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// field is a column of a relation.
type field struct {
	table string // by which it may be called
	name  string
	typ   expr.Type
	token bool // holds token ids: compared with any name of a token
	extra bool // not part of *
}

// chunk is some rows of a relation.
type chunk struct {
	*expr.Frame
	sel     []int32 // rows that count; nil is all
	weights []int64 // how many rows each stands for; nil is one
	segment int     // of events: which one, and which row of it row 0 is
	first   int
}

// rows is how many rows count.
func (c *chunk) rows() int {
	if c.sel != nil {
		return len(c.sel)
	}
	return c.N
}

// ask is what is wanted of a relation.
type ask struct {
	need     []bool         // by field
	where    expr.Expr      // rows for which it is true; nil is all
	weighted func(int) bool // chunks may have weights if they show only this field; nil: never
	uses     *uses          // of events: chunks may have weights if they show as much; nil: never
	order    *bound         // chunks beyond it need not come; may be nil
}

// sink takes chunks. Calls with one worker follow each other; the chunk is the
// relation's again when the call returns.
type sink func(worker int, c *chunk) error

// relation is rows that can be read.
type relation interface {
	fields() []field
	scan(x *execution, a ask, to sink) error
	// explain describes how it is read.
	explain(x *execution, a ask) *node
}

// errEnough ends a scan whose sink wants no more.
var errEnough = errors.New("enough")

const chunkRows = 8192

// table is rows in memory.
type table struct {
	cols []expr.Vec // neither constant nor by dictionary, unless made by result
	n    int
	size int64 // charged
}

func newTable(types []expr.Type) *table {
	t := &table{cols: make([]expr.Vec, len(types))}
	for i, typ := range types {
		if typ == expr.TypeMap {
			typ = expr.TypeJSON
		}
		t.cols[i].Type = typ
	}
	return t
}

// add appends row i of vectors.
func (t *table) add(cols []expr.Vec, i int) {
	for c := range t.cols {
		t.cols[c].Append(&cols[c], i, t.n)
	}
	t.n++
}

func (t *table) bytes() int64 {
	n := int64(0)
	for i := range t.cols {
		n += int64(t.cols[i].Bytes())
	}
	return n
}

// recharge charges what the table has grown by.
func (t *table) recharge(x *execution) error {
	now := t.bytes()
	grown := now - t.size
	t.size = now
	return x.charge(grown)
}

// keep leaves only some rows, in that order.
func (t *table) keep(rows []int32) {
	for i := range t.cols {
		t.cols[i] = t.cols[i].Gather(rows)
	}
	t.n = len(rows)
}

// emit sends rows from to to in chunks.
func (t *table) emit(x *execution, from, to, columns int, out sink) error {
	for ; from < to; from += chunkRows {
		end := min(from+chunkRows, to)
		rows := make([]int32, 0, end-from)
		for i := from; i < end; i++ {
			rows = append(rows, int32(i))
		}
		c := &chunk{Frame: &expr.Frame{N: len(rows), Cols: make([]expr.Vec, columns)}}
		for i := range columns {
			c.Cols[i] = t.cols[i].Gather(rows)
		}
		if err := x.alive(); err != nil {
			return err
		}
		if err := out(0, c); err != nil {
			return err
		}
	}
	return nil
}

// stored is a relation of a table in memory.
type stored struct {
	name  string
	names []field
	fill  func(x *execution, t *table) error
}

func (s *stored) fields() []field { return s.names }

func (s *stored) scan(x *execution, a ask, to sink) error {
	types := make([]expr.Type, len(s.names))
	for i, f := range s.names {
		types[i] = f.typ
	}
	t := newTable(types)
	if err := s.fill(x, t); err != nil {
		return err
	}
	if err := t.recharge(x); err != nil {
		return err
	}
	defer x.charge(-t.size)
	if err := x.took(t.n); err != nil {
		return err
	}
	return t.emit(x, 0, t.n, len(t.cols), filtered(a.where, to))
}

func (s *stored) explain(_ *execution, a ask) *node {
	return &node{what: "read " + s.name, where: a.where}
}

// filtered puts a condition before a sink.
func filtered(where expr.Expr, to sink) sink {
	if where == nil {
		return to
	}
	return func(worker int, c *chunk) error {
		sel, err := c.Filter(where, c.sel, make([]int32, 0, c.rows()))
		if err != nil || len(sel) == 0 {
			return err
		}
		in := *c
		in.sel = sel
		return to(worker, &in)
	}
}

// derived is a query used as a table.
type derived struct {
	plan  *plan
	alias string
}

func (d *derived) fields() []field {
	out := make([]field, len(d.plan.columns))
	for i, c := range d.plan.columns {
		out[i] = field{table: d.alias, name: c.Name, typ: c.Type, token: c.token}
	}
	return out
}

func (d *derived) scan(x *execution, a ask, to sink) error {
	return d.plan.run(x, filtered(a.where, to))
}

func (d *derived) explain(x *execution, a ask) *node {
	return &node{what: "rows of a query", where: a.where, below: []*node{d.plan.explain(x)}}
}

// oneRow is one row without columns, what SELECT without FROM reads.
type oneRow struct{}

func (oneRow) fields() []field { return nil }

func (oneRow) scan(_ *execution, a ask, to sink) error {
	return filtered(a.where, to)(0, &chunk{Frame: &expr.Frame{N: 1}})
}

func (oneRow) explain(*execution, ask) *node { return &node{what: "one row"} }

// serial makes one goroutine at a time call a sink.
func serial(to sink) sink {
	var mu sync.Mutex
	return func(_ int, c *chunk) error {
		mu.Lock()
		defer mu.Unlock()
		return to(0, c)
	}
}
