package seal

import "unicode/utf8"

// maxViews is how many encodings may lie over each other in one text: three
// layers of escapes, one of base64 or hex, and one of escapes below it.
const (
	maxEscapes = 3
	maxViews   = maxEscapes + 3
)

// view is a text with encodings taken away. A part of it knows where it came
// from in the view that it was made of, and so on down to the field.
type view struct {
	b      []byte
	from   *view
	coding coding
	start  int     // of the run in from, for base64 and hex
	lo, hi []int32 // for escapes: byte j came from [lo[j], hi[j]) of from
}

type coding uint8

const (
	escaped coding = iota
	inBase64
	inHex
)

// origin maps a part of the view to the part of the field it came from.
func (v *view) origin(lo, hi int) (int, int) {
	for v.from != nil {
		switch v.coding {
		case escaped:
			lo, hi = int(v.lo[lo]), int(v.hi[hi-1])
		case inBase64:
			lo, hi = v.start+8*lo/6, v.start+(8*hi+5)/6
		case inHex:
			lo, hi = v.start+2*lo, v.start+2*hi
		}
		v = v.from
	}
	return lo, hi
}

// begin empties v, to be made of from.
func (v *view) begin(from *view, c coding, start int) {
	v.b, v.lo, v.hi = v.b[:0], v.lo[:0], v.hi[:0]
	v.from, v.coding, v.start = from, c, start
}

// push appends an unescaped byte that came from [lo, hi) of v.from.
func (v *view) push(c byte, lo, hi int) {
	v.b = append(v.b, c)
	v.lo = append(v.lo, int32(lo))
	v.hi = append(v.hi, int32(hi))
}

// unescape makes v from with one layer of percent and backslash escapes taken
// away, and tells whether there was any.
func (v *view) unescape(from *view) bool {
	v.begin(from, escaped, 0)
	t, changed := from.b, false
	if !hasEscapes(t) {
		return false
	}
	for i := 0; i < len(t); {
		n, r := escape(t[i:])
		if n == 0 {
			v.push(t[i], i, i+1)
			i++
			continue
		}
		changed = true
		if r < 0x100 { // also of %XX, which are bytes and not characters
			v.push(byte(r), i, i+n)
		} else {
			var buf [utf8.UTFMax]byte
			for _, c := range buf[:utf8.EncodeRune(buf[:], r)] {
				v.push(c, i, i+n)
			}
		}
		i += n
	}
	return changed
}

// hasEscapes tells whether there is an escape in t.
func hasEscapes(t []byte) bool {
	for i, c := range t {
		if kinds[c]&isOpener != 0 {
			if n, _ := escape(t[i:]); n > 0 {
				return true
			}
		}
	}
	return false
}

// escape returns the length of the escape that t begins with, 0 if with none,
// and what it stands for.
func escape(t []byte) (int, rune) {
	if len(t) > 3 && t[0] == '&' {
		return entity(t)
	}
	if len(t) < 2 || (t[0] != '%' && t[0] != '\\') {
		return 0, 0
	}
	if t[0] == '%' {
		if r, ok := hexValue(t, 1, 2); ok {
			return 3, r
		}
		if t[1] == 'u' {
			if r, ok := hexValue(t, 2, 4); ok {
				return 6, r
			}
		}
		return 0, 0
	}
	switch t[1] {
	case 'u':
		if r, ok := hexValue(t, 2, 4); ok {
			return 6, r
		}
	case 'x':
		if r, ok := hexValue(t, 2, 2); ok {
			return 4, r
		}
	case '/', '"', '\\', '\'':
		return 2, rune(t[1])
	case 'n', 't', 'r':
		return 2, ' '
	}
	return 0, 0
}

// entities are what HTML escapes by name.
var entities = []struct {
	name string
	sign rune
}{{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&nbsp;", ' '}}

// entity is escape for t that begins with an ampersand: &amp; &#38; &#x26;
func entity(t []byte) (int, rune) {
	if len(t) < 4 {
		return 0, 0
	}
	if t[1] != '#' {
		for _, e := range entities {
			if len(t) >= len(e.name) && string(t[:len(e.name)]) == e.name {
				return len(e.name), e.sign
			}
		}
		return 0, 0
	}
	base, i := rune(10), 2
	if t[2]|0x20 == 'x' {
		base, i = 16, 3
	}
	r, from := rune(0), i
	for ; i < len(t) && i-from < 7; i++ {
		d, ok := hexValue(t, i, 1)
		if !ok || d >= base {
			break
		}
		r = r*base + d
	}
	if i == from || r > utf8.MaxRune {
		return 0, 0
	}
	if i < len(t) && t[i] == ';' {
		i++
	}
	return i, r
}

func hexValue(t []byte, at, n int) (rune, bool) {
	if len(t) < at+n {
		return 0, false
	}
	var r rune
	for _, c := range t[at : at+n] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// base64Values gives each character of either alphabet its value, others 0xff.
var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = byte(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

// unbase64 makes v what from's run [lo, hi) of base64 characters encodes. Where
// other characters of the alphabet precede the encoding, lo must be moved: a
// caller tries four.
func (v *view) unbase64(from *view, lo, hi int) {
	v.begin(from, inBase64, lo)
	var acc uint32
	bits := 0
	for i := lo; i < hi; i++ {
		acc = acc<<6 | uint32(base64Values[from.b[i]])
		if bits += 6; bits >= 8 {
			bits -= 8
			v.b = append(v.b, byte(acc>>bits))
		}
	}
}

// unhex makes v what from's run [lo, hi) of hex digits encodes.
func (v *view) unhex(from *view, lo, hi int) {
	v.begin(from, inHex, lo)
	for i := lo; i+2 <= hi; i += 2 {
		v.b = append(v.b, hexDigits[from.b[i]]<<4|hexDigits[from.b[i+1]])
	}
}
