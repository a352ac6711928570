package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Version is the layout that Encode writes and the newest that Decode reads.
const Version = 3

const (
	magic       = "TWSG"
	preludeSize = 14 // magic, version, length of the head, checksum
)

// Head is what a segment says of itself before its columns.
type Head struct {
	Version int
	Tenant  string
	Time    time.Time // wall clock of the append
	Rows    int
	Columns []Column // in the order of their chunks; a column not here has no value in any row

	extras [numExtras]Extent
}

// Column is what a head says of one column.
type Column struct {
	Col   tokenwatch.Col
	Codec Codec
	Nulls int // rows without a value; for a KindBool always 0

	// Bounds of the values, by kind. They hold for every row with a value, but
	// the text bounds need not occur.
	Min, Max         int64      // KindTime, KindInt
	MinAddr, MaxAddr netip.Addr // KindAddr, in the order of their 16 bytes
	MinText, MaxText string     // KindText, KindString, at most 64 bytes; see MayHold
	Open             bool       // KindText, KindString: there is no MaxText

	Extent
}

// ReadHead reads and checks the head of a segment. Of b it looks at the head
// only, but for the length: b is the whole segment. The error is a [*Corrupt]
// or wraps [ErrNewer].
func ReadHead(b []byte) (Head, error) {
	r := reader{b: b, part: "head"}
	if string(r.bytes(len(magic))) != magic {
		r.fail("it does not begin as segments do")
	}
	prelude := r.bytes(preludeSize - len(magic))
	if r.err != nil {
		return Head{}, r.err
	}
	version := int(binary.LittleEndian.Uint16(prelude))
	size := binary.LittleEndian.Uint32(prelude[2:])
	sum := binary.LittleEndian.Uint32(prelude[6:])
	if uint64(size) > uint64(r.left()) {
		r.fail("it ends early")
		return Head{}, r.err
	}
	end := preludeSize + int(size)
	if sum != headSum(b[:end]) {
		r.fail("its checksum is another")
		return Head{}, r.err
	}
	// The prelude is the same in all versions: only now is the version known to
	// be what was written.
	if version > Version {
		return Head{}, fmt.Errorf("read head of segment, layout %d: %w", version, ErrNewer)
	}
	if version < 1 {
		r.fail("there is no such layout")
	}
	r.b = b[:end]
	h := Head{Version: version}
	r.head(&h, end)
	if err := r.done(); err != nil {
		return Head{}, err
	}
	last := h.extras[numExtras-1]
	if last.Offset+last.Length != len(b) {
		r.fail("the chunks do not end where the segment ends")
		return Head{}, r.err
	}
	return h, nil
}

// headSum covers all of the head but the place of the sum itself.
func headSum(b []byte) uint32 {
	const at = preludeSize - 4
	return crc32.Update(crc32.Checksum(b[:at], castagnoli), castagnoli, b[preludeSize:])
}

func (r *reader) head(h *Head, at int) {
	h.Tenant = r.text()
	seconds := r.varint()
	h.Time = time.Unix(seconds, int64(r.count(int(time.Second)-1))).UTC()
	h.Rows = r.count(MaxRows)
	n := r.count(tokenwatch.NumColumns)
	if n > 0 && h.Rows == 0 {
		r.fail("columns without rows")
	}
	h.Columns = make([]Column, 0, n)
	last := 0
	for range n {
		number := int(r.byte())
		if r.err == nil && (number <= last || columnOf[number] == none) {
			r.fail("a column is unknown or out of order")
		}
		if r.err != nil {
			return
		}
		last = number
		c := Column{Col: columnOf[number]}
		r.column(&c, h.Rows)
		if c.Codec != CodecConst {
			c.Extent = r.extent(at)
			at += c.Length
		}
		h.Columns = append(h.Columns, c)
	}
	for i := range h.extras {
		h.extras[i].Offset = at
		if i == extraFacts && h.Version < 2 {
			continue
		}
		h.extras[i] = r.extent(at)
		at += h.extras[i].Length
	}
}

