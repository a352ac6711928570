package block

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/tokenwatch/tokenwatch"
)

// column appends the chunk of one column and fills in what the head says of
// it. It is false if the column has no value in any row.
func (e *Encoder) column(c *Column, b *tokenwatch.Batch) bool {
	return e.vector(c, b.Column(c.Col), b.Attrs(), b.Rows())
}

// vector is column for values that are in no batch.
func (e *Encoder) vector(c *Column, v *tokenwatch.Vector, attrs *tokenwatch.Attributes, rows int) bool {
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		return len(v.Ints) > 0 && e.intColumn(c, v, rows)
	case tokenwatch.KindText:
		return len(v.Codes) > 0 && e.textColumn(c, v)
	case tokenwatch.KindString:
		return v.Text.Len() > 0 && e.stringColumn(c, v, rows)
	case tokenwatch.KindAddr:
		return len(v.Addrs) > 0 && e.addrColumn(c, v, rows)
	case tokenwatch.KindBool:
		return e.flagColumn(c, v)
	default:
		return e.pairColumn(c, attrs, rows)
	}
}

func (e *Encoder) intColumn(c *Column, v *tokenwatch.Vector, rows int) bool {
	if e.body, c.Nulls = e.validity(e.body, v.Valid, rows); c.Nulls == rows {
		return false
	}
	values := v.Ints
	if c.Nulls > 0 {
		e.ints64 = gather(e.ints64[:0], v.Ints, v.Valid)
		values = e.ints64
	}
	c.Min, c.Max = values[0], values[0]
	for _, x := range values {
		c.Min, c.Max = min(c.Min, x), max(c.Max, x)
	}
	e.cells += 8*rows + bitmapCells(rows, c.Nulls)
	if c.Nulls == 0 && c.Min == c.Max {
		c.Codec = CodecConst
		return true
	}
	e.body, c.Codec = e.ints(e.body, values, c.Min, c.Col.Kind() == tokenwatch.KindTime)
	return true
}

func (e *Encoder) textColumn(c *Column, v *tokenwatch.Vector) bool {
	same := true
	for _, code := range v.Codes {
		if code == 0 {
			c.Nulls++
		}
		same = same && code == v.Codes[0]
	}
	if c.Nulls == len(v.Codes) {
		return false
	}
	e.cells += 4 * len(v.Codes)
	if value := v.Dict.At(int(v.Codes[0])); same && len(value) <= maxBound {
		c.Codec, c.MinText, c.MaxText = CodecConst, value, value
		return true
	}
	dict := spansOf(v.Dict, 1)
	least, most := dict.bounds()
	c.MinText = lowerBound(least)
	c.MaxText, c.Open = upperBound(most)
	c.Codec = CodecDict
	e.body = binary.AppendUvarint(e.body, uint64(len(dict.ends)))
	e.body = e.strings(e.body, dict)
	e.widen(v.Codes)
	e.body = e.packed(e.body, e.words)
	return true
}

func (e *Encoder) stringColumn(c *Column, v *tokenwatch.Vector, rows int) bool {
	if e.body, c.Nulls = e.validity(e.body, v.Valid, rows); c.Nulls == rows {
		return false
	}
	s := spansOf(v.Text, 0)
	if c.Nulls > 0 {
		s = e.present(s, v.Valid)
	}
	e.cells += bitmapCells(rows, c.Nulls)
	least, most := s.bounds()
	if c.Nulls == 0 && len(least) <= maxBound && bytes.Equal(least, most) {
		c.Codec, c.MinText = CodecConst, string(least)
		c.MaxText = c.MinText
		e.cells += (rows+1)*4 + rows*len(least)
		return true
	}
	c.MinText = lowerBound(least)
	c.MaxText, c.Open = upperBound(most)
	c.Codec = CodecStrings
	e.body = e.strings(e.body, s)
	e.cells += 4 * (rows - len(s.ends))
	return true
}

// present leaves the strings of null rows out of s.
func (e *Encoder) present(s spans, valid tokenwatch.Bitmap) spans {
	out := spans{e.ends[:0], e.table[:0]}
	for i := range s.ends {
		if valid.At(i) {
			out.bytes = append(out.bytes, s.at(i)...)
			out.ends = append(out.ends, int32(len(out.bytes)))
		}
	}
	e.ends, e.table = out.ends, out.bytes
	return out
}

func (e *Encoder) addrColumn(c *Column, v *tokenwatch.Vector, rows int) bool {
	start := len(e.body)
	if e.body, c.Nulls = e.validity(e.body, v.Valid, rows); c.Nulls == rows {
		return false
	}
	var least, most [16]byte
	e.body, least, most = e.addrs(e.body, v.Addrs, v.Valid, rows)
	c.MinAddr, c.MaxAddr = netip.AddrFrom16(least).Unmap(), netip.AddrFrom16(most).Unmap()
	c.Codec = CodecAddr
	e.cells += 16*rows + bitmapCells(rows, c.Nulls)
	if c.Nulls == 0 && least == most {
		c.Codec = CodecConst
		e.body = e.body[:start]
	}
	return true
}

func (e *Encoder) flagColumn(c *Column, v *tokenwatch.Vector) bool {
	set := 0
	for _, x := range v.Bools {
		if x {
			set++
		}
	}
	e.cells += len(v.Bools)
	if set == 0 {
		return false
	}
	if c.Codec = CodecConst; set < len(v.Bools) {
		c.Codec = CodecFlags
		e.body = e.flags(e.body, v.Bools)
	}
	return true
}

func (e *Encoder) pairColumn(c *Column, a *tokenwatch.Attributes, rows int) bool {
	if len(a.Keys) == 0 {
		return false
	}
	c.Codec = CodecPairs
	e.body, c.Nulls = e.attrs(e.body, a, rows)
	e.cells += 4*(rows+1) + 4*len(a.Keys)
	return true
}

// bitmapCells is what a reader charges for the bitmap of nulls.
func bitmapCells(rows, nulls int) int {
	if nulls == 0 {
		return 0
	}
	return (rows + 7) / 8
}
