package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shown makes text that comes from logs safe to print: whatever is no visible
// character, and so could move the cursor, hide or reorder text or forge a line,
// is written as an escape.
func shown(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case visible(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

func clean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !visible(r) {
			return false
		}
	}
	return true
}

// visible tells of characters that only show themselves.
func visible(r rune) bool { return unicode.IsPrint(r) }

// writeJSON writes v as a line of JSON. Characters that are not visible are
// escaped there too: JSON on a terminal is still on a terminal.
func writeJSON(w io.Writer, v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err := io.WriteString(w, escapeJSON(strings.TrimSuffix(b.String(), "\n"))+"\n")
	return err
}

// escapeJSON escapes what encoding/json leaves as it is. Beyond ASCII, JSON has
// characters only within strings, where an escape means the same.
func escapeJSON(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case visible(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// print writes v to standard output as a line of JSON.
func (c *console) print(v any) error { return writeJSON(c.stdout, v) }
