package expr

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Op is a comparison.
type Op uint8

// The comparisons.
const (
	Equal Op = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

var (
	opNames = [...]string{"=", "<>", "<", "<=", ">", ">="}
	flipped = [...]Op{Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual}
	negated = [...]Op{NotEqual, Equal, GreaterEqual, Greater, LessEqual, Less}
)

// String returns the operator as SQL writes it.
func (o Op) String() string { return opNames[o] }

// TypeError says which types an operator or function was given and does not take.
type TypeError struct{ Message string }

func (e *TypeError) Error() string { return e.Message }

func typeError(format string, args ...any) error { return &TypeError{fmt.Sprintf(format, args...)} }

// compare is l op r, of one type.
type compare struct {
	op   Op
	l, r Expr
}

// NewCompare compares two expressions. A constant text is taken for what the
// other side is: a number, a time, an address.
func NewCompare(op Op, l, r Expr) (Expr, error) {
	l, r, err := Unify(l, r)
	if err != nil {
		return nil, err
	}
	switch l.Type() {
	case TypeNull:
		return Const(Value{Type: TypeBool, Null: true}), nil
	case TypeMap:
		return nil, typeError("attrs as a whole cannot be compared: name a key, attrs['key']")
	}
	if _, ok := l.(*constant); ok {
		l, r, op = r, l, flipped[op]
	}
	if c, ok := r.(*constant); ok {
		if c.value.IsNull() {
			return Const(Value{Type: TypeBool, Null: true}), nil
		}
		if l.Type().whole() {
			low, high, outside := rangeOf(op, c.value.Int)
			return newRange(l, low, high, outside), nil
		}
	}
	return finish(&compare{op, l, r}), nil
}

// Unify gives two expressions one type, or tells that there is none.
func Unify(l, r Expr) (Expr, Expr, error) {
	a, b := l.Type(), r.Type()
	switch {
	case a == b:
		return l, r, nil
	case a == TypeNull:
		return Const(Value{Type: b, Null: true}), r, nil
	case b == TypeNull:
		return l, Const(Value{Type: a, Null: true}), nil
	case a.stringy() && b.stringy():
		return l, r, nil
	case a == TypeFloat && b == TypeInt:
		return l, toFloat(r), nil
	case a == TypeInt && b == TypeFloat:
		return toFloat(l), r, nil
	case a == TypeInt && b == TypeSpan, a == TypeSpan && b == TypeInt:
		return l, r, nil // durations are kept as nanoseconds
	case a == TypeText:
		if c, ok := l.(*constant); ok {
			x, err := parseAs(c.value, b)
			return x, r, err
		}
		if b == TypeAddr {
			return l, mustCast(r, TypeText), nil
		}
	case b == TypeText:
		if c, ok := r.(*constant); ok {
			x, err := parseAs(c.value, a)
			return l, x, err
		}
		if a == TypeAddr {
			return mustCast(l, TypeText), r, nil
		}
	}
	return nil, nil, typeError("%s and %s cannot be compared: CAST one of them", a, b)
}

func toFloat(e Expr) Expr { return mustCast(e, TypeFloat) }

func mustCast(e Expr, t Type) Expr {
	x, err := NewCast(e, t)
	if err != nil {
		panic("expr: " + err.Error()) // only called for casts that exist
	}
	return x
}

// parseAs reads a constant text as a value of another type.
func parseAs(v Value, t Type) (Expr, error) {
	if v.IsNull() {
		return Const(Value{Type: t, Null: true}), nil
	}
	x, ok := Parse(v.Text, t)
	if !ok {
		return nil, typeError("the string is not %s", map[Type]string{
			TypeInt: "a whole number", TypeFloat: "a number", TypeBool: "true or false", TypeTime: "a time such as 2026-03-02T15:04:05Z",
			TypeSpan: "an interval such as 1h30m", TypeAddr: "an IP address; for networks use <<= or in_cidr", TypeMap: "comparable with attrs: name a key, attrs['key']",
		}[t])
	}
	return Const(x), nil
}

var timeLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

var firstTime, lastTime = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)

