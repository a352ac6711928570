package seal

import (
	"encoding/binary"
	"math/bits"
)

// run is a part of a text that could be base64 or hex.
type run struct {
	lo, hi int
	hex    bool
}

// shifts returns how many characters of other text may precede the encoding
// within the run: four readings of base64, two of hex.
func (r run) shifts() int {
	if r.hex {
		return 2
	}
	return 4
}

// Kinds of bytes for finding runs and for judging what they decode to, as bits.
const (
	isCode   uint8 = 1 << iota // base64, either alphabet
	isHex                      // a hex digit
	isOther                    // a letter or digit beyond hex, + or /
	isRunOn                    // may be part of a known format
	isSign                     // may end the name of a secret, or "//"
	isOpener                   // begins an escape
	isLowHex                   // a hex digit, not in upper case
	isHead                     // a known format or an issued token may begin with it
)

var kinds = func() (t [256]uint8) {
	for c := range 256 {
		if base64Values[c] != 0xff {
			t[c] |= isCode
			if inSet[c]&(1<<hex) != 0 {
				t[c] |= isHex
				if classes[c]&isUpper == 0 {
					t[c] |= isLowHex
				}
			} else if classes[c]&isJoin == 0 {
				t[c] |= isOther
			}
		}
		if classes[c]&isWide != 0 || c == '=' {
			t[c] |= isRunOn
		}
		if classes[c]&isNaming != 0 || c == '/' {
			t[c] |= isSign
		}
		if classes[c]&isEscape != 0 {
			t[c] |= isOpener
		}
		if classes[c]&isLower != 0 || formatsBy[c] != nil || hookHeads[c] {
			t[c] |= isHead
		}
	}
	return t
}()

// hexDigits gives each hex digit its value.
var hexDigits = func() (t [256]byte) {
	for c := range 256 {
		if r, ok := hexValue([]byte{byte(c)}, 0, 1); ok {
			t[c] = byte(r)
		}
	}
	return t
}()

// nextRun returns the next run of t that could be base64 or hex; ok is false
// behind the last. Runs of hex come before the run of base64 that they are in.
//
// Nothing but hex digits of one case is no base64, nor is a UUID.
func nextRun(t []byte, at *scan) (r run, ok bool) {
	for {
		for at.i < at.end { // hex within the run of base64
			lo := at.i
			for at.i < at.end && kinds[t[at.i]]&isHex != 0 {
				at.i++
			}
			hi := at.i
			at.i++
			if hi-lo >= 2*minShared {
				return run{lo, hi, true}, true
			}
		}
		if at.coded {
			at.coded = false
			return run{at.lo, at.end, false}, true
		}
		lo := at.end
		for lo < len(t) && kinds[t[lo]]&isCode == 0 {
			lo++
		}
		if lo == len(t) {
			return run{}, false
		}
		at.lo = lo
		hi := lo
		var seen, kind uint8
		all := isHex
		slash, longest := lo-1, 0 // of the parts between slashes
		for ; hi < len(t) && kinds[t[hi]]&isCode != 0; hi++ {
			seen |= classes[t[hi]]
			kind |= kinds[t[hi]]
			all &= kinds[t[hi]]
			if classes[t[hi]]&isSlash != 0 {
				longest = max(longest, hi-slash-1)
				slash = hi
			}
		}
		longest = max(longest, hi-slash-1)
		at.end, at.i = hi, hi
		if hi-lo < minCoded {
			continue
		}
		at.coded = seen&isUpper != 0 || (kind&isOther != 0 && longest >= minCoded && seen&isDigit != 0)
		switch {
		case longest < 2*minShared:
		case all != 0:
			return run{lo, hi, true}, true
		default:
			at.i = lo
		}
	}
}

// scan is how far nextRun is.
type scan struct {
	lo, end int  // the run of base64 characters it is in
	i       int  // up to where that was searched for hex
	coded   bool // whether it may be base64, and is still to be given
}

// decode makes s.views[depth+1] what a run of s.views[depth] encodes, if shift
// characters precede the encoding.
func (s *Sealer) decode(depth int, r run, shift int) *view {
	from, child := &s.views[depth], &s.views[depth+1]
	if r.hex {
		child.unhex(from, r.lo+shift, r.hi)
	} else {
		child.unbase64(from, r.lo+shift, r.hi)
	}
	return child
}

// mayShare tells whether a reading of a run may share a part with a long needle:
// it looks at the bytes that findLong would look at.
func (n *needles) mayShare(t []byte, r run, shift int) bool {
	lo := r.lo + shift
	if r.hex {
		for ; lo+8 <= r.hi; lo += 16 {
			if n.hasGram(hexGram(t[lo:])) {
				return true
			}
		}
		return false
	}
	size := 6 * (r.hi - lo) / 8
	for at := 0; at+4 <= size; at += 8 {
		if n.hasGram(base64Gram(t[lo+8*at/6:], 8*at%6)) {
			return true
		}
	}
	return false
}

// hexGram returns gramAt of what eight hex digits encode.
func hexGram(t []byte) uint32 {
	x := binary.LittleEndian.Uint64(t)
	x = x&0x0f0f0f0f0f0f0f0f + 9*(x>>6&0x0101010101010101) // the value of each digit
	x = (x<<4 | x>>8) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x|x>>16) | 0x20202020
}

// base64Gram returns gramAt of the four bytes that begin skip bits, at most
// four, after the first of six base64 characters.
func base64Gram(t []byte, skip int) uint32 {
	var acc uint64
	for _, c := range t[:6] {
		acc = acc<<6 | uint64(base64Values[c])
	}
	return bits.ReverseBytes32(uint32(acc>>(4-skip))) | 0x20202020
}
