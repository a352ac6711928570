package expr

import (
	"errors"
	"math"
	"math/bits"

	"github.com/tokenwatch/tokenwatch"
)

// ErrOverflow is the error of a whole number that does not fit 64 bits.
var ErrOverflow = errors.New("a whole number does not fit 64 bits")

// arith is + - * / // % of two numbers, times or spans.
type arith struct {
	op   byte // + - * / %, and i for //
	l, r Expr
	typ  Type
}

// NewArith computes with two operands: op is + - * / // or %. The quotient / is
// a float, // is whole; dividing by 0 gives null. A time and a span give a
// time, two times a span.
func NewArith(op string, l, r Expr) (Expr, error) {
	c := op[0]
	if op == "//" {
		c = 'i'
	}
	l, r = l0(l, r), l0(r, l)
	a, b := l.Type(), r.Type()
	number := func(t Type) bool { return t == TypeInt || t == TypeFloat }
	var typ Type
	switch {
	case a == TypeTime && b == TypeTime && c == '-':
		typ = TypeSpan
	case a == TypeTime && (b == TypeSpan || b == TypeInt) && (c == '+' || c == '-'), a == TypeSpan && b == TypeTime && c == '+':
		typ = TypeTime
	case a == TypeSpan && b == TypeSpan && (c == '+' || c == '-' || c == '%'), a == TypeSpan && b == TypeInt && (c == '*' || c == 'i' || c == '+' || c == '-' || c == '%'),
		a == TypeInt && b == TypeSpan && (c == '*' || c == '+' || c == '-'):
		typ = TypeSpan
	case (a == TypeSpan || a == TypeInt) && (b == TypeSpan || b == TypeInt) && (a == TypeSpan || b == TypeSpan) && (c == '/' || c == 'i'):
		typ = TypeFloat
		if c == 'i' {
			typ = TypeInt
		}
	case a == TypeSpan && b == TypeFloat && (c == '*' || c == '/'), a == TypeFloat && b == TypeSpan && c == '*':
		x, err := NewArith(op, toFloat(l), toFloat(r))
		if err != nil {
			return nil, err
		}
		return NewCast(x, TypeSpan)
	case !number(a) || !number(b):
		return nil, typeError("%s cannot be applied to %s and %s", op, a, b)
	case a == TypeFloat || b == TypeFloat || c == '/':
		typ = TypeFloat
	default:
		typ = TypeInt
	}
	if typ == TypeFloat {
		if a != TypeFloat {
			l = toFloat(l)
		}
		if b != TypeFloat {
			r = toFloat(r)
		}
	}
	return finish(&arith{c, l, r, typ}), nil
}

// l0 gives a null the type of the other side, and reads a text constant beside a
// time or span.
func l0(e, other Expr) Expr {
	c, ok := e.(*constant)
	if !ok {
		return e
	}
	if c.value.Type == TypeNull {
		t := other.Type()
		switch t {
		case TypeTime:
			t = TypeSpan
		case TypeNull:
			t = TypeInt
		}
		return Const(Value{Type: t, Null: true})
	}
	if c.value.Type == TypeText && (other.Type() == TypeTime || other.Type() == TypeInt || other.Type() == TypeFloat) {
		if x, ok := Parse(c.value.Text, other.Type()); ok {
			return Const(x)
		}
	}
	return e
}

// Negative is -x.
func Negative(x Expr) (Expr, error) {
	switch x.Type() {
	case TypeInt, TypeSpan:
		return NewArith("-", Const(Value{Type: x.Type()}), x)
	case TypeFloat:
		return NewArith("*", Const(Float(-1)), x)
	case TypeNull:
		return x, nil
	}
	return nil, typeError("- cannot be applied to %s", x.Type())
}

func (a *arith) Type() Type       { return a.typ }
func (a *arith) children() []Expr { return []Expr{a.l, a.r} }

