package block

import (
	"encoding/binary"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// mergedSeries is what the head of a merged segment says of one of the series
// that it carries: the cells of its rows, as series.Rows counts them.
type mergedSeries struct {
	kind   series.Kind
	cells  int
	counts int                 // the chunk of keys, times and counts
	chunks [numSeriesParts]int // of each measure, -1 if it is not written
}

// seriesParts are the measures in the order in which the head names their chunks.
// A place keeps its meaning for ever.
var seriesParts = [...]series.Measures{series.Errors, series.BytesIn, series.BytesOut, series.Durations, series.Sources}

const numSeriesParts = 5

// seriesKeys are the columns of which series have keys.
var seriesKeys = func() (cols tokenwatch.ColSet) {
	for _, k := range series.Kinds {
		for _, c := range k.Columns() {
			cols = cols.With(c)
		}
	}
	return cols
}()

// What a series may cost: a series is written if it has at most one cell for so
// many rows, and of a measure what takes at most so many rows a byte. What is not
// written is counted from the rows when it is asked for.
const (
	seriesRowsPerCell = 4
	seriesRowsPerByte = 2
)

// series writes the series of the rows.
func (m *merger) series() error {
	if m.head.column(tokenwatch.ColTime) == nil {
		return nil
	}
	cols := tokenwatch.Cols(tokenwatch.ColTime, tokenwatch.ColDuplicate, tokenwatch.ColStatus, tokenwatch.ColOutcome,
		tokenwatch.ColBytesIn, tokenwatch.ColBytesOut, tokenwatch.ColDuration)
	in, err := m.input(slices.Collect(cols.All())...)
	if err != nil {
		return err
	}
	var rows series.Rows
	rows.Measure(in, m.perm)
	plain := false // some key has values, but no codes
	for c := range seriesKeys.All() {
		h := m.head.column(c)
		switch {
		case h == nil:
		case h.form == formConst:
			rows.Keys[c] = series.Codes{One: 1, Distinct: 1}
		case h.form == formCoded:
			rows.Keys[c] = series.Codes{Of: m.codes[c], Distinct: h.distinct}
		default:
			plain = true
		}
	}
	for _, k := range series.Kinds {
		ms := series.AllMeasures.Of(k)
		for _, c := range k.Columns() {
			if h := m.head.column(c); plain && h != nil && h.form == formPages {
				ms = 0
			}
		}
		if h := m.head.column(tokenwatch.ColSrcIP); h != nil && h.form == formPages {
			ms &^= series.Sources
		}
		if ms == 0 {
			continue
		}
		limit := m.rows / seriesRowsPerCell
		if m.e.lavish {
			limit = m.rows
		}
		if t := rows.Count(k, ms, max(limit, 1)); t != nil && t.Len() > 0 {
			if err := m.table(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// table writes the cells of one series.
func (m *merger) table(t *series.Table) (err error) {
	s := mergedSeries{kind: t.Kind, cells: t.Len()}
	m.e.body = m.e.cellKeys(m.e.body[:0], t)
	if s.counts, err = m.chunk(); err != nil {
		return err
	}
	for i, ms := range seriesParts {
		s.chunks[i] = -1
		if !t.Measures.Has(ms) {
			continue
		}
		m.e.body = m.e.cellMeasure(m.e.body[:0], t, ms)
		if len(m.e.body) > 64+m.rows/seriesRowsPerByte && !m.e.lavish {
			continue
		}
		if s.chunks[i], err = m.chunk(); err != nil {
			return err
		}
	}
	m.head.series = append(m.head.series, s)
	return nil
}

func zigzag(d int64) uint64 { return uint64(d<<1) ^ uint64(d>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// cellKeys appends the chunk of keys, times and counts.
func (e *Encoder) cellKeys(dst []byte, t *series.Table) []byte {
	list := func(n int, at func(i int) uint64) {
		e.words = e.words[:0]
		for i := range n {
			e.words = append(e.words, at(i))
		}
		dst = e.packed(dst, e.words)
	}
	for j := range t.Keys {
		codes := t.Keys[j].Codes
		last := uint32(0)
		list(len(codes), func(i int) uint64 {
			d := int64(codes[i]) - int64(last)
			last = codes[i]
			return zigzag(d)
		})
	}
	least := slices.Min(t.Steps)
	dst = binary.AppendVarint(dst, least)
	last := least
	list(len(t.Steps), func(i int) uint64 {
		d := t.Steps[i] - last
		last = t.Steps[i]
		return zigzag(d)
	})
	list(len(t.Counts), func(i int) uint64 { return uint64(t.Counts[i] - 1) })
	return dst
}

// cellMeasure appends the chunk of a measure.
func (e *Encoder) cellMeasure(dst []byte, t *series.Table, ms series.Measures) []byte {
	pack := func(f func()) {
		e.words = e.words[:0]
		f()
		dst = e.packed(dst, e.words)
	}
	put := func(u uint64) { e.words = append(e.words, u) }
	sizes := func(ends []int32) {
		last := int32(0)
		for _, end := range ends {
			put(uint64(end - last))
			last = end
		}
	}
	sums := func(v []int64) {
		for _, x := range v {
			put(zigzag(x))
		}
	}
	switch ms {
	case series.Errors:
		for _, counts := range t.Errors {
			pack(func() {
				for _, n := range counts {
					put(uint64(n))
				}
			})
		}
	case series.BytesIn:
		pack(func() { sums(t.BytesIn) })
	case series.BytesOut:
		pack(func() { sums(t.BytesOut) })
	case series.Durations:
		pack(func() { sizes(t.Bins.Ends) })
		at := 0
		pack(func() {
			for _, end := range t.Bins.Ends {
				last := int64(0)
				for ; at < int(end); at++ {
					put(zigzag(int64(t.Bins.Bin[at]) - last))
					last = int64(t.Bins.Bin[at])
				}
			}
		})
		pack(func() {
			for _, n := range t.Bins.Counts {
				put(uint64(n - 1))
			}
		})
	case series.Sources:
		pack(func() { sizes(t.Addrs.Ends) })
		at := 0
		pack(func() {
			for _, end := range t.Addrs.Ends {
				last := int64(0)
				for ; at < int(end); at++ {
					put(uint64(int64(t.Addrs.Codes[at]) - last - 1))
					last = int64(t.Addrs.Codes[at])
				}
			}
		})
	}
	return dst
}

// appendSeries appends what the head says of the series.
func appendSeries(b []byte, list []mergedSeries) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = append(b, byte(s.kind))
		b = binary.AppendUvarint(b, uint64(s.cells))
		b = binary.AppendUvarint(b, uint64(s.counts))
		for _, chunk := range s.chunks {
			b = binary.AppendUvarint(b, uint64(chunk+1))
		}
	}
	return b
}

// mergedSeries reads what appendSeries wrote.
func (r *reader) mergedSeries(h *mergedHead) {
	last := series.Kind(0)
	for range r.count(len(series.Kinds)) {
		s := mergedSeries{kind: series.Kind(r.byte())}
		if r.err == nil && (!s.kind.Valid() || s.kind <= last) {
			r.fail("a series is unknown or out of order")
		}
		if s.cells = r.count(h.rows); s.cells == 0 {
			r.fail("a series has no cells")
		}
		s.counts = r.chunkNumber(h, 1)
		for i := range s.chunks {
			s.chunks[i] = r.optionalChunk(h, 1)
		}
		if r.err != nil {
			return
		}
		last = s.kind
		for _, c := range s.kind.Columns() {
			if k := h.column(c); k != nil && k.form == formPages {
				r.fail("a series has a key without a dictionary")
			}
		}
		if k := h.column(tokenwatch.ColSrcIP); s.chunks[4] >= 0 && k != nil && k.form == formPages {
			r.fail("a series has addresses without a dictionary")
		}
		h.series = append(h.series, s)
	}
}

// SeriesBytes returns how many bytes its series take. ok is false if the segment
// is of a layout that has none.
func (m *Merged) SeriesBytes() (n int, ok bool) {
	for _, s := range m.head.series {
		for _, chunk := range append(s.chunks[:], s.counts) {
			if chunk >= 0 {
				n += m.head.chunks[chunk].Length
			}
		}
	}
	return n, m.head.version >= 2
}

// Measures returns those of a series that the segment carries; ok is false if it
// does not carry the series.
func (m *Merged) Measures(kind series.Kind) (ms series.Measures, ok bool) {
	for _, s := range m.head.series {
		if s.kind != kind {
			continue
		}
		for i, part := range seriesParts {
			if s.chunks[i] >= 0 {
				ms |= part
			}
		}
		return ms, true
	}
	return 0, false
}

// Series returns the cells of a series with at least some measures, nil if the
// segment does not carry them: then they are those of its rows, see series.Of.
func (m *Merged) Series(kind series.Kind, ms series.Measures) (*series.Table, error) {
	ms = ms.Of(kind)
	at := slices.IndexFunc(m.head.series, func(s mergedSeries) bool { return s.kind == kind })
	if at < 0 {
		return nil, nil
	}
	s := &m.head.series[at]
	for i, part := range seriesParts {
		if ms.Has(part) && s.chunks[i] < 0 {
			return nil, nil
		}
	}
	t := &series.Table{Kind: kind, Measures: ms}
	err := m.chunk(s.counts, "series", func(r *reader) error {
		r.cellKeys(m.head, t, s.cells)
		return r.err
	})
	if err != nil {
		return nil, err
	}
	for i, c := range kind.Columns() {
		if err := m.keyValues(c, &t.Keys[i]); err != nil {
			return nil, err
		}
	}
	for i, part := range seriesParts {
		if !ms.Has(part) {
			continue
		}
		err := m.chunk(s.chunks[i], "series", func(r *reader) error {
			r.cellMeasure(m.head, t, part)
			return r.err
		})
		if err != nil {
			return nil, err
		}
	}
	if ms.Has(series.Sources) {
		var addrs series.Values
		if err := m.keyValues(tokenwatch.ColSrcIP, &addrs); err != nil {
			return nil, err
		}
		t.Addrs.Addrs = addrs.Addrs
	}
	return t, nil
}

// keyValues gives codes of a column their values.
func (m *Merged) keyValues(c tokenwatch.Col, v *series.Values) error {
	h := m.head.column(c)
	switch {
	case h == nil:
		if c.Kind() == tokenwatch.KindText {
			v.Text.Append(nil)
		}
	case h.form == formConst:
		switch c.Kind() {
		case tokenwatch.KindText:
			v.Text.Append(nil)
			v.Text.Append([]byte(h.MinText))
		case tokenwatch.KindAddr:
			a := h.MinAddr.As16()
			v.Addrs = a[:]
		default:
			v.Ints = []int64{h.Min}
		}
	default:
		values, err := m.values(h)
		if err != nil {
			return err
		}
		v.Text, v.Ints, v.Addrs = values.Text, values.Ints, values.Addrs
	}
	return nil
}

// maxCode is the greatest code that a key of a series may have.
func (h *mergedHead) maxCode(c tokenwatch.Col) int64 {
	switch k := h.column(c); {
	case k == nil:
		return 0
	case k.form == formConst:
		return 1
	default:
		return int64(k.distinct)
	}
}

// cellKeys reads what Encoder.cellKeys wrote.
func (r *reader) cellKeys(h *mergedHead, t *series.Table, cells int) {
	cols := t.Kind.Columns()
	if !r.take(cells, 16+4*len(cols)+8) {
		return
	}
	var buf []byte
	numbers := make([]int64, cells)
	t.Keys = make([]series.Values, len(cols))
	for j, c := range cols {
		unpack(r, numbers, &buf)
		if r.err != nil {
			return
		}
		codes, last, most := make([]uint32, cells), int64(0), h.maxCode(c)
		for i, d := range numbers {
			last += unzigzag(uint64(d))
			if last < 0 || last > most {
				r.fail("a key of a series is not in its dictionary")
				return
			}
			codes[i] = uint32(last)
		}
		t.Keys[j].Codes = codes
	}
	t.Steps = make([]int64, cells)
	last := r.varint()
	unpack(r, t.Steps, &buf)
	low, high := stepBounds(t.Kind)
	for i, d := range t.Steps {
		last += unzigzag(uint64(d))
		if r.err == nil && (last < low || last > high) {
			r.fail("a cell of a series has no time")
			return
		}
		t.Steps[i] = last
	}
	t.Counts = make([]int64, cells)
	unpack(r, t.Counts, &buf)
	total := int64(0)
	for i, n := range t.Counts {
		if r.err == nil && (n < 0 || n >= int64(h.rows)) {
			r.fail("a cell of a series counts more rows than there are")
			return
		}
		t.Counts[i] = n + 1
		total += n + 1
	}
	if r.err == nil && total > int64(h.rows) {
		r.fail("the cells of a series count more rows than there are")
	}
}

// stepBounds is between which steps the times are that can be written.
func stepBounds(k series.Kind) (low, high int64) {
	step := int64(k.Step())
	return -1<<63/step - 1, (1<<63 - 1) / step
}

// cellMeasure reads what Encoder.cellMeasure wrote.
func (r *reader) cellMeasure(h *mergedHead, t *series.Table, ms series.Measures) {
	cells := t.Len()
	var buf []byte
	counts := func() (out []int64) {
		if !r.take(cells, 8) {
			return nil
		}
		out = make([]int64, cells)
		unpack(r, out, &buf)
		for i, n := range out {
			if r.err == nil && (n < 0 || n > t.Counts[i]) {
				r.fail("a cell of a series has more of something than rows")
			}
		}
		return out
	}
	sums := func() (out []int64) {
		if !r.take(cells, 8) {
			return nil
		}
		out = make([]int64, cells)
		unpack(r, out, &buf)
		for i, x := range out {
			out[i] = unzigzag(uint64(x))
		}
		return out
	}
	sizes := func() (ends []int32, total int) {
		ends = make([]int32, cells)
		for i, n := range counts() {
			total += int(n)
			if r.err != nil || total > h.rows {
				r.fail("the cells of a series have more of something than rows")
				return nil, 0
			}
			ends[i] = int32(total)
		}
		if !r.take(total, 16) {
			return nil, 0
		}
		return ends, total
	}
	// each unpacks the numbers of all cells, and calls f with those of one cell.
	each := func(ends []int32, numbers []int64, f func(i int, first bool)) {
		unpack(r, numbers, &buf)
		at := 0
		for _, end := range ends {
			for first := true; at < int(end) && r.err == nil; at++ {
				f(at, first)
				first = false
			}
		}
	}
	switch ms {
	case series.Errors:
		for e := range t.Errors {
			t.Errors[e] = counts()
		}
	case series.BytesIn:
		t.BytesIn = sums()
	case series.BytesOut:
		t.BytesOut = sums()
	case series.Durations:
		ends, total := sizes()
		if r.err != nil {
			return
		}
		t.Bins = series.Bins{Ends: ends, Bin: make([]int16, total), Counts: make([]int64, total)}
		numbers, last := make([]int64, total), int64(0)
		most := int64(series.Bin(1<<63 - 1))
		each(ends, numbers, func(i int, first bool) {
			d := unzigzag(uint64(numbers[i]))
			if first {
				last = 0
			} else if d <= 0 {
				r.fail("the bins of a series are out of order")
			}
			if last += d; last > most || last < -most-1 {
				r.fail("there is no such bin")
			}
			t.Bins.Bin[i] = int16(last)
		})
		unpack(r, t.Bins.Counts, &buf)
		for i, n := range t.Bins.Counts {
			if r.err == nil && (n < 0 || n >= int64(h.rows)) {
				r.fail("a bin of a series counts more rows than there are")
				return
			}
			t.Bins.Counts[i] = n + 1
		}
	case series.Sources:
		ends, total := sizes()
		if r.err != nil {
			return
		}
		t.Addrs.Ends, t.Addrs.Codes = ends, make([]uint32, total)
		numbers, last, most := make([]int64, total), int64(0), h.maxCode(tokenwatch.ColSrcIP)
		each(ends, numbers, func(i int, first bool) {
			if first {
				last = 0
			}
			if d := numbers[i]; d < 0 || d >= most-last {
				r.fail("an address of a series is not in its dictionary")
				return
			}
			last += numbers[i] + 1
			t.Addrs.Codes[i] = uint32(last)
		})
	}
}
