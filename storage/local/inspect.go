package local

import (
	"context"
	"errors"
	"iter"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
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
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	value, err := s.logAt(v.snapshot, uint64(offset))
	if err != nil {
		return nil, err
	}
	var requests []tokenwatch.Request
	switch value[0] {
	case tagSegment:
		requests, err = s.decoder.Requests(value[1:])
	case tagMerged:
		var p place
		var m *block.Merged
		if p, err = decodePlace(value[1:]); err == nil {
			if m, err = s.merged(v.snapshot, p.id); err == nil {
				requests, err = m.Requests(p.part)
			}
		}
	}
	if err != nil {
		return nil, broken("segment", offset, err)
	}
	return requests, nil
}

// Payloads yields the stored bytes of the entries of a range, for export, and in
// place of those that were merged the bytes of the merged segments. Each is
// compared with the digest the history holds of it.
func (s *Store) Payloads(ctx context.Context, r storage.Range) iter.Seq2[history.Payload, error] {
	return func(yield func(history.Payload, error) bool) {
		for c, err := range s.check(ctx, r, true) {
			if err != nil {
				yield(history.Payload{}, err)
				return
			}
			if c.payload.Bytes != nil && !yield(c.payload, nil) {
				return
			}
		}
	}
}

// Verify reads the whole log and compares each entry, or the merged segment it
// is part of, with the history. It returns how many it compared, and the first
// error.
func (s *Store) Verify(ctx context.Context) (entries uint64, err error) {
	next := tokenwatch.Offset(1)
	last := s.Last()
	for c, err := range s.check(ctx, storage.Range{Last: last}, false) {
		if err == nil && c.at != next {
			err = &storage.Corruption{What: "log", First: next, Last: c.at - 1, Err: errors.New("not there")}
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
