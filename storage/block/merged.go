package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// MergedVersion is the layout of merged segments that Merge writes and the
// newest that OpenMerged reads.
const MergedVersion = 3

const mergedMagic = "TWMS"

// pageRows is how many rows one chunk of a column holds: reading one row means
// decoding so many.
const pageRows = 16 << 10

// maxPageRows is the most that a reader believes.
const maxPageRows = 1 << 20

// Part is one appended segment within a merged one.
type Part struct {
	Offset tokenwatch.Offset
	Time   time.Time // wall clock of the append
	Rows   int
	layout int // of its extras
}

// form says how a column of a merged segment is written. A number keeps its
// meaning for ever.
type form uint8

const (
	formConst form = 1 // every row has the value in the head
	formPages form = 2 // each page is written like a column of an appended segment
	formCoded form = 3 // one dictionary, and codes page by page
)

// mergedColumn is what the head of a merged segment says of one column.
type mergedColumn struct {
	Column   // number of nulls and bounds; without a codec and an extent
	form     form
	method   codeMethod
	base     tokenwatch.Col // of codesDerived
	distinct int            // values of the dictionary

	dict, aux, counts int // chunks, -1 if none; aux: the runs, or the derivation
	pages             int // first chunk of the pages, -1 if none
}

// mergedHead is what a merged segment says of itself.
type mergedHead struct {
	version int // as read
	tenant  string
	rows    int
	page    int // rows of a page
	parts   []Part
	columns []mergedColumn
	chunks  []Extent // in their order; places are within the whole
	order   int      // the chunk that gives the rows their places in the log
	extras  int      // the chunk of requests, namings and facts
	series  []mergedSeries
	filters []mergedFilter
}

func (h *mergedHead) numPages() int { return (h.rows + h.page - 1) / h.page }

func (h *mergedHead) column(c tokenwatch.Col) *mergedColumn {
	for i := range h.columns {
		if h.columns[i].Col == c {
			return &h.columns[i]
		}
	}
	return nil
}

// append appends the encoding of the head.
func (h *mergedHead) append(b []byte) []byte {
	start := len(b)
	b = append(b, mergedMagic...)
	b = binary.LittleEndian.AppendUint16(b, MergedVersion)
	b = append(b, make([]byte, preludeSize-6)...)
	b = appendText(b, h.tenant)
	b = binary.AppendUvarint(b, uint64(h.rows))
	b = binary.AppendUvarint(b, uint64(h.page))
	b = binary.AppendUvarint(b, uint64(len(h.parts)))
	last := tokenwatch.Offset(0)
	for _, p := range h.parts {
		b = binary.AppendUvarint(b, uint64(p.Offset-last))
		last = p.Offset
		b = binary.AppendVarint(b, p.Time.Unix())
		b = binary.AppendUvarint(b, uint64(p.Time.Nanosecond()))
		b = binary.AppendUvarint(b, uint64(p.Rows))
		b = append(b, byte(p.layout))
	}
	b = binary.AppendUvarint(b, uint64(len(h.chunks)))
	for _, x := range h.chunks {
		b = appendExtent(b, x)
	}
	b = binary.AppendUvarint(b, uint64(h.order))
	b = binary.AppendUvarint(b, uint64(h.extras))
	b = binary.AppendUvarint(b, uint64(len(h.columns)))
	for i := range h.columns {
		b = h.columns[i].append(b)
	}
	b = appendSeries(b, h.series)
	b = appendFilters(b, h.filters)
	head := b[start:]
	binary.LittleEndian.PutUint32(head[6:], uint32(len(head)-preludeSize))
	binary.LittleEndian.PutUint32(head[10:], headSum(head))
	return b
}

func (c *mergedColumn) append(b []byte) []byte {
	b = append(b, columnNumber[c.Col], byte(c.form))
	if c.form == formConst {
		return appendConstant(b, &c.Column)
	}
	b = appendBounds(binary.AppendUvarint(b, uint64(c.Nulls)), &c.Column)
	if c.form == formCoded {
		b = append(b, byte(c.method))
		if c.method == codesDerived {
			b = append(b, columnNumber[c.base])
		}
		b = binary.AppendUvarint(b, uint64(c.distinct))
		for _, chunk := range [...]int{c.dict, c.aux, c.counts} {
			b = binary.AppendUvarint(b, uint64(chunk+1))
		}
	}
	return binary.AppendUvarint(b, uint64(c.pages+1))
}

// readMergedHead reads and checks the head of a merged segment.
func readMergedHead(b []byte) (*mergedHead, error) {
	r := reader{b: b, part: "merged head"}
	if string(r.bytes(len(mergedMagic))) != mergedMagic {
		r.fail("it does not begin as merged segments do")
	}
	prelude := r.bytes(preludeSize - len(mergedMagic))
	if r.err != nil {
		return nil, r.err
	}
	version := int(binary.LittleEndian.Uint16(prelude))
	switch {
	case uint64(binary.LittleEndian.Uint32(prelude[2:])) != uint64(r.left()):
		r.fail("it has another length")
	case binary.LittleEndian.Uint32(prelude[6:]) != headSum(b):
		r.fail("its checksum is another")
	case version > MergedVersion:
		return nil, fmt.Errorf("read head of merged segment, layout %d: %w", version, ErrNewer)
	case version < 1:
		r.fail("there is no such layout")
	}
	h := &mergedHead{version: version}
	r.mergedHead(h)
	if version >= 2 {
		r.mergedSeries(h)
	}
	if version >= 3 && r.err == nil {
		r.mergedFilters(h)
	}
	return h, r.done()
}

