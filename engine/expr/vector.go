package expr

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Vec is a vector of values. Which slices are used follows from Type. With Const
// they hold one value, which stands for every row.
type Vec struct {
	Type   Type
	Const  bool
	Ints   []int64            // TypeInt, TypeTime, TypeSpan
	Floats []float64          // TypeFloat
	Bools  []bool             // TypeBool
	Codes  []uint32           // TypeText, TypeAddr by dictionary: place in Text or Addrs; 0 is null
	Text   tokenwatch.Strings // TypeText, TypeJSON: by row, or by code
	Addrs  []byte             // TypeAddr: 16 bytes a row, or a code
	Attrs  *tokenwatch.Attributes
	First  int               // TypeMap: row of Attrs that row 0 is
	Valid  tokenwatch.Bitmap // rows with a value; nil is all

	Distinct bool   // Codes: no value of the dictionary occurs twice
	Space    *Space // TypeAddr by dictionary: what the codes are about; nil: this vector alone

	owned bool // Valid is nobody else's
}

// A Space is a dictionary of many vectors: their codes are equal where their values
// are. It may grow, but what a code stands for stays the same.
type Space struct{ _ byte }

// Addr returns the 16 bytes of row i of a vector of addresses. Of a null they mean
// nothing.
func (v *Vec) Addr(i int) *[16]byte {
	i = v.at(i)
	if v.Codes != nil {
		i = int(v.Codes[i])
	}
	return (*[16]byte)(v.Addrs[16*i:])
}

// NullOf is a vector of nothing but nulls.
func NullOf(t Type) Vec {
	v := Vec{Type: t, Const: true, Valid: tokenwatch.Bitmap{0}}
	v.size(1)
	return v
}

// size makes the slices of a vector hold n zero values.
func (v *Vec) size(n int) {
	switch {
	case v.Type.whole():
		v.Ints = make([]int64, n)
	case v.Type == TypeFloat:
		v.Floats = make([]float64, n)
	case v.Type == TypeBool, v.Type == TypeNull:
		v.Bools = make([]bool, n)
	case v.Type.stringy():
		v.Text.Offsets = make([]int32, n+1)
	case v.Type == TypeAddr:
		v.Addrs = make([]byte, 16*n)
	}
}

// ConstOf is a vector of one value for every row.
func ConstOf(x Value) Vec {
	if x.IsNull() {
		return NullOf(x.Type)
	}
	v := Vec{Type: x.Type, Const: true}
	switch {
	case x.Type.whole():
		v.Ints = []int64{x.Int}
	case x.Type == TypeFloat:
		v.Floats = []float64{x.Float}
	case x.Type == TypeBool:
		v.Bools = []bool{x.Bool}
	case x.Type.stringy():
		v.Text.Append([]byte(x.Text))
	case x.Type == TypeAddr:
		v.Addrs = x.Addr[:]
	}
	return v
}

// at is the place of row i in the slices.
func (v *Vec) at(i int) int {
	if v.Const {
		return 0
	}
	return i
}

// IsNull tells whether row i is unknown.
func (v *Vec) IsNull(i int) bool {
	i = v.at(i)
	if v.Codes != nil {
		return v.Codes[i] == 0
	}
	if v.Type == TypeMap {
		return v.Attrs == nil || v.Attrs.Offsets == nil || v.Attrs.Offsets[v.First+i] == v.Attrs.Offsets[v.First+i+1]
	}
	return !v.Valid.At(i)
}

// Str returns row i of a text vector; it shares memory.
func (v *Vec) Str(i int) string {
	i = v.at(i)
	if v.Codes != nil {
		return v.Text.At(int(v.Codes[i]))
	}
	return v.Text.At(i)
}

// Value returns row i.
func (v *Vec) Value(i int) Value {
	if v.IsNull(i) {
		return Value{Type: v.Type, Null: true}
	}
	out := Value{Type: v.Type}
	j := v.at(i)
	switch {
	case v.Type.whole():
		out.Int = v.Ints[j]
	case v.Type == TypeFloat:
		out.Float = v.Floats[j]
	case v.Type == TypeBool:
		out.Bool = v.Bools[j]
	case v.Type.stringy():
		out.Text = v.Str(i)
	case v.Type == TypeAddr:
		out.Addr = *v.Addr(i)
	case v.Type == TypeMap:
		out.Type, out.Text = TypeJSON, v.mapJSON(i)
	}
	return out
}

