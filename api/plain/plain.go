// Package plain makes text that comes from logs safe to show: characters that
// could steer a terminal, hide or reorder text become escapes.
package plain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// JSON replaces such characters in JSON by \u escapes. Beyond ASCII, JSON has
// characters only within strings, where an escape means the same.
func JSON(b []byte) []byte {
	clean := true
	for i := 0; i < len(b) && clean; {
		r, n := utf8.DecodeRune(b[i:])
		clean, i = !Steers(r), i+n
	}
	if clean {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if Steers(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	return out
}

// Text replaces such characters, and all control characters, in a line of text.
func Text(s string) string {
	unsafe := func(r rune) bool { return r < 0x20 || Steers(r) || r == utf8.RuneError }
	if strings.IndexFunc(s, unsafe) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafe(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Steers tells of the control characters that JSON allows raw, and of those
// that are invisible or change the direction of text.
func Steers(r rune) bool {
	switch {
	case r < 0x7f:
		return false
	case r <= 0x9f, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	default:
		return r == 0xfeff
	}
}
