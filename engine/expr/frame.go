package expr

import (
	"github.com/tokenwatch/tokenwatch"
)

// Expr is an expression over the columns of a frame. It holds no state of an
// evaluation, so that many goroutines may use one at a time.
type Expr interface {
	// Type is what it gives.
	Type() Type
	// eval gives its values in the rows sel of f, n of them, one after the other;
	// no sel means rows 0 to n-1.
	eval(f *Frame, sel []int32, n int) Vec
	// children are the expressions it is made of.
	children() []Expr
}

// filterer is an expression that has a faster way to tell the rows for which it
// is true than by its values. It appends them to out.
type filterer interface {
	filter(f *Frame, sel []int32, n int, out []int32) []int32
}

// Frame shows columns of some rows. It belongs to one goroutine.
type Frame struct {
	N    int   // rows
	Cols []Vec // by place; those that no expression names may be left out
	Rows int   // rows that come with the same dictionaries; 0 is N

	dicts map[*onDict]dictResult
	err   error

	ints  scratch[int64]
	codes scratch[uint32]
	bytes scratch[byte]
	bools scratch[bool]
	rows  scratch[int32]
}

// Reset makes f show other rows. What was found of dictionaries is kept; vectors
// that Eval gave before are no longer to be used.
func (f *Frame) Reset(n int) {
	f.N, f.err = n, nil
	f.ints.used, f.codes.used, f.bytes.used, f.bools.used, f.rows.used = 0, 0, 0, 0, 0
}

// Eval returns the values of e in the rows sel; nil is all rows. The vector may
// share the memory of the frame.
func (f *Frame) Eval(e Expr, sel []int32) (Vec, error) {
	v := e.eval(f, sel, f.count(sel))
	return v, f.takeErr()
}

// Filter appends the rows of sel for which e is true to out, in order.
func (f *Frame) Filter(e Expr, sel, out []int32) ([]int32, error) {
	out = filter(e, f, sel, f.count(sel), out)
	return out, f.takeErr()
}

func (f *Frame) count(sel []int32) int {
	if sel == nil {
		return f.N
	}
	return len(sel)
}

func (f *Frame) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *Frame) takeErr() error {
	err := f.err
	f.err = nil
	return err
}

func filter(e Expr, f *Frame, sel []int32, n int, out []int32) []int32 {
	if n == 0 {
		return out
	}
	if x, ok := e.(filterer); ok {
		return x.filter(f, sel, n, out)
	}
	v := e.eval(f, sel, n)
	return trueRows(&v, sel, n, out)
}

// trueRows appends the rows in which a truth vector is true.
func trueRows(v *Vec, sel []int32, n int, out []int32) []int32 {
	if v.Const {
		if v.IsNull(0) || !v.Bools[0] {
			return out
		}
		return appendAll(sel, n, out)
	}
	for k := range n {
		if v.Bools[k] && v.Valid.At(k) {
			out = append(out, row(sel, k))
		}
	}
	return out
}

func appendAll(sel []int32, n int, out []int32) []int32 {
	if sel != nil {
		return append(out, sel...)
	}
	for i := range n {
		out = append(out, int32(i))
	}
	return out
}

func row(sel []int32, k int) int32 {
	if sel == nil {
		return int32(k)
	}
	return sel[k]
}

// Columns appends the places of the columns that e names to out.
func Columns(e Expr, out []int) []int {
	if c, ok := e.(*column); ok {
		return append(out, c.at)
	}
	for _, c := range e.children() {
		out = Columns(c, out)
	}
	return out
}

// Show makes a vector of rows from to to of a column of a batch, of another kind
// than KindMap. from is a multiple of 8.
func Show(v *tokenwatch.Vector, k tokenwatch.Kind, from, to int) Vec {
	t := TypeOf(k)
	out := Vec{Type: t}
	if v.Valid != nil {
		out.Valid = v.Valid[from/8 : (to+7)/8]
	}
	switch {
	case v.Ints != nil:
		out.Ints = v.Ints[from:to]
	case v.Codes != nil && t == TypeAddr:
		out.Codes, out.Addrs = v.Codes[from:to], v.Addrs
	case v.Codes != nil:
		out.Codes, out.Text, out.Distinct = v.Codes[from:to], v.Dict, true
	case v.Text.Offsets != nil:
		out.Text = tokenwatch.Strings{Offsets: v.Text.Offsets[from : to+1], Bytes: v.Text.Bytes}
	case v.Addrs != nil:
		out.Addrs = v.Addrs[16*from : 16*to]
	case v.Bools != nil:
		out.Bools = v.Bools[from:to]
	case t == TypeBool:
		return ConstOf(Bool(false))
	default:
		return NullOf(t)
	}
	return out
}