// mapJSON writes row i of a map as a JSON object, in the order of the record.
func (v *Vec) mapJSON(i int) string {
	a := v.Attrs
	var b strings.Builder
	b.WriteByte('{')
	from, to := a.Offsets[v.First+i], a.Offsets[v.First+i+1]
	for j := from; j < to; j++ {
		if j > from {
			b.WriteByte(',')
		}
		b.WriteString(QuoteJSON(a.Dict.At(int(a.Keys[j]))))
		b.WriteByte(':')
		b.WriteString(QuoteJSON(a.Values.At(int(j))))
	}
	b.WriteByte('}')
	return b.String()
}

// Compare orders rows i of v and j of w, which are
// not null and of one type.
func Compare(v *Vec, i int, w *Vec, j int) int {
	switch a, b := v.at(i), w.at(j); {
	case v.Type.whole():
		return cmp.Compare(v.Ints[a], w.Ints[b])
	case v.Type == TypeFloat:
		return cmp.Compare(v.Floats[a], w.Floats[b])
	case v.Type == TypeBool:
		return compareBool(v.Bools[a], w.Bools[b])
	case v.Type == TypeAddr:
		return bytes.Compare(v.Addr(i)[:], w.Addr(j)[:])
	default:
		return strings.Compare(v.Str(i), w.Str(j))
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// String writes the value as text, as a cast to text does; a null is "".
func (x Value) String() string {
	if x.IsNull() {
		return ""
	}
	switch x.Type {
	case TypeInt:
		return strconv.FormatInt(x.Int, 10)
	case TypeFloat:
		return strconv.FormatFloat(x.Float, 'g', -1, 64)
	case TypeBool:
		return strconv.FormatBool(x.Bool)
	case TypeTime:
		return FormatTime(x.Int)
	case TypeSpan:
		return time.Duration(x.Int).String()
	case TypeAddr:
		return FormatAddr(x.Addr[:])
	default:
		return x.Text
	}
}

// sameDict tells whether two vectors go by one dictionary, of which either may
// know more values than the other.
func (v *Vec) sameDict(w *Vec) bool {
	return len(v.Text.Offsets) > 0 && len(w.Text.Offsets) > 0 && &v.Text.Offsets[0] == &w.Text.Offsets[0]
}

// Append adds row i of w, of the same type, to v, which holds n rows so far and
// is not Const. It goes by dictionary as long as all that is added goes by the
// same one.
func (v *Vec) Append(w *Vec, i, n int) {
	if v.Type == TypeText && w.Codes != nil && !w.Const {
		if n == 0 && v.Codes == nil && len(v.Text.Offsets) == 0 {
			v.Codes, v.Text, v.Distinct = make([]uint32, 0, 16), w.Text, w.Distinct
		}
		if v.Codes != nil && v.sameDict(w) {
			if w.Text.Len() > v.Text.Len() {
				v.Text = w.Text
			}
			v.Codes = append(v.Codes, w.Codes[i])
			return
		}
	}
	if v.Codes != nil {
		v.flatten()
	}
	null := w.IsNull(i)
	if null || v.Valid != nil {
		if v.Valid == nil {
			v.Valid = make(tokenwatch.Bitmap, (n+7)/8, (n+64)/8)
			for j := range n {
				v.Valid.Set(j)
			}
		}
		for n>>3 >= len(v.Valid) {
			v.Valid = append(v.Valid, 0)
		}
		if !null {
			v.Valid.Set(n)
		}
	}
	j := w.at(i)
	switch {
	case v.Type.whole():
		v.Ints = append(v.Ints, w.Ints[j])
	case v.Type == TypeFloat:
		v.Floats = append(v.Floats, w.Floats[j])
	case v.Type == TypeBool, v.Type == TypeNull:
		v.Bools = append(v.Bools, w.Bools[j])
	case v.Type.stringy():
		switch {
		case null:
			v.Text.Append(nil)
		case w.Type == TypeMap:
			v.Text.Append([]byte(w.mapJSON(i)))
		default:
			s := w.Str(i)
			v.Text.Append([]byte(s))
		}
	case v.Type == TypeAddr:
		v.Addrs = append(v.Addrs, w.Addr(i)[:]...)
	}
}

// flatten writes the values out that a vector by dictionary has codes of.
func (v *Vec) flatten() { // of texts: Append gathers no addresses by dictionary
	flat := Vec{Type: v.Type}
	flat.Text.Offsets = make([]int32, 1, len(v.Codes)+1)
	flat.Valid = make(tokenwatch.Bitmap, (len(v.Codes)+7)/8)
	for k, c := range v.Codes {
		if c != 0 {
			flat.Valid.Set(k)
		}
		flat.Text.Append([]byte(v.Text.At(int(c))))
	}
	*v = flat
}

// Bytes is about how much memory the vector's own rows take.
func (v *Vec) Bytes() int {
	if v.Codes != nil {
		return 4 * len(v.Codes) // the dictionary is others'
	}
	return 8*len(v.Ints) + 8*len(v.Floats) + len(v.Bools) + 4*len(v.Codes) + len(v.Addrs) + len(v.Text.Bytes) + 4*len(v.Text.Offsets) + len(v.Valid)
}

// Width is about how many bytes a row of it is.
func (v *Vec) Width() int {
	switch {
	case v.Const:
		return 0
	case v.Ints != nil, v.Floats != nil:
		return 8
	case v.Codes != nil:
		return 4
	case v.Addrs != nil:
		return 16
	case v.Bools != nil:
		return 1
	case len(v.Text.Offsets) > 1:
		n := len(v.Text.Offsets) - 1
		return 4 + int(v.Text.Offsets[n]-v.Text.Offsets[0])/n
	}
	return 0
}

// Gather returns the rows sel of v as a vector of their own memory. Codes keep
// their dictionary.
func (v *Vec) Gather(sel []int32) Vec {
	if v.Const {
		return *v
	}
	out := Vec{Type: v.Type}
	if v.Codes != nil {
		out.Codes, out.Text, out.Distinct = make([]uint32, len(sel)), v.Text, v.Distinct
		out.Addrs, out.Space = v.Addrs, v.Space
		for k, i := range sel {
			out.Codes[k] = v.Codes[i]
		}
		return out
	}
	if v.Type == TypeMap {
		out.Attrs = v.gatherMap(sel)
		return out
	}
	if v.Valid != nil {
		out.Valid = make(tokenwatch.Bitmap, (len(sel)+7)/8)
		for k, i := range sel {
			if v.Valid.At(int(i)) {
				out.Valid.Set(k)
			}
		}
	}
	switch {
	case v.Type.whole():
		out.Ints = take(v.Ints, sel)
	case v.Type == TypeFloat:
		out.Floats = take(v.Floats, sel)
	case v.Type == TypeBool, v.Type == TypeNull:
		out.Bools = take(v.Bools, sel)
	case v.Type.stringy():
		size := 0
		for _, i := range sel {
			size += int(v.Text.Offsets[i+1] - v.Text.Offsets[i])
		}
		out.Text.Bytes = make([]byte, 0, size)
		out.Text.Offsets = make([]int32, 1, len(sel)+1)
		for _, i := range sel {
			out.Text.Bytes = append(out.Text.Bytes, v.Text.Bytes[v.Text.Offsets[i]:v.Text.Offsets[i+1]]...)
			out.Text.Offsets = append(out.Text.Offsets, int32(len(out.Text.Bytes)))
		}
	case v.Type == TypeAddr:
		out.Addrs = make([]byte, 16*len(sel))
		for k, i := range sel {
			copy(out.Addrs[16*k:16*k+16], v.Addrs[16*int(i):])
		}
	}
	return out
}

// gatherMap returns the pairs of some rows.
func (v *Vec) gatherMap(sel []int32) *tokenwatch.Attributes {
	if v.Attrs == nil || v.Attrs.Offsets == nil {
		return nil
	}
	out := &tokenwatch.Attributes{Dict: v.Attrs.Dict, Offsets: make([]int32, 1, len(sel)+1)}
	out.Values.Offsets = []int32{0}
	for _, i := range sel {
		from, to := v.Attrs.Offsets[v.First+int(i)], v.Attrs.Offsets[v.First+int(i)+1]
		for j := from; j < to; j++ {
			out.Keys = append(out.Keys, v.Attrs.Keys[j])
			out.Values.Bytes = append(out.Values.Bytes, v.Attrs.Values.At(int(j))...)
			out.Values.Offsets = append(out.Values.Offsets, int32(len(out.Values.Bytes)))
		}
		out.Offsets = append(out.Offsets, int32(len(out.Keys)))
	}
	return out
}

func take[T any](v []T, sel []int32) []T {
	out := make([]T, len(sel))
	for k, i := range sel {
		out[k] = v[i]
	}
	return out
}

const hexDigits = "0123456789abcdef"

// QuoteJSON writes a string as JSON. Control characters, and those that turn
// the direction of text or break lines, are escaped; what is not UTF-8 becomes U+FFFD.
func QuoteJSON(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return string(append(append(b, s...), '"'))
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r == 0x61c:
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return string(append(b, '"'))
}
