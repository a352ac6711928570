package expr

import (
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// junction is AND or OR of two or more.
type junction struct {
	or   bool
	list []Expr
}

// And is true where all are.
func And(list ...Expr) (Expr, error) { return newJunction(false, list) }

// Or is true where one is.
func Or(list ...Expr) (Expr, error) { return newJunction(true, list) }

func newJunction(or bool, list []Expr) (Expr, error) {
	var flat []Expr
	for _, e := range list {
		e, err := truth(e)
		if err != nil {
			return nil, err
		}
		if j, ok := unwrap(e).(*junction); ok && j.or == or {
			flat = append(flat, j.list...)
			continue
		}
		if c, ok := e.(*constant); ok && !c.value.IsNull() {
			if c.value.Bool == or {
				return Const(Bool(or)), nil
			}
			continue
		}
		flat = append(flat, e)
	}
	if !or {
		flat = joinRanges(flat)
	}
	switch len(flat) {
	case 0:
		return Const(Bool(!or)), nil
	case 1:
		return flat[0], nil
	}
	slices.SortStableFunc(flat, func(a, b Expr) int { return cost(a) - cost(b) })
	return finish(&junction{or, flat}), nil
}

// Conjuncts are the expressions that must all be true for e to be.
func Conjuncts(e Expr) []Expr {
	if j, ok := unwrap(e).(*junction); ok && !j.or {
		return j.list
	}
	return []Expr{e}
}

func unwrap(e Expr) Expr {
	if d, ok := e.(*onDict); ok {
		return d.of
	}
	return e
}

// joinRanges makes one range of several of one column.
func joinRanges(list []Expr) []Expr {
	out := list[:0:0]
	at := make(map[int]int)
	for _, e := range list {
		col, low, high, ok := Bounds(e)
		if i, known := at[col]; ok && known {
			r := out[i].(*inRange)
			out[i] = &inRange{r.x, max(r.low, low), min(r.high, high), false}
			continue
		}
		if ok {
			at[col] = len(out)
		}
		out = append(out, e)
	}
	return out
}

// cost is about how much work a row is.
func cost(e Expr) int {
	switch e := e.(type) {
	case *inRange:
		return 1 + cost(e.x)
	case *column, *constant:
		return 0
	case *onDict:
		return 2
	case *isNull:
		return 1
	case *inCIDR:
		return 3
	case *textTest:
		return 20
	}
	total := 4
	for _, c := range e.children() {
		total += cost(c)
	}
	return total
}

// truth takes an expression for a truth value.
func truth(e Expr) (Expr, error) {
	switch e.Type() {
	case TypeBool:
		return e, nil
	case TypeNull:
		return Const(Value{Type: TypeBool, Null: true}), nil
	}
	return nil, typeError("a condition is needed here, not %s", e.Type())
}

func (j *junction) Type() Type       { return TypeBool }
func (j *junction) children() []Expr { return j.list }

// eval follows Kleene: false AND unknown is false, true OR unknown is true.
func (j *junction) eval(f *Frame, sel []int32, n int) Vec {
	out := Vec{Type: TypeBool, Bools: make([]bool, n)}
	known := make([]bool, n) // decided: false of AND, true of OR
	null := make([]bool, n)
	for _, e := range j.list {
		v := e.eval(f, sel, n)
		for i := range n {
			switch {
			case v.IsNull(i):
				null[i] = true
			case v.Bools[v.at(i)] == j.or:
				known[i] = true
			}
		}
	}
	for i := range n {
		out.Bools[i] = known[i] == j.or
		if null[i] && !known[i] {
			if out.Valid == nil {
				out.Valid = fullBitmap(n)
			}
			out.Valid[i>>3] &^= 1 << (i & 7)
		}
	}
	return out
}

func fullBitmap(n int) tokenwatch.Bitmap {
	b := make(tokenwatch.Bitmap, (n+7)/8)
	for i := range b {
		b[i] = 0xff
	}
	return b
}

func (j *junction) filter(f *Frame, sel []int32, n int, out []int32) []int32 {
	if !j.or {
		for k, e := range j.list {
			if k == len(j.list)-1 {
				return filter(e, f, sel, n, out)
			}
			sel = filter(e, f, sel, n, f.rows.take(n)[:0])
			if n = len(sel); n == 0 {
				return out
			}
		}
	}
	start := len(out)
	rest := sel
	if rest == nil {
		rest = appendAll(nil, n, make([]int32, 0, n))
	}
	for _, e := range j.list {
		hits := filter(e, f, rest, len(rest), f.rows.take(len(rest))[:0])
		out = append(out, hits...)
		rest = without(rest, hits)
	}
	slices.Sort(out[start:])
	return out
}

// without returns the rows that are not among hits; both are in order.
func without(rows, hits []int32) []int32 {
	out := make([]int32, 0, len(rows)-len(hits))
	for _, i := range rows {
		if len(hits) > 0 && hits[0] == i {
			hits = hits[1:]
			continue
		}
		out = append(out, i)
	}
	return out
}

// negation is NOT of what cannot be turned into its opposite.
type negation struct{ x Expr }

// Not is true where e is false.
func Not(e Expr) (Expr, error) {
	e, err := truth(e)
	if err != nil {
		return nil, err
	}
	switch x := unwrap(e).(type) {
	case *constant:
		if x.value.IsNull() {
			return e, nil
		}
		return Const(Bool(!x.value.Bool)), nil
	case *inRange:
		return newRange(x.x, x.low, x.high, !x.outside), nil
	case *compare:
		if x.l.Type() != TypeFloat {
			return finish(&compare{negated[x.op], x.l, x.r}), nil
		}
	case *junction:
		list := make([]Expr, len(x.list))
		for i, c := range x.list {
			if list[i], err = Not(c); err != nil {
				return nil, err
			}
		}
		return newJunction(!x.or, list)
	case *isNull:
		return finish(&isNull{x.x, !x.not}), nil
	case *negation:
		return x.x, nil
	}
	return finish(&negation{e}), nil
}

func (x *negation) Type() Type       { return TypeBool }
func (x *negation) children() []Expr { return []Expr{x.x} }

func (x *negation) eval(f *Frame, sel []int32, n int) Vec {
	v := x.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n), Valid: v.validity(n)}
	for i, b := range v.Bools[:n] {
		out.Bools[i] = !b
	}
	return out
}

// isNull is IS NULL, or IS NOT NULL.
type isNull struct {
	x   Expr
	not bool
}

// IsNull is true where x is unknown; with not, where it is known.
func IsNull(x Expr, not bool) Expr { return finish(&isNull{x, not}) }

func (x *isNull) Type() Type       { return TypeBool }
func (x *isNull) children() []Expr { return []Expr{x.x} }

func (x *isNull) eval(f *Frame, sel []int32, n int) Vec {
	v := x.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n)}
	for i := range out.Bools {
		out.Bools[i] = v.IsNull(i) != x.not
	}
	return out
}

// isTruth is IS TRUE or IS FALSE, and never unknown.
type isTruth struct {
	x    Expr
	want bool
}

// Is is true where x is known and is want.
func Is(x Expr, want bool) (Expr, error) {
	x, err := truth(x)
	if err != nil {
		return nil, err
	}
	return finish(&isTruth{x, want}), nil
}

func (x *isTruth) Type() Type       { return TypeBool }
func (x *isTruth) children() []Expr { return []Expr{x.x} }

func (x *isTruth) eval(f *Frame, sel []int32, n int) Vec {
	v := x.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n)}
	for i := range out.Bools {
		out.Bools[i] = !v.IsNull(i) && v.Bools[i] == x.want
	}
	return out
}
