package tokenwatch

import (
	"math/bits"
	"unsafe"
)

// Builder collects rows into the columns of a Batch. Only ingest/seal fills
// one: what it appends must be sealed.
type Builder struct {
	rows  int
	cols  [NumColumns]columnBuilder
	attrs Attributes
	keys  interner
	names namingSet
	facts []Fact

	before      int // rows of the batch before: this one may well have as many
	attrsBefore struct{ pairs, bytes int }
}

// columnBuilder is one column so far. It may be behind: rows since the last value
// are null and take no space until the next value, or the end, fills them in.
type columnBuilder struct {
	v    Vector
	n    int // rows the vector covers
	dict interner

	text int // bytes of the texts of the batch before
}

// firstBytes is what a column takes at first, if the batch before had as much: what a
// request of a hundred rows needs.
const firstBytes = 1 << 10

// room makes room for n more values. A slice begins with what a small batch needs, and
// takes as much as the batch before had once it has a thirty-second of that: batches of one
// size copy little, whatever the size, and a small one after a large one wastes little.
func room[T any](s []T, n, before int) []T {
	if len(s)+n <= cap(s) || before <= len(s) {
		return s
	}
	want := before + before/16 + n
	if len(s) < before/32 {
		if cap(s) > 0 {
			return s // append will double it
		}
		want = min(want, max(n, firstBytes/int(unsafe.Sizeof(*new(T)))))
	}
	return append(make([]T, 0, want), s...)
}

// Rows returns how many rows were appended since the last Batch.
func (b *Builder) Rows() int { return b.rows }

// Append adds a sealed row. The row's memory may be reused afterwards. It
// panics if the row still holds a credential or a fact: that would be a bug of
// seal.
func (b *Builder) Append(r *Row) {
	if len(r.Credentials) != 0 || len(r.Facts) != 0 {
		panic("tokenwatch: unsealed row")
	}
	for left := r.set; left != 0; left &= left - 1 {
		c := bits.TrailingZeros64(left)
		col := &b.cols[c]
		kind := kinds[c]
		if col.n < b.rows {
			col.fill(kind, b.rows)
		}
		switch kind {
		case KindText:
			t := &r.texts[c]
			if t.code == 0 {
				t.code = col.code(t)
			}
			if len(col.v.Codes) == cap(col.v.Codes) {
				col.v.Codes = room(col.v.Codes, 1, b.before)
			}
			col.v.Codes = append(col.v.Codes, t.code)
		case KindTime, KindInt:
			if len(col.v.Ints) == cap(col.v.Ints) {
				col.v.Ints = room(col.v.Ints, 1, b.before)
			}
			col.v.Ints = append(col.v.Ints, r.num[c])
		case KindString:
			t := r.texts[c].b
			col.v.Text.Bytes = room(col.v.Text.Bytes, len(t), col.text)
			col.v.Text.Offsets = room(col.v.Text.Offsets, 1, b.before+1)
			col.v.Text.Append(t)
		case KindAddr:
			a := r.addr.As16()
			col.v.Addrs = append(room(col.v.Addrs, 16, 16*b.before), a[:]...)
		}
		if col.v.Valid != nil {
			col.v.Valid = col.v.Valid.push(col.n)
		}
		col.n++
	}
	b.appendAttrs(r.Attrs)
	b.rows++
}

// code returns the code of a row's text, and keeps what the row notes of it.
func (col *columnBuilder) code(t *rowText) uint32 {
	if t.word != nil {
		return t.word.codeOf(&col.dict, &col.v.Dict)
	}
	code := col.dict.code(&col.v.Dict, t.b)
	if t.note != 0 {
		col.dict.note(code, t.note)
	}
	return code
}

// Know looks up what the batch to come knows of the text in column c of a row:
// what was noted of it, 0 if nothing. The row remembers where it is.
func (b *Builder) Know(r *Row, c Col) Note {
	t := &r.texts[c]
	if t.word != nil {
		return t.word.Note
	}
	col := &b.cols[c]
	_, code := col.dict.find(&col.v.Dict, t.b)
	if int(code) >= len(col.dict.notes) {
		return 0
	}
	t.code = code
	return col.dict.notes[code]
}

// keyCode returns the code of an attr's key.
func (b *Builder) keyCode(a *Attr) uint32 {
	if a.word != nil {
		return a.word.codeOf(&b.keys, &b.attrs.Dict)
	}
	return b.keys.code(&b.attrs.Dict, a.Key)
}