// maxParts is how many appended segments a merged one may hold.
const maxParts = 1 << 20

func (r *reader) mergedHead(h *mergedHead) {
	h.tenant = r.text()
	h.rows = r.count(MaxRows)
	if h.page = r.count(maxPageRows); h.page == 0 {
		r.fail("its pages have no rows")
		return
	}
	n := r.count(min(maxParts, r.left()))
	if n == 0 {
		r.fail("it holds no segment")
	}
	h.parts = make([]Part, n)
	last, rows := tokenwatch.Offset(0), 0
	for i := range h.parts {
		p := &h.parts[i]
		step := r.uvarint()
		p.Offset = last + tokenwatch.Offset(step)
		if r.err == nil && p.Offset <= last {
			r.fail("its segments are out of order")
		}
		last = p.Offset
		seconds := r.varint()
		p.Time = time.Unix(seconds, int64(r.count(int(time.Second)-1))).UTC()
		p.Rows = r.count(MaxRows)
		p.layout = int(r.byte())
		if r.err == nil && (p.layout < 1 || p.layout > Version) {
			r.fail("there is no such layout")
		}
		if rows += p.Rows; rows > h.rows {
			r.fail("its segments have more rows than it")
		}
	}
	if rows != h.rows {
		r.fail("its segments have fewer rows than it")
	}
	n = r.count(r.left())
	if r.err != nil {
		return
	}
	h.chunks = make([]Extent, n)
	at := 0
	for i := range h.chunks {
		h.chunks[i] = r.extent(at)
		at += h.chunks[i].Length
	}
	h.order, h.extras = r.chunkNumber(h, 1), r.chunkNumber(h, 1)
	n = r.count(tokenwatch.NumColumns)
	if n > 0 && h.rows == 0 {
		r.fail("columns without rows")
	}
	number := 0
	for range n {
		next := int(r.byte())
		if r.err == nil && (next <= number || columnOf[next] == none) {
			r.fail("a column is unknown or out of order")
		}
		if r.err != nil {
			return
		}
		number = next
		c := mergedColumn{Column: Column{Col: columnOf[number]}, dict: -1, aux: -1, counts: -1, pages: -1}
		r.mergedColumn(h, &c)
		h.columns = append(h.columns, c)
	}
	for i := range h.columns {
		c := &h.columns[i]
		if base := h.column(c.base); c.method == codesDerived && (base == nil || base.form != formCoded) {
			r.fail("a column is derived from one that has no codes")
		}
	}
}

// chunkNumber reads the number of the first of n chunks.
func (r *reader) chunkNumber(h *mergedHead, n int) int {
	return r.count(len(h.chunks) - n)
}

// optionalChunk is chunkNumber where there may be none.
func (r *reader) optionalChunk(h *mergedHead, n int) int {
	return r.count(max(0, len(h.chunks)-n+1)) - 1
}

func (r *reader) mergedColumn(h *mergedHead, c *mergedColumn) {
	kind := c.Col.Kind()
	c.form = form(r.byte())
	switch {
	case r.err != nil:
		return
	case c.form == formConst && kind != tokenwatch.KindMap:
		r.constant(&c.Column)
		return
	case c.form == formPages:
	case c.form == formCoded && (kind == tokenwatch.KindText || kind == tokenwatch.KindAddr || kind == tokenwatch.KindInt || kind == tokenwatch.KindTime):
	default:
		r.fail("a form does not fit its column")
		return
	}
	c.Nulls = r.count(h.rows - 1)
	r.bounds(&c.Column)
	if c.form == formCoded {
		c.method = codeMethod(r.byte())
		switch {
		case r.err != nil:
		case c.method >= numMethods || (c.method == codesRuns) != (c.Col == tokenwatch.ColToken):
			r.fail("codes are written in an unknown way")
		case c.method == codesDerived:
			c.base = columnOf[r.byte()]
			if c.base == none || !mayDerive(c.Col, c.base) {
				r.fail("a column is derived from one it may not be")
				c.base = 0
			}
		}
		c.distinct = r.count(h.rows)
		c.dict, c.aux, c.counts = r.optionalChunk(h, 1), r.optionalChunk(h, 1), r.optionalChunk(h, 1)
		if r.err == nil && (c.dict < 0 || (c.aux >= 0) != (c.method == codesRuns || c.method == codesDerived)) {
			r.fail("a dictionary is missing")
		}
	}
	c.pages = r.optionalChunk(h, h.numPages())
	if r.err == nil && (c.pages < 0) != (c.form == formCoded && c.method == codesRuns) {
		r.fail("pages are missing")
	}
}

var errNoPieces = errors.New("merge segments: none given")
