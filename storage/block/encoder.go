package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/tokenwatch/tokenwatch"
)

// Encoder turns entries into segments. It keeps its memory for the next one,
// and belongs to one goroutine.
type Encoder struct {
	zstd *zstd.Encoder

	head, body []byte
	cells      int // bytes of decoded values, as a reader will count them

	page     int  // rows of a page of a merged segment
	thorough bool // takes more time for fewer bytes
	lavish   bool // writes every series, whatever it costs
	shaper   shaper
	codes    []uint32

	// Scratch memory, valid within one codec.
	words, deltas []uint64
	ints64        []int64
	ends          []int32
	plane, table  []byte
	squeezed      []byte
	places        map[[16]byte]uint32
}

// zstdWindow is how far back zstd looks: hardly any section is longer, and an encoder
// keeps two of them.
const zstdWindow = 512 << 10

// NewEncoder returns an Encoder.
func NewEncoder() *Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(zstdWindow))
	if err != nil {
		panic("block: zstd options: " + err.Error()) // they are constant
	}
	return &Encoder{zstd: z, page: pageRows, places: make(map[[16]byte]uint32)}
}

// Encode appends the segment of an entry with a batch to dst. On error, which
// wraps [ErrTooLarge] or says that there is no batch, it returns dst as it was.
func (e *Encoder) Encode(dst []byte, entry *tokenwatch.Entry) ([]byte, error) {
	b := entry.Batch
	if b == nil {
		return dst, errNoBatch
	}
	if b.Rows() > MaxRows {
		return dst, fmt.Errorf("encode segment of %d rows: %w", b.Rows(), ErrTooLarge)
	}
	e.head, e.body, e.cells = e.head[:0], e.body[:0], 0
	n := 0
	columns := e.columns(b, &n)
	extras := e.extras(entry)
	if e.cells > MaxCells {
		return dst, fmt.Errorf("encode segment of %d rows, %d bytes decoded: %w", b.Rows(), e.cells, ErrTooLarge)
	}

	h := append(e.head, magic...)
	h = binary.LittleEndian.AppendUint16(h, Version)
	h = append(h, make([]byte, preludeSize-len(h))...)
	h = appendText(h, entry.Tenant)
	h = binary.AppendVarint(h, entry.Time.Unix())
	h = binary.AppendUvarint(h, uint64(entry.Time.Nanosecond()))
	h = binary.AppendUvarint(h, uint64(b.Rows()))
	h = binary.AppendUvarint(h, uint64(n))
	for i := range columns[:n] {
		h = appendColumn(h, &columns[i])
	}
	for _, x := range extras {
		h = appendExtent(h, x)
	}
	binary.LittleEndian.PutUint32(h[6:], uint32(len(h)-preludeSize))
	binary.LittleEndian.PutUint32(h[10:], headSum(h))
	e.head = h
	return append(append(dst, h...), e.body...), nil
}

// columns puts the chunks of all columns that have a value into the body, in
// the order of their numbers.
func (e *Encoder) columns(b *tokenwatch.Batch, n *int) (out [tokenwatch.NumColumns]Column) {
	for _, col := range columnOf {
		if col == none || b.Rows() == 0 {
			continue
		}
		start := len(e.body)
		c := Column{Col: col}
		if !e.column(&c, b) {
			e.body = e.body[:start]
			continue
		}
		c.Extent = e.extent(start)
		out[*n] = c
		*n++
	}
	return out
}

func (e *Encoder) extras(entry *tokenwatch.Entry) (out [numExtras]Extent) {
	if len(entry.Requests) > 0 {
		start := len(e.body)
		e.body = e.requests(e.body, entry.Requests)
		out[extraRequests] = e.extent(start)
		e.cells += requestCells * len(entry.Requests)
		for i := range entry.Requests {
			e.cells += rejectCells * len(entry.Requests[i].Rejects)
		}
	}
	if names := entry.Batch.Names(); len(names) > 0 {
		start := len(e.body)
		e.body = e.names(e.body, names)
		out[extraNames] = e.extent(start)
		e.cells += namingCells * len(names)
	}
	if facts := entry.Batch.Facts(); len(facts) > 0 {
		start := len(e.body)
		e.body = e.facts(e.body, facts)
		out[extraFacts] = e.extent(start)
		e.cells += factsCells(facts)
	}
	return out
}

// extent describes the chunk from start to the end of the body. Offsets follow
// from the lengths and are not written.
func (e *Encoder) extent(start int) Extent {
	chunk := e.body[start:]
	return Extent{Length: len(chunk), Sum: crc32.Checksum(chunk, castagnoli)}
}
