package seal

import (
	"bytes"
	"crypto/sha256"
	gobase64 "encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"

	"github.com/tokenwatch/tokenwatch"
)

// credential is a raw credential taken apart.
type credential struct {
	given  []byte // as it stood, without scheme, quotes and blanks
	secret []byte // normalised: given without percent escapes; of Basic the password
	user   []byte // of Basic
	key    []byte // of an AWS signature: the access key id; secret is then empty
	scheme string // in lower case, "" if there was none
}

// open takes a raw credential apart. The parts live as long as the row.
func (s *Sealer) open(raw []byte, carrier string) credential {
	t := trim(raw)
	if bytes.IndexByte(t, '%') >= 0 {
		decoded := s.keep(t)
		for range 3 {
			n := unpercent(decoded)
			if n == len(decoded) {
				break
			}
			decoded = decoded[:n]
		}
		c := s.openPlain(trim(decoded), carrier)
		c.given = t
		return c
	}
	return s.openPlain(t, carrier)
}

func (s *Sealer) openPlain(t []byte, carrier string) credential {
	c := credential{given: t, secret: t}
	if n := firstBlank(t); n > 0 {
		switch scheme := t[:n]; {
		case schemeOf(scheme) != "":
			c.scheme = schemeOf(scheme)
			c.given = trim(t[n+1:])
			c.secret = c.given
		case bytes.HasPrefix(scheme, []byte("AWS4-")):
			c.scheme = "aws"
			c.key = between(t, "Credential=", "/")
			c.given, c.secret = between(t, "Signature=", ", "), nil
			return c
		}
	}
	switch {
	case c.scheme == "basic":
		if user, password, ok := s.basic(c.given); ok {
			c.user, c.secret = user, password
			// Many services take a token as the user, with no password or a dummy.
			if len(password) < 2 || string(password) == "x-oauth-basic" || formatOf(user) != nil {
				c.user, c.secret = nil, user
			}
		}
	case strings.HasSuffix(carrier, "userinfo"):
		if n := bytes.IndexByte(t, ':'); n >= 0 {
			c.user, c.secret, c.given = t[:n], t[n+1:], t[n+1:]
		}
	case c.scheme == "token": // token token="…"
		if v := between(c.given, "token=", ","); v != nil {
			c.given = trim(v)
			c.secret = c.given
		}
	}
	if isBlotted(c.secret) {
		c.secret = nil
	}
	return c
}

// basic decodes the credentials of HTTP Basic (RFC 7617).
func (s *Sealer) basic(b []byte) (user, password []byte, ok bool) {
	b = bytes.TrimRight(b, "=")
	var enc = gobase64.RawStdEncoding
	if bytes.ContainsAny(b, "-_") {
		enc = gobase64.RawURLEncoding
	}
	var decoded []byte
	var err error
	decoded = s.build(func(out []byte) []byte {
		out, err = enc.AppendDecode(out, b)
		return out
	})
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(decoded, []byte(":"))
}

// firstBlank returns where the first blank, tab or plus is among the bytes that a
// scheme and it may take, -1 if there is none.
func firstBlank(t []byte) int {
	for i, c := range t[:min(len(t), 17)] {
		if c == ' ' || c == '\t' || c == '+' {
			return i
		}
	}
	return -1
}

// trim takes blanks and quotes off both ends.
func trim(t []byte) []byte {
	for len(t) > 0 && surrounds(t[0]) {
		t = t[1:]
	}
	for len(t) > 0 && surrounds(t[len(t)-1]) {
		t = t[:len(t)-1]
	}
	return t
}

func surrounds(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '"', '\'', '`':
		return true
	}
	return false
}

// isBlotted tells whether a source has put stars where the credential was.
func isBlotted(b []byte) bool {
	for _, c := range b {
		if c != '*' {
			return false
		}
	}
	return true
}

