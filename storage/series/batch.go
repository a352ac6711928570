package series

import (
	"github.com/tokenwatch/tokenwatch"
)

// Of counts the rows of a batch, which has at least Columns(k, ms).
func Of(b *tokenwatch.Batch, k Kind, ms Measures) *Table {
	ms = ms.Of(k)
	var r Rows
	r.Measure(b, nil)
	values := make([]Values, len(k.Columns()))
	for i, c := range k.Columns() {
		r.Keys[c], values[i] = coded(b, c)
	}
	var addrs Values
	if ms.Has(Sources) {
		r.Keys[tokenwatch.ColSrcIP], addrs = coded(b, tokenwatch.ColSrcIP)
	}
	t := r.Count(k, ms, 0)
	for i := range t.Keys {
		values[i].Codes = t.Keys[i].Codes
		t.Keys[i] = values[i]
	}
	t.Addrs.Addrs = addrs.Addrs
	return t
}

// coded gives a column codes, and says what they stand for.
func coded(b *tokenwatch.Batch, c tokenwatch.Col) (codes Codes, values Values) {
	v := b.Column(c)
	switch {
	case v.Codes != nil:
		return Codes{Of: v.Codes, Distinct: v.Dict.Len() - 1}, Values{Text: v.Dict}
	case v.Ints != nil:
		codes.Of = make([]uint32, b.Rows())
		known := make(map[int64]uint32)
		last, lastCode := int64(0), uint32(0)
		for i, x := range v.Ints {
			if !v.Valid.At(i) {
				continue
			}
			if lastCode == 0 || x != last {
				code := known[x]
				if code == 0 {
					values.Ints = append(values.Ints, x)
					code = uint32(len(values.Ints))
					known[x] = code
				}
				last, lastCode = x, code
			}
			codes.Of[i] = lastCode
		}
		codes.Distinct = len(values.Ints)
	case v.Addrs != nil:
		codes.Of = make([]uint32, b.Rows())
		known := make(map[[16]byte]uint32)
		for i := range codes.Of {
			if !v.Valid.At(i) {
				continue
			}
			a := [16]byte(v.Addrs[16*i:])
			code := known[a]
			if code == 0 {
				values.Addrs = append(values.Addrs, a[:]...)
				code = uint32(len(values.Addrs) / 16)
				known[a] = code
			}
			codes.Of[i] = code
		}
		codes.Distinct = len(values.Addrs) / 16
	default:
		if c.Kind() == tokenwatch.KindText {
			values.Text.Append(nil)
		}
	}
	return codes, values
}