// column reads what a head says of one column, but for its extent.
func (r *reader) column(c *Column, rows int) {
	c.Codec = Codec(r.byte())
	kind := c.Col.Kind()
	if r.err == nil && !c.Codec.fits(kind) {
		r.fail("a codec does not fit its column")
	}
	if c.Codec == CodecConst {
		r.constant(c)
		return
	}
	c.Nulls = r.count(rows - 1)
	r.bounds(c)
}

// bounds reads between which values a column lies.
func (r *reader) bounds(c *Column) {
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		c.Min = r.varint()
		c.Max = int64(uint64(c.Min) + r.uvarint())
		if c.Max < c.Min {
			r.fail("bounds are the wrong way round")
		}
	case tokenwatch.KindBool:
		if c.Nulls != 0 {
			r.fail("a flag is null")
		}
	case tokenwatch.KindAddr:
		c.MinAddr, c.MaxAddr = r.addr(), r.addr()
	case tokenwatch.KindText, tokenwatch.KindString:
		c.MinText = r.bound()
		c.Open = r.byte() != 0
		if !c.Open {
			c.MaxText = r.bound()
		}
	}
}

// constant reads the one value of a column that has no chunk.
func (r *reader) constant(c *Column) {
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		c.Min = r.varint()
		c.Max = c.Min
	case tokenwatch.KindAddr:
		c.MinAddr = r.addr()
		c.MaxAddr = c.MinAddr
	case tokenwatch.KindText, tokenwatch.KindString:
		c.MinText = r.bound()
		c.MaxText = c.MinText
	}
}

func (r *reader) addr() netip.Addr {
	b := r.bytes(16)
	if b == nil {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}

func (r *reader) bound() string { return string(r.bytes(r.count(maxBound))) }

// Column returns what the head says of column c; false if it has no value in
// any row.
func (h *Head) Column(c tokenwatch.Col) (Column, bool) {
	for i := range h.Columns {
		if h.Columns[i].Col == c {
			return h.Columns[i], true
		}
	}
	return Column{}, false
}

// MayHold tells whether a row of a text column can have the value v.
func (c *Column) MayHold(v string) bool {
	return strings.Compare(c.MinText, v) <= 0 && (c.Open || strings.Compare(v, c.MaxText) <= 0)
}

// appendColumn appends what reader.column and reader.extent read.
func appendColumn(dst []byte, c *Column) []byte {
	dst = append(dst, columnNumber[c.Col], byte(c.Codec))
	if c.Codec == CodecConst {
		return appendConstant(dst, c)
	}
	dst = appendBounds(binary.AppendUvarint(dst, uint64(c.Nulls)), c)
	return appendExtent(dst, c.Extent)
}

// appendBounds appends what reader.bounds reads.
func appendBounds(dst []byte, c *Column) []byte {
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		dst = binary.AppendVarint(dst, c.Min)
		dst = binary.AppendUvarint(dst, uint64(c.Max)-uint64(c.Min))
	case tokenwatch.KindAddr:
		least, most := c.MinAddr.As16(), c.MaxAddr.As16()
		dst = append(append(dst, least[:]...), most[:]...)
	case tokenwatch.KindText, tokenwatch.KindString:
		dst = appendText(dst, c.MinText)
		if c.Open {
			dst = append(dst, 1)
		} else {
			dst = appendText(append(dst, 0), c.MaxText)
		}
	}
	return dst
}

func appendConstant(dst []byte, c *Column) []byte {
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		return binary.AppendVarint(dst, c.Min)
	case tokenwatch.KindAddr:
		a := c.MinAddr.As16()
		return append(dst, a[:]...)
	case tokenwatch.KindText, tokenwatch.KindString:
		return appendText(dst, c.MinText)
	default: // a flag that is set in every row
		return dst
	}
}
