package block

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// attrs appends the chunk of the pairs of all rows, and returns how many rows
// have none.
func (e *Encoder) attrs(dst []byte, a *tokenwatch.Attributes, rows int) (out []byte, nulls int) {
	dst = binary.AppendUvarint(dst, uint64(len(a.Keys)))
	e.words = e.words[:0]
	for i := range rows {
		n := a.Offsets[i+1] - a.Offsets[i]
		if n == 0 {
			nulls++
		}
		e.words = append(e.words, uint64(n))
	}
	dst = e.packed(dst, e.words)
	dst = binary.AppendUvarint(dst, uint64(a.Dict.Len()))
	dst = e.strings(dst, spansOf(a.Dict, 0))
	e.widen(a.Keys)
	dst = e.packed(dst, e.words)
	return e.strings(dst, spansOf(a.Values, 0)), nulls
}

// attrs reads what Encoder.attrs wrote.
func (r *reader) attrs(rows int, buf *scratch) tokenwatch.Attributes {
	var a tokenwatch.Attributes
	pairs := r.count(MaxCells / 8)
	if !r.take(rows+1, 4) || !r.take(pairs, 4) {
		return a
	}
	offsets := make([]int32, rows+1)
	unpack(r, offsets[1:], &buf.bytes)
	if r.err == nil && !sumUp(offsets[1:], pairs) {
		r.fail("the counts of pairs contradict their sum")
	}
	dict := r.strings(r.count(MaxCells/4), 0, nil, 0, &buf.bytes)
	if r.err != nil {
		return a
	}
	keys := make([]uint32, pairs)
	unpack(r, keys, &buf.bytes)
	values := r.strings(pairs, 0, nil, 0, &buf.bytes)
	if r.err != nil {
		return a
	}
	return tokenwatch.Attributes{Offsets: offsets, Keys: keys, Dict: dict, Values: values}
}

// widen makes codes the words to pack.
func (e *Encoder) widen(codes []uint32) {
	e.words = e.words[:0]
	for _, c := range codes {
		e.words = append(e.words, uint64(c))
	}
}
