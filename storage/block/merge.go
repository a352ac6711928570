package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"

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

// sort finds the order of the rows, and writes it and the tokens.
func (m *merger) sort() error {
	in, err := m.input(tokenwatch.ColToken, tokenwatch.ColTime)
	if err != nil {
		return err
	}
	places := make([]uint32, m.rows) // in the log, of each row that comes in
	order := make([]uint32, m.rows)  // rows in the order of the log
	for i, p := range m.pieces {
		own, err := p.order()
		if err != nil {
			return err
		}
		for k := range p.Rows() {
			at := k
			if own != nil {
				at = int(own[k])
			}
			places[m.starts[i]+k] = uint32(m.starts[i] + at)
			order[m.starts[i]+at] = uint32(m.starts[i] + k)
		}
	}
	times := in.Column(tokenwatch.ColTime)
	spare := make([]uint32, m.rows)
	if times.Ints != nil {
		order, spare = sortByTime(order, spare, func(p uint32) int64 { return times.Ints[p] }, func(p uint32) bool { return times.Valid.At(int(p)) })
	}
	tokens := in.Column(tokenwatch.ColToken)
	ranks, sorted := rankValues(tokens.Dict)
	if tokens.Codes != nil {
		order, spare = sortBy(order, spare, func(p uint32) uint64 { return uint64(ranks[tokens.Codes[p]]) }, uint64(len(ranks)))
	}
	m.perm = order
	if err := m.order(in, places, spare); err != nil {
		return err
	}
	if err := m.duplicates(); err != nil {
		return err
	}
	if tokens.Codes == nil {
		return nil
	}
	codes := make([]uint32, m.rows)
	for i, p := range m.perm {
		codes[i] = ranks[tokens.Codes[p]]
	}
	return m.tokens(codes, sorted)
}

// rankValues returns for each code of a dictionary the code it has once the
// values are sorted, and these; null is 0 and values that occur twice share one.
func rankValues(dict tokenwatch.Strings) (ranks []uint32, sorted spans) {
	n := dict.Len()
	list := make([]uint32, 0, n)
	for c := 1; c < n; c++ {
		list = append(list, uint32(c))
	}
	slices.SortFunc(list, func(a, b uint32) int { return strings.Compare(dict.At(int(a)), dict.At(int(b))) })
	ranks = make([]uint32, max(n, 1))
	for i, c := range list {
		if i == 0 || dict.At(int(c)) != dict.At(int(list[i-1])) {
			sorted.bytes = append(sorted.bytes, dict.At(int(c))...)
			sorted.ends = append(sorted.ends, int32(len(sorted.bytes)))
		}
		ranks[c] = uint32(len(sorted.ends))
	}
	return ranks, sorted
}

// order writes where in the log the rows stand: for the rows in the order of
// their times, those of equal times in that of their tokens, how far each stands
// from the one before. Where the log is in the order of time that is nothing.
func (m *merger) order(in *tokenwatch.Batch, places, spare []uint32) error {
	byTime := make([]uint32, m.rows)
	for i := range byTime {
		byTime[i] = uint32(i)
	}
	times := in.Column(tokenwatch.ColTime)
	if times.Ints != nil {
		byTime, _ = sortByTime(byTime, spare, func(p uint32) int64 { return times.Ints[m.perm[p]] }, func(p uint32) bool { return times.Valid.At(int(m.perm[p])) })
	}
	e := m.e
	e.words = e.words[:0]
	last := int64(-1)
	for _, i := range byTime {
		at := int64(places[m.perm[i]])
		d := at - last - 1
		e.words = append(e.words, uint64(d<<1)^uint64(d>>63))
		last = at
	}
	e.body = e.packed(e.body[:0], e.words)
	var err error
	m.head.order, err = m.chunk()
	return err
}

