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

// Values is the dictionary of a column of a merged segment, in no order but
// that of tokens, which are sorted. Value i has code i+1, null code 0.
type Values struct {
	Len   int
	Text  tokenwatch.Strings // KindText; value 0 is "" and stands for null
	Ints  []int64            // KindInt
	Addrs []byte             // KindAddr, 16 bytes each
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

// Values returns the dictionary of a column, nil if it has none. It is only to
// be read.
func (m *Merged) Values(col tokenwatch.Col) (*Values, error) {
	c := m.head.column(col)
	if c == nil || c.form != formCoded {
		return nil, nil
	}
	return m.values(c)
}

func (m *Merged) values(c *mergedColumn) (*Values, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.dicts[c.Col]; v != nil {
		return v, nil
	}
	v := &Values{Len: c.distinct}
	err := m.chunk(c.dict, c.Col.String(), func(r *reader) error {
		var buf []byte
		switch c.Col.Kind() {
		case tokenwatch.KindText:
			v.Text = r.strings(c.distinct, 1, nil, 0, &buf)
		case tokenwatch.KindAddr:
			v.Addrs = r.addrDict(c.distinct, &buf)
		default:
			if r.take(c.distinct, 8) {
				v.Ints = make([]int64, c.distinct)
				unpack(r, v.Ints, &buf)
				for i := range v.Ints {
					v.Ints[i] = int64(uint64(v.Ints[i]) + uint64(c.Min))
				}
			}
		}
		return r.err
	})
	if err != nil {
		return nil, err
	}
	m.dicts[c.Col] = v
	return v, nil
}

// addrDict reads what Encoder.addrDict wrote.
func (r *reader) addrDict(n int, buf *[]byte) []byte {
	size := int(r.byte())
	if r.err == nil && size != 4 && size != 16 {
		r.fail("addresses are written in an unknown way")
	}
	if !r.take(n, 16) {
		return nil
	}
	values := r.section(n*size, buf)
	if r.err != nil {
		return nil
	}
	out := make([]byte, 16*n)
	for i := range n {
		a := out[16*i : 16*i+16]
		copy(a, prefix4[:])
		copy(a[16-size:], values[size*i:size*i+size])
	}
	return out
}

// Counts returns how many rows that are no duplicates have each code of a
// column's dictionary, nil if the segment does not say.
func (m *Merged) Counts(col tokenwatch.Col) ([]int, error) {
	c := m.head.column(col)
	if c == nil || c.form != formCoded {
		return nil, nil
	}
	if c.counts < 0 {
		if c.method != codesRuns {
			return nil, nil
		}
		starts, err := m.tokenStarts(c)
		if err != nil {
			return nil, err
		}
		out := make([]int, c.distinct+1)
		for i := range out {
			out[i] = starts[i+1] - starts[i]
		}
		return out, nil
	}
	out := make([]int64, c.distinct+1)
	err := m.chunk(c.counts, c.Col.String(), func(r *reader) error {
		var buf []byte
		unpack(r, out, &buf)
		return r.err
	})
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(out))
	for i, n := range out {
		if n < 0 || n > int64(m.head.rows) {
			return nil, &Corrupt{Part: c.Col.String(), Offset: m.head.chunks[c.counts].Offset, Reason: "more rows are counted than there are"}
		}
		counts[i] = int(n)
	}
	return counts, nil
}

// Counted tells whether Counts says something of a column of texts or numbers.
func (m *Merged) Counted(col tokenwatch.Col) bool {
	c := m.head.column(col)
	return c != nil && c.form == formCoded && (c.counts >= 0 || c.method == codesRuns) &&
		(col.Kind() == tokenwatch.KindText || col.Kind() == tokenwatch.KindInt)
}

