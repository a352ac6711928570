package expr

import (
	"math"

	"github.com/tokenwatch/tokenwatch"
)

// cast is a value as another type. What cannot be read as that type is null:
// one odd record must not fail the question about all others.
type cast struct {
	x   Expr
	typ Type
}

// NewCast gives x another type.
func NewCast(x Expr, t Type) (Expr, error) {
	from := x.Type()
	ok := from == t || from == TypeNull || t == TypeText || from.stringy() ||
		from.whole() && (t.whole() || t == TypeFloat || t == TypeBool) ||
		from == TypeFloat && (t == TypeInt || t == TypeSpan) || from == TypeBool && (t == TypeInt || t == TypeFloat)
	switch {
	case !ok || t == TypeMap || t == TypeNull:
		return nil, typeError("%s cannot be cast to %s", from, t)
	case from == t:
		return x, nil
	case from == TypeNull:
		return Const(Value{Type: t, Null: true}), nil
	}
	return finish(&cast{x, t}), nil
}

func (c *cast) Type() Type       { return c.typ }
func (c *cast) children() []Expr { return []Expr{c.x} }

func (c *cast) eval(f *Frame, sel []int32, n int) Vec {
	v := c.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	from := v.Type
	out := Vec{Type: c.typ, Const: v.Const}
	switch {
	case from.stringy() && c.typ.stringy():
		v.Type = c.typ
		return v
	case from.whole() && c.typ.whole():
		v.Type = c.typ
		return v
	case from.whole() && c.typ == TypeFloat:
		out.Valid, out.Floats = v.validity(n), make([]float64, n)
		for i, x := range v.Ints[:n] {
			out.Floats[i] = float64(x)
		}
		return out
	case from == TypeFloat && c.typ.whole():
		out.Valid, out.Ints = v.validity(n), make([]int64, n)
		for i, x := range v.Floats[:n] {
			x = math.RoundToEven(x)
			if x < -(1<<63) || x >= 1<<63 {
				out.clear(i)
				continue
			}
			out.Ints[i] = int64(x)
		}
		return out
	}
	for i := range n {
		x := v.Value(i)
		if !x.IsNull() {
			x = castValue(x, c.typ)
		} else {
			x = Value{Type: c.typ, Null: true}
		}
		one := ConstOf(x)
		out.Append(&one, 0, i)
	}
	return out
}

func castValue(x Value, t Type) Value {
	null := Value{Type: t, Null: true}
	switch {
	case t == TypeText:
		return Text(x.String())
	case x.Type.stringy():
		v, ok := Parse(x.Text, t)
		if !ok && t == TypeInt {
			if f, isNumber := Parse(x.Text, TypeFloat); isNumber && math.Abs(f.Float) < 1<<62 {
				return Int(int64(math.RoundToEven(f.Float)))
			}
		}
		if !ok {
			return null
		}
		return v
	case x.Type == TypeBool:
		n := int64(one(x.Bool))
		if t == TypeFloat {
			return Float(float64(n))
		}
		return Int(n)
	case t == TypeBool:
		return Bool(x.Int != 0)
	}
	return null
}

// caseOf is CASE in the form without an operand.
type caseOf struct {
	when []Expr
	then []Expr // one more than when: ELSE
	typ  Type
}

// NewCase is the first of then whose condition is true, else the last, of which
// there is one more than conditions.
func NewCase(when, then []Expr) (Expr, error) {
	then, typ, err := OneType(then)
	if err != nil {
		return nil, err
	}
	for i := range when {
		if when[i], err = truth(when[i]); err != nil {
			return nil, err
		}
	}
	return finish(&caseOf{when, then, typ}), nil
}

