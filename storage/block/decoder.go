package block

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tokenwatch/tokenwatch"
)

// Decoder turns segments into entries. It may be used from many goroutines.
type Decoder struct {
	zstd  *zstd.Decoder
	pool  sync.Pool // of *scratch
	cells int       // MaxCells, less in tests
}

// scratch is memory that a chunk needs while it is decoded.
type scratch struct {
	bytes  []byte
	planes []byte // besides bytes, where both are needed
	codes  []uint32
}

// NewDecoder returns a Decoder.
func NewDecoder() *Decoder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("block: zstd options: " + err.Error()) // they are constant
	}
	return &Decoder{zstd: z, cells: MaxCells, pool: sync.Pool{New: func() any { return new(scratch) }}}
}

// Decode returns the entry of which b is the segment, but for its offset. The
// entry shares no memory with b. The error is a [*Corrupt] or wraps [ErrNewer].
func (d *Decoder) Decode(b []byte) (tokenwatch.Entry, error) {
	return d.read(b, tokenwatch.AllCols, true)
}

// Columns returns the batch of segment b with only some of its columns; the
// others have no value, and there are no namings and no facts. Chunks of other columns are
// neither decoded nor checked. Errors are those of Decode.
func (d *Decoder) Columns(b []byte, cols ...tokenwatch.Col) (*tokenwatch.Batch, error) {
	return d.Select(b, tokenwatch.Cols(cols...))
}

// Select is Columns for a set of columns.
func (d *Decoder) Select(b []byte, cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	e, err := d.read(b, cols, false)
	return e.Batch, err
}

// Requests returns the requests of segment b and decodes nothing else. Errors
// are those of Decode.
func (d *Decoder) Requests(b []byte) ([]tokenwatch.Request, error) {
	h, err := ReadHead(b)
	if err != nil {
		return nil, err
	}
	cells := d.cells
	return d.requests(b, &h, &cells)
}

func (d *Decoder) read(b []byte, wanted tokenwatch.ColSet, extras bool) (tokenwatch.Entry, error) {
	h, err := ReadHead(b)
	if err != nil {
		return tokenwatch.Entry{}, err
	}
	cells := d.cells
	buf := d.pool.Get().(*scratch)
	defer d.pool.Put(buf)

	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	var attrs tokenwatch.Attributes
	for i := range h.Columns {
		c := &h.Columns[i]
		if !wanted.Has(c.Col) {
			continue
		}
		r, err := d.open(b, c.Extent, c.Col.String(), &cells)
		if err != nil {
			return tokenwatch.Entry{}, err
		}
		if c.Codec == CodecPairs {
			attrs = r.attrs(h.Rows, buf)
		} else {
			columns[c.Col] = r.vector(c, h.Rows, buf)
		}
		if err := r.done(); err != nil {
			return tokenwatch.Entry{}, err
		}
	}

	entry := tokenwatch.Entry{Tenant: h.Tenant, Time: h.Time}
	var names []tokenwatch.Naming
	var facts []tokenwatch.Fact
	if extras {
		if entry.Requests, err = d.requests(b, &h, &cells); err != nil {
			return tokenwatch.Entry{}, err
		}
		if names, err = d.names(b, &h, &cells); err != nil {
			return tokenwatch.Entry{}, err
		}
		if facts, err = d.facts(b, &h, &cells); err != nil {
			return tokenwatch.Entry{}, err
		}
	}
	entry.Batch, err = tokenwatch.NewBatch(h.Rows, columns, attrs, names)
	if err == nil && facts != nil {
		entry.Batch, err = entry.Batch.WithFacts(facts)
	}
	if err != nil {
		return tokenwatch.Entry{}, &Corrupt{Part: "columns", Offset: len(b), Reason: err.Error()}
	}
	return entry, nil
}

// open checks a chunk and returns a reader of it.
func (d *Decoder) open(b []byte, x Extent, part string, cells *int) (*reader, error) {
	chunk, err := x.chunk(b, part)
	if err != nil {
		return nil, err
	}
	return &reader{b: chunk, part: part, base: x.Offset, cells: cells, zstd: d.zstd}, nil
}

