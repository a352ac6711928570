package block

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// gather appends the values of the rows that have one.
func gather(dst []int64, v []int64, valid tokenwatch.Bitmap) []int64 {
	for i, x := range v {
		if valid.At(i) {
			dst = append(dst, x)
		}
	}
	return dst
}

// ints appends the chunk of whole numbers, of which least is the smallest, and
// returns its codec. Each number is written as its distance from the smallest,
// divided by what divides every such distance: times in milliseconds are held
// in nanoseconds. Numbers in nearly their order, as times are, take less as
// differences of neighbours.
func (e *Encoder) ints(dst []byte, v []int64, least int64, ordered bool) ([]byte, Codec) {
	scale := commonDivisor(v, least)
	e.words = e.words[:0]
	if scale == 1 {
		for _, x := range v {
			e.words = append(e.words, uint64(x)-uint64(least))
		}
	} else {
		for _, x := range v {
			e.words = append(e.words, (uint64(x)-uint64(least))/scale)
		}
	}
	dst = binary.AppendUvarint(dst, scale)
	if !ordered {
		return e.packed(dst, e.words), CodecFrame
	}
	e.deltas = e.deltas[:0]
	last := uint64(0)
	for _, x := range e.words {
		d := int64(x - last)
		e.deltas = append(e.deltas, uint64(d<<1)^uint64(d>>63))
		last = x
	}
	_, _, frame := chooseWidth(e.words)
	if _, _, delta := chooseWidth(e.deltas); delta < frame {
		return e.packed(dst, e.deltas), CodecDelta
	}
	return e.packed(dst, e.words), CodecFrame
}

// commonDivisor returns the greatest common divisor of the distances from
// least, 1 if all are 0.
func commonDivisor(v []int64, least int64) uint64 {
	g := uint64(0)
	for _, x := range v {
		d := uint64(x) - uint64(least)
		if g != 0 && d%g == 0 {
			continue
		}
		for d != 0 {
			g, d = d, g%d
		}
		if g == 1 {
			break
		}
	}
	return max(g, 1)
}

// ints reads what Encoder.ints wrote, into dst.
func (r *reader) ints(dst []int64, least int64, codec Codec, buf *[]byte) {
	scale := r.uvarint()
	unpack(r, dst, buf)
	if r.err != nil {
		return
	}
	if codec == CodecDelta {
		last := uint64(0)
		for i, x := range dst {
			last += uint64(x)>>1 ^ -(uint64(x) & 1)
			dst[i] = int64(uint64(least) + last*scale)
		}
		return
	}
	for i, x := range dst {
		dst[i] = int64(uint64(least) + uint64(x)*scale)
	}
}
