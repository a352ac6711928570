package seal

import "bytes"

// userinfo masks the password of scheme://user:password@host. A password may hold
// signs that would end it if there were none: what stands between the colon and
// them is then no port.
func (s *Sealer) userinfo(i int, v *view, at int) int {
	t := v.b
	if at < len(t) && t[at] == '[' { // an address of IPv6, and its colons
		return 0
	}
	colon, last := -1, -1
scan:
	for j := at; j < len(t); j++ {
		switch c := t[j]; {
		case c <= ' ' || c == '"' || c == '<' || c == '>':
			break scan
		case c == '/' || c == '?' || c == '#':
			if last >= 0 || colon < 0 || isPort(t[colon+1:j]) {
				break scan
			}
		case c == ':' && colon < 0:
			colon = j
		case c == '@':
			if last < 0 && colon < 0 && !bytes.ContainsRune(t[j+1:authorityEnd(t, j+1)], '@') {
				if looksSecret(t[at:j]) {
					s.found(i, v, at, j)
				}
				return j
			}
			last = j
		}
	}
	if last < 0 || colon < 0 || colon > last || !s.spend(i, last-at) {
		return 0
	}
	if colon+1 < last {
		s.found(i, v, colon+1, last)
	}
	return last
}

// isPort tells whether b may stand between the colon and the end of an authority.
func isPort(b []byte) bool {
	for _, c := range b {
		if classes[c]&isDigit == 0 {
			return false
		}
	}
	return len(b) <= 5
}

// authorityEnd returns where what begins at t[at:] ends as part of an authority.
func authorityEnd(t []byte, at int) int {
	if n := bytes.IndexAny(t[at:], "/?# \""); n >= 0 {
		return at + n
	}
	return len(t)
}

// named masks the value after the separator at t[at:], if what stands before
// it names a secret.
func (s *Sealer) named(i int, v *view, at int) int {
	t := v.b
	end := beforeQuotes(t, at)
	start := wordStart(t, end)
	name := t[start:end]
	rule := secretName(name)
	if rule == nil {
		if rule = pairName(t, start, name); rule == nil {
			return 0
		}
		name = nil
	}
	sep := byte(0) // of parameters, if the name is that of one
	switch {
	case t[at] == '=' && at+1 < len(t) && t[at+1] == '>':
		at++ // "password" => "…"
	case t[at] == '=':
		sep = parameterOf(t, start)
	}
	var lo, hi int
	switch {
	case t[at] == ':' && (rule.line || bytes.IndexByte(name, '-') >= 0):
		lo, hi = header(t, start, at+1)
	case sep != 0:
		lo, hi = parameterValue(t, at+1, sep)
	default:
		lo, hi = value(t, at+1)
	}
	for schemeOf(t[lo:hi]) != "" && hi < len(t) && (t[hi] == ' ' || t[hi] == '+') {
		lo, hi = value(t, hi+1)
	}
	if !s.spend(i, hi-at) || !rule.admits(t[lo:hi], sep != 0) {
		return 0
	}
	if t[at] == ':' && rule.min > 1 && lo == at+1 && unexplained(t[lo:hi]) == 0 {
		return 0 // a word after a colon: a verb, as in /v1/token:refresh
	}
	s.found(i, v, lo, hi)
	return hi
}

// wordStart returns where the word begins that ends before t[end].
func wordStart(t []byte, end int) int {
	start := end
	for start > 0 && end-start < 64 && classes[t[start-1]]&isWord != 0 {
		start--
	}
	return start
}

// pairName returns the rule of the name in {"name": "password", "value": "…"}, if
// a word that begins at t[start] and says value stands behind one; nil if not.
func pairName(t []byte, start int, word []byte) *nameRule {
	if !isValueName(word) {
		return nil
	}
	end := start
	for end > 0 && start-end < 16 && (surrounds(t[end-1]) || t[end-1] == '\\' || t[end-1] == ',') {
		end--
	}
	if end == start || end == 0 || (t[end] != '"' && t[end] != '\'' && t[end] != '\\') {
		return nil
	}
	return secretName(t[wordStart(t, end):end])
}

// parameterOf returns what separates the parameters of the URL or form that a
// name which begins at t[start] belongs to; 0 if it is no parameter.
func parameterOf(t []byte, start int) byte {
	for start > 0 && (t[start-1] == '[' || (t[start-1] != '&' && classes[t[start-1]]&isWord != 0)) {
		start-- // user[password]
	}
	if start == 0 {
		return '&'
	}
	switch t[start-1] {
	case '?', '&', '#', '"', '\'':
		return '&'
	case ';':
		return ';'
	}
	return 0
}

// parameterValue returns the bounds of a parameter's value that begins at t[at:].
// Signs that close what stands around a URL end it where they are its last.
func parameterValue(t []byte, at int, sep byte) (lo, hi int) {
	if at < len(t) && (t[at] == '"' || t[at] == '\'' || t[at] == ' ' || t[at] == '\\') {
		return value(t, at)
	}
	hi = at
scan:
	for ; hi < len(t); hi++ {
		switch c := t[hi]; c {
		case '&', '#', '"', '<', '>', '`', sep:
			break scan
		case '?':
			if sep == ';' {
				break scan
			}
		case '\'':
			if hi+1 == len(t) || classes[t[hi+1]]&isAlnum == 0 {
				break scan
			}
		case '\\':
			if hi+1 < len(t) && (t[hi+1] == '"' || t[hi+1] == 'n' || t[hi+1] == 'r') {
				break scan
			}
		default:
			if c <= ' ' {
				break scan
			}
		}
	}
	for hi > at && (t[hi-1] == ')' || t[hi-1] == ']' || t[hi-1] == '}' || t[hi-1] == ',' || t[hi-1] == ';') {
		hi--
	}
	return at, hi
}

