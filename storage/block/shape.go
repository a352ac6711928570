package block

import (
	"encoding/binary"
	"strings"
)

// A shape is what many strings have in common: text, and slots which hold a
// number or an id. Paths have few shapes and many ids; the ids of all shapes
// are written together, each in as many bits as its digits are worth.
//
// In the template of a shape a slot is three bytes: zero, its class, and how
// many digits it has, 0 for a number.

// slotClass says what stands in a slot. A number keeps its meaning for ever.
type slotClass uint8

const (
	slotNumber slotClass = 0 // decimal without leading zeros, of at most maxDecimals digits
	// The other classes are 1 + the number of their alphabet.
	slotHex    slotClass = 1 + 0
	slotHEX    slotClass = 1 + 1
	slotLetter slotClass = 1 + 5 // letters and digits
	numSlots             = 1 + len(alphabets)
)

const (
	maxDecimals = 18
	minHex      = 8  // digits from which on a run of hexadecimal ones is an id
	minLetters  = 10 // the same for letters mixed with digits, or of both cases
	slotSize    = 3  // bytes of a slot in a template
	maxShapes   = 1 << 14
)

// uuidRuns are the lengths of the runs of a UUID; three dashes stand between
// the short ones, one on either side.
var uuidRuns = [...]int{8, 4, 4, 4, 12}

// shaper gathers shapes and what fills their slots.
type shaper struct {
	codes     map[string]uint32
	templates spans
	numbers   []uint64
	digits    [numSlots][]byte // values of digits, one a byte
	template  []byte
}

func (p *shaper) reset() {
	if p.codes == nil {
		p.codes = make(map[string]uint32)
	}
	clear(p.codes)
	p.templates = spans{p.templates.ends[:0], p.templates.bytes[:0]}
	p.numbers = p.numbers[:0]
	for i := range p.digits {
		p.digits[i] = p.digits[i][:0]
	}
}

// add takes a string apart and returns the code of its shape; false if it
// cannot have one.
func (p *shaper) add(v []byte) (uint32, bool) {
	t := p.template[:0]
	for i := 0; i < len(v); {
		b := v[i]
		if !isAlnum[b] {
			if b == 0 {
				return 0, false
			}
			t = append(t, b)
			i++
			continue
		}
		if class, ok := uuidAt(v[i:]); ok {
			for k, n := range uuidRuns {
				if k > 0 {
					t = append(t, '-')
					i++
				}
				t = p.slot(t, class, v[i:i+n])
				i += n
			}
			continue
		}
		n := i + 1
		for n < len(v) && isAlnum[v[n]] {
			n++
		}
		run := v[i:n]
		i = n
		if class, ok := classOf(run); ok {
			t = p.slot(t, class, run)
		} else {
			t = append(t, run...)
		}
	}
	p.template = t
	code, ok := p.codes[string(t)]
	if !ok {
		code = uint32(len(p.codes))
		p.codes[string(t)] = code
		p.templates.bytes = append(p.templates.bytes, t...)
		p.templates.ends = append(p.templates.ends, int32(len(p.templates.bytes)))
	}
	return code, true
}

// slot appends a slot to a template and keeps what fills it.
func (p *shaper) slot(t []byte, class slotClass, run []byte) []byte {
	if class == slotNumber {
		n := uint64(0)
		for _, b := range run {
			n = 10*n + uint64(b-'0')
		}
		p.numbers = append(p.numbers, n)
		return append(t, 0, byte(class), 0)
	}
	value := &valueIn[class-1]
	d := p.digits[class]
	for _, b := range run {
		d = append(d, value[b])
	}
	p.digits[class] = d
	return append(t, 0, byte(class), byte(len(run)))
}

var isAlnum = func() (is [256]bool) {
	for b := range is {
		is[b] = b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	}
	return
}()

// classOf tells whether a run of letters and digits is a number or an id.
func classOf(run []byte) (slotClass, bool) {
	member := uint8(0xff)
	digits, lower, upper := 0, 0, 0
	for _, b := range run {
		member &= memberOf[b]
		switch {
		case b <= '9':
			digits++
		case b >= 'a':
			lower++
		default:
			upper++
		}
	}
	n := len(run)
	switch {
	case digits == n && n <= maxDecimals && (run[0] != '0' || n == 1):
		return slotNumber, true
	case n > maxPattern || digits == 0 && (upper == 0 || lower == 0):
		return 0, false
	case n >= minHex && member>>(slotHex-1)&1 != 0:
		return slotHex, true
	case n >= minHex && member>>(slotHEX-1)&1 != 0:
		return slotHEX, true
	case n >= minLetters:
		return slotLetter, true
	default:
		return 0, false
	}
}

// uuidAt tells whether v begins with a UUID in one case.
func uuidAt(v []byte) (slotClass, bool) {
	if len(v) < 36 || v[8] != '-' || v[13] != '-' || v[18] != '-' || v[23] != '-' || len(v) > 36 && isAlnum[v[36]] {
		return 0, false
	}
	member := uint8(1<<(slotHex-1) | 1<<(slotHEX-1))
	for i, b := range v[:36] {
		if i != 8 && i != 13 && i != 18 && i != 23 {
			member &= memberOf[b]
		}
	}
	switch {
	case member>>(slotHex-1)&1 != 0:
		return slotHex, true
	case member>>(slotHEX-1)&1 != 0:
		return slotHEX, true
	default:
		return 0, false
	}
}

