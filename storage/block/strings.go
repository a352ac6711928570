package block

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/tokenwatch/tokenwatch"
)

// The ways a list of strings is written.
const (
	stringsPlain   = 0 // lengths, then all bytes as one section
	stringsPattern = 1 // see pattern.go
	stringsShapes  = 2 // see shape.go; in merged segments only
)

// spans is a list of strings to encode: the bytes of string i end at ends[i],
// and it begins where string i-1 ends.
type spans struct {
	ends  []int32
	bytes []byte
}

func (s spans) at(i int) []byte {
	from := int32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.bytes[from:s.ends[i]]
}

// spansOf returns s without its first skip strings, which must be empty.
func spansOf(s tokenwatch.Strings, skip int) spans {
	if s.Len() <= skip {
		return spans{}
	}
	return spans{s.Offsets[1+skip:], s.Bytes}
}

// strings appends s, whose length the reader knows.
func (e *Encoder) strings(dst []byte, s spans) []byte {
	e.cells += 4 * (len(s.ends) + 2)
	if p, ok := findPattern(s); ok {
		e.cells += len(s.bytes)
		return e.pattern(append(dst, stringsPattern), s, p)
	}
	if e.thorough && len(s.ends) >= minShapes {
		if out, ok := e.shapes(append(dst, stringsShapes), s); ok {
			return out
		}
	}
	return e.plainStrings(dst, s)
}

// plainStrings appends s as lengths and text.
func (e *Encoder) plainStrings(dst []byte, s spans) []byte {
	dst = append(dst, stringsPlain)
	e.words = e.words[:0]
	last := int32(0)
	for _, end := range s.ends {
		e.words = append(e.words, uint64(end-last))
		last = end
	}
	dst = e.packed(dst, e.words)
	return e.section(dst, s.bytes)
}

// strings reads n strings and puts lead empty ones before them. A null row of
// valid has no string; its string is empty. n is how many rows there are.
func (r *reader) strings(n, lead int, valid tokenwatch.Bitmap, nulls int, buf *[]byte) tokenwatch.Strings {
	if !r.take(n+lead+1, 4) {
		return tokenwatch.Strings{}
	}
	dense := n - nulls
	switch r.byte() {
	case stringsPlain:
		return r.plainStrings(n, lead, valid, nulls, buf)
	case stringsShapes:
		ends := make([]int32, n+lead+1)
		lengths := ends[lead+1:]
		text := r.shapes(lengths[:dense], buf)
		if r.err != nil {
			return tokenwatch.Strings{}
		}
		spread(lengths, valid, dense)
		if !sumUp(lengths, len(text)) {
			r.fail("lengths contradict the text")
			return tokenwatch.Strings{}
		}
		return tokenwatch.Strings{Offsets: ends, Bytes: text}
	case stringsPattern:
		length, text := r.pattern(dense, buf)
		if r.err != nil {
			return tokenwatch.Strings{}
		}
		ends := make([]int32, n+lead+1)
		end := int32(0)
		for i := range n {
			if valid.At(i) {
				end += int32(length)
			}
			ends[lead+1+i] = end
		}
		return tokenwatch.Strings{Offsets: ends, Bytes: text}
	default:
		r.fail("strings are written in an unknown way")
		return tokenwatch.Strings{}
	}
}

// plainStrings reads what Encoder.plainStrings wrote after its first byte.
func (r *reader) plainStrings(n, lead int, valid tokenwatch.Bitmap, nulls int, buf *[]byte) tokenwatch.Strings {
	ends := make([]int32, n+lead+1)
	lengths := ends[lead+1:]
	unpack(r, lengths[:n-nulls], buf)
	size := r.sectionSize()
	if r.err != nil {
		return tokenwatch.Strings{}
	}
	spread(lengths, valid, n-nulls)
	if !sumUp(lengths, size) {
		r.fail("lengths contradict the text")
		return tokenwatch.Strings{}
	}
	text := make([]byte, size)
	copy(text, r.section(size, &text)) // a raw section is still the caller's memory
	return tokenwatch.Strings{Offsets: ends, Bytes: text}
}

// minShapes is how many strings are worth looking for shapes.
const minShapes = 64

// sumUp replaces lengths by where each ends, and tells whether the last end is
// total.
func sumUp(lengths []int32, total int) bool {
	end := 0
	for i, n := range lengths {
		end += int(n)
		if end > math.MaxInt32 {
			return false
		}
		lengths[i] = int32(end)
	}
	return end == total
}

// maxBound is how much of a value the head keeps as a bound.
const maxBound = 64

// bounds returns the smallest and the largest of at least one string.
func (s spans) bounds() (least, most []byte) {
	least, most = s.at(0), s.at(0)
	for i := 1; i < len(s.ends); i++ {
		if v := s.at(i); bytes.Compare(v, least) < 0 {
			least = v
		} else if bytes.Compare(v, most) > 0 {
			most = v
		}
	}
	return least, most
}

// lowerBound cuts a string to something not larger.
func lowerBound(v []byte) string { return string(v[:min(len(v), maxBound)]) }

// upperBound cuts a string to something not smaller; open means that there is
// no such thing. Raising the last byte of the cut makes it larger than all that
// begins with the cut.
func upperBound(v []byte) (bound string, open bool) {
	if len(v) <= maxBound {
		return string(v), false
	}
	cut := bytes.Clone(v[:maxBound])
	for i := len(cut) - 1; i >= 0; i-- {
		if cut[i] != 0xff {
			cut[i]++
			return string(cut[:i+1]), false
		}
	}
	return "", true
}

// appendText appends a length and s.
func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
