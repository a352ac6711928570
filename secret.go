package tokenwatch

import (
	"fmt"
	"log/slog"
)

// redacted is what every printer and encoder shows of a Secret.
const redacted = "[secret]"

// Secret holds a raw credential in memory and shows it to nobody who does not
// call Reveal: every print verb, encoder and logger gets "[secret]".
//
// The bytes lie behind a pointer to a pointer. fmt reaches into unexported
// fields without calling methods and follows one pointer when it reports a
// wrong verb, so neither a slice nor a plain pointer would do.
type Secret struct {
	cell **[]byte
}

// NewSecret wraps b without copying it. The caller keeps b unchanged for as
// long as the Secret is in use.
func NewSecret(b []byte) Secret {
	p := &b
	return Secret{&p}
}

// Reveal returns the raw bytes. Only ingest/seal calls it, to fingerprint and
// to mask; the result is not kept.
func (s Secret) Reveal() []byte {
	if s.cell == nil {
		return nil
	}
	return **s.cell
}

// hold points an existing cell at b, so that a reused Row allocates nothing.
func (s *Secret) hold(b []byte) {
	if s.cell == nil {
		*s = NewSecret(b)
		return
	}
	**s.cell = b
}

// Format answers every fmt verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// String answers printers that do not use fmt.
func (Secret) String() string { return redacted }

// GoString answers %#v of printers that look for it.
func (Secret) GoString() string { return redacted }

// LogValue answers log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText answers encoding/json, encoding/xml and most others.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary answers encoding/gob and CBOR encoders.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// MarshalYAML answers YAML encoders.
func (Secret) MarshalYAML() (any, error) { return redacted, nil }
