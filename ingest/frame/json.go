package frame

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The grammar of JSON (RFC 8259) as functions that find where things end. They
// work on what is in memory as a whole, eight bytes of a string at a time, and
// accept exactly what jsontext accepts with invalid UTF-8 allowed; a fuzz test
// of ingest/format, which reads records with them, compares the two.

// Space returns the place of the first byte from i on that is no white space.
func Space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// StringEnd returns the place behind the closing quote of a string whose first
// character is at i, -1 if it is no string. Verbatim tells that what stands
// between the quotes is the string's value: UTF-8 without escapes.
func StringEnd(b []byte, i int) (end int, verbatim bool) {
	begin, escaped, wide := i, false, uint64(0)
	for {
		for ; i+8 <= len(b); i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			wide |= x
			quote, slash := x^(ones*'"'), x^(ones*'\\')
			// The lowest set bit marks the first quote, backslash or control character.
			if m := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & highs; m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
		}
		for ; i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' '; i++ {
			wide |= uint64(b[i])
		}
		if i == len(b) || b[i] < ' ' {
			return -1, false
		}
		if b[i] == '"' {
			// Wide also has bytes behind the quote: it only says where to look closer.
			return i + 1, !escaped && (wide&highs == 0 || utf8.Valid(b[begin:i]))
		}
		escaped = true
		if i = escapeEnd(b, i+1); i < 0 {
			return -1, false
		}
	}
}

// escapeEnd returns the place behind an escape whose backslash is before i.
func escapeEnd(b []byte, i int) int {
	if i == len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(b) {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if c-'0' > 9 && (c|0x20)-'a' > 5 {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

// NumberEnd returns the place behind a number that begins at i, -1 if it is none.
func NumberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	if i = digitsEnd(b, i); i == first {
		return -1
	}
	if b[first] == '0' {
		i = first + 1
	}
	if i < len(b) && b[i] == '.' {
		first = i + 1
		if i = digitsEnd(b, first); i == first {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '-' || b[i] == '+') {
			i++
		}
		first = i
		if i = digitsEnd(b, first); i == first {
			return -1
		}
	}
	return i
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// WordEnd returns the place behind true, false or null at i, -1 if it is none.
func WordEnd(b []byte, i int) int {
	word := "null"
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return -1
}

// objectEnd returns the place behind the object whose brace is before i; -1 if it
// does not end within b, is not JSON, is nested deeper than MaxDepth, or is the
// outermost, to be watched, and has a member called "Records".
func objectEnd(b []byte, i, depth int, watch bool) int {
	if depth > MaxDepth {
		return -1
	}
	if i = Space(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for i < len(b) && b[i] == '"' {
		name := i + 1
		if i, _ = StringEnd(b, name); i < 0 || watch && string(b[name:i-1]) == recordsName {
			return -1
		}
		if i = Space(b, i); i == len(b) || b[i] != ':' {
			return -1
		}
		if i = valueEnd(b, Space(b, i+1), depth); i < 0 {
			return -1
		}
		switch i = Space(b, i); {
		case i == len(b):
			return -1
		case b[i] == '}':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = Space(b, i+1)
	}
	return -1
}

func arrayEnd(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	if i = Space(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = valueEnd(b, i, depth); i < 0 {
			return -1
		}
		switch i = Space(b, i); {
		case i == len(b):
			return -1
		case b[i] == ']':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = Space(b, i+1)
	}
}

func valueEnd(b []byte, i, depth int) int {
	if i == len(b) {
		return -1
	}
	switch b[i] {
	case '{':
		return objectEnd(b, i+1, depth+1, false)
	case '[':
		return arrayEnd(b, i+1, depth+1)
	case '"':
		i, _ = StringEnd(b, i+1)
		return i
	case 't', 'f', 'n':
		return WordEnd(b, i)
	}
	return NumberEnd(b, i)
}