// OneType gives expressions one type: that of those which are not null; whole
// numbers become floats beside floats.
func OneType(list []Expr) ([]Expr, Type, error) {
	typ := TypeNull
	for _, e := range list {
		t := e.Type()
		switch {
		case t == TypeNull || t == typ:
		case typ == TypeNull, typ == TypeInt && (t == TypeFloat || t == TypeSpan), typ == TypeText && t == TypeJSON:
			typ = t
		case typ == TypeFloat && t == TypeInt, typ == TypeSpan && t == TypeInt, typ == TypeJSON && t == TypeText:
		default:
			if c, ok := e.(*constant); ok && t == TypeText && typ != TypeMap {
				if _, err := parseAs(c.value, typ); err == nil {
					continue
				}
			}
			return nil, 0, typeError("%s and %s are mixed: CAST one of them", typ, t)
		}
	}
	if typ == TypeMap {
		return nil, 0, typeError("attrs as a whole cannot be used here: name a key, attrs['key']")
	}
	out := make([]Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = NewCast(e, typ); typ == TypeNull {
			out[i], err = e, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return out, typ, nil
}

func (c *caseOf) Type() Type       { return c.typ }
func (c *caseOf) children() []Expr { return append(c.when[:len(c.when):len(c.when)], c.then...) }

func (c *caseOf) eval(f *Frame, sel []int32, n int) Vec {
	rest := sel
	if rest == nil {
		rest = appendAll(nil, n, make([]int32, 0, n))
	}
	all := rest
	vecs := make([]Vec, len(c.then))
	from := make([]uint16, n) // which of then
	place := make([]int32, n) // and which row of it
	assign := func(branch int, rows []int32) {
		if len(rows) == 0 {
			return
		}
		vecs[branch] = c.then[branch].eval(f, rows, len(rows))
		k := 0
		for j, i := range rows {
			for all[k] != i {
				k++
			}
			from[k], place[k] = uint16(branch), int32(j)
		}
	}
	for b, cond := range c.when {
		if len(rest) == 0 {
			break
		}
		hits := filter(cond, f, rest, len(rest), make([]int32, 0, len(rest)))
		assign(b, hits)
		rest = without(rest, hits)
	}
	assign(len(c.when), rest)
	out := Vec{Type: c.typ}
	if n == 0 {
		out.size(0)
		return out
	}
	if c.typ.stringy() {
		out.Text.Offsets = make([]int32, 1, n+1)
	}
	for i := range n {
		out.Append(&vecs[from[i]], int(place[i]), i)
	}
	return out
}

// coalesce is the first that is known.
type coalesce struct {
	list []Expr
	typ  Type
}

func (c *coalesce) Type() Type       { return c.typ }
func (c *coalesce) children() []Expr { return c.list }

func (c *coalesce) eval(f *Frame, sel []int32, n int) Vec {
	vecs := make([]Vec, len(c.list))
	for i, e := range c.list {
		vecs[i] = e.eval(f, sel, n)
	}
	out := Vec{Type: c.typ}
	if c.typ.stringy() {
		out.Text.Offsets = make([]int32, 1, n+1)
	}
	for i := range n {
		k := 0
		for k < len(vecs)-1 && vecs[k].IsNull(i) {
			k++
		}
		out.Append(&vecs[k], i, i)
	}
	if n == 0 {
		out.size(0)
	}
	return out
}

// inList is IN of constants.
type inList struct {
	x        Expr
	ints     map[int64]struct{}
	texts    map[string]struct{}
	floats   map[float64]struct{}
	bools    [2]bool
	addrs    map[[16]byte]struct{}
	hasNull  bool
	not      bool
	constant int
}

// In is true where x is one of the values; with not, where it is none. A null
// among the values makes "none" unknown.
func In(x Expr, values []Value, not bool) (Expr, error) {
	in := &inList{x: x, not: not, constant: len(values)}
	t := x.Type()
	switch {
	case t == TypeMap:
		return nil, typeError("attrs as a whole cannot be compared: name a key, attrs['key']")
	case t == TypeNull:
		return Const(Value{Type: TypeBool, Null: len(values) > 0, Bool: not}), nil
	case t.whole():
		in.ints = make(map[int64]struct{}, len(values))
	case t == TypeFloat:
		in.floats = make(map[float64]struct{}, len(values))
	case t.stringy():
		in.texts = make(map[string]struct{}, len(values))
	case t == TypeAddr:
		in.addrs = make(map[[16]byte]struct{}, len(values))
	}
	for _, v := range values {
		if v.IsNull() {
			in.hasNull = true
			continue
		}
		if t == TypeInt && v.Type == TypeFloat {
			if v.Float != math.Trunc(v.Float) {
				continue
			}
			v = Int(int64(v.Float))
		}
		_, r, err := Unify(Column(0, t), Const(v))
		if err != nil {
			return nil, err
		}
		c, ok := ConstValue(r)
		if !ok {
			return nil, typeError("%s and %s cannot be compared: CAST one of them", t, v.Type)
		}
		in.add(c, t)
	}
	if len(values) == 1 && !in.hasNull && t.whole() {
		for v := range in.ints {
			return newRange(x, v, v, not), nil
		}
	}
	return finish(in), nil
}

func (in *inList) add(c Value, t Type) {
	switch {
	case t.whole():
		in.ints[c.Int] = struct{}{}
	case t == TypeFloat:
		in.floats[c.Float] = struct{}{}
	case t.stringy():
		in.texts[c.Text] = struct{}{}
	case t == TypeBool:
		in.bools[one(c.Bool)] = true
	case t == TypeAddr:
		in.addrs[c.Addr] = struct{}{}
	}
}

func (in *inList) Type() Type       { return TypeBool }
func (in *inList) children() []Expr { return []Expr{in.x} }

func (in *inList) eval(f *Frame, sel []int32, n int) Vec {
	v := in.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n)}
	if in.constant > 0 { // of an empty list even null is not one
		out.Valid = v.validity(n)
	}
	hit := out.Bools
	switch {
	case v.Type.whole():
		for i, x := range v.Ints[:n] {
			_, hit[i] = in.ints[x]
		}
	case v.Type == TypeFloat:
		for i, x := range v.Floats[:n] {
			_, hit[i] = in.floats[x]
		}
	case v.Type.stringy():
		for i := range n {
			_, hit[i] = in.texts[v.Str(i)]
		}
	case v.Type == TypeBool:
		for i, x := range v.Bools[:n] {
			hit[i] = in.bools[one(x)]
		}
	case v.Type == TypeAddr:
		for i := range n {
			_, hit[i] = in.addrs[*v.Addr(i)]
		}
	}
	if in.hasNull { // what is none of the known may be the unknown one
		if out.Valid == nil {
			out.Valid = fullBitmap(n)
		} else {
			out.Valid = append(tokenwatch.Bitmap(nil), out.Valid...)
		}
		for i := range n {
			if !hit[i] {
				out.Valid[i>>3] &^= 1 << (i & 7)
			}
		}
	}
	if in.not {
		for i := range hit {
			hit[i] = !hit[i]
		}
	}
	return out
}

// InValues returns the column and the texts that e asks it to be one of, if e is
// such a question: for pruning.
func InValues(e Expr) (col int, values []string, ok bool) {
	switch e := unwrap(e).(type) {
	case *inList:
		c, isColumn := e.x.(*column)
		if !isColumn || e.not || e.texts == nil {
			return 0, nil, false
		}
		for v := range e.texts {
			values = append(values, v)
		}
		return c.at, values, true
	case *compare:
		c, isColumn := e.l.(*column)
		v, isConst := e.r.(*constant)
		if e.op == Equal && isColumn && isConst && c.typ == TypeText {
			return c.at, []string{v.value.Text}, true
		}
	}
	return 0, nil, false
}

// AddrValue returns the column of addresses and the address that e asks it to
// equal, if e is such a question: for pruning.
func AddrValue(e Expr) (col int, addr [16]byte, ok bool) {
	c, is := e.(*compare)
	if !is || c.op != Equal || c.l.Type() != TypeAddr {
		return 0, addr, false
	}
	x, isColumn := c.l.(*column)
	v, isConst := c.r.(*constant)
	if !isColumn || !isConst {
		return 0, addr, false
	}
	return x.at, v.value.Addr, true
}
