package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
)

// Last returns the offset of the newest entry.
func (s *Store) Last() tokenwatch.Offset {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Follow yields the log from an offset on; see storage.Events. When ctx ends it
// just ends, when the store closes it ends with ErrClosed.
func (s *Store) Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		for offset := max(from, 1); ctx.Err() == nil; offset++ {
			e, err := s.await(ctx, offset)
			if errors.Is(err, errDropped) {
				continue
			}
			if err != nil && ctx.Err() != nil {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// await returns the entry at an offset once there is one.
func (s *Store) await(ctx context.Context, offset tokenwatch.Offset) (tokenwatch.Entry, error) {
	for {
		s.mu.Lock()
		last, appended, closed := s.last, s.appended, s.closed
		e, held := s.tail.at(offset)
		s.mu.Unlock()
		switch {
		case closed:
			return e, ErrClosed
		case held:
			return e, nil
		case offset <= last:
			v, done, err := s.acquire()
			if err != nil {
				return e, err
			}
			defer done()
			return s.entry(v.snapshot, offset)
		}
		select {
		case <-appended:
		case <-s.closing:
		case <-ctx.Done():
			return e, ctx.Err()
		}
	}
}

// Scan yields the entries of a range; see storage.Events. With a tenant, only
// that tenant's entries; with times, only segments, and those by the event
// times they hold.
func (s *Store) Scan(ctx context.Context, r storage.Range) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		for offset, err := range s.offsets(ctx, r) {
			var e tokenwatch.Entry
			if err == nil {
				e, err = s.readAt(offset.at)
			}
			if errors.Is(err, errDropped) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// found is an offset with what the index says of it.
type found struct {
	at    tokenwatch.Offset
	index indexEntry
}

// offsets yields what the index has in a range, in order.
func (s *Store) offsets(ctx context.Context, r storage.Range) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		v, done, err := s.acquire()
		if err != nil {
			yield(found{}, err)
			return
		}
		defer done()
		s.offsetsIn(ctx, v, r)(yield)
	}
}

// offsetsIn is offsets in a view that the caller keeps.
func (s *Store) offsetsIn(ctx context.Context, v *view, r storage.Range) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		upper := []byte{keyIndex + 1}
		if r.Last != 0 {
			upper = numbered(keyIndex, uint64(r.Last)+1)
		}
		for it, err := range scanIn(ctx, v.snapshot, numbered(keyIndex, uint64(max(r.First, 1))), upper) {
			if err != nil {
				yield(found{}, err)
				return
			}
			f := found{at: tokenwatch.Offset(number(it.Key()))}
			if f.index, err = decodeIndex(it.Value()); err != nil {
				yield(f, &storage.Corruption{What: "index", First: f.at, Last: f.at, Err: told(err)})
				return
			}
			if r.Tenant != "" && f.index.Tenant != r.Tenant || !f.index.within(r.From, r.To) {
				continue
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

// scan steps an iterator over the keys from lower up to upper, in one view. The
// key and value of the iterator last until the next step.
func (s *Store) scan(ctx context.Context, lower, upper []byte) iter.Seq2[*pebble.Iterator, error] {
	return func(yield func(*pebble.Iterator, error) bool) {
		v, done, err := s.acquire()
		if err != nil {
			yield(nil, err)
			return
		}
		defer done()
		scanIn(ctx, v.snapshot, lower, upper)(yield)
	}
}

// scanIn is scan in a view that the caller keeps.
func scanIn(ctx context.Context, r pebble.Reader, lower, upper []byte) iter.Seq2[*pebble.Iterator, error] {
	return func(yield func(*pebble.Iterator, error) bool) {
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(nil, classify("store", err))
			return
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(it, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(nil, classify("store", err))
		}
	}
}

// readAt returns an entry that is there.
func (s *Store) readAt(offset tokenwatch.Offset) (tokenwatch.Entry, error) {
	s.mu.Lock()
	e, held := s.tail.at(offset)
	s.mu.Unlock()
	if held {
		return e, nil
	}
	v, done, err := s.acquire()
	if err != nil {
		return e, err
	}
	defer done()
	return s.entry(v.snapshot, offset)
}

// entry reads and decodes an entry.
func (s *Store) entry(r pebble.Reader, offset tokenwatch.Offset) (tokenwatch.Entry, error) {
	value, err := s.logAt(r, uint64(offset))
	if err != nil {
		return tokenwatch.Entry{}, err
	}
	var e tokenwatch.Entry
	switch value[0] {
	case tagControl:
		e, err = decodeControl(value[1:])
	case tagSegment:
		e, err = s.decoder.Decode(value[1:])
	case tagMerged:
		var p place
		if p, err = decodePlace(value[1:]); err == nil {
			e, err = s.mergedEntry(r, uint64(offset), p)
		}
	default:
		return e, errDropped
	}
	if err != nil {
		return tokenwatch.Entry{}, broken("segment", offset, err)
	}
	e.Offset = offset
	return e, nil
}

// errDropped: retention has dropped the entry.
var errDropped = errors.New("the entry was dropped by retention")

// logAt returns the value of the log at an offset: a tag and what it tags.
func (s *Store) logAt(r pebble.Reader, offset uint64) ([]byte, error) {
	value, err := get(r, numbered(keyLog, offset))
	if err == nil && (len(value) == 0 || value[0] > tagDropped) {
		err = errors.New("neither a segment nor a control record")
	}
	if err != nil {
		return nil, broken("log", tokenwatch.Offset(offset), err)
	}
	return value, nil
}

// indexAt returns what the index says of an offset.
func (s *Store) indexAt(r pebble.Reader, offset uint64) (indexEntry, error) {
	value, err := get(r, numbered(keyIndex, offset))
	if err == nil {
		var at indexEntry
		if at, err = decodeIndex(value); err == nil {
			return at, nil
		}
	}
	return indexEntry{}, broken("index", tokenwatch.Offset(offset), err)
}

// broken is the error for an entry that should be there and cannot be read.
func broken(what string, offset tokenwatch.Offset, err error) error {
	if errors.Is(err, block.ErrNewer) {
		return fmt.Errorf("read entry %d: %w: %w", offset, ErrNewer, err)
	}
	if errors.Is(err, syscall.EIO) {
		return fmt.Errorf("%w: read entry %d: %w", ErrIO, offset, err)
	}
	return &storage.Corruption{What: what, First: offset, Last: offset, Err: told(err)}
}

func fromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }
