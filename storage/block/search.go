package block

import (
	"math"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Search returns which of the rows from lo up to hi of a string column fulfil a test,
// counted from lo, of among, likewise, if that is not nil; ok is false where it is no
// faster than looking at the strings.
// Where strings are written as shapes, a test is decided once a shape, and only
// the strings of shapes that do not decide it are put together.
func (m *Merged) Search(col tokenwatch.Col, test *tokenwatch.TextTest, lo, hi int, among []int32) (rows []int32, ok bool, err error) {
	c := m.head.column(col)
	if c == nil || c.form != formPages || col.Kind() != tokenwatch.KindString || lo < 0 || hi < lo || hi > m.head.rows {
		return nil, false, nil
	}
	s := newSearch(test)
	for page := lo / m.head.page; page*m.head.page < hi; page++ {
		first, end := page*m.head.page, min((page+1)*m.head.page, m.head.rows)
		if m.head.chunks[c.pages+page].Length == 0 {
			continue // no row has a value
		}
		if among != nil {
			n, _ := slices.BinarySearch(among, int32(end-lo))
			s.among = s.among[:0]
			for _, i := range among[:n] {
				s.among = append(s.among, i+int32(lo-first))
			}
			if among = among[n:]; n == 0 {
				continue
			}
			s.some = true
		}
		before := len(rows)
		err := m.readChunk(c.pages+page, c.Col.String(), func(r *reader) error {
			own := Column{Col: c.Col}
			r.column(&own, end-first)
			if r.err == nil {
				rows = s.page(r, &own, end-first, rows)
			}
			return r.err
		})
		if err != nil {
			return nil, false, err
		}
		k, left := before, s.among
		for _, i := range rows[before:] {
			for len(left) > 0 && left[0] < i {
				left = left[1:]
			}
			if s.some && (len(left) == 0 || left[0] != i) {
				continue
			}
			if at := first + int(i); at >= lo && at < hi {
				rows[k] = int32(at - lo)
				k++
			}
		}
		rows = rows[:k]
	}
	return rows, true, nil
}

// search looks for what fulfils a test.
type search struct {
	test   *tokenwatch.TextTest
	known  map[string]*verdict // of templates
	kinds  []kind              // of the templates of a page
	buf    []byte
	text   []byte
	ends   [2]int32
	codes  []uint32
	places []int32

	some  bool    // only the rows of among, of the page, are asked for
	among []int32 // ascending
}

func newSearch(t *tokenwatch.TextTest) *search {
	return &search{test: t, known: make(map[string]*verdict)}
}

// fulfils is holds for bytes that last as long as the call.
func (s *search) fulfils(text []byte) bool {
	s.ends[1] = int32(len(text))
	return s.holds(tokenwatch.Strings{Offsets: s.ends[:], Bytes: text}.At(0))
}

// holds tells whether a string fulfils the test.
func (s *search) holds(text string) bool {
	if s.test.Test == nil {
		return strings.Contains(text, s.test.Parts[0])
	}
	return s.test.Test(text)
}

// page appends the rows of a page to out.
func (s *search) page(r *reader, c *Column, rows int, out []int32) []int32 {
	if c.Codec != CodecStrings {
		if c.Codec == CodecConst && s.holds(c.MinText) {
			for i := range rows {
				out = append(out, int32(i))
			}
		}
		return out
	}
	valid := r.validity(rows, c.Nulls)
	if r.err != nil || r.left() == 0 {
		r.fail("no strings where there should be some")
		return out
	}
	if r.b[r.pos] != stringsShapes {
		text := r.strings(rows, 0, valid, c.Nulls, &s.buf)
		for i := range min(rows, text.Len()) {
			if valid.At(i) && s.holds(text.At(i)) {
				out = append(out, int32(i))
			}
		}
		return out
	}
	r.pos++
	s.places = s.places[:0]
	if valid != nil {
		for i := range rows {
			if valid.At(i) {
				s.places = append(s.places, int32(i))
			}
		}
	}
	return s.shapes(r, rows-c.Nulls, out)
}

// kind is what the loop over the strings of a page needs of a verdict.
type kind struct {
	has     tally
	state   state
	strings int // of the page
}

// shapes looks at n strings written as shapes.
func (s *search) shapes(r *reader, n int, out []int32) []int32 {
	templates, codes := r.shapeCodes(n, &s.codes, &s.buf)
	verdicts := make([]*verdict, templates.Len())
	s.kinds = s.kinds[:0]
	open, alien := false, false
	for i := range verdicts {
		v := s.of(templates.At(i))
		if v == nil {
			r.fail("a shape is none")
			return out
		}
		verdicts[i] = v
		s.kinds = append(s.kinds, kind{has: v.has, state: v.state})
		open, alien = open || v.state == maybe, alien || v.alien
	}
	kinds := s.kinds
	for _, c := range codes {
		if int(c) >= len(kinds) {
			r.fail("a string has an unknown shape")
			return out
		}
		kinds[c].strings++
	}
	f := filling{search: s, r: r, verdicts: verdicts}
	if open && r.err == nil {
		f.all = r.slots()
		f.rest = f.all
		if !alien && !f.enough() {
			r.fail("slots without anything to fill them")
		}
	}
	if r.err != nil {
		return out
	}
	before := len(out)
	switch {
	case !open && !s.some:
		for i, c := range codes {
			if kinds[c].state == always {
				out = append(out, int32(i))
			}
		}
	case open && alien:
		out = f.buildAll(codes, out)
	case s.some:
		i := int32(0)
		for _, row := range s.among {
			at := row
			if len(s.places) > 0 {
				place, ok := slices.BinarySearch(s.places, row)
				if !ok {
					continue // null
				}
				at = int32(place)
			}
			before := f.before
			for ; i < at; i++ {
				k := &kinds[codes[i]]
				before[0] += k.has[0]
				before[1] += k.has[1]
			}
			if f.before = before; f.fulfils(codes[i]) {
				out = append(out, i)
			}
		}
	default:
		var before tally // here, since that is what the loop waits for
		for i, c := range codes {
			k := &kinds[c]
			if k.state != never {
				if f.before = before; f.fulfils(c) {
					out = append(out, int32(i))
				}
			}
			before[0] += k.has[0]
			before[1] += k.has[1]
		}
	}
	return s.toRows(out, before)
}

// toRows turns places among the strings there are into rows.
func (s *search) toRows(out []int32, from int) []int32 {
	if len(s.places) > 0 {
		for k, i := range out[from:] {
			out[from+k] = s.places[i]
		}
	}
	return out
}

// filling is the slots of a page on the way through its strings.
type filling struct {
	*search
	r        *reader
	verdicts []*verdict
	all      slots
	before   tally // of the strings before
	rest     slots // without those of the first built strings
	built    tally
}

// fulfils tells whether the next string, which is of the shape with a code, fulfils
// the test.
func (f *filling) fulfils(code uint32) bool {
	v := f.verdicts[code]
	if v.state != maybe {
		return v.state == always
	}
	for _, ways := range v.parts {
		any := false
		for i := 0; i < len(ways) && !any; i++ {
			any = ways[i].holds(&f.all, &f.before)
		}
		if !any {
			return false
		}
	}
	if !v.build {
		return true
	}
	var digits [numSlots]int
	for _, class := range [...]slotClass{slotHex, slotHEX, slotLetter} {
		digits[class] = f.before.of(class) - f.built.of(class)
	}
	f.rest.skip(f.before.of(slotNumber)-f.built.of(slotNumber), &digits)
	f.text = f.rest.build(f.r, f.text[:0], &v.shape)
	f.built = tally{f.before[0] + v.has[0], f.before[1] + v.has[1]}
	return f.r.err == nil && f.search.fulfils(f.text)
}

// enough tells whether there is something for all slots of all strings.
func (f *filling) enough() bool {
	for _, class := range [...]slotClass{slotNumber, slotHex, slotHEX, slotLetter} {
		total, have := 0, f.all.have[class]
		if class == slotNumber {
			have = len(f.all.numbers)
		}
		for i := range f.kinds {
			total += f.kinds[i].strings * f.kinds[i].has.of(class)
		}
		if total > min(have, math.MaxInt32) {
			return false
		}
	}
	return true
}

// buildAll is for slots that no tally counts.
func (f *filling) buildAll(codes []uint32, out []int32) []int32 {
	asked := f.among
	for i, c := range codes {
		if f.text = f.rest.build(f.r, f.text[:0], &f.verdicts[c].shape); f.r.err != nil {
			return out
		}
		row := int32(i)
		if len(f.places) > 0 {
			row = f.places[i]
		}
		for len(asked) > 0 && asked[0] < row {
			asked = asked[1:]
		}
		if (!f.some || len(asked) > 0 && asked[0] == row) && f.search.fulfils(f.text) {
			out = append(out, int32(i))
		}
	}
	return out
}

// build appends the next string, which is of a shape.
func (s *slots) build(r *reader, text []byte, sh *shape) []byte {
	for _, p := range sh.parts {
		if p.text != "" {
			text = append(text, p.text...)
			continue
		}
		var ok bool
		if text, ok = s.put(text, p.class, p.n); !ok {
			r.fail("slots without anything to fill them")
			return nil
		}
	}
	return text
}

// skip passes over numbers and digits; false if there are not so many.
func (s *slots) skip(numbers int, digits *[numSlots]int) bool {
	if len(s.numbers) < numbers {
		return false
	}
	s.numbers = s.numbers[numbers:]
	for class, n := range digits {
		if n == 0 {
			continue
		}
		if s.have[class] < n {
			return false
		}
		s.have[class] -= n
		s.bit[class] += n * alphabets[class-1].width
	}
	return true
}

// readChunk is chunk for readers that need not read to the end.
func (m *Merged) readChunk(n int, part string, f func(*reader) error) error {
	return m.chunk(n, part, func(r *reader) error {
		err := f(r)
		if err == nil {
			r.pos = len(r.b)
		}
		return err
	})
}

// shapeCodes reads the templates of shapes, and which of n strings has which.
func (r *reader) shapeCodes(n int, codes *[]uint32, buf *[]byte) (tokenwatch.Strings, []uint32) {
	distinct := r.count(maxShapes)
	if r.byte() != stringsPlain {
		r.fail("shapes are written in an unknown way")
	}
	templates := r.plainStrings(distinct, 0, nil, 0, buf)
	if !r.take(n, 4) || r.err != nil || n > math.MaxInt32 {
		return tokenwatch.Strings{}, nil
	}
	if cap(*codes) < n {
		*codes = make([]uint32, n)
	}
	out := (*codes)[:n]
	unpack(r, out, buf)
	if r.err != nil {
		return tokenwatch.Strings{}, nil
	}
	return templates, out
}
