package frame

// scanner follows the grammar of one JSON object byte by byte, so that it can
// be fed in pieces. It checks structure, not literals: enough to say at which
// byte a record stops making sense.
type scanner struct {
	depth int
	kinds uint64 // bit d: level d is an object (up to MaxDepth)
	state state

	watch  bool // a top-level value: look for "Records"
	key    int  // bytes of "Records" matched by the present name, -1 if it differs
	nth    int  // members of the outermost object so far
	loose  bool // structure is lost: only brackets and quotes are followed
	deep   bool // MaxDepth was passed
	inside bool // loose: within a string
	escape bool // loose: behind a backslash
	fresh  bool // the byte before was a line break

	toLineEnd bool // loose: the record ends with its line
}

type state uint8

const (
	wantValue    state = iota // at the start, behind a colon, behind a comma in an array
	wantItem                  // behind [
	wantName                  // behind { or a comma in an object
	wantColon                 // behind a name
	wantComma                 // behind a value
	inName                    // within a member's name
	inNameEscape              // behind its backslash
	inString                  // within a string
	inEscape                  // behind its backslash
	inLiteral                 // within a number, true, false or null
	wantFirst                 // behind { only: } is allowed
	wantRecords               // behind "Records": and [
)

// verdict is what a byte meant for the record.
type verdict uint8

const (
	more    verdict = iota // goes on
	end                    // the record's last byte
	opened                 // the first element (or the end) of its "Records"
	restart                // belongs to the next record
)

const recordsName = "Records"

// step takes bytes until one has a verdict other than more, and returns how
// many it took.
func (s *scanner) step(b []byte) (int, verdict) {
	for i, c := range b {
		if s.state == inString && !s.loose && c != '"' && c != '\\' && c != '\n' {
			continue
		}
		var v verdict
		if s.loose {
			v = s.loosely(c)
		} else {
			v = s.strictly(c)
		}
		s.fresh = c == '\n'
		if v != more {
			return i + 1, v
		}
	}
	return len(b), more
}

func (s *scanner) strictly(c byte) verdict {
	switch s.state {
	case inString:
		switch c {
		case '"':
			s.state = wantComma
		case '\\':
			s.state = inEscape
		case '\n':
			return s.fail(c)
		}
		return more
	case inEscape:
		s.state = inString
		return more
	case inName:
		switch {
		case c == '"':
			s.state = wantColon
		case c == '\n':
			return s.fail(c)
		case c == '\\':
			s.state, s.key = inNameEscape, -1
		case s.key >= 0 && s.key < len(recordsName) && c == recordsName[s.key]:
			s.key++
		default:
			s.key = -1
		}
		return more
	case inNameEscape:
		s.state = inName
		return more
	case inLiteral:
		if c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return more
		}
		s.state = wantComma
	}
	if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
		return more
	}
	return s.structure(c)
}

// structure takes a byte that stands outside strings and literals.
func (s *scanner) structure(c byte) verdict {
	switch s.state {
	case wantRecords:
		if c == '{' || c == ']' && s.nth == 1 {
			return opened
		}
		s.state = wantItem
		return s.structure(c)
	case wantValue, wantItem:
		switch {
		case c == '{':
			return s.push(true)
		case c == '[':
			records := s.watch && s.depth == 1 && s.key == len(recordsName) && s.state == wantValue
			s.push(false)
			if records {
				s.state = wantRecords
			}
			return more
		case c == '"':
			s.state = inString
			return more
		case c == ']' && s.state == wantItem:
			return s.pop(false)
		case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n':
			s.state = inLiteral
			return more
		}
	case wantName, wantFirst:
		switch {
		case c == '"':
			s.state, s.key = inName, 0
			if s.depth == 1 {
				s.nth++
			}
			return more
		case c == '}' && s.state == wantFirst:
			return s.pop(true)
		}
	case wantColon:
		if c == ':' {
			s.state = wantValue
			return more
		}
	case wantComma:
		switch c {
		case ',':
			if s.object() {
				s.state = wantName
			} else {
				s.state = wantValue
			}
			return more
		case '}':
			return s.pop(true)
		case ']':
			return s.pop(false)
		}
	}
	if c == '{' && (s.depth == 1 || s.fresh) || c == ']' && s.depth == 1 && !s.watch {
		return restart
	}
	return s.fail(c)
}

func (s *scanner) object() bool { return s.kinds&(1<<s.depth) != 0 }

func (s *scanner) push(object bool) verdict {
	s.depth++
	if s.depth > MaxDepth {
		s.deep, s.loose = true, true
		return more
	}
	s.kinds &^= 1 << s.depth
	s.state = wantItem
	if object {
		s.kinds |= 1 << s.depth
		s.state = wantFirst
	}
	return more
}

func (s *scanner) pop(object bool) verdict {
	if s.object() != object {
		c := byte(']')
		if object {
			c = '}'
		}
		if s.depth == 1 && !s.watch {
			return restart
		}
		return s.fail(c)
	}
	s.depth--
	s.state = wantComma
	if s.depth == 0 {
		return end
	}
	return more
}

// fail notes that c makes no sense. At the top the record goes on to the end of
// its line; within an array, to where brackets balance.
func (s *scanner) fail(c byte) verdict {
	s.inside = s.state == inString || s.state == inName
	s.loose, s.toLineEnd = true, s.watch
	return s.loosely(c)
}

// loosely looks for the end of a record whose structure is lost.
func (s *scanner) loosely(c byte) verdict {
	if c == '\n' {
		s.inside, s.escape = false, false
		if s.toLineEnd {
			return end
		}
		return more
	}
	if s.toLineEnd {
		return more
	}
	if s.fresh && c == '{' && s.watch {
		return restart
	}
	switch {
	case s.escape:
		s.escape = false
	case s.inside && c == '\\':
		s.escape = true
	case c == '"':
		s.inside = !s.inside
	case s.inside:
	case c == '{' || c == '[':
		s.depth++
	case c == '}' || c == ']':
		if s.depth--; s.depth <= 0 {
			return end
		}
	}
	return more
}

// resume continues behind the closing bracket of "Records".
func (s *scanner) resume() {
	s.depth, s.state, s.watch, s.fresh = 1, wantComma, false, false
}
