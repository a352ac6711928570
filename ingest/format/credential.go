package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// shape is what the form of a value says about it.
type shape uint8

const (
	plain    shape = iota
	isSecret       // a known credential format, or opaque and long
	isPrefix       // the leading characters of a key, as issuers show them
	isAWSKey       // an AWS access key id: a name
	isMasked       // what a logger put in place of a secret
)

// secretPrefixes begin credentials of known issuers.
var secretPrefixes = []string{
	"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-", "xapp-",
	"sk_live_", "rk_live_", "sk_test_", "AIza", "ya29.", "eyJ", "npm_", "pypi-", "SG.", "hvs.", "hvb.", "dop_v1_", "shpat_",
	"hf_", "sk-", "dapi", "dp.pt.",
}

// secretsByFirst has secretPrefixes by their first byte.
var secretsByFirst = func() (t [256][]string) {
	for _, p := range secretPrefixes {
		t[p[0]] = append(t[p[0]], p)
	}
	return t
}()

// startsSecret tells whether v is of a known issuer's format.
func startsSecret(v []byte) bool {
	if len(v) == 0 {
		return false
	}
	for _, p := range secretsByFirst[v[0]] {
		if bytes.HasPrefix(v, []byte(p)) {
			return true
		}
	}
	return false
}

// The kinds of characters shapeOf counts, each in a byte of a word: that adds
// up up to 255 characters without a branch.
const (
	oneDigit = 1 << (8 * iota)
	oneUpper
	oneLower
	oneOther
	oneUnder
	oneStrange
)

var shapeCounts = func() (t [256]uint64) {
	for i := range t {
		switch c := byte(i); {
		case c >= '0' && c <= '9':
			t[i] = oneDigit
		case c >= 'a' && c <= 'z':
			t[i] = oneLower
		case c >= 'A' && c <= 'Z':
			t[i] = oneUpper
		case c == '_':
			t[i] = oneUnder
		case c == '-' || c == '.' || c == '+' || c == '/' || c == '=' || c == '~':
			t[i] = oneOther
		default:
			t[i] = oneStrange
		}
	}
	return t
}()

// shapeOf judges a value that stands where a token or its user may stand.
func shapeOf(v []byte) shape {
	switch {
	case masked(v):
		return isMasked
	case len(v) < 4:
		return plain
	case isAccessKey(v):
		return isAWSKey
	}
	if len(v) >= 20 && startsSecret(v) {
		return isSecret
	}
	var digits, upper, lower, other int
	for rest := v; len(rest) > 0; {
		part := rest[:min(len(rest), 255)]
		rest = rest[len(part):]
		var n uint64
		for _, c := range part {
			n += shapeCounts[c]
		}
		if n/oneStrange != 0 {
			return plain // an address, an ARN, a name with spaces …
		}
		digits += int(n / oneDigit % 256)
		upper += int(n / oneUpper % 256)
		lower += int(n / oneLower % 256)
		other += int(n / oneOther % 256)
	}
	under := bytes.LastIndexByte(v, '_')
	letters := upper + lower
	if body := v[under+1:]; under >= 2 && under <= 12 && len(body) >= 16 && other == 0 {
		// tok_LKCh…: letters and digits as if drawn by lot. CamelCase changes less often.
		if n := changes(body); 4*n >= len(body) || 5*n >= len(body) && digits > 0 {
			return isSecret
		}
	}
	if len(v) >= 20 && other <= 4 && !isUUID(v) {
		mixed := 0
		for _, n := range []int{digits, upper, lower} {
			if n > 0 {
				mixed++
			}
		}
		body := v[under+1:]
		if digits >= 3 && mixed >= 2 && len(body) >= 16 && (mixed == 3 || digits*8 >= len(v)) {
			return isSecret
		}
		if upper >= 4 && lower >= 4 && digits >= 1 && len(body) >= 16 && changes(body)*3 >= len(body) {
			return isSecret
		}
	}
	if under >= 2 && under < len(v)-4 && len(v) < 20 && other == 0 && letters > 0 && bytes.IndexByte(v, '_') <= 6 {
		// twk_live_8fK2: any mixture will do; ab_8fK2: may be a name.
		body, need := v[under+1:], 3
		if bytes.IndexByte(v, '_') != under {
			need = 1
		} else if digits > 0 {
			need = 2
		} else if len(body) < 8 {
			return plain
		}
		if len(body) >= 4 && changes(body) >= need {
			return isPrefix
		}
	}
	return plain
}

// maxShown is how many characters a mask may leave: of a value with more of
// them no secret was taken away.
const maxShown = 16

// masked tells whether v is what a logger puts in place of a secret.
func masked(v []byte) bool {
	if len(v) > 64 || !mayMask(v) {
		return false
	}
	switch string(v) {
	case "[REDACTED]", "REDACTED", "[redacted]", "redacted", "<redacted>", "<REDACTED>", "[Redacted]", "[secret]", "[FILTERED]", "HIDDEN_DUE_TO_SECURITY_REASONS":
		return true
	}
	if !bytes.Contains(v, []byte("***")) && !bytes.Contains(v, []byte("...")) {
		return false
	}
	shown := 0
	for _, c := range v {
		if c != '*' && c != '.' {
			shown++
		}
	}
	return shown <= maxShown
}