// header returns the bounds of a header's value that begins at t[at:], and whose
// name begins at t[start]: up to the closing quote or the end of the line, if it
// may have blanks.
func header(t []byte, start, at int) (lo, hi int) {
	lo, hi = value(t, at)
	if (lo > at && (t[lo-1] == '"' || t[lo-1] == '\'')) || isPlainValue(t[lo:hi]) {
		return lo, hi
	}
	switch scheme := schemeOf(t[lo:hi]); {
	case beginsLine(t, start):
	case scheme != "" && scheme != "digest" && scheme != "hoba":
		return lo, hi // one token follows
	case scheme == "" && bytes.IndexByte(t[lo:hi], '=') < 0 && !bytes.HasPrefix(t[lo:hi], []byte("AWS4-")):
		return lo, hi // in the midst of a sentence
	}
	for hi < len(t) && t[hi] >= ' ' && t[hi] != 0x7f && !(t[hi] == '\\' && hi+1 < len(t) && (t[hi+1] == 'r' || t[hi+1] == 'n')) {
		hi++
	}
	return lo, hi
}

// beginsLine tells whether a line of t begins at start, or its first item.
func beginsLine(t []byte, start int) bool {
	return start == 0 || t[start-1] == '\n' || (start > 1 && t[start-1] == 'n' && t[start-2] == '\\')
}

// element masks the text of an XML element whose tag ends with the sign at t[at],
// if its name is that of a secret.
func (s *Sealer) element(i int, v *view, at int) int {
	t := v.b
	open := bytes.LastIndexByte(t[max(0, at-256):at], '<')
	if open < 0 {
		return 0
	}
	name := t[max(0, at-256)+open+1 : at]
	if n := bytes.IndexAny(name, " \t\r\n"); n >= 0 {
		name = name[:n]
	}
	if n := bytes.IndexByte(name, ':'); n >= 0 {
		name = name[n+1:]
	}
	rule := secretName(name)
	if rule == nil {
		return 0
	}
	lo, hi := at+1, len(t)
	if bytes.HasPrefix(t[lo:], []byte("<![CDATA[")) {
		lo += len("<![CDATA[")
		if n := bytes.Index(t[lo:], []byte("]]>")); n >= 0 {
			hi = lo + n
		}
	} else if n := bytes.IndexByte(t[lo:], '<'); n >= 0 {
		hi = lo + n
	}
	if !s.spend(i, hi-at) || !rule.admits(t[lo:hi], false) {
		return 0
	}
	s.found(i, v, lo, hi)
	return hi
}

// schemed masks the credential after the blank at t[at:], if a scheme stands
// before it.
func (s *Sealer) schemed(i int, v *view, at int) int {
	t := v.b
	start := at
	for start > 0 && at-start < 16 && classes[t[start-1]]&isWord != 0 {
		start--
	}
	if schemeOf(t[start:at]) == "" {
		return s.option(i, v, at)
	}
	lo, hi := value(t, at+1)
	if !s.spend(i, hi-at) || hi-lo < 8 || unexplained(t[lo:hi]) < 4 || isID(t[lo:hi]) {
		return 0
	}
	if schemeOf(t[start:at]) == "basic" {
		if _, _, ok := s.basic(t[lo:hi]); !ok {
			return 0
		}
		s.found(i, v, start, hi)
		return hi
	}
	s.found(i, v, lo, hi)
	return hi
}

// option masks the value after the blank at t[at:], if an option that names a
// secret stands before it: --password x.
func (s *Sealer) option(i int, v *view, at int) int {
	t := v.b
	if t[at] != ' ' || !isOption(t, at) {
		return 0
	}
	rule := secretName(t[wordStart(t, at):at])
	if rule == nil {
		return 0
	}
	lo, hi := value(t, at+1)
	if !s.spend(i, hi-at) || !rule.admits(t[lo:hi], true) || t[lo] == '-' {
		return 0
	}
	s.found(i, v, lo, hi)
	return hi
}

// isOption tells whether what ends before t[end] is an option of a command.
func isOption(t []byte, end int) bool {
	start := wordStart(t, end)
	return end-start > 3 && t[start] == '-' && (start == 0 || classes[t[start-1]]&isAlnum == 0)
}

// schemeOf returns the scheme that w is, in lower case, "" if none.
func schemeOf(w []byte) string {
	for _, scheme := range schemes {
		if len(w) == len(scheme) && bytes.EqualFold(w, []byte(scheme)) {
			return scheme
		}
	}
	return ""
}

// value returns the bounds of the value that begins at t[at:] after blanks and
// quotes: up to the closing quote, or else up to what cannot belong to it. A quote
// with more backslashes before it than the opening one had does not close it.
func value(t []byte, at int) (lo, hi int) {
	quote, escapes, slashes := byte(0), 0, 0
	for at < len(t) && (t[at] == ' ' || t[at] == '"' || t[at] == '\'' || t[at] == '\\') {
		switch t[at] {
		case '\\':
			slashes++
		case '"', '\'':
			quote, escapes, slashes = t[at], slashes, 0
		default:
			slashes = 0
		}
		at++
	}
	lo, slashes = at, 0
	for ; at < len(t); at++ {
		c := t[at]
		switch {
		case quote != 0 && c == quote && slashes <= escapes:
			return lo, at - slashes
		case quote == 0 && (c <= ' ' || c == '"' || c == '\'' || c == '&' || c == ';' || c == ',' || c == '|' ||
			c == '<' || c == '>' || c == ')' || c == ']' || c == '}' || c == '#'):
			return lo, at
		}
		if c == '\\' {
			slashes++
		} else {
			slashes = 0
		}
	}
	return lo, at
}
