package seal

// nameRule says which names announce that their value is a secret. Names are
// compared in lower case and without - _ and dots.
type nameRule struct {
	name  string
	whole bool // the whole name, else its end
	min   int  // a shorter value is none
	mixed bool // the value must not be made of words or digits only
}

var secretNames = []nameRule{
	{"password", false, 1, false},
	{"passwd", false, 1, false},
	{"passphrase", false, 1, false},
	{"secret", false, 4, false},
	{"apikey", false, 4, false},
	{"accesskey", false, 8, false},
	{"secretkey", false, 4, false},
	{"privatekey", false, 8, false},
	{"signingkey", false, 8, false},
	{"encryptionkey", false, 8, false},
	{"accountkey", false, 8, false},
	{"token", false, 6, false},
	{"jwt", false, 16, false},
	{"authorization", false, 4, false},
	{"assertion", true, 16, false},
	{"clientassertion", false, 16, false},
	{"appkey", false, 8, false},
	{"subscriptionkey", false, 8, false},
	{"cookie", false, 8, false},
	{"auth", true, 8, true},
	{"pwd", true, 1, false},
	{"pass", true, 4, false},
	{"sig", true, 16, true},
	{"signature", false, 16, true},
	{"key", true, 16, true},
	{"code", true, 16, true},
	{"sid", true, 16, true},
	{"connectsid", false, 16, true},
	{"sessid", false, 16, true},
	{"jsessionid", true, 16, true},
}

// plainNames end like names of secrets and are none.
var plainNames = []string{
	"nexttoken", "pagetoken", "continuationtoken", "paginationtoken", "clienttoken", "clientrequesttoken",
	"creatorrequesttoken", "canceltoken", "endofftoken", "mediatoken", "publicaccesskey",
}

// plainValues are what logs and their messages write where a secret would be.
var plainValues = []string{
	"", "-", "null", "nil", "none", "true", "false", "undefined", "invalid", "incorrect", "wrong", "missing",
	"required", "expired", "failed", "empty", "changed", "reset", "redacted", "masked", "hidden", "secret", "is",
	"hidden_due_to_security_reasons", "sensitivedataremoved", "not", "was", "must", "has", "and", "for", "or",
}

// schemes announce a credential after a blank, in free text as in headers.
var schemes = []string{"bearer", "basic", "token", "apikey", "api-key", "ssws", "negotiate", "digest", "hoba", "dpop"}

// Endings of names before '=' or ':', and of schemes before a blank: two
// letters, as a bit a second letter. They let a survey pass over other names.
var nameEndings, schemeEndings = func() (n, s [26]uint32) {
	for _, r := range secretNames {
		e := r.name[len(r.name)-2:]
		n[e[0]-'a'] |= 1 << (e[1] - 'a')
	}
	for _, w := range append([]string{"begin"}, schemes...) {
		e := w[len(w)-2:]
		s[e[0]-'a'] |= 1 << (e[1] - 'a')
	}
	return n, s
}()

// mayEndName tells whether the separator at t[i] follows what may be the name
// of a secret or a scheme.
func mayEndName(t []byte, i int) bool {
	e := i
	if t[i] == '=' || t[i] == ':' {
		e = beforeQuotes(t, i)
	}
	return e >= 2 && endsName(t[e-2], t[e-1], t[i])
}

// endsName tells whether the name of a secret, or a scheme, may end in the
// letters a and b before the separator sep.
func endsName(a, b, sep byte) bool {
	a, b = a|0x20-'a', b|0x20-'a'
	if a >= 26 || b >= 26 {
		return false
	}
	if sep == '=' || sep == ':' {
		return nameEndings[a]>>b&1 != 0
	}
	return schemeEndings[a]>>b&1 != 0
}

// beforeQuotes returns the end of the word before t[i]: before blanks, quotes
// and the backslashes that escape them.
func beforeQuotes(t []byte, i int) int {
	for i > 0 && (t[i-1] == '"' || t[i-1] == '\'' || t[i-1] == '\\' || t[i-1] == ' ' || t[i-1] == ']') {
		i--
	}
	return i
}

// secretName returns the rule that name falls under, nil if none does.
func secretName(name []byte) *nameRule {
	n := len(name)
	for n > 0 && name[n-1] == ']' {
		n--
	}
	if n < 3 {
		return nil
	}
	a, b := name[n-2]|0x20-'a', name[n-1]|0x20-'a'
	if a >= 26 || b >= 26 || nameEndings[a]>>b&1 == 0 {
		return nil
	}
	var buf [64]byte
	at := len(buf)
	for i := n - 1; i >= 0 && at > 0; i-- {
		if c := name[i]; classes[c]&isAlnum != 0 {
			at--
			buf[at] = c | classes[c]&isUpper<<4 // lower case: isUpper<<4 is 0x20
		}
	}
	plain := buf[at:]
	for i := range secretNames {
		r := &secretNames[i]
		if k := len(plain) - len(r.name); k < 0 || string(plain[k:]) != r.name || (r.whole && !isLast(name[:n], r.name)) {
			continue
		}
		for _, p := range plainNames {
			if k := len(plain) - len(p); k >= 0 && string(plain[k:]) == p {
				return nil
			}
		}
		return r
	}
	return nil
}

// isLast tells whether word is all of the name after its last dot.
func isLast(name []byte, word string) bool {
	n := 0
	for i := len(name) - 1; i >= 0 && name[i] != '.'; i-- {
		if classes[name[i]]&isAlnum != 0 {
			n++
		}
	}
	return n == len(word)
}

// admits tells whether value is a secret under the rule.
func (r *nameRule) admits(value []byte) bool {
	if len(value) < r.min || isID(value) {
		return false
	}
	if len(value) <= 32 {
		var buf [32]byte
		low := buf[:0]
		stars := 0
		for _, c := range value {
			if c == '*' || c == '.' || c == 'x' || c == 'X' {
				stars++
			}
			low = append(low, c|classes[c]&isUpper<<4)
		}
		if stars == len(value) {
			return false
		}
		for _, p := range plainValues {
			if string(low) == p {
				return false
			}
		}
	}
	if r.mixed && unexplained(value) < minPart {
		return false
	}
	return true
}
