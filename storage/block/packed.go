package block

import (
	"encoding/binary"
	"math/bits"
)

// Packed numbers: a list of unsigned numbers whose length the reader knows.
// Two layouts compete and the smaller one is written.
//
//   - Bits: each number in the same few bits, one after the other. The width is
//     the cheapest one, not the widest number's: what does not fit is patched
//     in from a list of exceptions.
//   - Planes: the lowest byte of every number, then the next higher byte of
//     every number, and so on, each plane a section of its own. It wins where
//     some values are much more frequent than others, since zstd codes those
//     in less than a bit.
const (
	maxWidth  = 56 // widest that one load of 8 bytes at any bit offset can hold
	fullWidth = 64 // in place of 57 to 63
	planesTag = 0x80
)

// exceptionCost is the price in bits of patching a number, besides its high
// bits: its place and the bits lost to rounding.
const exceptionCost = 16

// packed appends v.
func (e *Encoder) packed(dst []byte, v []uint64) []byte {
	width, widest, cost := chooseWidth(v)
	if widest > 0 && len(v) >= minSqueeze {
		if out, ok := e.planes(dst, v, (widest+7)/8, cost-cost/20); ok {
			return out
		}
	}
	return appendBits(dst, v, width)
}

// chooseWidth returns the cheapest width for v, the width of the largest value,
// and the bytes that v takes with the former.
func chooseWidth(v []uint64) (width, widest, cost int) {
	var count [65]int
	for _, x := range v {
		count[bits.Len64(x)]++
	}
	for widest = 64; widest > 0 && count[widest] == 0; widest-- {
	}
	width = widest
	if width > maxWidth {
		width = fullWidth
	}
	best := width * len(v)
	over := 0 // numbers wider than w
	for w := widest - 1; w >= 0; w-- {
		over += count[w+1]
		price := w*len(v) + over*(exceptionCost+(widest-w)*8/7)
		if w <= maxWidth && price < best {
			width, best = w, price
		}
	}
	return width, widest, (best + 7) / 8
}

// planes appends v as planes, or reports that they take more than limit bytes.
func (e *Encoder) planes(dst []byte, v []uint64, n, limit int) ([]byte, bool) {
	start := len(dst)
	dst = append(dst, planesTag|byte(n))
	e.plane = grow(e.plane, len(v))
	for p := range n {
		for i, x := range v {
			e.plane[i] = byte(x >> (8 * p))
		}
		dst = e.section(dst, e.plane)
		if len(dst)-start > limit {
			return dst[:start], false
		}
	}
	return dst, true
}

func appendBits(dst []byte, v []uint64, width int) []byte {
	dst = append(dst, byte(width))
	if width == fullWidth {
		for _, x := range v {
			dst = binary.LittleEndian.AppendUint64(dst, x)
		}
		return append(dst, 0)
	}
	start := len(dst)
	size := (len(v)*width + 7) / 8
	dst = grow(dst, start+size+8)
	mask := uint64(1)<<width - 1
	var acc uint64
	at, n, exceptions := start, 0, 0
	for _, x := range v {
		if x > mask {
			exceptions++
		}
		acc |= (x & mask) << n
		n += width
		binary.LittleEndian.PutUint64(dst[at:], acc)
		at += n >> 3
		acc >>= n &^ 7
		n &= 7
	}
	binary.LittleEndian.PutUint64(dst[at:], acc)
	dst = binary.AppendUvarint(dst[:start+size], uint64(exceptions))
	if exceptions == 0 {
		return dst
	}
	last := 0
	for i, x := range v {
		if x > mask {
			dst = binary.AppendUvarint(dst, uint64(i-last))
			dst = binary.AppendUvarint(dst, x>>width)
			last = i
		}
	}
	return dst
}

// number is what packed numbers can be read into; a number that does not fit
// is an error.
type number interface{ int32 | uint32 | int64 }

// unpack fills dst with packed numbers. buf is memory for planes.
func unpack[T number](r *reader, dst []T, buf *[]byte) {
	limit := 64
	switch any(T(0)).(type) {
	case int32:
		limit = 31
	case uint32:
		limit = 32
	}
	head := int(r.byte())
	switch {
	case r.err != nil:
	case head > planesTag && head <= planesTag+(limit+7)/8:
		unpackPlanes(r, dst, head-planesTag, limit, buf)
	case head <= maxWidth && head <= limit || head == fullWidth && limit == 64:
		unpackBits(r, dst, head, limit)
	default:
		r.fail("numbers are packed in an unknown way")
	}
}

func unpackPlanes[T number](r *reader, dst []T, n, limit int, buf *[]byte) {
	clear(dst)
	for p := range n {
		plane := r.section(len(dst), buf)
		if r.err != nil {
			return
		}
		top := byte(0xff)
		if room := limit - 8*p; room < 8 {
			top = 1<<room - 1
		}
		var seen byte
		for i, x := range plane[:len(dst)] {
			dst[i] |= T(x) << (8 * p)
			seen |= x
		}
		if seen > top {
			r.fail("a number does not fit")
			return
		}
	}
}

func unpackBits[T number](r *reader, dst []T, width, limit int) {
	b := r.bytes((len(dst)*width + 7) / 8)
	if r.err != nil {
		return
	}
	if width == fullWidth {
		for i := range dst {
			dst[i] = T(binary.LittleEndian.Uint64(b[8*i:]))
		}
	} else {
		loadBits(dst, b, width)
	}
	at := 0
	for range r.count(len(dst)) {
		at += r.count(len(dst))
		high := r.uvarint()
		if r.err == nil && (at >= len(dst) || bits.Len64(high) > limit-width) {
			r.fail("an exception is out of bounds")
		}
		if r.err != nil {
			return
		}
		dst[at] |= T(high << width)
	}
}

// loadBits reads len(dst) numbers of width bits, at most maxWidth, from b.
func loadBits[T number](dst []T, b []byte, width int) {
	if width == 0 {
		clear(dst)
		return
	}
	mask := uint64(1)<<width - 1
	fast := 0 // numbers whose 8 bytes lie within b
	if len(b) >= 8 {
		fast = min(len(dst), ((len(b)-8)*8)/width+1)
	}
	bit := 0
	for i := range fast {
		dst[i] = T(binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7) & mask)
		bit += width
	}
	var tail [16]byte
	for i := fast; i < len(dst); i++ {
		clear(tail[:])
		copy(tail[:], b[bit>>3:])
		dst[i] = T(binary.LittleEndian.Uint64(tail[:]) >> (bit & 7) & mask)
		bit += width
	}
}

// grow returns b with length n; the bytes beyond its former length are of any
// value.
func grow(b []byte, n int) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	return append(b[:cap(b)], make([]byte, n-cap(b))...)
}
