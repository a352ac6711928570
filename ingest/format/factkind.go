package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// Words of which the type of an audit record is made. They are compared in
// lower case; what is not in a list says nothing.
var (
	tokenNouns = wordSet("token", "tokens", "key", "keys", "apikey", "apikeys", "secret", "secrets", "credential", "credentials", "pat", "accesskey", "accesstoken",
		"serviceaccountkey", "appkey", "clientsecret")
	scopeNouns = wordSet("scope", "scopes", "permission", "permissions", "grants")
	ownerNouns = wordSet("owner", "ownership")
	userNouns  = wordSet("user", "employee", "member", "person")
	leftVerbs  = wordSet("left", "departed", "offboarded", "offboard", "terminated", "deactivated", "inactive", "gone", "leaver")
	leakWords  = wordSet("leak", "leaked", "exposed", "exposure", "compromised", "leakreported")

	factVerbs = map[string]tokenwatch.FactKind{
		"created": tokenwatch.FactCreated, "create": tokenwatch.FactCreated, "issued": tokenwatch.FactCreated, "issue": tokenwatch.FactCreated, "minted": tokenwatch.FactCreated,
		"mint": tokenwatch.FactCreated, "generated": tokenwatch.FactCreated, "generate": tokenwatch.FactCreated, "added": tokenwatch.FactCreated, "registered": tokenwatch.FactCreated,
		"rotated": tokenwatch.FactRotated, "rotate": tokenwatch.FactRotated, "rotation": tokenwatch.FactRotated, "regenerated": tokenwatch.FactRotated,
		"regenerate": tokenwatch.FactRotated, "rolled": tokenwatch.FactRotated, "roll": tokenwatch.FactRotated, "reissued": tokenwatch.FactRotated, "replaced": tokenwatch.FactRotated,
		"revoked": tokenwatch.FactRevoked, "revoke": tokenwatch.FactRevoked, "deleted": tokenwatch.FactRevoked, "delete": tokenwatch.FactRevoked, "removed": tokenwatch.FactRevoked,
		"destroyed": tokenwatch.FactRevoked, "destroy": tokenwatch.FactRevoked, "invalidated": tokenwatch.FactRevoked, "revocation": tokenwatch.FactRevoked,
		"expired": tokenwatch.FactExpired, "expire": tokenwatch.FactExpired,
		"disabled": tokenwatch.FactDisabled, "disable": tokenwatch.FactDisabled, "deactivated": tokenwatch.FactDisabled, "suspended": tokenwatch.FactDisabled,
		"enabled": tokenwatch.FactEnabled, "enable": tokenwatch.FactEnabled, "activated": tokenwatch.FactEnabled, "reactivated": tokenwatch.FactEnabled,
		"used": tokenwatch.FactUsed, "denied": tokenwatch.FactDenied, "rejected": tokenwatch.FactDenied,
		"checkout": tokenwatch.FactCheckedOut, "checkedout": tokenwatch.FactCheckedOut, "leased": tokenwatch.FactCheckedOut,
	}
	changeVerbs = wordSet("changed", "change", "updated", "update", "modified", "granted", "grant", "added", "removed", "revoked", "edited", "transferred", "transfer",
		"reassigned", "set", "reduced", "expanded", "narrowed", "widened")
)

func wordSet(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// maxType is how long a type may be that is looked at.
const maxType = 64

// kindOfFact tells what became of a token from the type of an audit record:
// token.created, api_key_revoked, ScopeChanged, "secret.leak_reported" …; "" if
// it says nothing of a token's life.
func kindOfFact(typ []byte) tokenwatch.FactKind {
	if len(typ) == 0 || len(typ) > maxType {
		return ""
	}
	var buf [2 * maxType]byte
	words := splitType(buf[:0], typ)
	var token, scope, owner, user, left, leak, change bool
	var verb tokenwatch.FactKind
	last := ""
	for len(words) > 0 {
		word, rest, _ := bytes.Cut(words, []byte{' '})
		words = rest
		w := string(word)
		token = token || tokenNouns[w] || tokenNouns[last+w]
		scope, owner, user = scope || scopeNouns[w], owner || ownerNouns[w], user || userNouns[w]
		left, leak, change = left || leftVerbs[w], leak || leakWords[w], change || changeVerbs[w]
		if k, ok := factVerbs[last+w]; ok {
			verb = k
		} else if k, ok := factVerbs[w]; ok {
			verb = k
		}
		last = w
	}
	switch {
	case leak && (token || verb == "" && !user):
		return tokenwatch.FactLeaked
	case owner && left, user && left && !token:
		return tokenwatch.FactOwnerLeft
	case owner && change:
		return tokenwatch.FactOwnerChanged
	case scope && change:
		return tokenwatch.FactScopeChanged
	case verb == tokenwatch.FactCheckedOut:
		return verb
	case token:
		return verb
	}
	return ""
}

// splitType appends the words of a type to dst, in lower case with a blank
// between them: at dots, dashes and the like, and where camelCase changes.
func splitType(dst, typ []byte) []byte {
	lower := false
	for _, c := range typ {
		switch {
		case c >= 'A' && c <= 'Z':
			if lower {
				dst = append(dst, ' ')
			}
			dst, lower = append(dst, c+'a'-'A'), false
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			dst, lower = append(dst, c), true
		default:
			if len(dst) > 0 && dst[len(dst)-1] != ' ' {
				dst = append(dst, ' ')
			}
			lower = false
		}
	}
	return bytes.TrimRight(dst, " ")
}
