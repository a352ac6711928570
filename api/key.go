package api

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// KeyPrefix begins every API key of tokenwatch, so that secret scanners and
// tokenwatch itself recognise one.
//
// A key is "tkwk_", its id, "_" and 256 random bits, in lower-case base32.
const KeyPrefix = "tkwk_"

const (
	idBytes     = 10
	secretBytes = 32
	idLength    = 16 // characters of idBytes
	keyLength   = len(KeyPrefix) + idLength + 1 + 52
)

var keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey makes an API key from random bytes. The text is the key itself, to be
// shown once; the record has only its hash, and is to be stored with
// storage.Keys.
func NewKey(random io.Reader, tenant string, role tokenwatch.Role, now time.Time) (text string, key storage.APIKey, err error) {
	var b [idBytes + secretBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", key, fmt.Errorf("make an API key: %w", err)
	}
	id := keyEncoding.EncodeToString(b[:idBytes])
	text = KeyPrefix + id + "_" + keyEncoding.EncodeToString(b[idBytes:])
	return text, storage.APIKey{
		ID: id, Hash: sha256.Sum256([]byte(text)), Tenant: tenant, Role: string(role), Created: now.UTC(),
	}, nil
}

// keyID returns the id within the text of a key, "" if the text is not of the
// form of one.
func keyID(text string) string {
	if len(text) != keyLength || !strings.HasPrefix(text, KeyPrefix) {
		return ""
	}
	id := text[len(KeyPrefix) : len(KeyPrefix)+idLength]
	if text[len(KeyPrefix)+idLength] != '_' {
		return ""
	}
	return id
}
