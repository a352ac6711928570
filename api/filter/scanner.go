package filter

import (
	"fmt"
	"strconv"
	"strings"
)

// scanner cuts a filter into its parts.
type scanner struct {
	text string
	at   int
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

func (s *scanner) peek() byte { return s.text[s.at] }

func (s *scanner) space() {
	for !s.done() && isSpace(s.peek()) {
		s.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (s *scanner) accept(c byte) bool {
	if s.done() || s.peek() != c {
		return false
	}
	s.at++
	return true
}

// keyword takes a word in upper case that stands by itself.
func (s *scanner) keyword(word string) bool {
	rest, ok := strings.CutPrefix(s.text[s.at:], word)
	if !ok || rest != "" && !isSpace(rest[0]) && rest[0] != '(' {
		return false
	}
	s.at += len(word)
	s.space()
	return true
}

func (s *scanner) atKeyword() bool {
	here := s.at
	defer func() { s.at = here }()
	return s.keyword("AND") || s.keyword("OR") || s.keyword("NOT")
}

// operators, the longer ones first.
var operators = []string{"<=", ">=", "!=", "<", ">", "=", ":"}

func (s *scanner) operator() string {
	for _, op := range operators {
		if strings.HasPrefix(s.text[s.at:], op) {
			s.at += len(op)
			return op
		}
	}
	return ""
}

// word reads a text in quotes, with Go's escapes, or a bare one. A field ends
// at an operator; in a value colons and signs are its own, as in times and
// addresses.
func (s *scanner) word(field bool) (string, error) {
	if s.done() {
		return "", s.errorf("a value is missing")
	}
	if c := s.peek(); c == '"' || c == '\'' {
		return s.quoted(c)
	}
	ends := "\"'()=<>! \t\r\n"
	if field {
		ends += ":"
	}
	end := strings.IndexAny(s.text[s.at:], ends)
	if end < 0 {
		end = len(s.text) - s.at
	}
	rest := s.text[s.at+end:]
	switch {
	case end == 0:
		return "", s.errorf("a value is missing or must be quoted")
	case !field && rest != "" && !isSpace(rest[0]) && rest[0] != ')', field && rest != "" && strings.IndexByte("\"'(", rest[0]) >= 0:
		s.at += end
		return "", s.errorf("a value with this character must be quoted")
	}
	word := s.text[s.at : s.at+end]
	s.at += end
	return word, nil
}

func (s *scanner) quoted(quote byte) (string, error) {
	start := s.at
	var b strings.Builder
	rest := s.text[s.at+1:]
	for rest != "" && rest[0] != quote {
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return "", s.errorAt(start, "a quoted value has an unknown escape")
		}
		if multibyte {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r))
		}
		rest = tail
	}
	if rest == "" {
		return "", s.errorAt(start, "a quoted value does not end")
	}
	s.at = len(s.text) - len(rest) + 1
	return b.String(), nil
}

func (s *scanner) errorf(format string, args ...any) error {
	return s.errorAt(s.at, fmt.Sprintf(format, args...))
}

// errorAt counts characters, as an editor does.
func (s *scanner) errorAt(at int, message string) error {
	return &Error{At: len([]rune(s.text[:min(at, len(s.text))])) + 1, Message: message}
}
