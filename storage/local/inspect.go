package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// Rejects yields the rejects of a tenant's requests in the order of the log;
// see storage.Rejects. Only the requests of segments that have some are decoded.
func (s *Store) Rejects(ctx context.Context, tenant string) iter.Seq2[storage.Rejected, error] {
	return func(yield func(storage.Rejected, error) bool) {
		for f, err := range s.offsets(ctx, storage.Range{Tenant: tenant}) {
			if err == nil && f.index.Rejects == 0 {
				continue
			}
			var requests []tokenwatch.Request
			if err == nil {
				requests, err = s.requestsAt(f.at)
			}
			if err != nil {
				yield(storage.Rejected{}, err)
				return
			}
			for _, r := range requests {
				for _, reject := range r.Rejects {
					out := storage.Rejected{Entry: f.at, Time: fromNanos(f.index.Time), Source: r.Source, Reject: reject}
					if !yield(out, nil) {
						return
					}
				}
			}
		}
	}
}

func (s *Store) requestsAt(offset tokenwatch.Offset) ([]tokenwatch.Request, error) {
	b, err := s.Segment(offset)
	if err != nil {
		return nil, err
	}
	requests, err := s.decoder.Requests(b)
	if err != nil {
		return nil, broken("segment", offset, err)
	}
	return requests, nil
}

// Segment returns the bytes of the log at an offset, exactly as stored: what
// the leaf of the segment or control record has the SHA-256 of.
func (s *Store) Segment(offset tokenwatch.Offset) ([]byte, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	value, err := s.logAt(v.snapshot, uint64(offset))
	if err != nil {
		return nil, err
	}
	return value[1:], nil
}

// Payloads yields the stored bytes of the entries of a range, for export. Each
// is compared with the digest the history holds of it.
func (s *Store) Payloads(ctx context.Context, r storage.Range) iter.Seq2[history.Payload, error] {
	return func(yield func(history.Payload, error) bool) {
		for f, err := range s.offsets(ctx, r) {
			p := history.Payload{Offset: uint64(f.at)}
			if err == nil {
				p.Bytes, err = s.verified(f)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Verify reads the whole log and compares each entry with the history. It
// returns how many it compared, and the first error.
func (s *Store) Verify(ctx context.Context) (entries uint64, err error) {
	next := tokenwatch.Offset(1)
	last := s.Last()
	for f, err := range s.offsets(ctx, storage.Range{Last: last}) {
		if err == nil && f.at != next {
			err = &storage.Corruption{What: "log", First: next, Last: f.at - 1, Err: errors.New("not there")}
		}
		if err == nil {
			_, err = s.verified(f)
		}
		if err != nil {
			return entries, err
		}
		next++
		entries++
	}
	if next <= last {
		return entries, &storage.Corruption{What: "log", First: next, Last: last, Err: errors.New("not there")}
	}
	return entries, nil
}

// verified returns the bytes of an entry once they hash to what its leaf says.
func (s *Store) verified(f found) ([]byte, error) {
	b, err := s.Segment(f.at)
	if err != nil {
		return nil, err
	}
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	raw, err := get(v.snapshot, numbered(keyLeaf, f.index.Leaf))
	if err != nil {
		return nil, broken("history", f.at, err)
	}
	leaf, err := history.Decode(raw)
	if err != nil {
		return nil, broken("history", f.at, err)
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

// Stats is what a store has to say of itself.
type Stats struct {
	Last        tokenwatch.Offset // newest entry
	Commits     uint64            // group commits since the store was made, as acknowledged
	Leaves      uint64            // of the history
	DiskBytes   uint64            // all files of Pebble
	ReadOnly    bool              // for want of space, or for good
	IDsOverflow uint64            // event ids forgotten early since the store was opened
}

// Stats returns what the store has to say of itself.
func (s *Store) Stats() (Stats, error) {
	_, done, err := s.acquire()
	if err != nil {
		return Stats{}, err
	}
	defer done()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Last:        s.last,
		Commits:     s.sequence,
		Leaves:      s.head.Size,
		DiskBytes:   s.db.Metrics().DiskSpaceUsage(),
		ReadOnly:    s.full.Load() || s.Err() != nil,
		IDsOverflow: s.overflow,
	}, nil
}