// unwrap replaces a chunk that is one section by what is in it.
func (r *reader) unwrap() {
	var buf []byte
	plain := r.section(r.sectionSize(), &buf)
	if r.done() == nil {
		r.b, r.pos = plain, 0
	}
}

func (d *Decoder) requests(b []byte, h *Head, cells *int) ([]tokenwatch.Request, error) {
	if h.extras[extraRequests].Length == 0 {
		return nil, nil
	}
	r, err := d.open(b, h.extras[extraRequests], "requests", cells)
	if err != nil {
		return nil, err
	}
	r.unwrap()
	out := r.requests()
	return out, r.done()
}

func (d *Decoder) names(b []byte, h *Head, cells *int) ([]tokenwatch.Naming, error) {
	if h.extras[extraNames].Length == 0 {
		return nil, nil
	}
	r, err := d.open(b, h.extras[extraNames], "names", cells)
	if err != nil {
		return nil, err
	}
	r.unwrap()
	out := r.names(h.Version)
	return out, r.done()
}

func (d *Decoder) facts(b []byte, h *Head, cells *int) ([]tokenwatch.Fact, error) {
	if h.extras[extraFacts].Length == 0 {
		return nil, nil
	}
	r, err := d.open(b, h.extras[extraFacts], "facts", cells)
	if err != nil {
		return nil, err
	}
	r.unwrap()
	out := r.facts(h.Rows)
	return out, r.done()
}

// vector reads the chunk of any column but attrs.
func (r *reader) vector(c *Column, rows int, buf *scratch) (v tokenwatch.Vector) {
	if c.Codec == CodecConst {
		return r.fill(c, rows)
	}
	switch c.Codec {
	case CodecFrame, CodecDelta:
		v.Valid = r.validity(rows, c.Nulls)
		if !r.take(rows, 8) {
			return v
		}
		v.Ints = make([]int64, rows)
		r.ints(v.Ints[:rows-c.Nulls], c.Min, c.Codec, &buf.bytes)
		spread(v.Ints, v.Valid, rows-c.Nulls)
	case CodecDict:
		v.Dict = r.strings(r.count(MaxCells/4-2), 1, nil, 0, &buf.bytes)
		if !r.take(rows, 4) {
			return v
		}
		v.Codes = make([]uint32, rows)
		unpack(r, v.Codes, &buf.bytes)
	case CodecStrings:
		v.Valid = r.validity(rows, c.Nulls)
		v.Text = r.strings(rows, 0, v.Valid, c.Nulls, &buf.bytes)
	case CodecAddr:
		v.Valid = r.validity(rows, c.Nulls)
		v.Addrs = r.addrs(rows, v.Valid, c.Nulls, buf)
	case CodecFlags:
		v.Bools = r.flags(rows, &buf.bytes)
	default:
		panic(fmt.Sprintf("block: codec %d is not read", c.Codec)) // fits knows no other
	}
	return v
}

// fill makes a column of one value, which stands in the head.
func (r *reader) fill(c *Column, rows int) (v tokenwatch.Vector) {
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		if r.take(rows, 8) {
			v.Ints = repeat(c.Min, rows)
		}
	case tokenwatch.KindText:
		if r.take(rows, 4) {
			v.Dict.Append(nil)
			v.Dict.Append([]byte(c.MinText))
			v.Codes = repeat(uint32(1), rows)
		}
	case tokenwatch.KindString:
		if r.take(rows+1, 4) && r.take(rows*len(c.MinText), 1) {
			v.Text.Offsets = make([]int32, rows+1)
			for i := range v.Text.Offsets {
				v.Text.Offsets[i] = int32(i * len(c.MinText))
			}
			v.Text.Bytes = bytes.Repeat([]byte(c.MinText), rows)
		}
	case tokenwatch.KindAddr:
		if r.take(rows, 16) {
			a := c.MinAddr.As16()
			v.Addrs = bytes.Repeat(a[:], rows)
		}
	case tokenwatch.KindBool:
		if r.take(rows, 1) {
			v.Bools = repeat(true, rows)
		}
	}
	return v
}

func repeat[T any](x T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = x
	}
	return out
}