// mayMask tells whether v has a bracket, a star or a dot, or is one of the words
// that masked knows: most values are not looked at further.
func mayMask(v []byte) bool {
	if len(v) == 0 {
		return false
	}
	switch v[0] {
	case '[', '<', 'R', 'r', 'H':
		return true
	}
	return bytes.IndexByte(v, '*') >= 0 || bytes.IndexByte(v, '.') >= 0
}

// isAccessKey tells whether v is an AWS access key id.
func isAccessKey(v []byte) bool {
	return len(v) == 20 && (bytes.HasPrefix(v, []byte("AKIA")) || bytes.HasPrefix(v, []byte("ASIA"))) && upperAlnum(v)
}

// changes counts the places where a letter's case or the kind of character changes.
func changes(v []byte) int {
	n := 0
	for i := 1; i < len(v); i++ {
		if (shapeCounts[v[i]]^shapeCounts[v[i-1]])&(oneDigit|oneLower) != 0 {
			n++
		}
	}
	return n
}

func upperAlnum(v []byte) bool {
	for _, c := range v {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func isHex(v []byte) bool {
	for _, c := range v {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return len(v) > 0
}

func isUUID(v []byte) bool {
	return len(v) == 36 && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-' && isHex(v[:8]) && isHex(v[24:])
}

// addAccessKey notes an AWS access key id.
func addAccessKey(row *tokenwatch.Row, id []byte) {
	row.AddName(tokenwatch.NameAccessKeyID, "aws", id)
	if !row.Has(tokenwatch.ColTokenKind) {
		kind := "aws_access_key"
		if bytes.HasPrefix(id, []byte("ASIA")) {
			kind = "aws_session"
		}
		row.SetString(tokenwatch.ColTokenKind, kind)
	}
}

// addDigest notes a SHA-256 of the token: full in hexadecimal or base64, or its
// leading bytes. It tells whether v is one.
func addDigest(row *tokenwatch.Row, v []byte) bool {
	kind, ok := digestKind(v)
	if ok {
		row.AddName(kind, "", v)
	}
	return ok
}

// digestKind tells whether v is a SHA-256 or its leading bytes, and which.
func digestKind(v []byte) (tokenwatch.NameKind, bool) {
	switch {
	case len(v) == 64 && isHex(v), len(v) == 44 && v[43] == '=':
		return tokenwatch.NameFullHash, true
	case len(v) >= 16 && len(v) < 64 && len(v)%2 == 0 && isHex(v):
		return tokenwatch.NameTruncatedHash, true
	}
	return "", false
}

// addAuthorization notes the credential of an Authorization header: the part
// behind the scheme, whose name becomes the kind of token. That of Basic keeps
// its scheme, by which the sealer knows to open it.
func addAuthorization(row *tokenwatch.Row, carrier string, v []byte) {
	v = bytes.TrimSpace(v)
	kind, secret := "", v
	if i := blank(v[:min(len(v), 17)]); i > 0 {
		secret = bytes.TrimSpace(v[i+1:])
		switch scheme := v[:i]; {
		case bytes.EqualFold(scheme, []byte("bearer")):
			kind = "bearer"
		case bytes.EqualFold(scheme, []byte("basic")):
			kind = "basic"
		case bytes.EqualFold(scheme, []byte("token")), bytes.EqualFold(scheme, []byte("apikey")), bytes.EqualFold(scheme, []byte("ssws")):
			kind = "api_key"
		case bytes.HasPrefix(scheme, []byte("AWS4-HMAC")):
			addAWSCredential(row, secret)
			row.AddIncidental(carrier, after(secret, "Signature=")) // differs each time
			return
		default:
			secret = v
		}
	}
	if masked(secret) {
		return
	}
	if kind == "basic" {
		secret = v
	}
	if kind != "" && !row.Has(tokenwatch.ColTokenKind) {
		row.SetString(tokenwatch.ColTokenKind, kind)
	}
	row.AddCredential(carrier, secret)
}

// blank returns the place of the first blank or tab, -1 if there is none.
func blank(v []byte) int {
	for i, c := range v {
		if c == ' ' || c == '\t' {
			return i
		}
	}
	return -1
}

// addHeaderCredentials notes the credentials in a text of headers, which line
// breaks separate, also such as are written \r\n.
func addHeaderCredentials(row *tokenwatch.Row, text []byte) {
	for n := 0; len(text) > 0 && n < maxFields; n++ {
		line := text
		if i := bytes.IndexAny(text, "\r\n\\"); i >= 0 {
			line, text = text[:i], text[i+1:]
			if len(text) > 0 && (text[0] == 'r' || text[0] == 'n') {
				text = text[1:]
			}
		} else {
			text = nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		var low [64]byte
		if !ok || len(name) > len(low) {
			continue
		}
		if r, ok := leafRules[string(appendFolded(low[:0], bytes.TrimSpace(name)))]; ok && (r.op == toCredential || r.op == toAuthorization) {
			r.take(row, value, false)
		}
	}
}

// addAWSCredential notes the access key id of AKIA…/20240131/region/service/aws4_request.
func addAWSCredential(row *tokenwatch.Row, v []byte) {
	if c := after(v, "Credential="); c != nil {
		v = c
	}
	if len(v) >= 20 && isAccessKey(v[:20]) {
		addAccessKey(row, v[:20])
	}
}

// after returns what follows key up to a comma or the end, nil without key.
func after(v []byte, key string) []byte {
	_, rest, ok := bytes.Cut(v, []byte(key))
	if !ok {
		return nil
	}
	rest, _, _ = bytes.Cut(rest, []byte(","))
	return rest
}
