package history

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Version is the first element of every leaf.
const Version = "tokenwatch/audit/v1"

// MaxLeaf is how long an encoded leaf may be, in bytes: what an entry bundle of
// C2SP tlog-tiles can hold. Leaves should stay below 1 KiB.
const MaxLeaf = 65535

// ErrUnknownKind is the error for a leaf of a kind this program does not know,
// made by a newer one: verify with that.
var ErrUnknownKind = errors.New("unknown kind of leaf")

// Leaf is one fact of the history. [Log.Stage] fills in Index, Clock and Prev.
type Leaf struct {
	Index  uint64
	Time   time.Time  // wall clock, kept in whole milliseconds
	Clock  uint64     // clock epoch, from 1: within one, time does not go back
	Tenant Commitment // zero: about all tenants
	Actor  Commitment // zero: tokenwatch itself
	Prev   *uint64    // index of the previous leaf of this tenant and kind; nil if this is the first
	Body   Body       // what is stated; never nil
}

// Kind returns the kind of the leaf's body.
func (l *Leaf) Kind() Kind { return l.Body.Kind() }

// Digest is a SHA-256 digest.
type Digest [sha256.Size]byte

// Commitment stands for a tenant or a person without naming it: whoever has the
// salt and the name can check it, and once the salt is destroyed nobody can.
type Commitment [sha256.Size]byte

// Salt makes a commitment to a guessable name safe. It has 32 random bytes and
// is kept outside the history.
type Salt [32]byte

// Commit commits to a name: SHA-256(0x02 ‖ salt ‖ name). The zero salt serves
// for names that are no secret and belong to no person, such as roles.
func Commit(salt Salt, name string) Commitment {
	b := make([]byte, 0, 1+len(salt)+len(name))
	b = append(b, 0x02) // apart from leaves (0x00) and nodes (0x01) of the tree
	b = append(b, salt[:]...)
	return sha256.Sum256(append(b, name...))
}

// wireLeaf is a leaf as CBOR: an array of version, header and body.
type wireLeaf struct {
	_       struct{} `cbor:",toarray"`
	Version string
	Header  wireHeader
	Body    cbor.RawMessage
}

type wireHeader struct {
	Kind   Kind       `cbor:"1,keyasint"`
	Index  uint64     `cbor:"2,keyasint"`
	Time   int64      `cbor:"3,keyasint"` // UTC milliseconds since 1970
	Clock  uint64     `cbor:"4,keyasint"`
	Tenant Commitment `cbor:"5,keyasint,omitzero"`
	Actor  Commitment `cbor:"6,keyasint,omitzero"`
	Prev   *uint64    `cbor:"7,keyasint,omitempty"`
}

// Deterministic CBOR (RFC 8949 §4.2.1). What the decoder lets pass although it
// is not canonical falls to the comparison in Decode.
var (
	encMode = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic("history: cbor encoder: " + err.Error()) // options are constant
		}
		return m
	}()
	decMode = func() cbor.DecMode {
		m, err := cbor.DecOptions{
			DupMapKey:         cbor.DupMapKeyEnforcedAPF,
			MaxNestedLevels:   8,
			MaxArrayElements:  MaxLeaf,
			MaxMapPairs:       64,
			IndefLength:       cbor.IndefLengthForbidden,
			TagsMd:            cbor.TagsForbidden,
			ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		}.DecMode()
		if err != nil {
			panic("history: cbor decoder: " + err.Error())
		}
		return m
	}()
)

// Encode returns the canonical bytes of a leaf. It fails on a body that breaks
// the rules of its kind and on more than MaxLeaf bytes.
func Encode(l *Leaf) ([]byte, error) {
	if l.Body == nil {
		return nil, errors.New("encode leaf: no body")
	}
	kind := l.Body.Kind()
	if err := l.Body.check(); err != nil {
		return nil, fmt.Errorf("encode leaf of kind %v: %w", kind, err)
	}
	body, err := encMode.Marshal(l.Body)
	if err != nil {
		return nil, fmt.Errorf("encode leaf of kind %v: %w", kind, err)
	}
	b, err := encMode.Marshal(wireLeaf{
		Version: Version,
		Header: wireHeader{
			Kind: kind, Index: l.Index, Time: l.Time.UnixMilli(), Clock: l.Clock,
			Tenant: l.Tenant, Actor: l.Actor, Prev: l.Prev,
		},
		Body: body,
	})
	if err != nil {
		return nil, fmt.Errorf("encode leaf of kind %v: %w", kind, err)
	}
	if len(b) > MaxLeaf {
		return nil, fmt.Errorf("encode leaf of kind %v: %d bytes, at most %d are allowed", kind, len(b), MaxLeaf)
	}
	return b, nil
}

// Decode reads a leaf. It accepts exactly what Encode produces: anything whose
// encoding would differ is refused. A leaf of an unknown kind gives
// ErrUnknownKind. The leaf does not alias b.
func Decode(b []byte) (Leaf, error) {
	if len(b) > MaxLeaf {
		return Leaf{}, fmt.Errorf("decode leaf: %d bytes, at most %d are allowed", len(b), MaxLeaf)
	}
	var w wireLeaf
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Leaf{}, fmt.Errorf("decode leaf: %w", redact(err))
	}
	if w.Version != Version {
		return Leaf{}, errors.New("decode leaf: not of version " + Version)
	}
	body := newBody(w.Header.Kind)
	if body == nil {
		return Leaf{}, fmt.Errorf("decode leaf: %w: number %d", ErrUnknownKind, w.Header.Kind)
	}
	if err := decMode.Unmarshal(w.Body, body); err != nil {
		return Leaf{}, fmt.Errorf("decode leaf of kind %v: %w", w.Header.Kind, redact(err))
	}
	l := Leaf{
		Index: w.Header.Index, Time: time.UnixMilli(w.Header.Time).UTC(), Clock: w.Header.Clock,
		Tenant: w.Header.Tenant, Actor: w.Header.Actor, Prev: w.Header.Prev, Body: body,
	}
	again, err := Encode(&l)
	if err != nil {
		return Leaf{}, fmt.Errorf("decode leaf: %w", err)
	}
	if !bytes.Equal(again, b) {
		return Leaf{}, errors.New("decode leaf: not in canonical form")
	}
	return l, nil
}

// redact keeps the class of a CBOR error only: its text may quote the input.
func redact(err error) error {
	var (
		syntax *cbor.SyntaxError
		kind   *cbor.UnmarshalTypeError
		dup    *cbor.DupMapKeyError
		field  *cbor.UnknownFieldError
	)
	switch {
	case errors.As(err, &syntax):
		return errors.New("malformed CBOR")
	case errors.As(err, &kind):
		return errors.New("a field has the wrong type")
	case errors.As(err, &dup):
		return errors.New("a field is given twice")
	case errors.As(err, &field):
		return errors.New("an unknown field")
	default:
		return errors.New("not CBOR of the expected shape")
	}
}