// between returns what follows after, up to the first byte of ends.
func between(t []byte, after, ends string) []byte {
	n := bytes.Index(t, []byte(after))
	if n < 0 {
		return nil
	}
	t = t[n+len(after):]
	if n := bytes.IndexAny(t, ends); n >= 0 {
		t = t[:n]
	}
	return t
}

// unpercent decodes percent escapes in place and returns the new length.
func unpercent(b []byte) int {
	n := 0
	for i := 0; i < len(b); n++ {
		if b[i] == '%' {
			if r, ok := hexValue(b, i+1, 2); ok {
				b[n] = byte(r)
				i += 3
				continue
			}
		}
		b[n] = b[i]
		i++
	}
	return n
}

// Fingerprint returns the id of the token whose secret is raw: with or without
// scheme, quotes and percent escapes.
func (s *Sealer) Fingerprint(raw []byte) tokenwatch.TokenID {
	s.arena = s.arena[:0]
	return s.FullHashID(sha256.Sum256(s.open(raw, "").secret))
}

// FullHashID returns the id of the token whose secret has the SHA-256 sum:
// HMAC(tenant ‖ 0 ‖ sum), equal to its Fingerprint.
func (s *Sealer) FullHashID(sum [sha256.Size]byte) tokenwatch.TokenID {
	return tokenwatch.TokenID(s.token.id(tokenwatch.TokenPrefix, 0, sum[:]))
}

// entry is what is remembered of a credential or name.
type entry struct {
	word  tokenwatch.Word // the id, for the column
	own   atomic.Uint64   // batch in which the aliases were last named, as names of the id; logged says that none has to
	form  *format         // of a credential, if it tells its kind
	id    tokenwatch.TokenID
	ties  ties // of a credential
	other *others
}

// others is what few entries have.
type others struct {
	epoch uint64 // batch in which the aliases were last named, as names of owner
	owner tokenwatch.TokenID
	hour  int32 // as of which

	aliases []tokenwatch.Alias // names besides the ties
	issuer  string             // of a JWT
	scope   string             // of a name: where it is unique
	subject string             // of a JWT
	secret  bool               // a name that is a secret: it is masked and not shown
}

var noOthers = &others{}

// kind is the token kind, "" if the form does not tell.
func (e *entry) kind() string {
	if e.form == nil {
		return ""
	}
	return e.form.kind
}

// eachAlias calls f with each name that follows from the secret, or is the name.
func (e *entry) eachAlias(f func(tokenwatch.Alias)) {
	e.ties.each(f)
	for _, a := range e.other.aliases {
		f(a)
	}
}

// newEntry makes an entry of an id.
func newEntry(id tokenwatch.TokenID, other *others) *entry {
	return &entry{word: tokenwatch.MakeWord(string(id)), id: id, other: other}
}

// newCredential makes the entry of a secret that was not remembered.
func (s *Sealer) newCredential(secret []byte) *entry {
	sum := sha256.Sum256(secret)
	e := newEntry(s.FullHashID(sum), noOthers)
	e.ties = s.tiesOf(sum[:])
	e.form = formatOf(secret)
	if e.kind() != "jwt" {
		return e
	}
	e.other = &others{}
	part := bytes.SplitN(secret, []byte("."), 3)
	var claims struct{ Jti, Iss, Sub any }
	payload, err := gobase64.RawURLEncoding.DecodeString(string(part[1]))
	if err != nil || len(payload) > 1<<14 || json.Unmarshal(payload, &claims) != nil {
		return e
	}
	claim := func(v any) string {
		if text, ok := v.(string); ok && !hasForm([]byte(text)) {
			return display([]byte(text))
		}
		return ""
	}
	e.other.issuer, e.other.subject = claim(claims.Iss), claim(claims.Sub)
	if jti := claim(claims.Jti); jti != "" {
		e.other.aliases = append(e.other.aliases, tokenwatch.Alias{Kind: tokenwatch.NameJTI, Value: jti})
	}
	return e
}
