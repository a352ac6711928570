package tokenwatch

// TokenID is the name tokenwatch gives an API token: "tkw_" and the base32 of
// 16 bytes. It is a keyed fingerprint of the secret, or, where a log only has
// another name of the token, a keyed digest of that name.
type TokenID string

// TokenPrefix begins every TokenID.
const TokenPrefix = "tkw_"

// DigestPrefix begins the keyed digest that stands for a masked string.
const DigestPrefix = "dg_"

// NameKind says what sort of name of a token a [Name] is.
type NameKind string

// The kinds of names. The order is that of [NameKinds]: a stronger name wins.
const (
	NameFullHash      NameKind = "sha256"        // full SHA-256 of the secret, hex or base64
	NameProviderID    NameKind = "provider_id"   // the issuer's own id of the token
	NameAccessKeyID   NameKind = "access_key_id" // AWS access key id
	NameJTI           NameKind = "jti"           // JWT id, RFC 7519
	NameAccessor      NameKind = "accessor"      // Vault token accessor
	NameTruncatedHash NameKind = "sha256_prefix" // leading bytes of the SHA-256, at least 8
	NamePrefix        NameKind = "key_prefix"    // leading characters shown by the issuer

	// NameHashDigest is a keyed digest of the first 8 or 16 bytes of the SHA-256
	// ("8:…", "16:…"): what a secret seen in one log and a truncated hash in
	// another have in common. It ties tokens and is not shown; a hash of a secret that no log
	// has is never stored without the key, since weak secrets could be guessed from it.
	NameHashDigest NameKind = "sha256_digest"
)

// NameKinds lists the kinds from strongest to weakest: of several names of one
// token the strongest becomes its id.
var NameKinds = []NameKind{
	NameFullHash, NameProviderID, NameAccessKeyID, NameJTI, NameAccessor, NameTruncatedHash, NamePrefix,
}

// Alias is another name under which logs know a token. Its value may be shown:
// names are not secrets.
type Alias struct {
	Kind  NameKind `json:"kind"`
	Value string   `json:"value"`
}

// Naming says that, according to a batch, a token goes by an alias. Two tokens
// with one alias of one issuer are one, unless the alias is a display prefix.
type Naming struct {
	Token  TokenID
	Alias  Alias
	Issuer string // scope within which the alias is unique; "" where it is so by itself
	// Hour is that of the event that says so, since 1970, at least 1. 0 is of a name that
	// the token's id is made of, so that the token has it whenever it is seen.
	Hour int32 `cbor:",omitempty"`
}

// EntityKind is what a baseline, a window or a finding is about.
type EntityKind uint8

const (
	EntityToken   EntityKind = iota // an API token
	EntityActor                     // a user, service account or role session
	EntityAddress                   // a source address
	NumEntityKinds
	// EntityGroup is many of the others that one cause changed at once. Findings are
	// about it; baselines and windows are not.
	EntityGroup = NumEntityKinds
)

// EntitySource is a source of logs. It has findings, but no windows nor a baseline
// among those of the kinds before NumEntityKinds.
const EntitySource EntityKind = NumEntityKinds + 1

var entityKindNames = [...]string{EntityToken: "token", EntityActor: "actor", EntityAddress: "address", EntityGroup: "group", EntitySource: "source"}

// String returns "token", "actor", "address", "group" or "source".
func (k EntityKind) String() string { return entityKindNames[k] }

// MarshalText encodes the kind by name.
func (k EntityKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText decodes a kind by name; an unknown name is an error.
func (k *EntityKind) UnmarshalText(b []byte) error {
	for i, n := range entityKindNames {
		if n != "" && n == string(b) {
			*k = EntityKind(i)
			return nil
		}
	}
	return errUnknown("entity kind")
}

// Entity is one thing a baseline is about, within a tenant.
type Entity struct {
	Kind EntityKind
	ID   string // a TokenID, an actor as logged, an address in its usual text form, or the name of a group
}

type errUnknown string

func (e errUnknown) Error() string { return "unknown " + string(e) }
