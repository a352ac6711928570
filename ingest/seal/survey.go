package seal

import (
	"bytes"
	"encoding/binary"
)

// A survey is what one pass over a text finds out: whether it must be looked at
// closely, and how. Nearly all texts need not.
type survey uint16

const (
	hasRun     survey = 1 << iota // a run of minRun word characters
	hasMixed                      // a run of minMixed base64 characters with lower, upper case and digits
	hasName                       // a separator after what may be the name of a secret
	hasUser                       // "//" and later "@", with a colon before it
	hasEscape                     // an escape of an ASCII character: percent, backslash or entity
	hasPercent                    // any escape
	hasBase64                     // a run of base64 long enough for part of a credential
	hasOdd                        // control or non-ASCII bytes
	hasCoded                      // a run that eachRun gives, see decodable
	hasDeep                       // one that decodes to what must be looked at closely
	isHexID                       // nothing but lower hex digits, too few for a known format in hex

	suspicious = hasRun | hasMixed | hasName | hasUser | hasEscape
)

const (
	minRun   = 20 // a shorter run is no secret
	minMixed = 30 // the same for base64 with '+' and '/'
	minCoded = 16 // base64 of twelve bytes
)

// Classes of bytes, as bits.
const (
	isLower  uint8 = 1 << iota
	isUpper        // A-Z
	isDigit        // 0-9
	isJoin         // - _ . ~ : inside a word
	isSlash        // + / : inside base64
	isNaming       // = : > and blank, + : may stand between a name and its value
	isEscape       // % \ &
	isOdd          // controls, DEL, not ASCII

	isAlnum = isLower | isUpper | isDigit
	isWord  = isAlnum | isJoin
	isWide  = isAlnum | isSlash | isJoin // base64, both alphabets; '.' and '~' are rare enough
)

var classes = func() (t [256]uint8) {
	for c := range 256 {
		switch {
		case c >= 'a' && c <= 'z':
			t[c] = isLower
		case c >= 'A' && c <= 'Z':
			t[c] = isUpper
		case c >= '0' && c <= '9':
			t[c] = isDigit
		case c < 0x20 || c >= 0x7f:
			t[c] = isOdd
		}
	}
	t['-'], t['_'], t['.'], t['~'] = isJoin, isJoin, isJoin, isJoin
	t['+'], t['/'] = isSlash|isNaming, isSlash
	t['='], t[':'], t['>'], t[' '] = isNaming, isNaming, isNaming, isNaming
	t['%'], t['\\'], t['&'] = isEscape, isEscape, isEscape
	return t
}()

// look surveys a text.
func look(t []byte) survey {
	if isPlain(t) {
		return 0
	}
	return lookAt(t)
}

// lookAt is look for all sorts of texts.
func lookAt(t []byte) survey {
	var has survey
	var narrow, wide uint8 // classes seen in the runs
	start, startWide := 0, 0
	slashes := false // two of them
	for i := 0; i < len(t); i++ {
		c := classes[t[i]]
		if c&isWord != 0 {
			narrow |= c
			continue
		}
		if i-start >= minCoded {
			has |= lookRun(t[start:i], narrow)
		}
		if c&isNaming != 0 && mayEndName(t, i) {
			has |= hasName
		}
		wide |= narrow
		narrow, start = 0, i+1
		if c&isSlash != 0 {
			if t[i] == '/' && i > 0 && t[i-1] == '/' {
				slashes = true
			}
			continue
		}
		has |= lookWide(i-startWide, wide)
		wide, startWide = 0, i+1
		switch {
		case t[i] == '&':
			if n, _ := entity(t[i:]); n > 0 {
				has |= hasPercent | hasEscape
			}
		case c&isEscape != 0:
			has |= hasPercent
			if t[i] == '\\' || (i+1 < len(t) && t[i+1] < '8') || (i+1 < len(t) && t[i+1] == 'u') {
				has |= hasEscape
			}
		case c&isOdd != 0:
			has |= hasOdd
		case t[i] == '@' && slashes && bytes.IndexByte(t[:i], ':') >= 0:
			has |= hasUser
		}
	}
	if len(t)-start >= minCoded {
		has |= lookRun(t[start:], narrow)
	}
	return has | lookWide(len(t)-startWide, wide|narrow)
}