// tokenStarts returns where the rows of each token begin, null first, and at
// last where they end.
func (m *Merged) tokenStarts(c *mergedColumn) ([]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs != nil {
		return m.runs, nil
	}
	starts := make([]int, c.distinct+2)
	err := m.chunk(c.aux, c.Col.String(), func(r *reader) error {
		runs := make([]int32, c.distinct+1)
		var buf []byte
		unpack(r, runs, &buf)
		at := 0
		for i, n := range runs {
			at += int(n)
			starts[i+1] = at
		}
		if at != m.head.rows {
			r.fail("the rows of the tokens do not add up")
		}
		return r.err
	})
	if err != nil {
		return nil, err
	}
	m.runs = starts
	return starts, nil
}

// TokenRows returns where the rows of a token lie; lo = hi if it has none.
func (m *Merged) TokenRows(token string) (lo, hi int, err error) {
	c := m.head.column(tokenwatch.ColToken)
	if c == nil || token == "" {
		return 0, 0, nil
	}
	if c.form == formConst {
		if c.MinText == token {
			return 0, m.head.rows, nil
		}
		return 0, 0, nil
	}
	v, err := m.values(c)
	if err != nil {
		return 0, 0, err
	}
	starts, err := m.tokenStarts(c)
	if err != nil {
		return 0, 0, err
	}
	low, high := 1, c.distinct+1
	for low < high {
		if mid := (low + high) / 2; v.Text.At(mid) < token {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low > c.distinct || v.Text.At(low) != token {
		return 0, 0, nil
	}
	return starts[low], starts[low+1], nil
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

// order returns for each row its place in the log among the rows of the segment.
func (m *Merged) order() ([]uint32, error) {
	n := m.head.rows
	places := make([]int64, n)
	err := m.chunk(m.head.order, "order", func(r *reader) error {
		var buf []byte
		unpack(r, places, &buf)
		if r.err != nil {
			return r.err
		}
		last := int64(-1)
		for i, x := range places {
			last += 1 + int64(uint64(x)>>1^-(uint64(x)&1))
			if last < 0 || last >= int64(n) {
				r.fail("a row has no place in the log")
				return r.err
			}
			places[i] = last
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	byTime := make([]uint32, n)
	for i := range byTime {
		byTime[i] = uint32(i)
	}
	b, err := m.Select(tokenwatch.Cols(tokenwatch.ColTime), 0, n)
	if err != nil {
		return nil, err
	}
	if times := b.Column(tokenwatch.ColTime); times.Ints != nil {
		byTime, _ = sortByTime(byTime, make([]uint32, n), func(p uint32) int64 { return times.Ints[p] }, func(p uint32) bool { return times.Valid.At(int(p)) })
	}
	out, seen := make([]uint32, n), make(tokenwatch.Bitmap, (n+7)/8)
	for k, i := range byTime {
		at := uint32(places[k])
		if seen.At(int(at)) {
			return nil, &Corrupt{Part: "order", Offset: m.head.chunks[m.head.order].Offset, Reason: "two rows have one place in the log"}
		}
		seen.Set(int(at))
		out[i] = at
	}
	return out, nil
}

// Logged returns the rows of the segment in the order of the log.
func (m *Merged) Logged() ([]uint32, error) {
	order, err := m.order()
	if err != nil {
		return nil, err
	}
	rows := make([]uint32, len(order))
	for row, at := range order {
		rows[at] = uint32(row)
	}
	return rows, nil
}

// Page returns which rows are decoded together with one.
func (m *Merged) Page(row int) (lo, hi int) {
	lo = row - row%m.head.page
	return lo, min(lo+m.head.page, m.head.rows)
}

// extras calls f with what each part has besides rows.
func (m *Merged) extras(f func(part int, extras [numExtras][]byte) error) error {
	return m.chunk(m.head.extras, "extras", func(r *reader) error {
		r.unwrap()
		for i := range m.head.parts {
			extras := r.extras()
			if r.err != nil {
				return r.err
			}
			if err := f(i, extras); err != nil {
				return err
			}
		}
		return nil
	})
}

// Entries returns the entries of the parts from up to, not including, to, as
// they were appended.
func (m *Merged) Entries(from, to int) ([]tokenwatch.Entry, error) {
	parts := m.head.parts
	lo := 0
	for _, p := range parts[:from] {
		lo += p.Rows
	}
	rows := 0
	for _, p := range parts[from:to] {
		rows += p.Rows
	}
	batch, err := m.logged(lo, lo+rows)
	if err != nil {
		return nil, err
	}
	entries := make([]tokenwatch.Entry, to-from)
	at := 0
	for i := range entries {
		p := parts[from+i]
		own := make([]uint32, p.Rows)
		for k := range own {
			own[k] = uint32(at + k)
		}
		at += p.Rows
		entries[i] = tokenwatch.Entry{Offset: p.Offset, Tenant: m.head.tenant, Time: p.Time, Batch: batch.Take(own)}
	}
	err = m.extras(func(part int, extras [numExtras][]byte) error {
		if part < from || part >= to {
			return nil
		}
		return m.d.unpackExtras(&entries[part-from], parts[part].layout, extras)
	})
	return entries, err
}

// Requests returns the requests of one part and decodes nothing else.
func (m *Merged) Requests(part int) ([]tokenwatch.Request, error) {
	var out []tokenwatch.Request
	err := m.extras(func(i int, extras [numExtras][]byte) error {
		if i != part || len(extras[extraRequests]) == 0 {
			return nil
		}
		cells := m.d.cells
		r := &reader{b: extras[extraRequests], part: "extras", cells: &cells, zstd: m.d.zstd}
		r.unwrap()
		out = r.requests()
		return r.done()
	})
	return out, err
}

// unpackExtras gives an entry its requests, namings and facts.
func (d *Decoder) unpackExtras(e *tokenwatch.Entry, layout int, extras [numExtras][]byte) error {
	cells := d.cells
	for i, b := range extras {
		if len(b) == 0 {
			continue
		}
		r := &reader{b: b, part: "extras", cells: &cells, zstd: d.zstd}
		r.unwrap()
		var err error
		switch i {
		case extraRequests:
			e.Requests = r.requests()
		case extraNames:
			e.Batch = e.Batch.WithNames(r.names(layout))
		case extraFacts:
			if facts := r.facts(e.Batch.Rows()); r.err == nil {
				e.Batch, err = e.Batch.WithFacts(facts)
			}
		}
		if r.done() != nil {
			return r.err
		}
		if err != nil {
			return &Corrupt{Part: "extras", Reason: err.Error()}
		}
	}
	return nil
}

// logged returns the rows whose places in the log lie from lo up to hi, in that
// order.
func (m *Merged) logged(lo, hi int) (*tokenwatch.Batch, error) {
	order, err := m.order()
	if err != nil {
		return nil, err
	}
	var parts []*tokenwatch.Batch
	place := make([]uint32, hi-lo) // in the joined parts, by place in the log
	n := uint32(0)
	for first := 0; first < m.head.rows; first += m.head.page {
		end := min(first+m.head.page, m.head.rows)
		var rows []uint32
		for i := first; i < end; i++ {
			if at := int(order[i]); at >= lo && at < hi {
				place[at-lo] = n
				n++
				rows = append(rows, uint32(i-first))
			}
		}
		if len(rows) == 0 {
			continue
		}
		b, err := m.Select(tokenwatch.AllCols, first, end)
		if err != nil {
			return nil, err
		}
		parts = append(parts, b.Take(rows))
	}
	if n > math.MaxInt32 || len(parts) == 0 {
		var none [tokenwatch.NumColumns]tokenwatch.Vector
		return tokenwatch.NewBatch(hi-lo, none, tokenwatch.Attributes{}, nil)
	}
	return tokenwatch.Concat(parts...).Take(place), nil
}

// mergedPiece is a merged segment that is merged again.
type mergedPiece struct{ *Merged }

// Piece returns the segment to be merged with others.
func (m *Merged) Piece() Piece { return mergedPiece{m} }

func (p mergedPiece) Select(cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	return p.Merged.Select(cols, 0, p.Rows())
}