// KnowKey is Know for the key of an attr.
func (b *Builder) KnowKey(a *Attr) Note {
	if w := a.word; w != nil {
		if w.dict == &b.keys && w.turn == b.keys.turn {
			a.code = w.code
		}
		return w.Note
	}
	_, code := b.keys.find(&b.attrs.Dict, a.Key)
	if int(code) >= len(b.keys.notes) {
		return 0
	}
	a.code = code
	return b.keys.notes[code]
}

// fill covers the rows up to, not including, to with nulls.
func (col *columnBuilder) fill(k Kind, to int) {
	gap := to - col.n
	switch k {
	case KindTime, KindInt:
		col.v.Ints = append(col.v.Ints, make([]int64, gap)...)
	case KindText:
		col.v.Codes = append(col.v.Codes, make([]uint32, gap)...)
	case KindString:
		col.v.Text.extend(Strings{}, gap)
	case KindAddr:
		col.v.Addrs = append(col.v.Addrs, make([]byte, 16*gap)...)
	}
	if col.v.Valid == nil && k != KindText { // code 0 is null enough
		col.v.Valid = make(Bitmap, (to+7)/8)
		for i := range col.n {
			col.v.Valid.Set(i)
		}
	}
	col.n = to
}

// push sets bit i, growing the bitmap as far as needed.
func (b Bitmap) push(i int) Bitmap {
	for i>>3 >= len(b) {
		b = append(b, 0)
	}
	b.Set(i)
	return b
}

func (b *Builder) appendAttrs(attrs []Attr) {
	a := &b.attrs
	if a.Offsets == nil {
		if len(attrs) == 0 {
			return
		}
		a.Offsets = make([]int32, b.rows+1)
	}
	for i := range attrs {
		attr := &attrs[i]
		if attr.code == 0 {
			attr.code = b.keyCode(attr)
		}
		if attr.note != 0 {
			b.keys.note(attr.code, attr.note)
		}
		a.Keys = append(room(a.Keys, 1, b.attrsBefore.pairs), attr.code)
		a.Values.Bytes = room(a.Values.Bytes, len(attr.Value), b.attrsBefore.bytes)
		a.Values.Offsets = room(a.Values.Offsets, 1, b.attrsBefore.pairs+1)
		a.Values.Append(attr.Value)
	}
	a.Offsets = append(a.Offsets, int32(len(a.Keys)))
}

// AddName notes that a token of the batch goes by an alias.
func (b *Builder) AddName(n Naming) { b.names.add(n) }

// AddFact adds what the row appended last says about a token's life.
func (b *Builder) AddFact(f Fact) {
	f.Row = b.rows - 1
	b.facts = append(b.facts, f)
}

// Batch returns what was appended and begins anew.
func (b *Builder) Batch() *Batch {
	columns := [NumColumns]Vector{}
	for i := range b.cols {
		col := &b.cols[i]
		if col.n > 0 && col.n < b.rows {
			col.fill(Col(i).Kind(), b.rows)
		}
		if col.v.Valid != nil {
			col.v.Valid = append(col.v.Valid, make(Bitmap, (b.rows+7)/8-len(col.v.Valid))...)
		}
		columns[i] = col.v
	}
	batch, err := NewBatch(b.rows, columns, b.attrs, b.names.list)
	if err == nil && b.facts != nil {
		batch, err = batch.WithFacts(b.facts)
	}
	if err != nil {
		panic("tokenwatch: builder: " + err.Error())
	}
	attrs := &b.attrs
	*b = Builder{cols: b.cols, keys: b.keys.reset(&attrs.Dict), names: b.names.reset(), before: b.rows,
		attrsBefore: struct{ pairs, bytes int }{len(attrs.Keys), len(attrs.Values.Bytes)}}
	for i := range b.cols {
		col := &b.cols[i]
		*col = columnBuilder{dict: col.dict.reset(&col.v.Dict), text: len(col.v.Text.Bytes)}
	}
	return batch
}

// Concat joins batches into one, in order.
func Concat(batches ...*Batch) *Batch {
	if len(batches) == 1 {
		return batches[0]
	}
	rows := 0
	for _, b := range batches {
		rows += b.rows
	}
	var columns [NumColumns]Vector
	for c := range columns {
		columns[c] = concatColumn(Col(c), rows, batches)
	}
	var names namingSet
	for _, b := range batches {
		for _, n := range b.names {
			names.add(n)
		}
	}
	batch, err := NewBatch(rows, columns, concatAttrs(rows, batches), names.list)
	if err == nil {
		batch, err = batch.WithFacts(concatFacts(batches))
	}
	if err != nil {
		panic("tokenwatch: concat: " + err.Error())
	}
	return batch
}

