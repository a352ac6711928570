package query

import (
	"math"
	"slices"
)

// narrow holds numbers by what they are above a base, in units of a scale: times
// are in milliseconds as a rule, and held in nanoseconds.
type narrow struct {
	base, scale int64
	u16         []uint16
	u32         []uint32 // if there are no u16
}

// narrowed returns numbers in fewer bytes, nil if they do not fit. Numbers of rows
// without a value count like the others.
func narrowed(v []int64) *narrow {
	low, high := v[0], v[0]
	for _, x := range v {
		low, high = min(low, x), max(high, x)
	}
	n := &narrow{base: low, scale: 1}
	span := uint64(high) - uint64(low)
	if span > math.MaxUint16 {
		n.scale = scaleOf(v, low)
		span /= uint64(n.scale)
	}
	switch {
	case span <= math.MaxUint16:
		n.u16 = make([]uint16, len(v))
		squeeze(n.u16, v, low, n.scale)
	case span <= math.MaxUint32:
		n.u32 = make([]uint32, len(v))
		squeeze(n.u32, v, low, n.scale)
	default:
		return nil
	}
	return n
}

// scaleOf returns a power of ten that divides the distances of all numbers from base.
func scaleOf(v []int64, base int64) int64 {
	scale := uint64(1e9)
	for _, x := range v {
		d := uint64(x) - uint64(base)
		for d%scale != 0 {
			if scale /= 10; scale == 1 {
				return 1
			}
		}
	}
	return int64(scale)
}

func squeeze[T uint16 | uint32](to []T, v []int64, base, scale int64) {
	if scale == 1 {
		for i, x := range v {
			to[i] = T(uint64(x) - uint64(base))
		}
		return
	}
	for i, x := range v {
		to[i] = T((uint64(x) - uint64(base)) / uint64(scale))
	}
}

// write writes the numbers from row first on.
func (n *narrow) write(to []int64, first int) {
	if n.u16 != nil {
		widen(to, n.u16[first:], n.base, n.scale)
	} else {
		widen(to, n.u32[first:], n.base, n.scale)
	}
}

func widen[T uint16 | uint32](to []int64, v []T, base, scale int64) {
	v = v[:len(to)]
	if scale == 1 {
		for i, x := range v {
			to[i] = base + int64(x)
		}
		return
	}
	for i, x := range v {
		to[i] = base + int64(x)*scale
	}
}

// writeSome writes the numbers of the rows sel, counted from row first, to their
// places, and leaves the others as they are.
func (n *narrow) writeSome(to []int64, first int, sel []int32) {
	if n.u16 != nil {
		for _, i := range sel {
			to[i] = n.base + int64(n.u16[first+int(i)])*n.scale
		}
		return
	}
	for _, i := range sel {
		to[i] = n.base + int64(n.u32[first+int(i)])*n.scale
	}
}

// between turns a range of numbers into one of numbers as they are kept; none is
// true if no number there can be is within it.
func (n *narrow) between(low, high int64) (from, to uint32, none bool) {
	most := uint64(math.MaxUint32)
	if n.u16 != nil {
		most = math.MaxUint16
	}
	if high < n.base || low > high {
		return 0, 0, true
	}
	last := (uint64(high) - uint64(n.base)) / uint64(n.scale)
	first := uint64(0)
	if low > n.base {
		d := uint64(low) - uint64(n.base)
		if first = d / uint64(n.scale); d%uint64(n.scale) != 0 {
			first++
		}
	}
	if first > most || first > last {
		return 0, 0, true
	}
	return uint32(first), uint32(min(last, most)), false
}

// within returns which of the rows from first on, so many of them, lie within a range,
// counted from first. It may use buf.
func (n *narrow) within(first, rows int, low, high uint32, buf []int32) []int32 {
	buf = slices.Grow(buf[:0], rows)[:rows]
	if n.u16 != nil {
		return buf[:within(n.u16[first:first+rows], uint16(low), uint16(high-low), buf)]
	}
	return buf[:within(n.u32[first:first+rows], low, high-low, buf)]
}

func within[T uint16 | uint32](v []T, low, width T, out []int32) (n int) {
	out = out[:len(v)]
	for i, x := range v {
		out[n] = int32(i)
		if x-low <= width {
			n++
		}
	}
	return n
}

// among leaves those rows of sel, counted from first, that lie within a range.
func (n *narrow) among(sel []int32, first int, low, high uint32) []int32 {
	k := 0
	for _, i := range sel {
		x := uint32(0)
		if n.u16 != nil {
			x = uint32(n.u16[first+int(i)])
		} else {
			x = n.u32[first+int(i)]
		}
		sel[k] = i
		if x-low <= high-low {
			k++
		}
	}
	return sel[:k]
}

// from is n from row lo on.
func (n *narrow) from(lo int) *narrow {
	out := *n
	if n.u16 != nil {
		out.u16 = n.u16[lo:]
	} else {
		out.u32 = n.u32[lo:]
	}
	return &out
}

func (n *narrow) bytes() int {
	if n == nil {
		return 0
	}
	return 2*len(n.u16) + 4*len(n.u32)
}
