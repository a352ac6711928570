package v1

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// sealer makes cursors and page tokens: opaque to clients, bound to what they
// were made for, and of no use when changed. They hold no state of the server,
// so they outlive it as long as the key does.
type sealer struct {
	key []byte
}

// scope is what a cursor is bound to: opened with another, it is refused.
type scope struct {
	kind   string // which method or feed
	tenant string
	query  string // what else must not change from page to page
}

const (
	macSize   = 16
	maxCursor = 256 // characters
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// seal returns payload as a cursor of scope.
func (s sealer) seal(in scope, payload []byte) string {
	return cursorEncoding.EncodeToString(append(payload[:len(payload):len(payload)], s.mac(in, payload)...))
}

// open returns the payload of a cursor made by seal for the same scope.
func (s sealer) open(in scope, cursor string) ([]byte, error) {
	// The decoder passes over line breaks; a cursor has one spelling.
	if len(cursor) > maxCursor || strings.ContainsAny(cursor, "\r\n") {
		return nil, badCursor()
	}
	b, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(b) < macSize {
		return nil, badCursor()
	}
	payload, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if !hmac.Equal(mac, s.mac(in, payload)) {
		return nil, badCursor()
	}
	return payload, nil
}

// sealPlace is seal for places in an order.
func (s sealer) sealPlace(in scope, places ...uint64) string {
	var payload []byte
	for _, p := range places {
		payload = binary.AppendUvarint(payload, p)
	}
	return s.seal(in, payload)
}

// openPlace reads what sealPlace made into places; an empty cursor leaves them.
func (s sealer) openPlace(in scope, cursor string, places ...*uint64) error {
	if cursor == "" {
		return nil
	}
	payload, err := s.open(in, cursor)
	if err != nil {
		return err
	}
	for _, p := range places {
		v, n := binary.Uvarint(payload)
		if n <= 0 {
			return badCursor()
		}
		*p, payload = v, payload[n:]
	}
	if len(payload) > 0 {
		return badCursor()
	}
	return nil
}

// mac covers every part with its length, so that no two scopes look alike.
func (s sealer) mac(in scope, payload []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	var length [8]byte
	for _, part := range [][]byte{[]byte("tokenwatch cursor 1"), []byte(in.kind), []byte(in.tenant), []byte(in.query), payload} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return h.Sum(nil)[:macSize]
}

func badCursor() error {
	return Fail(ReasonBadCursor, "the cursor or page token was not made for this request", 0)
}
