package query

import (
	"sync"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
)

// joined is two relations, row by row: the right one is held in memory and found
// by equal keys. Its fields are those of left, then those of right.
type joined struct {
	left, right relation
	outer       bool        // rows of left without a match stay
	leftKeys    []expr.Expr // over left
	rightKeys   []expr.Expr // over right
	on          expr.Expr   // further conditions, over both; may be nil
	all         []field
}

// join binds the condition of a join. It needs at least one a = b with a of what
// is on the left and b of the table joined.
func (x *execution) join(left, right relation, j *sql.Join, with []sql.CTE, named map[string]bool) (relation, error) {
	out := &joined{left: left, right: right, outer: j.Left}
	out.all = append(append(out.all, left.fields()...), right.fields()...)
	l := &scope{x: x, with: with, fields: left.fields(), named: named}
	r := &scope{x: x, with: with, fields: right.fields(), named: named}
	both := &scope{x: x, with: with, fields: out.all, named: named}
	var rest []expr.Expr
	for _, cond := range flatten(j.On, "AND", nil) {
		if eq, ok := cond.(*sql.Binary); ok && eq.Op == "=" {
			if a, b := side(l, eq.L), side(r, eq.R); a != nil && b != nil {
				if err := out.key(a, b); err != nil {
					return nil, placed(cond, err)
				}
				continue
			}
			if a, b := side(l, eq.R), side(r, eq.L); a != nil && b != nil {
				if err := out.key(a, b); err != nil {
					return nil, placed(cond, err)
				}
				continue
			}
		}
		e, err := both.condition(cond)
		if err != nil {
			return nil, err
		}
		rest = append(rest, e)
	}
	if len(out.leftKeys) == 0 {
		return nil, sql.Errorf(j.On.Place(), "a join needs a condition a = b with a column of either table")
	}
	if len(rest) > 0 {
		var err error
		if out.on, err = expr.And(rest...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// side binds an expression that names columns of one side only; nil if it does not.
func side(s *scope, e sql.Expr) expr.Expr {
	x, err := s.bind(e)
	if err != nil || len(expr.Columns(x, nil)) == 0 {
		return nil
	}
	return x
}

func (j *joined) key(a, b expr.Expr) error {
	a, b, err := expr.Unify(a, b)
	if err != nil {
		return err
	}
	j.leftKeys, j.rightKeys = append(j.leftKeys, a), append(j.rightKeys, b)
	return nil
}

func (j *joined) fields() []field { return j.all }

// hashed is the right side of a join.
type hashed struct {
	rows *table // and one more: nulls
	keys *grouper
	head []int32 // by what the keys are: a row, or -1
	next []int32 // another row with the same keys, or -1
}

func (j *joined) build(x *execution, need []bool) (*hashed, error) {
	fields := j.right.fields()
	types := make([]expr.Type, len(fields))
	for i, f := range fields {
		types[i] = f.typ
	}
	keyTypes := make([]expr.Type, len(j.rightKeys))
	for i, k := range j.rightKeys {
		keyTypes[i] = k.Type()
	}
	h := &hashed{rows: newTable(types), keys: newGrouper(keyTypes)}
	want := append([]bool(nil), need...)
	for _, k := range j.rightKeys {
		for _, c := range expr.Columns(k, nil) {
			want[c] = true
		}
	}
	vecs := make([]expr.Vec, len(j.rightKeys))
	err := j.right.scan(x, ask{need: want}, serial(func(_ int, c *chunk) error {
		for i, k := range j.rightKeys {
			v, err := c.Eval(k, c.sel)
			if err != nil {
				return err
			}
			vecs[i] = v
		}
		n := c.rows()
		codes := h.keys.codes(vecs, n, false)
		row := make([]expr.Vec, len(fields))
		for i := range row {
			if row[i] = expr.NullOf(types[i]); want[i] {
				row[i] = c.Cols[i]
			}
		}
		for k, code := range codes {
			if anyNull(vecs, k) {
				continue // equal to nothing
			}
			for int(code) >= len(h.head) {
				h.head = append(h.head, -1)
			}
			h.next = append(h.next, h.head[code])
			h.head[code] = int32(h.rows.n)
			h.rows.add(row, int(rowAt(c.sel, k)))
		}
		return h.rows.recharge(x)
	}))
	if err != nil {
		return nil, err
	}
	null := make([]expr.Vec, len(types))
	for i, t := range types {
		null[i] = expr.NullOf(t)
	}
	h.rows.add(null, 0)
	return h, x.charge(h.keys.bytes() + int64(4*len(h.head)+4*len(h.next)))
}

func anyNull(vecs []expr.Vec, i int) bool {
	for k := range vecs {
		if vecs[k].IsNull(i) {
			return true
		}
	}
	return false
}

func (j *joined) scan(x *execution, a ask, to sink) error {
	left := j.left.fields()
	need := append([]bool(nil), a.need...)
	var before, after []expr.Expr // conditions on the left alone; others
	if a.where != nil {
		for _, cond := range expr.Conjuncts(a.where) {
			onlyLeft := true
			for _, c := range expr.Columns(cond, nil) {
				onlyLeft = onlyLeft && c < len(left)
			}
			if onlyLeft {
				before = append(before, cond)
				continue
			}
			after = append(after, cond)
			for _, c := range expr.Columns(cond, nil) {
				need[c] = true
			}
		}
	}
	if j.on != nil {
		for _, c := range expr.Columns(j.on, nil) {
			need[c] = true
		}
	}
	h, err := j.build(x, need[len(left):])
	if err != nil {
		return err
	}
	defer x.charge(-h.rows.size)
	inner := ask{need: need[:len(left):len(left)]}
	for _, k := range j.leftKeys {
		for _, c := range expr.Columns(k, nil) {
			inner.need[c] = true
		}
	}
	if len(before) > 0 {
		if inner.where, err = expr.And(before...); err != nil {
			return err
		}
	}
	var rest expr.Expr
	if len(after) > 0 {
		if rest, err = expr.And(after...); err != nil {
			return err
		}
	}
	// The keys are looked up, never added, but looking up keeps notes: one
	// goroutine at a time.
	var mu sync.Mutex
	return j.left.scan(x, inner, func(worker int, c *chunk) error {
		vecs := make([]expr.Vec, len(j.leftKeys))
		for i, k := range j.leftKeys {
			v, err := c.Eval(k, c.sel)
			if err != nil {
				return err
			}
			vecs[i] = v
		}
		mu.Lock()
		codes := append([]uint32(nil), h.keys.codes(vecs, c.rows(), true)...)
		mu.Unlock()
		return j.match(x, h, c, vecs, codes, need, worker, filtered(rest, to))
	})
}

// match sends the pairs of rows of a chunk.
func (j *joined) match(x *execution, h *hashed, c *chunk, vecs []expr.Vec, codes []uint32, need []bool, worker int, to sink) error {
	var ls, rs []int32
	nulls := int32(h.rows.n - 1)
	flush := func() error {
		out, err := j.pairs(h, c, ls, rs, need)
		ls, rs = ls[:0], rs[:0]
		if err != nil || out.rows() == 0 {
			return err
		}
		if err := x.took(out.N); err != nil {
			return err
		}
		return to(worker, out)
	}
	for k, code := range codes {
		at := int32(-1)
		if code != 0 && int(code) < len(h.head) && !anyNull(vecs, k) {
			at = h.head[code]
		}
		l := rowAt(c.sel, k)
		for ; at >= 0; at = h.next[at] {
			ls, rs = append(ls, l), append(rs, at)
			if len(ls) >= 4*chunkRows && j.on == nil {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if j.outer && (code == 0 || int(code) >= len(h.head) || anyNull(vecs, k) || h.head[code] < 0) {
			ls, rs = append(ls, l), append(rs, nulls)
		}
	}
	if j.on != nil {
		var err error
		if ls, rs, err = j.further(h, c, ls, rs, need, nulls); err != nil {
			return err
		}
	}
	if len(ls) == 0 {
		return nil
	}
	return flush()
}

// further keeps the pairs for which the other conditions hold; in an outer join
// rows that lose all their matches get one of nulls.
func (j *joined) further(h *hashed, c *chunk, ls, rs []int32, need []bool, nulls int32) (ls2, rs2 []int32, err error) {
	out, err := j.pairs(h, c, ls, rs, need)
	if err != nil {
		return nil, nil, err
	}
	sel, err := out.Filter(j.on, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	keep := make([]bool, len(ls))
	for _, i := range sel {
		keep[i] = rs[i] != nulls
	}
	for i := 0; i < len(ls); {
		end, kept := i, false
		for ; end < len(ls) && ls[end] == ls[i]; end++ {
			if keep[end] {
				ls2, rs2, kept = append(ls2, ls[end]), append(rs2, rs[end]), true
			}
		}
		if j.outer && !kept {
			ls2, rs2 = append(ls2, ls[i]), append(rs2, nulls)
		}
		i = end
	}
	return ls2, rs2, nil
}

// pairs is a chunk of both sides' columns.
func (j *joined) pairs(h *hashed, c *chunk, ls, rs []int32, need []bool) (*chunk, error) {
	left := len(j.all) - len(h.rows.cols)
	f := &expr.Frame{N: len(ls), Cols: make([]expr.Vec, len(j.all))}
	for i := range left {
		if need[i] {
			f.Cols[i] = c.Cols[i].Gather(ls)
		}
	}
	for i := range h.rows.cols {
		if need[left+i] {
			f.Cols[left+i] = h.rows.cols[i].Gather(rs)
		}
	}
	return &chunk{Frame: f}, nil
}

func (j *joined) explain(x *execution, a ask) *node {
	what := "join by equal keys"
	if j.outer {
		what = "left join by equal keys"
	}
	n := &node{what: what, where: a.where}
	left := len(j.left.fields())
	n.below = append(n.below, j.left.explain(x, ask{need: a.need[:left]}), j.right.explain(x, ask{need: a.need[left:]}))
	return n
}
