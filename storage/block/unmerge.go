package block

import (
	"fmt"
	"math"
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// Merged is a merged segment to read from, from many goroutines. What it keeps
// in memory are dictionaries, as they are needed.
type Merged struct {
	d    *Decoder
	head *mergedHead
	load Load
	*kept
}

// Load calls f with a chunk, which f does not keep. It may be called from many
// goroutines.
type Load func(chunk int, f func([]byte) error) error

// kept is what a merged segment keeps in memory, as it is needed.
type kept struct {
	mu    sync.Mutex
	dicts map[tokenwatch.Col]*Values
	runs  []int // where the rows of each token begin, null first
}

// With returns the segment with another way to read its chunks. Both share what
// they keep in memory.
func (m *Merged) With(load Load) *Merged {
	other := *m
	other.load = load
	return &other
}

// OpenMerged checks the head of a merged segment, which it does not keep.
// Errors are those of Decode, and later those of load.
func (d *Decoder) OpenMerged(head []byte, load Load) (*Merged, error) {
	h, err := readMergedHead(head)
	if err != nil {
		return nil, err
	}
	return &Merged{d, h, load, &kept{dicts: make(map[tokenwatch.Col]*Values)}}, nil
}

// Rows returns how many rows the segment has.
func (m *Merged) Rows() int { return m.head.rows }

// Tenant returns whose rows they are.
func (m *Merged) Tenant() string { return m.head.tenant }

// Parts returns the appended segments that were merged.
func (m *Merged) Parts() []Part { return m.head.parts }

// Chunks returns how many chunks follow each other, and their bytes in all.
func (m *Merged) Chunks() (n, bytes int) {
	n = len(m.head.chunks)
	if n > 0 {
		last := m.head.chunks[n-1]
		bytes = last.Offset + last.Length
	}
	return n, bytes
}

// Column returns what the head says of a column, false if it has no value in
// any row. It has no codec and no extent.
func (m *Merged) Column(c tokenwatch.Col) (col Column, constant, ok bool) {
	if mc := m.head.column(c); mc != nil {
		return mc.Column, mc.form == formConst, true
	}
	return Column{Col: c}, false, false
}

// chunk reads a chunk: f is given a reader of it, and must read it to the end.
func (m *Merged) chunk(n int, part string, f func(*reader) error) error {
	x := m.head.chunks[n]
	return m.load(n, func(b []byte) error {
		if len(b) != x.Length {
			return &Corrupt{Part: part, Offset: x.Offset, Reason: "a chunk has another length"}
		}
		own := x
		own.Offset = 0
		cells := m.d.cells
		r, err := m.d.open(b, own, part, &cells)
		if err != nil {
			return err
		}
		r.base = x.Offset
		if err := f(r); err != nil {
			return err
		}
		return r.done()
	})
}

// Select decodes some columns of the rows from lo up to hi. The batch has no
// namings and no facts; its dictionaries hold values of other rows as well.
func (m *Merged) Select(cols tokenwatch.ColSet, lo, hi int) (*tokenwatch.Batch, error) {
	if lo < 0 || hi < lo || hi > m.head.rows {
		return nil, fmt.Errorf("rows %d to %d of a segment of %d", lo, hi, m.head.rows)
	}
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	var attrs tokenwatch.Attributes
	codes := make(map[tokenwatch.Col][]uint32)
	for i := range m.head.columns {
		c := &m.head.columns[i]
		if !cols.Has(c.Col) || lo == hi {
			continue
		}
		var err error
		switch c.form {
		case formConst:
			cells := m.d.cells
			r := &reader{cells: &cells, part: c.Col.String()}
			columns[c.Col] = r.fill(&c.Column, hi-lo)
			err = r.err
		case formCoded:
			columns[c.Col], err = m.coded(c, codes, lo, hi)
		default:
			columns[c.Col], attrs, err = m.paged(c, attrs, lo, hi)
		}
		if err != nil {
			return nil, err
		}
	}
	b, err := tokenwatch.NewBatch(hi-lo, columns, attrs, nil)
	if err != nil {
		return nil, &Corrupt{Part: "columns", Reason: err.Error()}
	}
	return b, nil
}

// coded decodes a column with a dictionary.
func (m *Merged) coded(c *mergedColumn, known map[tokenwatch.Col][]uint32, lo, hi int) (v tokenwatch.Vector, err error) {
	dict, err := m.values(c)
	if err != nil {
		return v, err
	}
	codes, err := m.codes(c, known, lo, hi)
	if err != nil {
		return v, err
	}
	switch c.Col.Kind() {
	case tokenwatch.KindText:
		return tokenwatch.Vector{Codes: codes, Dict: dict.Text}, nil
	case tokenwatch.KindAddr:
		v.Addrs = make([]byte, 16*(hi-lo))
		for i, code := range codes {
			if code != 0 {
				copy(v.Addrs[16*i:16*i+16], dict.Addrs[16*(code-1):])
			}
		}
	default:
		v.Ints = make([]int64, hi-lo)
		for i, code := range codes {
			if code != 0 {
				v.Ints[i] = dict.Ints[code-1]
			}
		}
	}
	if c.Nulls > 0 {
		v.Valid = make(tokenwatch.Bitmap, (hi-lo+7)/8)
		for i, code := range codes {
			if code != 0 {
				v.Valid.Set(i)
			}
		}
	}
	return v, nil
}

// Codes returns the codes of some rows of a column, nil if it has no
// dictionary; see Values.
func (m *Merged) Codes(col tokenwatch.Col, lo, hi int) ([]uint32, error) {
	c := m.head.column(col)
	if c == nil || c.form != formCoded || lo < 0 || hi < lo || hi > m.head.rows {
		return nil, nil
	}
	return m.codes(c, make(map[tokenwatch.Col][]uint32), lo, hi)
}

// codes decodes codes of a column. known holds those of the same rows that were
// decoded before, and takes them up.
func (m *Merged) codes(c *mergedColumn, known map[tokenwatch.Col][]uint32, lo, hi int) ([]uint32, error) {
	if codes, ok := known[c.Col]; ok {
		return codes, nil
	}
	out := make([]uint32, hi-lo)
	if err := m.fillCodes(c, known, out, lo, hi); err != nil {
		return nil, err
	}
	known[c.Col] = out
	return out, nil
}

func (m *Merged) fillCodes(c *mergedColumn, known map[tokenwatch.Col][]uint32, out []uint32, lo, hi int) error {
	if c.method == codesRuns {
		starts, err := m.tokenStarts(c)
		if err != nil {
			return err
		}
		for code := range c.distinct + 1 {
			for i := max(lo, starts[code]); i < min(hi, starts[code+1]); i++ {
				out[i-lo] = uint32(code)
			}
		}
		return nil
	}
	var to, base []uint32
	if c.method == codesDerived {
		of := m.head.column(c.base)
		to = make([]uint32, of.distinct+1)
		err := m.chunk(c.aux, c.Col.String(), func(r *reader) error {
			var buf []byte
			unpack(r, to, &buf)
			r.checkCodes(to, c.distinct)
			return r.err
		})
		if err != nil {
			return err
		}
		// Exceptions are told page by page: the base is needed for whole pages only
		// where rows are left out, but where none is it may be known.
		if base, err = m.codes(of, known, lo, hi); err != nil {
			return err
		}
	}
	var scratch []uint32
	for page := lo / m.head.page; page*m.head.page < hi; page++ {
		first, end := page*m.head.page, min((page+1)*m.head.page, m.head.rows)
		from, until := max(first, lo), min(end, hi)
		dst := out[from-lo : until-lo]
		whole := dst
		if len(dst) < end-first {
			if scratch == nil {
				scratch = make([]uint32, m.head.page)
			}
			whole = scratch[:end-first]
		}
		err := m.chunk(c.pages+page, c.Col.String(), func(r *reader) error {
			if c.method == codesDerived {
				clear(whole)
				copy(whole[from-first:], base[from-lo:until-lo])
				r.derived(whole, whole, to, new([]byte))
			} else {
				m.readCodes(r, c, whole)
			}
			r.checkCodes(whole, c.distinct)
			return r.err
		})
		if err != nil {
			return err
		}
		if len(dst) < end-first {
			copy(dst, whole[from-first:until-first])
		}
	}
	return nil
}

func (m *Merged) readCodes(r *reader, c *mergedColumn, codes []uint32) {
	var buf []byte
	switch c.method {
	case codesRecent:
		unpack(r, codes, &buf)
		r.recent(codes, c.distinct)
	case codesNewest:
		next := uint32(r.count(c.distinct + 1))
		unpack(r, codes, &buf)
		r.newest(codes, next)
	default:
		unpack(r, codes, &buf)
	}
}

// paged decodes a column of independent pages.
func (m *Merged) paged(c *mergedColumn, attrs tokenwatch.Attributes, lo, hi int) (v tokenwatch.Vector, _ tokenwatch.Attributes, err error) {
	var parts []*tokenwatch.Batch
	for page := lo / m.head.page; page*m.head.page < hi; page++ {
		first, end := page*m.head.page, min((page+1)*m.head.page, m.head.rows)
		b, err := m.page(c, page, end-first)
		if err != nil {
			return v, attrs, err
		}
		if from, until := max(first, lo), min(end, hi); until-from < end-first {
			b = b.Slice(from-first, until-first)
		}
		parts = append(parts, b)
	}
	if v, ok := join(parts, c.Col, hi-lo); ok {
		return v, attrs, nil
	}
	joined := tokenwatch.Concat(parts...)
	if c.Col.Kind() == tokenwatch.KindMap {
		return v, *joined.Attrs(), nil
	}
	return *joined.Column(c.Col), attrs, nil
}

// join is Concat for one column of numbers or strings that has no nulls, into
// memory that is taken once; false if it is another.
func join(parts []*tokenwatch.Batch, col tokenwatch.Col, rows int) (v tokenwatch.Vector, ok bool) {
	size := 0
	for _, b := range parts {
		p := b.Column(col)
		if len(parts) == 1 || p.Valid != nil || len(p.Ints) == 0 && p.Text.Offsets == nil {
			return v, false
		}
		size += len(p.Text.Bytes)
	}
	switch col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		v.Ints = make([]int64, 0, rows)
		for _, b := range parts {
			v.Ints = append(v.Ints, b.Column(col).Ints...)
		}
	case tokenwatch.KindString:
		if size > math.MaxInt32 {
			return v, false
		}
		v.Text = tokenwatch.Strings{Offsets: make([]int32, 1, rows+1), Bytes: make([]byte, 0, size)}
		for _, b := range parts {
			base, text := int32(len(v.Text.Bytes)), b.Column(col).Text
			v.Text.Bytes = append(v.Text.Bytes, text.Bytes...)
			for _, end := range text.Offsets[1:] {
				v.Text.Offsets = append(v.Text.Offsets, base+end)
			}
		}
	default:
		return v, false
	}
	return v, true
}

// page decodes one page of a column.
func (m *Merged) page(c *mergedColumn, page, rows int) (*tokenwatch.Batch, error) {
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	var attrs tokenwatch.Attributes
	if m.head.chunks[c.pages+page].Length > 0 {
		err := m.chunk(c.pages+page, c.Col.String(), func(r *reader) error {
			buf := m.d.pool.Get().(*scratch)
			defer m.d.pool.Put(buf)
			own := Column{Col: c.Col}
			r.column(&own, rows)
			switch {
			case r.err != nil:
			case own.Codec == CodecPairs:
				attrs = r.attrs(rows, buf)
			default:
				columns[c.Col] = r.vector(&own, rows, buf)
			}
			return r.err
		})
		if err != nil {
			return nil, err
		}
	}
	b, err := tokenwatch.NewBatch(rows, columns, attrs, nil)
	if err != nil {
		return nil, &Corrupt{Part: c.Col.String(), Offset: m.head.chunks[c.pages+page].Offset, Reason: err.Error()}
	}
	return b, nil
}

// Page returns which rows are decoded together with one.
func (m *Merged) Page(row int) (lo, hi int) {
	lo = row - row%m.head.page
	return lo, min(lo+m.head.page, m.head.rows)
}
