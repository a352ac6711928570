package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// checked is an entry of the log that is what the history says.
type checked struct {
	at      tokenwatch.Offset
	payload history.Payload // its bytes, or those of a merged segment with its first entry
}

// check yields the entries of a range once they, or what they were merged into,
// hash to what their leaf says, and those that were dropped once a leaf says so.
// All are of one view. With bytes, payloads have theirs.
func (s *Store) check(ctx context.Context, r storage.Range, bytes bool) iter.Seq2[checked, error] {
	return func(yield func(checked, error) bool) {
		v, done, err := s.acquire()
		if err != nil {
			yield(checked{}, err)
			return
		}
		defer done()
		c := checker{s: s, r: v.snapshot, bytes: bytes, merged: make(map[uint64][]history.Range)}
		for f, err := range s.offsetsIn(ctx, v, r) {
			out := checked{at: f.at}
			if err == nil {
				out.payload, err = c.check(f)
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}

type checker struct {
	s      *Store
	r      pebble.Reader
	bytes  bool
	merged map[uint64][]history.Range // merged segments that were compared: what their leaves state
}

func (c *checker) check(f found) (p history.Payload, err error) {
	value, err := c.s.logAt(c.r, uint64(f.at))
	if err != nil {
		return p, err
	}
	switch value[0] {
	case tagMerged:
		return c.part(f, value[1:])
	case tagDropped:
		return p, c.dropped(f, value[1:])
	default:
		p.Offset = uint64(f.at)
		p.Bytes, err = c.s.verifiedIn(c.r, f)
		return p, err
	}
}

// part checks an entry that was merged. The merged segment is compared with its
// leaf the first time.
func (c *checker) part(f found, b []byte) (p history.Payload, err error) {
	at, err := decodePlace(b)
	if err != nil {
		return p, broken("log", f.at, err)
	}
	m, err := c.s.merged(c.r, at.id)
	if err != nil {
		return p, broken("merged segment", f.at, err)
	}
	parts := m.Parts()
	if at.part >= len(parts) || parts[at.part].Offset != f.at || uint64(parts[at.part].Rows) != f.index.Rows {
		return p, broken("merged segment", f.at, errors.New("it is not the entry at its place"))
	}
	ranges, known := c.merged[at.id]
	if !known {
		value, err := get(c.r, mergedKey(f.index.Tenant, uint64(parts[0].Offset)))
		if err != nil {
			return p, broken("index of merged segments", f.at, err)
		}
		e, err := decodeMerged(value)
		if err == nil && e.ID != at.id {
			err = errors.New("another segment has its place")
		}
		if err != nil {
			return p, broken("index of merged segments", f.at, err)
		}
		if p.Bytes, ranges, err = c.s.verifyMerged(c.r, &e, c.bytes); err != nil {
			return p, err
		}
		p.Leaf = e.Leaf
		c.merged[at.id] = ranges
	}
	if !inRanges(ranges, uint64(f.at)) {
		return p, broken("merged segment", f.at, errors.New("its leaf does not state the entry"))
	}
	return p, nil
}

func inRanges(ranges []history.Range, at uint64) bool {
	return slices.ContainsFunc(ranges, func(r history.Range) bool { return r.First <= at && at <= r.Last })
}

// dropped checks that the history says so.
func (c *checker) dropped(f found, b []byte) error {
	leaf, err := c.s.leafAt(c.r, f.at, number(append(make([]byte, 8), b...)))
	if err != nil {
		return err
	}
	if body, ok := leaf.Body.(*history.Retention); !ok || !inRanges(body.Ranges, uint64(f.at)) {
		return broken("log", f.at, errors.New("it is not there, and no leaf says that it was dropped"))
	}
	return nil
}

// verifiedIn returns the bytes of an entry as it was appended, once they hash
// to what its leaf says.
func (s *Store) verifiedIn(r pebble.Reader, f found) ([]byte, error) {
	value, err := s.logAt(r, uint64(f.at))
	if err != nil {
		return nil, err
	}
	b := value[1:]
	leaf, err := s.leafAt(r, f.at, f.index.Leaf)
	if err != nil {
		return nil, err
	}
	var offset uint64
	var digest history.Digest
	switch body := leaf.Body.(type) {
	case *history.Segment:
		offset, digest = body.Offset, body.Digest
	case *history.Control:
		offset, digest = body.Offset, body.Digest
	}
	if offset != uint64(f.at) || digest != sha256.Sum256(b) {
		return nil, broken("segment", f.at, fmt.Errorf("its bytes are not those of leaf %d", f.index.Leaf))
	}
	return b, nil
}

// verifyMerged compares a merged segment with its leaf, and returns what entries
// that states, and the bytes if they are wanted.
func (s *Store) verifyMerged(r pebble.Reader, e *mergedEntry, bytes bool) (all []byte, ranges []history.Range, err error) {
	first := tokenwatch.Offset(e.First)
	leaf, err := s.leafAt(r, first, e.Leaf)
	if err != nil {
		return nil, nil, err
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: numbered(keyChunk, e.ID), UpperBound: numbered(keyChunk, e.ID+1)})
	if err != nil {
		return nil, nil, classify("store", err)
	}
	defer it.Close()
	sum, n := sha256.New(), uint64(0)
	for ok := it.First(); ok; ok = it.Next() {
		b, err := it.ValueAndErr()
		if err != nil {
			return nil, nil, broken("merged segment", first, err)
		}
		sum.Write(b)
		n += uint64(len(b))
		if bytes {
			all = append(all, b...)
		}
	}
	if err := it.Error(); err != nil {
		return nil, nil, broken("merged segment", first, err)
	}
	body, ok := leaf.Body.(*history.Merge)
	if !ok || body.Digest != history.Digest(sum.Sum(nil)) || body.Bytes != n {
		return nil, nil, broken("merged segment", first, fmt.Errorf("its bytes are not those of leaf %d", e.Leaf))
	}
	return all, body.Ranges, nil
}

// leafAt returns the leaf that is about an entry.
func (s *Store) leafAt(r pebble.Reader, at tokenwatch.Offset, index uint64) (history.Leaf, error) {
	raw, err := get(r, numbered(keyLeaf, index))
	if err != nil {
		return history.Leaf{}, broken("history", at, err)
	}
	leaf, err := history.Decode(raw)
	if err != nil {
		return leaf, broken("history", at, err)
	}
	return leaf, nil
}
