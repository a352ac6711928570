package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// merger makes one merged segment.
type merger struct {
	e      *Encoder
	pieces []Piece
	starts []int // of each piece among the rows as they come in
	rows   int
	perm   []uint32 // for each row as it is written, which of those that come in
	head   mergedHead
	write  func(chunk []byte) error
	codes  map[tokenwatch.Col][]uint32 // of columns others may be derived from, or that are keys of series
	skip   []bool                      // rows, as written, that are duplicates; nil if none is
}

// Merge makes one segment of pieces that follow each other in the log, all of
// one tenant: rows sorted by token, time and place in the log, columns in pages.
// It gives the chunks to write, one after the other, which may keep none of
// them, and returns the head. Requests, namings and facts are kept as they are.
//
// It works through one column at a time, so that it needs memory for one column
// of all rows and the order they have.
func (e *Encoder) Merge(pieces []Piece, write func(chunk []byte) error) (head []byte, err error) {
	if len(pieces) == 0 {
		return nil, errNoPieces
	}
	m := &merger{e: e, pieces: pieces, write: write, codes: make(map[tokenwatch.Col][]uint32)}
	m.head.tenant = pieces[0].Tenant()
	last := tokenwatch.Offset(0)
	for _, p := range pieces {
		m.starts = append(m.starts, m.rows)
		m.rows += p.Rows()
		for _, part := range p.Parts() {
			if part.Offset <= last || p.Tenant() != m.head.tenant {
				return nil, fmt.Errorf("merge segments: the one at %d does not follow the one at %d", part.Offset, last)
			}
			last = part.Offset
			m.head.parts = append(m.head.parts, part)
		}
	}
	if m.rows > MaxRows || len(m.head.parts) > maxParts {
		return nil, fmt.Errorf("merge segments of %d rows: %w", m.rows, ErrTooLarge)
	}
	m.head.rows, m.head.page = m.rows, e.page
	e.thorough = true
	defer func() { e.thorough = false }()
	if err := m.merge(); err != nil {
		return nil, fmt.Errorf("merge segments %d to %d: %w", m.head.parts[0].Offset, last, err)
	}
	return m.head.append(nil), nil
}

func (m *merger) merge() error {
	if err := m.sort(); err != nil {
		return err
	}
	// Bases come before the columns derived from them.
	for rank := range 3 {
		for _, col := range columnOf {
			if col == none || col == tokenwatch.ColToken || baseRank(col) != rank || m.rows == 0 {
				continue
			}
			if err := m.column(col); err != nil {
				return fmt.Errorf("column %s: %w", col, err)
			}
		}
	}
	slices.SortFunc(m.head.columns, func(a, b mergedColumn) int {
		return int(columnNumber[a.Col]) - int(columnNumber[b.Col])
	})
	slices.SortFunc(m.head.filters, func(a, b mergedFilter) int {
		return int(columnNumber[a.col]) - int(columnNumber[b.col])
	})
	if err := m.series(); err != nil {
		return fmt.Errorf("series: %w", err)
	}
	return m.extras()
}

// chunk writes e.body as the next chunk and returns its number.
func (m *merger) chunk() (int, error) {
	body := m.e.body
	m.head.chunks = append(m.head.chunks, Extent{Length: len(body), Sum: crc32.Checksum(body, castagnoli)})
	m.e.body = body[:0]
	return len(m.head.chunks) - 1, m.write(body)
}

// input returns some columns of all rows as they come in.
func (m *merger) input(cols ...tokenwatch.Col) (*tokenwatch.Batch, error) {
	batches := make([]*tokenwatch.Batch, len(m.pieces))
	for i, p := range m.pieces {
		var err error
		if batches[i], err = p.Select(tokenwatch.Cols(cols...)); err != nil {
			return nil, err
		}
	}
	return tokenwatch.Concat(batches...), nil
}

// extras writes what the parts have besides rows.
func (m *merger) extras() error {
	var b []byte
	for _, p := range m.pieces {
		err := p.extras(func(_ int, extras [numExtras][]byte) error {
			b = appendExtras(b, extras)
			return nil
		})
		if err != nil {
			return err
		}
	}
	m.e.body = m.e.section(m.e.body[:0], b)
	var err error
	m.head.extras, err = m.chunk()
	return err
}

// tokens writes the tokens in their order and how many rows each has.
func (m *merger) tokens(codes []uint32, dict spans) error {
	c := mergedColumn{
		Column: Column{Col: tokenwatch.ColToken}, form: formCoded, method: codesRuns,
		distinct: len(dict.ends), dict: -1, aux: -1, counts: -1, pages: -1,
	}
	runs := make([]uint64, c.distinct+1)
	for _, code := range codes {
		runs[code]++
	}
	if c.Nulls = int(runs[0]); c.Nulls == m.rows {
		return nil
	}
	c.textBounds(dict)
	if c.Nulls == 0 && c.distinct == 1 && len(dict.bytes) <= maxBound {
		m.constant(&c, string(dict.bytes))
		return nil
	}
	var err error
	m.e.body = m.e.strings(m.e.body[:0], dict)
	if c.dict, err = m.chunk(); err != nil {
		return err
	}
	m.e.body = m.e.packed(m.e.body[:0], runs)
	if c.aux, err = m.chunk(); err != nil {
		return err
	}
	if err := m.counts(&c, codes); err != nil {
		return err
	}
	m.codes[tokenwatch.ColToken] = codes
	m.head.columns = append(m.head.columns, c)
	return nil
}

