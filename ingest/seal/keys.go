package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"hash"

	"github.com/tokenwatch/tokenwatch"
)

// KeySize is the length of a master fingerprint key, in bytes.
const KeySize = 32

// Keys are the keys of sealing, one per purpose, all derived from one master
// fingerprint key by HKDF-SHA-256 (RFC 5869). Whoever has them can guess
// credentials of low entropy: they are as sensitive as the credentials.
type Keys struct {
	token, text, reject tokenwatch.Secret
}

// NewKeys derives the keys. A master key of another length than [KeySize] is an error.
func NewKeys(master []byte) (Keys, error) {
	if len(master) != KeySize {
		return Keys{}, fmt.Errorf("derive sealing keys: master key has %d bytes, not %d", len(master), KeySize)
	}
	var k Keys
	for purpose, key := range map[string]*tokenwatch.Secret{
		"tokenwatch/seal/token/v1":  &k.token,
		"tokenwatch/seal/text/v1":   &k.text,
		"tokenwatch/seal/reject/v1": &k.reject,
	} {
		b, err := hkdf.Key(sha256.New, master, nil, purpose, KeySize)
		if err != nil {
			return Keys{}, fmt.Errorf("derive sealing keys: %w", err)
		}
		*key = tokenwatch.NewSecret(b)
	}
	return k, nil
}

// idBytes is how much of a MAC an id shows.
const idBytes = 16

// idEncoding is base32 in lower case without padding: 26 characters an id.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idLength is the length of the encoded part of an id.
const idLength = 26

// mac computes ids under one key; it belongs to one goroutine.
type mac struct {
	hash   hash.Hash
	tenant []byte
	buf    []byte
}

func newMAC(key tokenwatch.Secret, tenant string) mac {
	return mac{hash: hmac.New(sha256.New, key.Reveal()), tenant: []byte(tenant)}
}

// id returns prefix and the base32 of the MAC of tenant, domain and the parts.
func (m *mac) id(prefix string, domain byte, parts ...[]byte) string {
	m.hash.Reset()
	m.hash.Write(m.tenant)
	m.buf = append(m.buf[:0], domain)
	m.hash.Write(m.buf)
	for _, p := range parts {
		m.hash.Write(p)
	}
	m.buf = m.hash.Sum(m.buf[:0])
	var text [len(tokenwatch.TokenPrefix) + idLength]byte
	n := copy(text[:], prefix)
	idEncoding.Encode(text[n:n+idLength], m.buf[:idBytes])
	return string(text[:n+idLength])
}

// isID tells whether b is an id of ours, a token's or a digest.
func isID(b []byte) bool {
	n := len(b) - idLength
	if n < 0 || (string(b[:n]) != tokenwatch.TokenPrefix && string(b[:n]) != tokenwatch.DigestPrefix) {
		return false
	}
	for _, c := range b[n:] {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