// FrameOf shows all columns of a batch, each at the place of its Col.
func FrameOf(b *tokenwatch.Batch) *Frame {
	f := &Frame{N: b.Rows(), Cols: make([]Vec, tokenwatch.NumColumns)}
	for c := range f.Cols {
		if k := tokenwatch.Col(c).Kind(); k != tokenwatch.KindMap {
			f.Cols[c] = Show(b.Column(tokenwatch.Col(c)), k, 0, b.Rows())
		} else {
			f.Cols[c] = Vec{Type: TypeMap, Attrs: b.Attrs()}
		}
	}
	return f
}

// column is a column of the frame.
type column struct {
	at  int
	typ Type
}

// Column is the column at a place of the frame.
func Column(at int, t Type) Expr { return &column{at, t} }

// EventColumn is a column of events, in a frame made by [FrameOf].
func EventColumn(c tokenwatch.Col) Expr { return Column(int(c), TypeOf(c.Kind())) }

// ColumnAt returns the place of the column that e is, if it is one.
func ColumnAt(e Expr) (int, bool) {
	c, ok := e.(*column)
	if !ok {
		return 0, false
	}
	return c.at, true
}

func (c *column) Type() Type       { return c.typ }
func (c *column) children() []Expr { return nil }

func (c *column) eval(f *Frame, sel []int32, n int) Vec {
	v := &f.Cols[c.at]
	if sel == nil {
		return *v
	}
	return f.gather(v, sel)
}

func (c *column) filter(f *Frame, sel []int32, n int, out []int32) []int32 {
	v := &f.Cols[c.at]
	if v.Const {
		return trueRows(v, sel, n, out)
	}
	for k := range n {
		if i := row(sel, k); v.Bools[i] && v.Valid.At(int(i)) {
			out = append(out, i)
		}
	}
	return out
}

// constant is one value.
type constant struct {
	value Value
	vec   Vec
}

// Const is a constant.
func Const(v Value) Expr { return &constant{v, ConstOf(v)} }

// ConstValue returns the value of e, if it is a constant.
func ConstValue(e Expr) (Value, bool) {
	c, ok := e.(*constant)
	if !ok {
		return Value{}, false
	}
	return c.value, true
}

func (c *constant) Type() Type                    { return c.value.Type }
func (c *constant) children() []Expr              { return nil }
func (c *constant) eval(*Frame, []int32, int) Vec { return c.vec }

// finish is the last step of every constructor: what depends on no column is
// evaluated now, and what depends on one text column by dictionary.
func finish(e Expr) Expr {
	cols := Columns(e, nil)
	if len(cols) == 0 {
		f := &Frame{N: 1}
		v := e.eval(f, nil, 1)
		if f.err != nil {
			return e // the error shows where there are rows
		}
		x := v.Value(0)
		x.Type = e.Type()
		return Const(x)
	}
	for _, c := range cols[1:] {
		if c != cols[0] {
			return e
		}
	}
	if textColumn(e) {
		return &onDict{e, cols[0]}
	}
	return e
}

func textColumn(e Expr) bool {
	if c, ok := e.(*column); ok {
		return c.typ == TypeText
	}
	for _, c := range e.children() {
		if len(Columns(c, nil)) > 0 {
			return textColumn(c)
		}
	}
	return false
}

// onDict evaluates an expression of one text column once per value of the
// column's dictionary, where it has one that is not larger than the rows.
type onDict struct {
	of  Expr
	col int
}

// dictResult is what an expression gives for every value of a dictionary; of
// nulls, too, at place 0.
type dictResult struct {
	offsets *int32 // of the dictionary, by which it is known again
	size    int
	vec     Vec
	pass    []bool             // in which it is true; nil until asked for
	recode  []uint32           // place in text of each; nil until asked for
	text    tokenwatch.Strings // vec as a dictionary
}

