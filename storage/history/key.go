package history

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Key signs the checkpoints of one history. It keeps its secret behind a func,
// so that no print verb shows it.
type Key struct {
	origin   string
	verifier string
	secret   func() string
}

// NewKey makes an Ed25519 key for an origin, the name of a history, from 32
// bytes of rand. An origin is text without spaces and plus signs, by custom
// beginning with a host name or a store's id.
func NewKey(rand io.Reader, origin string) (*Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("make signing key: read random bytes: %w", err)
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	verifier, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	// The C2SP form of a private key: PRIVATE+KEY+<name>+<id>+<algorithm and seed>.
	id := strings.SplitN(verifier, "+", 3)[1]
	const ed25519Algorithm = 1
	secret := "PRIVATE+KEY+" + origin + "+" + id + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{ed25519Algorithm}, seed...))
	return DecodeKey([]byte(secret + "\n" + verifier + "\n"))
}

// DecodeKey reads what Encode wrote. Its errors hold nothing of the key.
func DecodeKey(b []byte) (*Key, error) {
	secret, rest, ok := strings.Cut(string(b), "\n")
	verifier, end, ok2 := strings.Cut(rest, "\n")
	if !ok || !ok2 || end != "" {
		return nil, errors.New("decode signing key: not two lines")
	}
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, errors.New("decode signing key: malformed private key")
	}
	v, err := note.NewVerifier(verifier)
	if err != nil || v.Name() != s.Name() || v.KeyHash() != s.KeyHash() {
		return nil, errors.New("decode signing key: the verifier key does not belong to the private key")
	}
	return &Key{origin: s.Name(), verifier: verifier, secret: func() string { return secret }}, nil
}

// Encode returns the key for a file of mode 0600: the private key in the form
// of C2SP signed-note, and on a second line the verifier key.
func (k *Key) Encode() []byte { return []byte(k.secret() + "\n" + k.verifier + "\n") }

// Origin returns the name of the history that the key signs for.
func (k *Key) Origin() string { return k.origin }

// Verifier returns the verifier key (vkey), to be published and pinned.
func (k *Key) Verifier() string { return k.verifier }

// String returns the verifier key.
func (k *Key) String() string { return k.verifier }

// sign returns text as a signed note.
func (k *Key) sign(text string) ([]byte, error) {
	s, err := note.NewSigner(k.secret())
	if err != nil {
		return nil, errors.New("malformed private key")
	}
	return note.Sign(&note.Note{Text: text}, s)
}
