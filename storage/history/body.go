package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"unicode/utf8"
)

// Body is what a leaf states, one type per kind; pointers to the structs of
// this file and of segment.go and tick.go. Texts must be UTF-8 of at most
// MaxText bytes; [Short] makes them so.
type Body interface {
	Kind() Kind
	check() error // the rules of the kind
}

// MaxText is how many bytes a text in a leaf may have.
const MaxText = 200

// Short returns s if a leaf can hold it, else its digest as "sha256:" and hex.
func Short(s string) string {
	if checkText(s) == nil {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func checkText(texts ...string) error {
	for _, s := range texts {
		if len(s) > MaxText {
			return errors.New("a text is too long")
		}
		if !utf8.ValidString(s) {
			return errors.New("a text is not UTF-8")
		}
	}
	return nil
}

// Finding states one revision of a finding. Revision 1 is of kind finding, the
// others are of kind finding-revision.
type Finding struct {
	ID        string `cbor:"1,keyasint"` // a keyed hash itself, so it names nobody
	Revision  uint64 `cbor:"2,keyasint"` // from 1
	Settled   bool   `cbor:"3,keyasint,omitempty"`
	Withdrawn bool   `cbor:"4,keyasint,omitempty"`
	Score     int64  `cbor:"5,keyasint"` // 0 to 100
	Digest    Digest `cbor:"6,keyasint"` // SHA-256 of tokenwatch.Finding.Canonical
}

// Kind returns KindFinding or KindRevision.
func (f *Finding) Kind() Kind {
	if f.Revision > 1 {
		return KindRevision
	}
	return KindFinding
}

func (f *Finding) check() error {
	if f.Revision == 0 || f.ID == "" {
		return errors.New("a finding needs an id and a revision")
	}
	return checkText(f.ID)
}

// AdminAction states that somebody did something; the leaf's Actor says who.
type AdminAction struct {
	Verb   string `cbor:"1,keyasint"`           // keys.create, loss.acknowledge …
	Object string `cbor:"2,keyasint,omitempty"` // what it was done to, by id
	Detail string `cbor:"3,keyasint,omitempty"`
}

// Kind returns KindAdminAction.
func (*AdminAction) Kind() Kind { return KindAdminAction }

func (a *AdminAction) check() error {
	if a.Verb == "" {
		return errors.New("an action needs a verb")
	}
	return checkText(a.Verb, a.Object, a.Detail)
}

// Conflict states that a request was refused because its key had been used for
// other content.
type Conflict struct {
	Offset  uint64 `cbor:"1,keyasint"` // log offset of the entry that holds the first content; 0 if unknown
	Stored  Digest `cbor:"2,keyasint"` // SHA-256 of the body stored first
	Refused Digest `cbor:"3,keyasint"` // SHA-256 of the body refused
}

// Kind returns KindConflict.
func (*Conflict) Kind() Kind { return KindConflict }

func (*Conflict) check() error { return nil }

// Loss states that stored data is missing or damaged. Offsets of the log from
// First to Last then need no leaf.
type Loss struct {
	What  string `cbor:"1,keyasint"`           // kind of data: log, segment, history, watermark …
	First uint64 `cbor:"2,keyasint,omitempty"` // range of the log concerned, if one can be named
	Last  uint64 `cbor:"3,keyasint,omitempty"`
}

// Kind returns KindLoss.
func (*Loss) Kind() Kind { return KindLoss }

func (l *Loss) check() error {
	if l.What == "" || l.First > l.Last {
		return errors.New("a loss report needs what was lost, and a range in order")
	}
	return checkText(l.What)
}

// Summary counts, over the log offsets First to Last, the records that count
// for less or were not stored.
type Summary struct {
	First     uint64 `cbor:"1,keyasint"`
	Last      uint64 `cbor:"2,keyasint"`
	Late      uint64 `cbor:"3,keyasint,omitempty"`
	Future    uint64 `cbor:"4,keyasint,omitempty"`
	Duplicate uint64 `cbor:"5,keyasint,omitempty"`
	Rejected  uint64 `cbor:"6,keyasint,omitempty"`
}

// Kind returns KindSummary.
func (*Summary) Kind() Kind { return KindSummary }

func (s *Summary) check() error { return checkRange(s.First, s.Last) }

// Restore states that this history begins anew after a restore. It is leaf 0 of
// a log with an origin of its own.
type Restore struct {
	Origin    string `cbor:"1,keyasint"` // of the history restored from
	Size      uint64 `cbor:"2,keyasint"` // of its tree, as restored
	Root      Digest `cbor:"3,keyasint"`
	KnownSize uint64 `cbor:"4,keyasint,omitempty"` // newest checkpoint known outside; leaves from Size to it are the gap
	KnownRoot Digest `cbor:"5,keyasint,omitzero"`
	Offset    uint64 `cbor:"6,keyasint,omitempty"` // last log offset restored; the log goes on after it
}

// Kind returns KindRestore.
func (*Restore) Kind() Kind { return KindRestore }

func (r *Restore) check() error { return checkText(r.Origin) }

// KeyEpoch states that a key was put in use.
type KeyEpoch struct {
	Use    string `cbor:"1,keyasint"`          // signing, fingerprint
	Epoch  uint64 `cbor:"2,keyasint"`          // from 1
	Digest Digest `cbor:"3,keyasint,omitzero"` // SHA-256 of the verifier key, if it has one
}

// Kind returns KindKeyEpoch.
func (*KeyEpoch) Kind() Kind { return KindKeyEpoch }

func (k *KeyEpoch) check() error {
	if k.Use == "" || k.Epoch == 0 {
		return errors.New("a key epoch needs a use and a number")
	}
	return checkText(k.Use)
}

// Retention states that the bytes of segments were dropped; their leaves stay.
type Retention struct {
	Policy string  `cbor:"1,keyasint"` // version of the policy applied
	Ranges []Range `cbor:"2,keyasint"` // of log offsets, ascending and apart; more than 3,000 go into leaves of their own
	Rows   uint64  `cbor:"3,keyasint"` // dropped with them
}

// Range is a range of log offsets, First and Last included.
type Range struct {
	_     struct{} `cbor:",toarray"`
	First uint64
	Last  uint64
}

// Kind returns KindRetention.
func (*Retention) Kind() Kind { return KindRetention }

func (r *Retention) check() error {
	return errors.Join(checkRanges(r.Ranges), checkText(r.Policy))
}

// Merge states that the bytes of segments were replaced by those of one that
// holds all their rows, requests, namings and facts. A later merge or retention
// may concern some or all of them again.
type Merge struct {
	Ranges []Range `cbor:"1,keyasint"` // of log offsets of one tenant, ascending and apart
	Rows   uint64  `cbor:"2,keyasint"`
	Digest Digest  `cbor:"3,keyasint"` // SHA-256 of the bytes as stored
	Bytes  uint64  `cbor:"4,keyasint"` // how many these are
}

// Kind returns KindMerge.
func (*Merge) Kind() Kind { return KindMerge }

func (m *Merge) check() error { return checkRanges(m.Ranges) }

func checkRanges(ranges []Range) error {
	if len(ranges) == 0 {
		return errors.New("no ranges of log offsets")
	}
	for i, x := range ranges {
		if err := checkRange(x.First, x.Last); err != nil {
			return err
		}
		if i > 0 && x.First <= ranges[i-1].Last {
			return errors.New("ranges overlap or are not in order")
		}
	}
	return nil
}

func checkRange(first, last uint64) error {
	if first == 0 || first > last {
		return errors.New("a range of log offsets begins at 1 or later and does not run backwards")
	}
	return nil
}