func concatColumn(c Col, rows int, batches []*Batch) Vector {
	var out Vector
	empty, nulls := true, false
	for _, b := range batches {
		v := &b.columns[c]
		has := v.Ints != nil || v.Codes != nil || v.Text.Offsets != nil || v.Addrs != nil || v.Bools != nil
		empty = empty && (!has || b.rows == 0)
		nulls = nulls || v.Valid != nil || (!has && b.rows > 0)
	}
	if empty {
		return out
	}
	switch c.Kind() {
	case KindTime, KindInt:
		out.Ints = make([]int64, 0, rows)
		for _, b := range batches {
			out.Ints = append(out.Ints, orZeros(b.columns[c].Ints, b.rows)...)
		}
	case KindText:
		out.Codes = make([]uint32, 0, rows)
		var dict interner
		for _, b := range batches {
			out.Codes = append(out.Codes, recode(&dict, &out.Dict, &b.columns[c], b.rows)...)
		}
		if out.Dict.Offsets == nil {
			out.Dict.Append(nil) // every row is null, and that is a code too
		}
		return out
	case KindString:
		for _, b := range batches {
			out.Text.extend(b.columns[c].Text, b.rows)
		}
	case KindAddr:
		out.Addrs = make([]byte, 0, 16*rows)
		for _, b := range batches {
			out.Addrs = append(out.Addrs, orZeros(b.columns[c].Addrs, 16*b.rows)...)
		}
	case KindBool:
		out.Bools = make([]bool, 0, rows)
		for _, b := range batches {
			out.Bools = append(out.Bools, orZeros(b.columns[c].Bools, b.rows)...)
		}
		return out
	}
	if nulls {
		out.Valid = make(Bitmap, (rows+7)/8)
		at := 0
		for _, b := range batches {
			for i := range b.rows {
				if b.Has(c, i) {
					out.Valid.Set(at + i)
				}
			}
			at += b.rows
		}
	}
	return out
}

func orZeros[T any](s []T, n int) []T {
	if s == nil {
		return make([]T, n)
	}
	return s
}

// recode returns the codes of v in terms of the dictionary being joined.
func recode(dict *interner, values *Strings, v *Vector, rows int) []uint32 {
	out := make([]uint32, rows)
	if v.Codes == nil {
		return out
	}
	to := make([]uint32, v.Dict.Len())
	for i := 1; i < len(to); i++ {
		s := v.Dict.At(i)
		to[i] = dict.code(values, []byte(s))
	}
	for i, c := range v.Codes {
		out[i] = to[c]
	}
	return out
}

// extend appends n strings: those of t, or empty ones if t has none.
func (s *Strings) extend(t Strings, n int) {
	if s.Offsets == nil {
		s.Offsets = append(make([]int32, 0, n+1), 0)
	}
	base := int32(len(s.Bytes))
	if t.Offsets == nil {
		for range n {
			s.Offsets = append(s.Offsets, base)
		}
		return
	}
	s.Bytes = append(s.Bytes, t.Bytes...)
	for _, o := range t.Offsets[1:] {
		s.Offsets = append(s.Offsets, base+o)
	}
}

func concatAttrs(rows int, batches []*Batch) Attributes {
	var out Attributes
	for _, b := range batches {
		if b.attrs.Offsets != nil {
			out.Offsets = append(make([]int32, 0, rows+1), 0)
		}
	}
	if out.Offsets == nil {
		return out
	}
	var dict interner
	for _, b := range batches {
		base := int32(len(out.Keys))
		if b.attrs.Offsets == nil {
			for range b.rows {
				out.Offsets = append(out.Offsets, base)
			}
			continue
		}
		for _, o := range b.attrs.Offsets[1:] {
			out.Offsets = append(out.Offsets, base+o)
		}
		to := make([]uint32, b.attrs.Dict.Len()) // a key, unlike a text, may be value 0 of its dictionary
		for _, k := range b.attrs.Keys {
			if to[k] == 0 {
				to[k] = dict.code(&out.Dict, []byte(b.attrs.Dict.At(int(k))))
			}
			out.Keys = append(out.Keys, to[k])
		}
		out.Values.extend(b.attrs.Values, b.attrs.Values.Len())
	}
	return out
}

func concatFacts(batches []*Batch) (out []Fact) {
	at := 0
	for _, b := range batches {
		for _, f := range b.facts {
			f.Row += at
			out = append(out, f)
		}
		at += b.rows
	}
	return out
}