// Parse reads a text as a value of a type.
func Parse(s string, t Type) (Value, bool) {
	s = strings.TrimSpace(s)
	switch t {
	case TypeInt:
		n, err := strconv.ParseInt(s, 10, 64)
		return Int(n), err == nil
	case TypeFloat:
		f, err := strconv.ParseFloat(s, 64)
		return Float(f), err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	case TypeBool:
		b, err := strconv.ParseBool(strings.ToLower(s))
		return Bool(b), err == nil
	case TypeTime:
		for _, layout := range timeLayouts {
			if at, err := time.Parse(layout, s); err == nil {
				return Time(at.UnixNano()), !at.Before(firstTime) && !at.After(lastTime)
			}
		}
	case TypeSpan:
		d, err := time.ParseDuration(s)
		return Span(int64(d)), err == nil
	case TypeAddr:
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return Value{}, false
		}
		return Addr(a), true
	case TypeText, TypeJSON:
		return Value{Type: t, Text: s}, true
	}
	return Value{}, false
}

func (c *compare) Type() Type       { return TypeBool }
func (c *compare) children() []Expr { return []Expr{c.l, c.r} }

func (c *compare) eval(f *Frame, sel []int32, n int) Vec {
	a, b := c.l.eval(f, sel, n), c.r.eval(f, sel, n)
	op := c.op
	if a.Const && !b.Const {
		a, b, op = b, a, flipped[op]
	}
	out := Vec{Type: TypeBool, Const: a.Const}
	if a.Const {
		n = 1
	}
	out.Bools = f.bools.take(n)
	out.Valid = bothValid(&a, &b, n)
	switch {
	case a.Type.whole():
		compareLoop(op, a.Ints, b.Ints, b.Const, out.Bools)
	case a.Type == TypeFloat:
		compareLoop(op, a.Floats, b.Floats, b.Const, out.Bools)
	default:
		for i := range out.Bools {
			out.Bools[i] = holds(op, compareAt(&a, i, &b, i))
		}
	}
	return out
}

func compareAt(a *Vec, i int, b *Vec, j int) int {
	switch a.Type {
	case TypeBool:
		return compareBool(a.Bools[a.at(i)], b.Bools[b.at(j)])
	case TypeAddr:
		return bytes.Compare(a.Addr(i)[:], b.Addr(j)[:])
	default:
		return strings.Compare(a.Str(i), b.Str(j))
	}
}

func holds(op Op, c int) bool {
	switch op {
	case Equal:
		return c == 0
	case NotEqual:
		return c != 0
	case Less:
		return c < 0
	case LessEqual:
		return c <= 0
	case Greater:
		return c > 0
	default:
		return c >= 0
	}
}

// compareLoop compares slices, or a slice with one value.
func compareLoop[T cmp.Ordered](op Op, a, b []T, constant bool, out []bool) {
	a = a[:len(out)]
	if constant {
		c := b[0]
		switch op {
		case Equal:
			for i, x := range a {
				out[i] = x == c
			}
		case NotEqual:
			for i, x := range a {
				out[i] = x != c
			}
		case Less:
			for i, x := range a {
				out[i] = x < c
			}
		case LessEqual:
			for i, x := range a {
				out[i] = x <= c
			}
		case Greater:
			for i, x := range a {
				out[i] = x > c
			}
		case GreaterEqual:
			for i, x := range a {
				out[i] = x >= c
			}
		}
		return
	}
	b = b[:len(out)]
	switch op {
	case Equal:
		for i, x := range a {
			out[i] = x == b[i]
		}
	case NotEqual:
		for i, x := range a {
			out[i] = x != b[i]
		}
	case Less:
		for i, x := range a {
			out[i] = x < b[i]
		}
	case LessEqual:
		for i, x := range a {
			out[i] = x <= b[i]
		}
	case Greater:
		for i, x := range a {
			out[i] = x > b[i]
		}
	case GreaterEqual:
		for i, x := range a {
			out[i] = x >= b[i]
		}
	}
}

// bothValid returns the rows in which both vectors have a value; nil is all.
func bothValid(a, b *Vec, n int) tokenwatch.Bitmap {
	x, y := a.validity(n), b.validity(n)
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	}
	out := make(tokenwatch.Bitmap, (n+7)/8)
	for i := range out {
		out[i] = x[i] & y[i]
	}
	return out
}

// validity returns the rows of n that have a value, as a bitmap whose bytes may
// be looked at; nil is all.
func (v *Vec) validity(n int) tokenwatch.Bitmap {
	size := (n + 7) / 8
	switch {
	case v.Const:
		if !v.IsNull(0) {
			return nil
		}
		return make(tokenwatch.Bitmap, size)
	case v.Codes != nil:
		var out tokenwatch.Bitmap
		for i, c := range v.Codes[:n] {
			if c == 0 {
				if out == nil {
					out = make(tokenwatch.Bitmap, size)
					for j := range out {
						out[j] = 0xff
					}
				}
				out[i>>3] &^= 1 << (i & 7)
			}
		}
		return out
	case v.Type == TypeMap:
		out := make(tokenwatch.Bitmap, size)
		for i := range n {
			if !v.IsNull(i) {
				out.Set(i)
			}
		}
		return out
	case v.Valid == nil:
		return nil
	default:
		return v.Valid[:size]
	}
}