func (d *onDict) Type() Type       { return d.of.Type() }
func (d *onDict) children() []Expr { return []Expr{d.of} }

// result returns what is known of the dictionary of the column, or false where
// going by rows is less work.
func (d *onDict) result(f *Frame, n int) (*Vec, dictResult, bool) {
	v := &f.Cols[d.col]
	size := v.Text.Len()
	if v.Codes == nil || size == 0 {
		return v, dictResult{}, false
	}
	id := &v.Text.Offsets[0]
	r, ok := f.dicts[d]
	if ok && r.offsets == id && r.size == size {
		return v, r, true
	}
	if size > max(n, f.Rows) {
		return v, r, false
	}
	inner := &Frame{N: size, Cols: make([]Vec, len(f.Cols))}
	valid := make(tokenwatch.Bitmap, (size+7)/8)
	for i := range valid {
		valid[i] = 0xff
	}
	valid[0] = 0xfe
	inner.Cols[d.col] = Vec{Type: TypeText, Text: v.Text, Valid: valid}
	r = dictResult{offsets: id, size: size, vec: d.of.eval(inner, nil, size)}
	if inner.err != nil { // perhaps of a value that no row has
		return v, r, false
	}
	if f.dicts == nil {
		f.dicts = make(map[*onDict]dictResult)
	}
	f.dicts[d] = r
	return v, r, true
}

func (d *onDict) eval(f *Frame, sel []int32, n int) Vec {
	v, r, ok := d.result(f, n)
	if !ok {
		return d.of.eval(f, sel, n)
	}
	if r.vec.Const {
		return r.vec
	}
	codes := v.Codes
	if sel != nil {
		codes = f.codes.take(n)
		fill(codes, v.Codes, sel)
	} else {
		codes = codes[:n]
	}
	if r.vec.Type == TypeText && r.vec.Codes == nil {
		if r.recode == nil {
			d.recode(&r)
			f.dicts[d] = r
		}
		out := Vec{Type: TypeText, Text: r.text, Codes: f.codes.take(n)}
		for k, c := range codes {
			out.Codes[k] = r.recode[c]
		}
		return out
	}
	rows := f.rows.take(n)
	for k, c := range codes {
		rows[k] = int32(c)
	}
	return f.gather(&r.vec, rows)
}

// recode makes a dictionary of the texts that came of one.
func (d *onDict) recode(r *dictResult) {
	r.recode = make([]uint32, r.size)
	// Value 0 stands for null and is empty; value c+1 is what came of value c.
	offsets := r.vec.Text.Offsets
	r.text = tokenwatch.Strings{Bytes: r.vec.Text.Bytes, Offsets: append(offsets[:1:1], offsets...)}
	for c := range r.recode {
		if r.vec.Valid.At(c) {
			r.recode[c] = uint32(c) + 1
		}
	}
}

func (d *onDict) filter(f *Frame, sel []int32, n int, out []int32) []int32 {
	v, r, ok := d.result(f, n)
	if !ok {
		return filter(d.of, f, sel, n, out)
	}
	if r.vec.Const {
		return trueRows(&r.vec, sel, n, out)
	}
	if r.pass == nil {
		r.pass = make([]bool, r.size)
		for c := range r.pass {
			r.pass[c] = r.vec.Bools[c] && r.vec.Valid.At(c)
		}
		f.dicts[d] = r
	}
	at := len(out)
	out = grow(out, n)
	if sel == nil {
		for i, c := range v.Codes[:n] {
			out[at] = int32(i)
			at += one(r.pass[c])
		}
	} else {
		for _, i := range sel {
			out[at] = i
			at += one(r.pass[v.Codes[i]])
		}
	}
	return out[:at]
}

// one is 1 for true, without a branch.
func one(b bool) int {
	var n int
	if b {
		n = 1
	}
	return n
}

// grow makes room for n more.
func grow(out []int32, n int) []int32 {
	at := len(out)
	if cap(out) < at+n {
		out = append(make([]int32, 0, at+n), out...)
	}
	return out[:at+n]
}
