package history

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"slices"
)

// MaxSources is how many sources a segment leaf names; of more, or if their names
// are longer than maxNames bytes together, it holds a digest.
const (
	MaxSources = 8
	maxNames   = 600
)

// Segment states that a segment was appended to the log. Field numbers 10 and
// 11 are kept for the key epoch and the root over the segment's events.
type Segment struct {
	Offset        uint64        `cbor:"1,keyasint"` // in the log, from 1
	Rows          uint64        `cbor:"2,keyasint"`
	Rejected      uint64        `cbor:"3,keyasint,omitempty"` // records of its requests that could not be stored
	From          int64         `cbor:"4,keyasint,omitempty"` // least event time of the rows, UTC milliseconds
	To            int64         `cbor:"5,keyasint,omitempty"` // greatest event time
	Digest        Digest        `cbor:"6,keyasint"`           // SHA-256 of the bytes as stored
	Bytes         uint64        `cbor:"7,keyasint"`           // how many these are
	Sources       []SourceCount `cbor:"8,keyasint,omitempty"` // in order of name; see SetSources
	SourcesDigest Digest        `cbor:"9,keyasint,omitzero"`  // in their place if they are too many
}

// SourceCount is how much of a segment came from one source.
type SourceCount struct {
	_        struct{} `cbor:",toarray"`
	Source   string
	Rows     uint64
	Rejected uint64
}

// Kind returns KindSegment.
func (*Segment) Kind() Kind { return KindSegment }

// SetSources sets Sources or SourcesDigest, and Rejected, from the counts of
// the segment's requests, which may come in any order and repeat a source. The
// digest is SHA-256 over the deterministic CBOR of the sorted list.
func (s *Segment) SetSources(counts []SourceCount) error {
	list := slices.Clone(counts)
	for i := range list {
		list[i].Source = Short(list[i].Source)
	}
	slices.SortFunc(list, func(a, b SourceCount) int { return cmp.Compare(a.Source, b.Source) })
	merged := list[:0]
	s.Rejected = 0
	names := 0
	for _, c := range list {
		s.Rejected += c.Rejected
		if n := len(merged); n > 0 && merged[n-1].Source == c.Source {
			merged[n-1].Rows += c.Rows
			merged[n-1].Rejected += c.Rejected
			continue
		}
		merged = append(merged, c)
		names += len(c.Source)
	}
	s.Sources, s.SourcesDigest = merged, Digest{}
	if len(merged) <= MaxSources && names <= maxNames {
		return nil
	}
	b, err := encMode.Marshal(merged)
	if err != nil {
		return err
	}
	s.Sources, s.SourcesDigest = nil, sha256.Sum256(b)
	return nil
}

func (s *Segment) check() error {
	if s.Offset == 0 || s.From > s.To {
		return errors.New("a segment needs an offset, and time bounds in order")
	}
	if len(s.Sources) > MaxSources || len(s.Sources) > 0 && s.SourcesDigest != (Digest{}) {
		return errors.New("more sources than a segment may name")
	}
	for i, c := range s.Sources {
		if i > 0 && c.Source <= s.Sources[i-1].Source {
			return errors.New("sources repeat or are not in order")
		}
		if err := checkText(c.Source); err != nil {
			return err
		}
	}
	return nil
}

// Control states that a control record was appended to the log.
type Control struct {
	Offset uint64 `cbor:"1,keyasint"` // in the log, from 1
	Record string `cbor:"2,keyasint"` // kind of the record: tick, end …
	Digest Digest `cbor:"3,keyasint"` // SHA-256 of the bytes as stored
	Bytes  uint64 `cbor:"4,keyasint"` // how many these are
}

// Kind returns KindControl.
func (*Control) Kind() Kind { return KindControl }

func (c *Control) check() error {
	if c.Offset == 0 {
		return errors.New("a control record needs an offset")
	}
	return checkText(c.Record)
}