// inRange is low <= x <= high of whole numbers, or its opposite: every
// comparison with a constant is one.
type inRange struct {
	x         Expr
	low, high int64
	outside   bool
}

func rangeOf(op Op, c int64) (low, high int64, outside bool) {
	low, high = math.MinInt64, math.MaxInt64
	switch op {
	case Equal, NotEqual:
		return c, c, op == NotEqual
	case Less, LessEqual:
		if high = c; op == Less {
			if c == math.MinInt64 {
				return 1, 0, false
			}
			high--
		}
	case Greater, GreaterEqual:
		if low = c; op == Greater {
			if c == math.MaxInt64 {
				return 1, 0, false
			}
			low++
		}
	}
	return low, high, false
}

func newRange(x Expr, low, high int64, outside bool) Expr {
	return finish(&inRange{x, low, high, outside})
}

func (r *inRange) Type() Type       { return TypeBool }
func (r *inRange) children() []Expr { return []Expr{r.x} }

func (r *inRange) eval(f *Frame, sel []int32, n int) Vec {
	v := r.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n), Valid: v.validity(n)}
	if r.low > r.high { // nothing is within
		for i := range out.Bools {
			out.Bools[i] = r.outside
		}
		return out
	}
	low, width := uint64(r.low), uint64(r.high)-uint64(r.low)
	if r.outside {
		for i, x := range v.Ints[:n] {
			out.Bools[i] = uint64(x)-low > width
		}
	} else {
		for i, x := range v.Ints[:n] {
			out.Bools[i] = uint64(x)-low <= width
		}
	}
	return out
}

func (r *inRange) filter(f *Frame, sel []int32, n int, out []int32) []int32 {
	v, by := r.operand(f, sel, n)
	if v.Const || r.low > r.high {
		t := r.eval(f, sel, n)
		return trueRows(&t, sel, n, out)
	}
	low, width := uint64(r.low), uint64(r.high)-uint64(r.low)
	start := len(out)
	at := start
	out = grow(out, n)
	switch {
	case by == nil && sel == nil:
		if r.outside {
			for i, x := range v.Ints[:n] {
				out[at] = int32(i)
				at += one(uint64(x)-low > width)
			}
		} else {
			for i, x := range v.Ints[:n] {
				out[at] = int32(i)
				at += one(uint64(x)-low <= width)
			}
		}
	case by != nil: // rows of the column
		if r.outside {
			for _, i := range by {
				out[at] = i
				at += one(uint64(v.Ints[i])-low > width)
			}
		} else {
			for _, i := range by {
				out[at] = i
				at += one(uint64(v.Ints[i])-low <= width)
			}
		}
	default: // values computed for sel
		for k, x := range v.Ints[:n] {
			out[at] = sel[k]
			at += one((uint64(x)-low <= width) != r.outside)
		}
		return keepValid(&v, sel, n, out[:at], start)
	}
	if v.Valid != nil {
		kept := start
		for _, i := range out[start:at] {
			out[kept] = i
			kept += one(v.Valid.At(int(i)))
		}
		at = kept
	}
	return out[:at]
}

// keepValid drops from the end of out, which holds rows of sel, those in which
// v, computed for sel, has no value.
func keepValid(v *Vec, sel []int32, n int, out []int32, start int) []int32 {
	if v.Valid == nil {
		return out
	}
	kept, k := start, 0
	for _, i := range out[start:] {
		for sel[k] != i {
			k++
		}
		out[kept] = i
		kept += one(v.Valid.At(k))
	}
	return out[:kept]
}

// operand returns a vector and how to go through it: by rows of it, if it is a
// column, else by its own order.
func (r *inRange) operand(f *Frame, sel []int32, n int) (Vec, []int32) {
	if c, ok := r.x.(*column); ok && !f.Cols[c.at].Const {
		return f.Cols[c.at], sel
	}
	return r.x.eval(f, sel, n), nil
}

// Bounds tells which whole numbers of a column e lets through: a < b and the
// like. ok is false for expressions of another form.
func Bounds(e Expr) (col int, low, high int64, ok bool) {
	r, is := e.(*inRange)
	if !is || r.outside {
		return 0, 0, 0, false
	}
	c, is := r.x.(*column)
	if !is {
		return 0, 0, 0, false
	}
	return c.at, r.low, r.high, true
}
