package normalize

import "bytes"

// traits are what a route rule looks at.
type traits struct {
	digits, upper, lower, hexLetters, other int
	strange, percent, at                    bool
	dash, under                             int // last place, -1 if none
}

// The kinds of characters look counts, each in a byte of a word: that adds up,
// up to 255 characters, without a branch.
const (
	oneDigit = 1 << (8 * iota)
	oneLower
	oneUpper
	oneHexLetter
	oneOther
	oneStrange
	onePercent
	oneAt
)

var counts = func() (t [256]uint64) {
	for i := range t {
		switch c := byte(i); {
		case c >= '0' && c <= '9':
			t[i] = oneDigit
		case c >= 'a' && c <= 'f':
			t[i] = oneLower + oneHexLetter
		case c >= 'a' && c <= 'z':
			t[i] = oneLower
		case c >= 'A' && c <= 'F':
			t[i] = oneUpper + oneHexLetter
		case c >= 'A' && c <= 'Z':
			t[i] = oneUpper
		case c == '%':
			t[i] = onePercent
		case c == '@':
			t[i] = oneAt
		case c >= 0x80, c < 0x20, c == 0x7f, c == '"', c == '\'', c == '<', c == '>', c == '\\', c == '(', c == ' ':
			t[i] = oneStrange
		default:
			t[i] = oneOther
		}
	}
	return t
}()

// plainOnes are the counts of letters and digits.
const plainOnes = 0xff*oneDigit | 0xff*oneLower | 0xff*oneUpper | 0xff*oneHexLetter

// tally counts the characters of at most 255.
func tally(seg []byte) (n uint64) {
	for _, c := range seg {
		n += counts[c]
	}
	return n
}

// look counts the characters of a text of any length.
func look(seg []byte) traits {
	if len(seg) <= 255 {
		return traitsOf(tally(seg), seg)
	}
	t, rest := look(seg[:255]), look(seg[255:])
	if rest.dash >= 0 {
		t.dash = rest.dash + 255
	}
	if rest.under >= 0 {
		t.under = rest.under + 255
	}
	t.digits, t.upper, t.lower = t.digits+rest.digits, t.upper+rest.upper, t.lower+rest.lower
	t.hexLetters, t.other = t.hexLetters+rest.hexLetters, t.other+rest.other
	t.strange, t.percent, t.at = t.strange || rest.strange, t.percent || rest.percent, t.at || rest.at
	return t
}

// traitsOf reads what tally counted of seg.
func traitsOf(n uint64, seg []byte) traits {
	t := traits{
		digits:     int(n / oneDigit % 256),
		lower:      int(n / oneLower % 256),
		upper:      int(n / oneUpper % 256),
		hexLetters: int(n / oneHexLetter % 256),
		other:      int(n / oneOther % 256),
		strange:    n/oneStrange%256 > 0,
		percent:    n/onePercent%256 > 0,
		at:         n/oneAt%256 > 0,
		dash:       -1,
		under:      -1,
	}
	if t.other > 0 {
		t.dash, t.under = bytes.LastIndexByte(seg, '-'), bytes.LastIndexByte(seg, '_')
	}
	return t
}
