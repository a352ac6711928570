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
	parts  []occurrence
	known  map[string]*verdict // of templates
	buf    []byte
	text   []byte
	ends   [2]int32
	codes  []uint32
	places []int32

	some  bool    // only the rows of among, of the page, are asked for
	among []int32 // ascending
}

func newSearch(t *tokenwatch.TextTest) *search {
	s := &search{test: t, known: make(map[string]*verdict)}
	for _, p := range t.Parts {
		s.parts = append(s.parts, newOccurrence(p))
	}
	return s
}

// verdict is what a shape says about the strings of it.
type verdict struct {
	shape   shape
	all     bool // they fulfil the test
	none    bool // they do not
	numbers int  // slots of that kind
	ids     []slotRun

	probes [][]probe // one of which must hold whole; nil: the string must be built
	class  slotClass // of all probes
}

// probe is a digit that a string must have: the n-th of those of its class.
type probe struct {
	n     int
	value byte
}

// slotRun is the digits of one kind in all slots of a shape.
type slotRun struct {
	class slotClass
	n     int
}

// of returns the verdict on a template, nil if it is none.
func (s *search) of(template string) *verdict {
	if v := s.known[template]; v != nil {
		return v
	}
	template = strings.Clone(template)
	sh, ok := parseShape(template)
	if !ok {
		return nil
	}
	v := &verdict{shape: sh}
	for _, p := range sh.parts {
		switch {
		case p.text != "":
		case p.class == slotNumber:
			v.numbers++
		default:
			v.ids = append(v.ids, slotRun{p.class, p.n})
		}
	}
	for i := range s.parts {
		v.none = v.none || !s.parts[i].possible(sh.parts)
	}
	if last := len(sh.parts) - 1; last >= 0 && sh.parts[last].text != "" {
		text, suffix := sh.parts[last].text, s.test.Suffix
		n := min(len(text), len(suffix))
		v.none = v.none || text[len(text)-n:] != suffix[len(suffix)-n:]
	}
	if s.test.Test == nil {
		for _, p := range sh.parts {
			v.all = v.all || strings.Contains(p.text, s.test.Parts[0])
		}
	}
	if s.test.Test == nil && !v.all && !v.none {
		v.probe(s.test.Parts[0])
	}
	s.known[template] = v
	return v
}

// probe finds out which digits make a text occur in a string of a shape. It leaves
// the probes nil if numbers, or digits of several classes, may have a part in it.
func (v *verdict) probe(text string) {
	type cell struct {
		text  byte
		class slotClass
		n     int // of the digit within its class; negative: text, or a number
	}
	var cells []cell
	var digits [numSlots]int
	for _, p := range v.shape.parts {
		for i := range len(p.text) {
			cells = append(cells, cell{text: p.text[i], n: -1})
		}
		if p.text == "" && p.class == slotNumber {
			cells = append(cells, cell{n: -1}) // no text has a zero byte
		}
		for range p.n {
			cells = append(cells, cell{class: p.class, n: digits[p.class]})
			digits[p.class]++
		}
	}
	if strings.ContainsAny(text, "\x000123456789") {
		return
	}
	for at := 0; at+len(text) <= len(cells); at++ {
		var all []probe
		class, fits, mixed := v.class, true, false
		for i := range len(text) {
			switch c := cells[at+i]; {
			case c.n < 0:
				fits = fits && c.text == text[i]
			case memberOf[text[i]]>>(c.class-1)&1 == 0:
				fits = false
			default:
				if class != 0 && class != c.class {
					mixed = true
				}
				class = c.class
				all = append(all, probe{c.n, valueIn[c.class-1][text[i]]})
			}
		}
		switch {
		case !fits:
		case mixed:
			v.probes = nil
			return
		default:
			v.probes, v.class = append(v.probes, all), class
		}
	}
}

