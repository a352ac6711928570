package seal

import "bytes"

// nameRule says which names announce that their value is a secret. Names are
// compared in lower case and without - _ and dots.
type nameRule struct {
	name  string
	whole bool // the whole name, else its end
	min   int  // a shorter value is none
	mixed bool // the value must not be made of words or digits only
	query bool // as a parameter of a URL or form it carries a credential of whatever form
	line  bool // the name of a header: its value may have blanks
}

var secretNames = []nameRule{
	{name: "password", min: 1},
	{name: "passwd", min: 1},
	{name: "passphrase", min: 1},
	{name: "secret", min: 4},
	{name: "apikey", min: 4},
	{name: "accesskey", min: 8},
	{name: "secretkey", min: 4},
	{name: "privatekey", min: 8},
	{name: "signingkey", min: 8},
	{name: "encryptionkey", min: 8},
	{name: "accountkey", min: 8},
	{name: "token", min: 6},
	{name: "jwt", min: 16, query: true},
	{name: "authorization", min: 4, line: true},
	{name: "assertion", whole: true, min: 16},
	{name: "clientassertion", min: 16, query: true},
	{name: "appkey", min: 8},
	{name: "subscriptionkey", min: 8},
	{name: "cookie", min: 8, line: true},
	{name: "auth", whole: true, min: 8, mixed: true, query: true},
	{name: "pwd", whole: true, min: 1},
	{name: "pass", whole: true, min: 4},
	{name: "sig", whole: true, min: 16, mixed: true, query: true},
	{name: "signature", min: 16, mixed: true, query: true},
	{name: "key", whole: true, min: 16, mixed: true, query: true},
	{name: "code", whole: true, min: 16, mixed: true},
	{name: "sid", whole: true, min: 16, mixed: true},
	{name: "sessionid", whole: true, min: 16, mixed: true, query: true},
	{name: "ticket", whole: true, min: 16, mixed: true, query: true},
	{name: "bearer", whole: true, min: 16, mixed: true, query: true},
	{name: "credential", min: 16, mixed: true, query: true},
	{name: "samlresponse", whole: true, min: 16, query: true},
	{name: "samlart", whole: true, min: 16},
	{name: "connectsid", min: 16, mixed: true},
	{name: "sessid", min: 16, mixed: true, query: true},
	{name: "jsessionid", whole: true, min: 16, mixed: true, query: true},
}

// plainNames end like names of secrets and are none.
var plainNames = []string{
	"nexttoken", "pagetoken", "continuationtoken", "paginationtoken", "clienttoken", "clientrequesttoken",
	"creatorrequesttoken", "canceltoken", "endofftoken", "mediatoken", "publicaccesskey", "amzcredential", "googcredential",
}

// plainValues are what logs and their messages write where a secret would be.
var plainValues = []string{
	"", "-", "null", "nil", "none", "true", "false", "undefined", "invalid", "incorrect", "wrong", "missing",
	"required", "expired", "failed", "empty", "changed", "reset", "redacted", "masked", "hidden", "secret", "is",
	"hidden_due_to_security_reasons", "sensitivedataremoved", "not", "was", "must", "has", "and", "for", "or",
	"optional", "enabled", "disabled", "present", "absent", "unknown", "valid", "none", "unset", "default", "yes", "no", "ok",
}

// schemes announce a credential after a blank, in free text as in headers.
var schemes = []string{"bearer", "basic", "token", "apikey", "api-key", "ssws", "negotiate", "digest", "hoba", "dpop"}

// Endings of names before '=' or ':', and of schemes before a blank: two
// letters, as a bit a second letter. They let a survey pass over other names.
var nameEndings, schemeEndings = func() (n, s [26]uint32) {
	add := func(name string) {
		e := name[len(name)-2:]
		n[e[0]-'a'] |= 1 << (e[1] - 'a')
	}
	for _, r := range secretNames {
		add(r.name)
		add(r.name + "s")
	}
	for _, name := range valueNames {
		add(name)
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
	switch t[i] {
	case '=', ':':
		e = beforeQuotes(t, i)
	case '>':
		if i > 0 && (t[i-1] == '"' || t[i-1] == '\'') {
			return true // an attribute; what stands before it decides
		}
	case ' ':
		if i >= 4 && endsName(t[i-2], t[i-1], '=') && isOption(t, i) {
			return true
		}
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
	if sep == '=' || sep == ':' || sep == '>' {
		return nameEndings[a]>>b&1 != 0
	}
	return schemeEndings[a]>>b&1 != 0
}

// beforeQuotes returns the end of the word before t[i]: before blanks, quotes
// and the backslashes that escape them.
func beforeQuotes(t []byte, i int) int {
	for i > 0 && (t[i-1] == '"' || t[i-1] == '\'' || t[i-1] == '\\' || t[i-1] == ' ' || t[i-1] == ']' ||
		(t[i-1] == '[' && t[i] == ']')) {
		i--
	}
	return i
}

// secretName returns the rule that name falls under, nil if none does.
func secretName(name []byte) *nameRule {
	n := len(name)
	for n > 0 && (name[n-1] == ']' || name[n-1] == '[') {
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
	for _, end := range valueNames { // tokenValue, secretString
		if k := len(plain) - len(end); k >= 3 && string(plain[k:]) == end {
			plain = plain[:k]
			break
		}
	}
	if k := len(plain) - 1; k > 3 && plain[k] == 's' && plain[k-1] != 's' { // tokens
		plain = plain[:k]
	}
	for i := range secretNames {
		r := &secretNames[i]
		if k := len(plain) - len(r.name); k < 0 || string(plain[k:]) != r.name || (r.whole && k > 0 && !isLast(name[:n], r.name)) {
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

// valueNames are what stands behind the name of a secret, as a part of it or as a
// member of the object that it names.
var valueNames = []string{"value", "values", "val", "string", "stringvalue", "text", "raw", "plain", "plaintext", "content", "data"}

// isValueName tells whether a word, in any case, is one of valueNames.
func isValueName(word []byte) bool {
	if len(word) < 3 || len(word) > 12 {
		return false
	}
	for _, v := range valueNames {
		if bytes.EqualFold(word, []byte(v)) {
			return true
		}
	}
	return false
}

// attrName is secretName for the key of an attr, whose parts are joined by dots:
// items of lists go by the name of the list, and a value by that of its object.
func attrName(key []byte) *nameRule {
	for {
		n := bytes.LastIndexByte(key, '.')
		if n < 0 || len(key) == n+1 {
			return secretName(key)
		}
		last := key[n+1:]
		if classes[last[0]]&isDigit == 0 && !isValueName(last) {
			return secretName(key)
		}
		key = key[:n]
	}
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

// admits tells whether value is a secret under the rule, which it need not look
// like as the parameter of a URL or form.
func (r *nameRule) admits(value []byte, parameter bool) bool {
	least, mixed := r.min, r.mixed
	if parameter && (r.query || !mixed) {
		least, mixed = min(least, minSecret), false
	}
	return len(value) >= least && !isID(value) && !isPlainValue(value) && !(mixed && unexplained(value) < minPart)
}

// minSecret is the shortest credential that sealing promises to mask.
const minSecret = 4

// isPlainValue tells whether value is what logs write in place of a secret.
func isPlainValue(value []byte) bool {
	if len(value) > 32 {
		return false
	}
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
		return true
	}
	for _, p := range plainValues {
		if string(low) == p {
			return true
		}
	}
	return false
}