func lookRun(run []byte, seen uint8) survey {
	if seen&(isDigit|isUpper) == 0 || isUUID(run) {
		return 0
	}
	if len(run) < minRun {
		return hasBase64
	}
	return hasRun | hasBase64
}

func lookWide(n int, seen uint8) (has survey) {
	if n < minCoded {
		return 0
	}
	// A path of lower case is common. Base64 without upper case is not, and
	// lookRun finds it by its digits.
	if seen&isUpper != 0 {
		has |= hasBase64
	}
	if n >= minMixed && seen&isAlnum == isAlnum {
		has |= hasMixed
	}
	return has
}

// isPlain tells, faster than look, whether look finds nothing in a text of the
// common sort: without upper case, or short.
func isPlain(t []byte) bool {
	var seen uint8
	for _, c := range t {
		seen |= classes[c]
	}
	if seen&(isNaming|isEscape|isOdd) != 0 {
		return false
	}
	if len(t) < minCoded || seen&(isUpper|isDigit) == 0 {
		return true
	}
	if seen&isUpper != 0 {
		return false
	}
	// A run of minCoded bytes has one at a multiple of that, less one.
	for at := minCoded - 1; at < len(t); at += minCoded {
		lo, hi := at, at
		for hi < len(t) && classes[t[hi]]&isWord != 0 {
			hi++
		}
		for lo > 0 && hi > at && classes[t[lo-1]]&isWord != 0 {
			lo--
		}
		if hi-lo >= minCoded {
			return false
		}
	}
	return true
}

// lowHex tells whether eight bytes are hex digits, not in upper case, and marks
// those from 0 to 9 among them.
func lowHex(x uint64) (hex bool, digits uint64) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	// The high bit of a byte below 0x80 plus 0x80-n is set from n on.
	digits = (x + ones*(0x80-'0')) &^ (x + ones*(0x80-':')) & highs
	letters := (x + ones*(0x80-'a')) &^ (x + ones*(0x80-'g')) & highs
	return (digits|letters)&^x == highs, digits
}

// isLowUUID tells whether a text is a UUID in lower case: most are, and a survey
// finds nothing in one.
func isLowUUID(t []byte) bool {
	if len(t) != 36 || t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-' {
		return false
	}
	a, _ := lowHex(binary.LittleEndian.Uint64(t))
	b, _ := lowHex(uint64(binary.LittleEndian.Uint32(t[9:])) | uint64(binary.LittleEndian.Uint32(t[14:]))<<32)
	c, _ := lowHex(uint64(binary.LittleEndian.Uint32(t[19:])) | uint64(binary.LittleEndian.Uint32(t[32:]))<<32)
	d, _ := lowHex(binary.LittleEndian.Uint64(t[24:]))
	return a && b && c && d
}

// hexID surveys a text that is an id in hex; it returns 0 for others.
func hexID(t []byte) (has survey) {
	n := len(t)
	if n < 2*minShared || n >= 2*minRun || (kinds[t[0]]&kinds[t[n/2]]&kinds[t[n-1]])&isLowHex == 0 {
		return 0
	}
	digits := uint64(0)
	for at := 0; ; at += 8 {
		at = min(at, n-8) // the last bytes together with some that were looked at
		hex, d := lowHex(binary.LittleEndian.Uint64(t[at:]))
		if digits |= d; !hex {
			return 0
		}
		if at == n-8 {
			break
		}
	}
	if digits == 0 {
		return 0
	}
	has = isHexID | hasRun | hasBase64 | hasCoded
	if hexSpeaks(t) {
		has |= hasDeep
	}
	return has
}
