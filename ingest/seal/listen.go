package seal

// decodable surveys what the runs of a text decode to.
func decodable(t []byte) (has survey) {
	var at scan
	for {
		r, ok := nextRun(t, &at)
		if !ok {
			return has
		}
		has |= hasCoded
		if r.hex && hexSpeaks(t[r.lo:r.hi]) || !r.hex && base64Speaks(t[r.lo:r.hi]) {
			return has | hasDeep
		}
	}
}

// A listener follows decoded bytes and tells whether there may be something
// known in them, or an escape: a run of minRun bytes that a known format is made
// of, a sign that may end the name of a secret, "//", or an escape. Where it
// hears none of these, inspect finds nothing, nor does unescape. Of random ids it
// takes one in fifty for text (TestDecodable).
type listener struct {
	last uint32 // the bytes before, the latest lowest
	run  int
	kind uint8 // of the latest
}

func (l *listener) hears(c byte) bool {
	k := kinds[c]
	l.run = (l.run + 1) & -int(k/isRunOn&1)
	if (k&isSign|l.kind&isOpener) != 0 && announced(l.last, c) {
		return true
	}
	l.last, l.kind = l.last<<8|uint32(c), k
	return l.run >= minRun
}

// heard tells whether a listener hears something in decoded bytes.
func heard(t []byte) bool {
	var l listener
	for _, c := range t {
		if l.hears(c) {
			return true
		}
	}
	return false
}

// announced tells whether c after the bytes of last is the sign of something.
func announced(last uint32, c byte) bool {
	a, b := byte(last>>8), byte(last)
	switch b {
	case '%':
		if inSet[c]&(1<<hex) != 0 || c == 'u' {
			return true
		}
	case '&':
		if c == '#' || c == 'a' || c == 'l' || c == 'g' || c == 'q' || c == 'n' {
			return true
		}
	case '\\':
		switch c {
		case 'u', 'x', '/', '"', '\\', '\'', 'n', 't', 'r':
			return true
		}
	}
	if classes[c]&isNaming == 0 {
		return c == '/' && b == '/'
	}
	if c == '=' || c == ':' || c == '>' {
		switch b {
		case '"', '\'', '\\', ' ', ']', '[':
			return true // what stands before these decides
		}
	}
	return endsName(a, b, c) || (c == ' ' && endsName(a, b, '=')) // of an option
}

// heralds tells of two bytes, as a bit for the second in words for the first,
// whether they may be announced, if the byte before them is the right one.
var heralds = func() (t [256][4]uint64) {
	for b := range 256 {
		for c := range 256 {
			if kinds[b]&isOpener == 0 && kinds[c]&isSign == 0 {
				continue
			}
			for a := byte('a' - 1); a <= 'z'; a++ {
				if announced(uint32(a)<<8|uint32(b), byte(c)) {
					t[b][c>>6] |= 1 << (c & 63)
					break
				}
			}
		}
	}
	return t
}()

// herald tells whether c after b may be announced.
func herald(b, c byte) bool { return heralds[b][c>>6]>>(c&63)&1 != 0 }

// hexSpeaks tells whether a listener hears something in either reading of hex.
// Ids in hex are common, so those too short for a known format are gone through
// once for both readings, and what stands before a sign is asked only there.
func hexSpeaks(t []byte) bool {
	if len(t) >= 2*minRun {
		return hexHeard(t, 0) || hexHeard(t, 1)
	}
	if len(t) < 4 {
		return false
	}
	a, b := hexDigits[t[0]]<<4|hexDigits[t[1]], hexDigits[t[1]]<<4|hexDigits[t[2]]
	for i := 3; i < len(t); i++ {
		c := hexDigits[t[i-1]]<<4 | hexDigits[t[i]]
		if herald(a, c) {
			if from := max(i-5, (i-1)&1); hexHeard(t[from:i+1], 0) {
				return true
			}
		}
		a, b = b, c
	}
	return false
}

// hexHeard is hexSpeaks of the reading that begins at t[k].
func hexHeard(t []byte, k int) bool {
	var l listener
	for i := k; i+2 <= len(t); i += 2 {
		if l.hears(hexDigits[t[i]]<<4 | hexDigits[t[i+1]]) {
			return true
		}
	}
	return false
}

// base64Speaks is hexSpeaks for the four readings of base64. They are gone
// through together: the latest four characters are three bytes of one reading,
// and above them are the bytes before in the same reading.
func base64Speaks(t []byte) bool {
	var acc uint64
	var ascii [4]int // how many quads of a reading in a row were ASCII
	for i := range len(t) + 3 {
		acc <<= 6
		if i < len(t) { // else zeros complete the last bytes
			acc |= uint64(base64Values[t[i]])
		}
		a, b, c := byte(acc>>16), byte(acc>>8), byte(acc)
		if (kinds[a]|kinds[b]|kinds[c])&(isSign|isOpener)|kinds[byte(acc>>24)]&isOpener != 0 &&
			(announced(uint32(acc>>24), a) || announced(uint32(acc>>16), b) || announced(uint32(acc>>8), c)) {
			return true
		}
		// minRun bytes hold a fourth as many whole quads.
		n := &ascii[i&3]
		if *n++; acc&0x808080 != 0 {
			*n = 0
		} else if *n >= minRun/4 && i >= 3 {
			return true
		}
	}
	return false
}