// probed tells whether the digits from one on make a string fulfil the test.
func (v *verdict) probed(s *slots, digit int) bool {
	for _, all := range v.probes {
		hit := true
		for _, p := range all {
			if s.digit(v.class, digit+p.n) != p.value {
				hit = false
				break
			}
		}
		if hit {
			return true
		}
	}
	return false
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

// shapes looks at n strings written as shapes.
func (s *search) shapes(r *reader, n int, out []int32) []int32 {
	templates, codes := r.shapeCodes(n, &s.codes, &s.buf)
	verdicts := make([]*verdict, templates.Len())
	open := false
	for i := range verdicts {
		if verdicts[i] = s.of(templates.At(i)); verdicts[i] == nil {
			r.fail("a shape is none")
			return out
		}
		open = open || !verdicts[i].all && !verdicts[i].none
	}
	var fill slots
	if open && r.err == nil {
		fill = r.slots()
	}
	if r.err != nil {
		return out
	}
	before := len(out)
	rest := s.among
	asked := func(i int) bool {
		if !s.some {
			return true
		}
		row := int32(i)
		if len(s.places) > 0 {
			row = s.places[i]
		}
		for len(rest) > 0 && rest[0] < row {
			rest = rest[1:]
		}
		return len(rest) > 0 && rest[0] == row
	}
	if class, ok := probing(verdicts); open && ok {
		out = fill.probe(r, verdicts, codes, class, out)
		return s.toRows(out, before)
	}
	var numbers int
	var digits [numSlots]int // passed over since the last string that was built
	for i, c := range codes {
		if int(c) >= len(verdicts) {
			r.fail("a string has an unknown shape")
			return out
		}
		v := verdicts[c]
		switch {
		case v.all:
			out = append(out, int32(i))
		case !v.none && asked(i):
			if !fill.skip(numbers, &digits) {
				r.fail("slots without anything to fill them")
				return out
			}
			numbers, digits = 0, [numSlots]int{}
			if s.text = fill.build(r, s.text[:0], &v.shape); r.err != nil {
				return out
			}
			if s.fulfils(s.text) {
				out = append(out, int32(i))
			}
			continue
		}
		if open {
			numbers += v.numbers
			for _, run := range v.ids {
				digits[run.class] += run.n
			}
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

// probing tells whether digits of one class decide about all strings.
func probing(verdicts []*verdict) (class slotClass, ok bool) {
	for _, v := range verdicts {
		switch {
		case v.all || v.none:
		case v.probes == nil || class != 0 && class != v.class:
			return 0, false
		default:
			class = v.class
		}
	}
	return class, class != 0
}

// probe appends the strings that fulfil the test, going by digits of one class.
func (s *slots) probe(r *reader, verdicts []*verdict, codes []uint32, class slotClass, out []int32) []int32 {
	const none, all, open = 0, 1, 2
	type kind struct {
		state  uint32
		digits uint32 // of the class
	}
	kinds := make([]kind, len(verdicts))
	for i, v := range verdicts {
		for _, run := range v.ids {
			if run.class == class {
				kinds[i].digits += uint32(run.n)
			}
		}
		switch {
		case v.all:
			kinds[i].state = all
		case !v.none:
			kinds[i].state = open
		}
	}
	at := 0
	for i, c := range codes {
		if int(c) >= len(kinds) {
			r.fail("a string has an unknown shape")
			return out
		}
		k := kinds[c]
		next := at + int(k.digits)
		if k.state != none {
			if next > s.have[class] {
				r.fail("slots without anything to fill them")
				return out
			}
			if k.state == all || verdicts[c].probed(s, at) {
				out = append(out, int32(i))
			}
		}
		at = next
	}
	return out
}

// digit returns the value of a digit, which there must be.
func (s *slots) digit(class slotClass, n int) byte {
	width := alphabets[class-1].width
	packed, bit := s.digits[class], n*width
	x := uint(packed[bit>>3])
	if bit>>3+1 < len(packed) {
		x |= uint(packed[bit>>3+1]) << 8
	}
	return byte(x >> (bit & 7) & (1<<width - 1))
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

// occurrence tells whether a text may occur in the strings of a shape, by going
// through the shape with the set of beginnings of the text that may have been met
// (Baeza-Yates and Gonnet's shift-and, with slots for any of their digits).
type occurrence struct {
	n     int
	at    [256]uint64 // places of the text that a byte stands at
	class [numSlots]uint64
}

func newOccurrence(text string) (o occurrence) {
	o.n = len(text)
	if o.n > 63 {
		return o // it may always occur
	}
	for i := range len(text) {
		o.at[text[i]] |= 1 << i
	}
	for b := range o.at {
		if b >= '0' && b <= '9' {
			o.class[slotNumber] |= o.at[b]
		}
		for class := slotHex; int(class) < numSlots; class++ {
			if memberOf[b]>>(class-1)&1 != 0 {
				o.class[class] |= o.at[b]
			}
		}
	}
	return o
}

func (o *occurrence) possible(parts []part) bool {
	if o.n == 0 || o.n > 63 {
		return true
	}
	set, whole := uint64(1), uint64(1)<<o.n
	for _, p := range parts {
		for i := range len(p.text) {
			if set = set&o.at[p.text[i]]<<1 | 1; set&whole != 0 {
				return true
			}
		}
		n, met := p.n, set
		if p.text == "" && p.class == slotNumber {
			n = len("18446744073709551615") // digits it may have at most
		}
		for range n {
			if set = set&o.class[p.class]<<1 | 1; set&whole != 0 {
				return true
			}
			met |= set
		}
		if p.text == "" && p.class == slotNumber {
			set = met
		}
	}
	return false
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