// shapes appends s as shapes, or reports that it has too many of them.
func (e *Encoder) shapes(dst []byte, s spans) ([]byte, bool) {
	n := len(s.ends)
	p := &e.shaper
	p.reset()
	e.codes = e.codes[:0]
	limit := min(maxShapes, n/4+8)
	for i := range n {
		code, ok := p.add(s.at(i))
		if !ok || len(p.codes) > limit {
			return dst, false
		}
		e.codes = append(e.codes, code)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.templates.ends)))
	dst = e.plainStrings(dst, p.templates)
	e.widen(e.codes)
	dst = e.packed(dst, e.words)
	dst = binary.AppendUvarint(dst, uint64(len(p.numbers)))
	dst = e.packed(dst, p.numbers)
	for class := slotHex; int(class) < numSlots; class++ {
		dst = binary.AppendUvarint(dst, uint64(len(p.digits[class])))
		if len(p.digits[class]) > 0 {
			dst = e.digits(dst, p.digits[class], alphabets[class-1].width)
		}
	}
	return dst, true
}

// digits appends values of width bits, one a byte, without gaps.
func (e *Encoder) digits(dst, values []byte, width int) []byte {
	out := grow(e.plane, (len(values)*width+7)/8+8)
	var acc uint64
	n, at := 0, 0
	for _, v := range values {
		acc |= uint64(v) << n
		if n += width; n >= 32 {
			binary.LittleEndian.PutUint32(out[at:], uint32(acc))
			at, acc, n = at+4, acc>>32, n-32
		}
	}
	binary.LittleEndian.PutUint64(out[at:], acc)
	e.plane = out
	return e.section(dst, out[:at+(n+7)/8])
}

// shape is a template as a reader needs it.
type shape struct {
	parts []part
	fixed int // bytes of the text and of the digits, without numbers
}

// part is a piece of text, or a slot if text is empty.
type part struct {
	text  string
	class slotClass
	n     int
}

// parseShape takes a template apart; false if it is none.
func parseShape(t string) (s shape, ok bool) {
	for len(t) > 0 {
		at := strings.IndexByte(t, 0)
		if at < 0 {
			at = len(t)
		}
		if at > 0 {
			s.parts = append(s.parts, part{text: t[:at]})
			s.fixed += at
			t = t[at:]
			continue
		}
		if len(t) < slotSize || int(t[1]) >= numSlots || (t[1] == byte(slotNumber)) != (t[2] == 0) {
			return s, false
		}
		s.parts = append(s.parts, part{class: slotClass(t[1]), n: int(t[2])})
		s.fixed += int(t[2])
		t = t[slotSize:]
	}
	return s, true
}

// slots is what fills the slots of a list, each kind in order.
type slots struct {
	numbers []int64
	digits  [numSlots][]byte // packed
	have    [numSlots]int    // digits
	bit     [numSlots]int    // of the next digit
}

func (r *reader) slots() (s slots) {
	n := r.count(r.left() * MaxRatio)
	if !r.take(n, 8) {
		return s
	}
	s.numbers = make([]int64, n)
	var buf []byte
	unpack(r, s.numbers, &buf)
	for class := slotHex; int(class) < numSlots; class++ {
		n := r.count(r.left() * MaxRatio * 2)
		if n == 0 || r.err != nil {
			continue
		}
		size := (n*alphabets[class-1].width + 7) / 8
		if !r.take(size, 1) {
			return s
		}
		var own []byte
		s.digits[class], s.have[class] = r.section(size, &own), n
	}
	return s
}

// put appends what stands in the next slot; false if nothing is left.
func (s *slots) put(dst []byte, class slotClass, n int) ([]byte, bool) {
	if class == slotNumber {
		if len(s.numbers) == 0 || s.numbers[0] < 0 {
			return dst, false
		}
		v := uint64(s.numbers[0])
		s.numbers = s.numbers[1:]
		return appendDecimal(dst, v), true
	}
	if s.have[class] < n {
		return dst, false
	}
	s.have[class] -= n
	a := &alphabets[class-1]
	packed, bit, mask := s.digits[class], s.bit[class], uint(1)<<a.width-1
	for range n {
		at := bit >> 3
		x := uint(packed[at])
		if at+1 < len(packed) {
			x |= uint(packed[at+1]) << 8
		}
		dst = append(dst, a.digits[x>>(bit&7)&mask])
		bit += a.width
	}
	s.bit[class] = bit
	return dst, true
}

func appendDecimal(dst []byte, v uint64) []byte {
	var b [20]byte
	at := len(b)
	for {
		at--
		b[at] = byte('0' + v%10)
		if v /= 10; v == 0 {
			return append(dst, b[at:]...)
		}
	}
}

// shapes reads the strings that Encoder.shapes wrote: their lengths and text.
func (r *reader) shapes(lengths []int32, buf *[]byte) []byte {
	templates, codes := r.shapeCodes(len(lengths), new([]uint32), buf)
	distinct := templates.Len()
	list := make([]shape, distinct)
	for i := range list {
		var ok bool
		if list[i], ok = parseShape(templates.At(i)); !ok {
			r.fail("a shape is none")
			return nil
		}
	}
	fill := r.slots()
	if r.err != nil {
		return nil
	}
	total := len(fill.numbers) * 19 // digits of the largest int64
	for _, c := range codes {
		if int(c) >= distinct {
			r.fail("a string has an unknown shape")
			return nil
		}
		total += list[c].fixed
		if total > 1<<31-1 {
			r.fail("shapes claim too much text")
			return nil
		}
	}
	if !r.take(total, 1) {
		return nil
	}
	text := make([]byte, 0, total)
	for i, c := range codes {
		start := len(text)
		if text = fill.build(r, text, &list[c]); r.err != nil {
			return nil
		}
		lengths[i] = int32(len(text) - start)
	}
	if len(fill.numbers) > 0 || fill.left() {
		r.fail("more in the slots than slots")
		return nil
	}
	return text
}

func (s *slots) left() bool {
	for _, n := range s.have {
		if n > 0 {
			return true
		}
	}
	return false
}
