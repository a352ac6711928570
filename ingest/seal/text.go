package seal

import (
	"fmt"
	"unicode/utf8"
)

// appendClean appends t as the package says that text is stored: valid UTF-8
// without characters that could forge a line or reorder what is shown.
func appendClean(out, t []byte) []byte {
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRune(t[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, "\uFFFD"...)
		case unprintable(r):
			out = fmt.Appendf(out, `\u%04X`, r)
		default:
			out = append(out, t[i:i+n]...)
		}
		i += n
	}
	return out
}

// unprintable tells whether r is escaped.
func unprintable(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0: // C0, DEL, C1
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // direction
		return true
	case r == 0x2028, r == 0x2029: // line and paragraph separator
		return true
	}
	return false
}

// displayLimit is how many bytes of a name are shown.
const displayLimit = 200

// display returns a name as it may be shown: clean, and cut at displayLimit.
func display(name []byte) string {
	if len(name) > displayLimit {
		name = name[:displayLimit]
		for len(name) > 0 && !utf8.Valid(name[max(0, len(name)-utf8.UTFMax):]) && len(name) > displayLimit-utf8.UTFMax {
			name = name[:len(name)-1]
		}
	}
	return string(appendClean(nil, name))
}