func (a *arith) eval(f *Frame, sel []int32, n int) Vec {
	x, y := a.l.eval(f, sel, n), a.r.eval(f, sel, n)
	out := Vec{Type: a.typ, Const: x.Const && y.Const}
	if out.Const {
		n = 1
	}
	out.Valid = bothValid(&x, &y, n)
	if a.typ == TypeFloat {
		out.Floats = make([]float64, n)
		a.floats(spread(x.Floats, x.Const, n), spread(y.Floats, y.Const, n), &out)
		return out
	}
	out.Ints = f.ints.take(n)
	if y.Const && !x.Const && a.byConstant(x.Ints[:n], y.Ints[0], out.Ints) {
		return out
	}
	if !a.ints(spread(x.Ints, x.Const, n), spread(y.Ints, y.Const, n), &out) {
		f.fail(ErrOverflow)
	}
	return out
}

// byConstant is the common case of a divisor that is a constant.
func (a *arith) byConstant(x []int64, c int64, z []int64) bool {
	if c == 0 || c == -1 || a.op != '%' && a.op != 'i' {
		return false
	}
	z = z[:len(x)]
	small := c > 0 && c < 1<<31
	for i, v := range x {
		switch {
		case small && uint64(v) < 1<<32: // half the work of 64 bits
			if a.op == '%' {
				z[i] = int64(uint32(v) % uint32(c))
			} else {
				z[i] = int64(uint32(v) / uint32(c))
			}
		case a.op == '%':
			z[i] = v % c
		default:
			z[i] = v / c
		}
	}
	return true
}

// spread returns n values of what may be one for all.
func spread[T any](v []T, constant bool, n int) []T {
	if !constant {
		return v[:n]
	}
	out := make([]T, n)
	for i := range out {
		out[i] = v[0]
	}
	return out
}

func (a *arith) floats(x, y []float64, out *Vec) {
	z := out.Floats
	switch a.op {
	case '+':
		for i := range z {
			z[i] = x[i] + y[i]
		}
	case '-':
		for i := range z {
			z[i] = x[i] - y[i]
		}
	case '*':
		for i := range z {
			z[i] = x[i] * y[i]
		}
	case '/':
		for i := range z {
			z[i] = x[i] / y[i]
		}
	case 'i':
		for i := range z {
			z[i] = math.Trunc(x[i] / y[i])
		}
	case '%':
		for i := range z {
			z[i] = math.Mod(x[i], y[i])
		}
	}
	out.dropOdd()
}

// dropOdd makes what is not a finite number null.
func (v *Vec) dropOdd() {
	for i, x := range v.Floats {
		if x-x != 0 {
			v.clear(i)
			v.Floats[i] = 0
		}
	}
}

// clear makes row i null. The bitmap, which may be another vector's, becomes
// the vector's own first.
func (v *Vec) clear(i int) {
	if !v.owned {
		if v.Valid == nil {
			v.Valid = fullBitmap(max(len(v.Ints), len(v.Floats), len(v.Bools), cap(v.Text.Offsets)-1, len(v.Addrs)/16))
		} else {
			v.Valid = append(tokenwatch.Bitmap(nil), v.Valid...)
		}
		v.owned = true
	}
	v.Valid[i>>3] &^= 1 << (i & 7)
}

// ints computes, and is false if a row that has a value overflows.
func (a *arith) ints(x, y []int64, out *Vec) bool {
	z := out.Ints
	ok := true
	bad := func(i int) { ok = ok && !out.Valid.At(i) }
	switch a.op {
	case '+':
		for i := range z {
			z[i] = x[i] + y[i]
			if (x[i]^z[i])&(y[i]^z[i]) < 0 {
				bad(i)
			}
		}
	case '-':
		for i := range z {
			z[i] = x[i] - y[i]
			if (x[i]^y[i])&(x[i]^z[i]) < 0 {
				bad(i)
			}
		}
	case '*':
		for i := range z {
			z[i] = x[i] * y[i]
			high, low := bits.Mul64(magnitude(x[i]), magnitude(y[i]))
			if high != 0 || low > math.MaxInt64 && !(low == 1<<63 && x[i]^y[i] < 0) {
				bad(i)
			}
		}
	default:
		for i := range z {
			switch {
			case y[i] == 0:
				if z[i] = 0; out.Valid.At(i) {
					out.clear(i)
				}
			case y[i] == -1 && x[i] == math.MinInt64:
				if z[i] = 0; a.op == 'i' {
					bad(i)
				}
			case a.op == 'i':
				z[i] = x[i] / y[i]
			default:
				z[i] = x[i] % y[i]
			}
		}
	}
	return ok
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}