// constant notes a column of one text.
func (m *merger) constant(c *mergedColumn, text string) {
	m.head.columns = append(m.head.columns, mergedColumn{
		Column: Column{Col: c.Col, MinText: text, MaxText: text}, form: formConst,
		dict: -1, aux: -1, counts: -1, pages: -1,
	})
}

func (c *mergedColumn) textBounds(dict spans) {
	least, most := dict.bounds()
	c.MinText = lowerBound(least)
	c.MaxText, c.Open = upperBound(most)
}

// maxCounted is the most values a column may have for its rows to be counted by
// value; of tokens they always are.
const maxCounted = 4096

// counts writes how many rows that are no duplicates have each code. Those of
// tokens without duplicates are their runs.
func (m *merger) counts(c *mergedColumn, codes []uint32) (err error) {
	if c.Col == tokenwatch.ColToken && m.skip == nil || c.Col != tokenwatch.ColToken && c.distinct > maxCounted {
		return nil
	}
	counts := make([]uint64, c.distinct+1)
	for i, code := range codes {
		if m.skip == nil || !m.skip[i] {
			counts[code]++
		}
	}
	m.e.body = m.e.packed(m.e.body[:0], counts)
	c.counts, err = m.chunk()
	return err
}

// column writes a column.
func (m *merger) column(col tokenwatch.Col) error {
	in, err := m.input(col)
	if err != nil {
		return err
	}
	v := in.Column(col)
	c := mergedColumn{Column: Column{Col: col}, dict: -1, aux: -1, counts: -1, pages: -1}
	var values dictionary
	switch col.Kind() {
	case tokenwatch.KindText:
		if v.Codes == nil {
			return nil
		}
		values = textValues(v, m.perm)
	case tokenwatch.KindAddr:
		if v.Addrs == nil {
			return nil
		}
		values = addrValues(v, m.perm)
	case tokenwatch.KindTime, tokenwatch.KindInt:
		if v.Ints == nil {
			return nil
		}
		values = intValues(v, m.perm)
	case tokenwatch.KindString:
		if v.Text.Offsets == nil {
			return nil
		}
	case tokenwatch.KindBool:
		if v.Bools == nil {
			return nil
		}
	case tokenwatch.KindMap:
		if in.Attrs().Offsets == nil {
			return nil
		}
	}
	if values.codes != nil {
		return m.coded(&c, &values)
	}
	return m.paged(&c, in)
}

// paged writes a column page by page, each page by itself.
func (m *merger) paged(c *mergedColumn, in *tokenwatch.Batch) error {
	c.form = formPages
	var pages [][]byte
	whole := true
	for lo := 0; lo < m.rows; lo += m.head.page {
		hi := min(lo+m.head.page, m.rows)
		page := in.Take(m.perm[lo:hi])
		own := Column{Col: c.Col}
		m.e.body = m.e.body[:0]
		some := m.e.column(&own, page)
		if !some {
			own.Nulls = hi - lo
			if c.Col.Kind() == tokenwatch.KindBool {
				own.Nulls = 0
			}
			pages = append(pages, nil)
		} else {
			body := m.e.body
			b := appendPageHead(make([]byte, 0, len(body)+160), &own)
			pages = append(pages, append(b, body...))
		}
		c.join(&own, some, whole)
		whole = whole && !some
	}
	if whole {
		return nil // no row has a value
	}
	c.pages = len(m.head.chunks)
	for _, b := range pages {
		m.e.body = append(m.e.body[:0], b...)
		if _, err := m.chunk(); err != nil {
			return err
		}
	}
	m.head.columns = append(m.head.columns, *c)
	if c.Col.Kind() != tokenwatch.KindString {
		return nil
	}
	return m.filterStrings(c.Col, in.Column(c.Col))
}

// appendPageHead appends what a page says of itself.
func appendPageHead(b []byte, c *Column) []byte {
	b = append(b, byte(c.Codec))
	if c.Codec == CodecConst {
		return appendConstant(b, c)
	}
	return appendBounds(binary.AppendUvarint(b, uint64(c.Nulls)), c)
}

// join widens the bounds of a column by those of a page.
func (c *mergedColumn) join(p *Column, some, first bool) {
	c.Nulls += p.Nulls
	switch {
	case !some:
	case first:
		nulls := c.Nulls
		c.Column = *p
		c.Codec, c.Extent, c.Nulls = 0, Extent{}, nulls
	default:
		c.Min, c.Max = min(c.Min, p.Min), max(c.Max, p.Max)
		if c.Col.Kind() == tokenwatch.KindAddr {
			if less(p.MinAddr, c.MinAddr) {
				c.MinAddr = p.MinAddr
			}
			if less(c.MaxAddr, p.MaxAddr) {
				c.MaxAddr = p.MaxAddr
			}
		}
		c.MinText = min(c.MinText, p.MinText)
		c.MaxText = max(c.MaxText, p.MaxText)
		c.Open = c.Open || p.Open
		if c.Open {
			c.MaxText = ""
		}
	}
}