// duplicates notes which rows are not to be counted.
func (m *merger) duplicates() error {
	in, err := m.input(tokenwatch.ColDuplicate)
	if err != nil {
		return err
	}
	flags := in.Column(tokenwatch.ColDuplicate).Bools
	if flags == nil || !slices.Contains(flags, true) {
		return nil
	}
	m.skip = make([]bool, m.rows)
	for i, p := range m.perm {
		m.skip[i] = flags[p]
	}
	return nil
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

// dictionary is the distinct values of a column in the order in which they
// first come, and the code of each row. No codes: there are too many values for
// a dictionary to pay.
type dictionary struct {
	codes []uint32
	n     int
	text  spans
	ints  []int64
	addrs []byte // 16 bytes each
}

// textValues numbers the values of a text column.
func textValues(v *tokenwatch.Vector, perm []uint32) (d dictionary) {
	to := make([]uint32, v.Dict.Len())
	codes := make([]uint32, len(perm))
	for i, p := range perm {
		c := v.Codes[p]
		if c == 0 {
			continue
		}
		if to[c] == 0 {
			d.n++
			to[c] = uint32(d.n)
			d.text.bytes = append(d.text.bytes, v.Dict.Bytes[v.Dict.Offsets[c]:v.Dict.Offsets[c+1]]...)
			d.text.ends = append(d.text.ends, int32(len(d.text.bytes)))
		}
		codes[i] = to[c]
	}
	if d.n > maxCounted && d.n > len(perm)/4 {
		return dictionary{}
	}
	d.codes = codes
	return d
}

func addrValues(v *tokenwatch.Vector, perm []uint32) (d dictionary) {
	known := make(map[[16]byte]uint32)
	codes := make([]uint32, len(perm))
	var last [4]struct {
		addr [16]byte
		code uint32
	}
	next := 0
rows:
	for i, p := range perm {
		if !v.Valid.At(int(p)) {
			continue
		}
		a := [16]byte(v.Addrs[16*p:])
		for k := range last { // neighbours are of one token and come from few addresses
			if last[k].code != 0 && last[k].addr == a {
				codes[i] = last[k].code
				continue rows
			}
		}
		code, ok := known[a]
		if !ok {
			d.n++
			if d.n > maxCounted && d.n > len(perm)/2 {
				return dictionary{}
			}
			code = uint32(d.n)
			known[a] = code
			d.addrs = append(d.addrs, a[:]...)
		}
		codes[i] = code
		last[next&3].addr, last[next&3].code = a, code
		next++
	}
	d.codes = codes
	return d
}

// maxInts is the most numbers of which a dictionary is made; more are packed.
const maxInts = 256

func intValues(v *tokenwatch.Vector, perm []uint32) (d dictionary) {
	known := make(map[int64]uint32)
	codes := make([]uint32, len(perm))
	last, lastCode := int64(0), uint32(0)
	for i, p := range perm {
		if !v.Valid.At(int(p)) {
			continue
		}
		x := v.Ints[p]
		if lastCode != 0 && x == last {
			codes[i] = lastCode
			continue
		}
		code, ok := known[x]
		if !ok {
			if d.n++; d.n > maxInts || d.n > 1+len(perm)/2 {
				return dictionary{}
			}
			code = uint32(d.n)
			known[x] = code
			d.ints = append(d.ints, x)
		}
		codes[i] = code
		last, lastCode = x, code
	}
	d.codes = codes
	return d
}

// coded writes a column with a dictionary.
func (m *merger) coded(c *mergedColumn, d *dictionary) (err error) {
	c.form, c.distinct = formCoded, d.n
	for _, code := range d.codes {
		if code == 0 {
			c.Nulls++
		}
	}
	if c.Nulls == m.rows {
		return nil
	}
	m.bounds(c, d)
	if c.Nulls == 0 && d.n == 1 && (d.text.ends == nil || len(d.text.bytes) <= maxBound) {
		c.form = formConst
		if d.text.ends != nil {
			c.MaxText = c.MinText
		}
		m.head.columns = append(m.head.columns, *c)
		return nil
	}
	m.e.body = m.e.body[:0]
	switch c.Col.Kind() {
	case tokenwatch.KindText:
		m.e.body = m.e.strings(m.e.body, d.text)
	case tokenwatch.KindAddr:
		m.e.body = m.e.addrDict(m.e.body, d.addrs)
	default:
		m.e.words = m.e.words[:0]
		for _, x := range d.ints {
			m.e.words = append(m.e.words, uint64(x)-uint64(c.Min))
		}
		m.e.body = m.e.packed(m.e.body, m.e.words)
	}
	if c.dict, err = m.chunk(); err != nil {
		return err
	}
	to := m.method(c, d)
	if c.method == codesDerived {
		m.e.body = m.e.appendPlain(m.e.body[:0], to)
		if c.aux, err = m.chunk(); err != nil {
			return err
		}
	}
	if err := m.counts(c, d.codes); err != nil {
		return err
	}
	next := uint32(1)
	c.pages = len(m.head.chunks)
	for lo := 0; lo < m.rows; lo += m.head.page {
		hi := min(lo+m.head.page, m.rows)
		m.e.body, next = m.codesPage(m.e.body[:0], c, d.codes, to, lo, hi, next)
		if _, err := m.chunk(); err != nil {
			return err
		}
	}
	if err := m.filterCodes(c.Col, d); err != nil {
		return err
	}
	if baseRank(c.Col) < 2 || seriesKeys.Has(c.Col) {
		m.codes[c.Col] = d.codes
	}
	m.head.columns = append(m.head.columns, *c)
	return nil
}

// codesPage appends the codes of the rows from lo up to hi.
func (m *merger) codesPage(dst []byte, c *mergedColumn, codes, to []uint32, lo, hi int, next uint32) ([]byte, uint32) {
	switch c.method {
	case codesRecent:
		return m.e.appendRecent(dst, codes[lo:hi], c.distinct), next
	case codesNewest:
		return m.e.appendNewest(dst, codes[lo:hi], next)
	case codesDerived:
		return m.e.appendDerived(dst, m.codes[c.base][lo:hi], codes[lo:hi], to), next
	default:
		return m.e.appendPlain(dst, codes[lo:hi]), next
	}
}

// method chooses how the codes of a column are written, by trying each way on a
// page or two. For codesDerived it returns the derivation.
func (m *merger) method(c *mergedColumn, d *dictionary) (to []uint32) {
	var samples []int
	for lo := 0; lo < m.rows; lo += max(m.head.page, m.rows/2/m.head.page*m.head.page) {
		samples = append(samples, lo)
	}
	price := func(method codeMethod, to []uint32) int {
		trial := *c // its base is the one to try
		trial.method = method
		total, rows := 0, 0
		for _, lo := range samples {
			hi := min(lo+m.head.page, m.rows)
			next := uint32(1)
			if method == codesNewest {
				for _, code := range d.codes[:lo] {
					next = max(next, code+1)
				}
			}
			m.e.body, _ = m.codesPage(m.e.body[:0], &trial, d.codes, to, lo, hi, next)
			total += len(m.e.body)
			rows += hi - lo
		}
		return int(int64(total) * int64(m.rows) / int64(rows))
	}
	c.method = codesPlain
	least := price(codesPlain, nil)
	consider := func(method codeMethod, cost int) bool {
		if cost >= least {
			return false
		}
		c.method, least = method, cost
		return true
	}
	consider(codesNewest, price(codesNewest, nil))
	if d.n <= maxRecent {
		consider(codesRecent, price(codesRecent, nil))
	}
	for _, base := range bases[c.Col] {
		codes, ok := m.codes[base]
		if !ok {
			continue
		}
		distinct := m.head.column(base).distinct
		derived, exceptions := derive(codes, d.codes, distinct)
		if exceptions > m.rows/8 {
			continue
		}
		m.e.body = m.e.appendPlain(m.e.body[:0], derived)
		before := c.base
		c.base = base // price looks at it
		if cost := len(m.e.body); !consider(codesDerived, cost+price(codesDerived, derived)) {
			c.base = before
			continue
		}
		if to = derived; exceptions == 0 {
			break
		}
	}
	return to
}

func (m *merger) bounds(c *mergedColumn, d *dictionary) {
	switch c.Col.Kind() {
	case tokenwatch.KindText:
		c.textBounds(d.text)
	case tokenwatch.KindAddr:
		least, most := [16]byte(d.addrs), [16]byte(d.addrs)
		for at := 0; at < len(d.addrs); at += 16 {
			a := [16]byte(d.addrs[at:])
			if string(a[:]) < string(least[:]) {
				least = a
			}
			if string(a[:]) > string(most[:]) {
				most = a
			}
		}
		c.MinAddr, c.MaxAddr = netip.AddrFrom16(least).Unmap(), netip.AddrFrom16(most).Unmap()
	default:
		c.Min, c.Max = slices.Min(d.ints), slices.Max(d.ints)
	}
}

// addrDict appends distinct addresses, in 4 bytes each where that is enough.
func (e *Encoder) addrDict(dst, addrs []byte) []byte {
	size := 4
	for at := 0; at < len(addrs); at += 16 {
		if [12]byte(addrs[at:]) != prefix4 {
			size = 16
			break
		}
	}
	e.plane = e.plane[:0]
	for at := 0; at < len(addrs); at += 16 {
		e.plane = append(e.plane, addrs[at+16-size:at+16]...)
	}
	return e.section(append(dst, byte(size)), e.plane)
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

// less compares addresses by their 16 bytes.
func less(a, b netip.Addr) bool {
	x, y := a.As16(), b.As16()
	return string(x[:]) < string(y[:])
}
