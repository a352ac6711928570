package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// merges is what merging keeps in mind. Only one of its methods runs at a time.
type merges struct {
	mu      sync.Mutex
	encoder *block.Encoder
	lastID  uint64 // of a merged segment

	reclaimed uint64 // from where on space was given back the last time
	limits    mergeLimits
}

// piece is a segment that may be merged with others: merged, or appended.
type piece struct {
	entry  mergedEntry // of an appended one: First = Last, Rows, Since = Till
	merged bool
	found  found // of an appended one
}

// Merge merges segments of one tenant if that is worth while, and tells whether
// it did. Only what a Step has covered, and what lies in settled hours, is merged.
func (s *Store) Merge(ctx context.Context) (bool, error) { return s.merge(ctx, false) }

// merge is Merge; of a quiet store it merges what waits for its hours to settle, too.
func (s *Store) merge(ctx context.Context, quiet bool) (bool, error) {
	s.merges.mu.Lock()
	defer s.merges.mu.Unlock()
	if err := s.Err(); err != nil {
		return false, err
	}
	if s.full.Load() {
		return false, nil
	}
	cursor, err := s.Cursor(ctx)
	if err != nil {
		return false, err
	}
	for _, tenant := range s.worthMerging(quiet) {
		pieces, err := s.plan(ctx, tenant, uint64(cursor), quiet)
		if err != nil {
			return false, err
		}
		if pieces == nil {
			continue
		}
		return true, s.mergePieces(ctx, tenant, pieces)
	}
	return false, nil
}

// mergePieces replaces pieces by one segment.
func (s *Store) mergePieces(ctx context.Context, tenant string, pieces []piece) error {
	w, err := s.write(ctx, pieces)
	if err != nil {
		first, last := pieces[0].entry.First, pieces[len(pieces)-1].entry.Last
		return s.mergeError(ctx, fmt.Errorf("merge entries %d to %d: %w", first, last, err))
	}
	return s.swap(ctx, tenant, pieces, w)
}

// write writes one segment of pieces. The view it reads them from must be given
// up before they can go.
func (s *Store) write(ctx context.Context, pieces []piece) (*rewritten, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	sources := make([]block.Piece, len(pieces))
	for i := range pieces {
		if sources[i], err = s.source(v, &pieces[i]); err != nil {
			return nil, err
		}
	}
	return s.rewrite(ctx, sources)
}

// mergeError says what an error while merging means.
func (s *Store) mergeError(ctx context.Context, err error) error {
	var corrupt *block.Corrupt
	switch {
	case s.Err() != nil:
		return s.Err()
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrClosed):
		return err
	case errors.As(err, &corrupt) || errors.Is(err, pebble.ErrNotFound):
		return damaged("segment", err)
	case errors.Is(err, block.ErrNewer):
		return fmt.Errorf("%w: %w", ErrNewer, err)
	default:
		return classify("merge", err)
	}
}

// source returns a piece to be merged, once it is known to be what the history
// says: what was damaged must not be made to look whole.
func (s *Store) source(v *view, p *piece) (block.Piece, error) {
	if p.merged {
		if _, _, err := s.verifyMerged(v.snapshot, &p.entry, false); err != nil {
			return nil, err
		}
		m, err := s.merged(v.snapshot, p.entry.ID)
		if err != nil {
			return nil, err
		}
		return m.Piece(), nil
	}
	if _, err := s.verifiedIn(v.snapshot, p.found); err != nil {
		return nil, err
	}
	return s.decoder.NewPiece(p.found.at, func(f func([]byte) error) error {
		value, closer, err := v.snapshot.Get(numbered(keyLog, uint64(p.found.at)))
		if err != nil {
			return err
		}
		defer closer.Close()
		if len(value) == 0 || value[0] != tagSegment {
			return errors.New("not a segment")
		}
		return f(value[1:])
	})
}

// mergeFile is a table that is being written. One that is there when the store
// opens was not finished.
const mergeFile = "merge.sst"

// swap makes a rewritten segment part of the log in place of what it was made
// of, in one group with the leaf that says so.
func (s *Store) swap(ctx context.Context, tenant string, pieces []piece, w *rewritten) error {
	err := s.do(context.WithoutCancel(ctx), int(w.entry.Parts), func(g *group) error {
		e := w.entry
		e.Leaf = g.leaf(tenant, "", &history.Merge{Ranges: w.ranges, Rows: e.Rows, Digest: w.digest, Bytes: e.Bytes})
		edge, err := frontier(s.db, tenant)
		if err != nil {
			return err
		}
		for i := range pieces {
			g.dropPiece(tenant, &pieces[i])
		}
		w.batch(g)
		if w.dropped != nil {
			w.dropped(g)
		}
		g.set(mergedKey(tenant, e.First), e.encode())
		part := 0
		for _, r := range w.ranges {
			for at := r.First; at <= r.Last; at++ {
				g.set(numbered(keyLog, at), place{e.ID, part}.encode())
				part++
			}
		}
		if e.Last > edge {
			g.set(tenanted(keyFrontier, tenant), binary.BigEndian.AppendUint64(nil, e.Last))
		}
		g.replaced = append(g.replaced, replaced{tenant, pieces})
		return nil
	})
	if err != nil {
		return err
	}
	s.reclaim(ctx, pieces[0].entry.First, w.entry.Last, pieces)
	return nil
}

// dropPiece takes a piece out of the index. What the log says of its entries is
// for the caller to say.
func (g *group) dropPiece(tenant string, p *piece) {
	if !p.merged {
		return
	}
	g.delete(mergedKey(tenant, p.entry.First))
	if err := g.batch.DeleteRange(numbered(keyChunk, p.entry.ID), numbered(keyChunk, p.entry.ID+1), nil); err != nil && g.failed == nil {
		g.failed = err
	}
}

// replaced is what a group took out of the log's index.
type replaced struct {
	tenant string
	pieces []piece
}

// reclaim gives back the space of what was replaced: Pebble would let it lie
// until something else is written there, which is never. What a reader still sees
// cannot be given back; so it waits for those that are about to end, and tries the
// range of the time before once more.
func (s *Store) reclaim(ctx context.Context, first, last uint64, pieces []piece) {
	s.awaitReaders(ctx)
	from := first
	if before := s.merges.reclaimed; before != 0 {
		from = min(from, before)
	}
	s.merges.reclaimed = first
	err := s.compact(ctx, numbered(keyLog, from), numbered(keyLog, last+1))
	for i := range pieces {
		if pieces[i].merged {
			id := pieces[i].entry.ID
			s.opened.forget(id)
			err = errors.Join(err, s.compact(ctx, numbered(keyChunk, id), numbered(keyChunk, id+1)))
		}
	}
	if err != nil && ctx.Err() == nil && s.Err() == nil {
		s.cfg.Logger.Warn("space not given back yet", "err", err)
	}
}

// readerPatience is how long reclaim waits for readers of what was replaced.
const readerPatience = time.Second

// awaitReaders returns once nobody reads in an older view than the newest.
func (s *Store) awaitReaders(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for s.db.Metrics().Snapshots.Count > 1 {
		select {
		case <-look.C:
		case <-s.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

// errCannotWrite ends a compaction that Pebble would try for ever.
var errCannotWrite = errors.New("compaction: the store takes no writes")

// compact compacts a range of keys. It ends when the store cannot write.
func (s *Store) compact(ctx context.Context, lower, upper []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		for !s.full.Load() {
			select {
			case <-look.C:
			case <-s.stopped:
				cancel(errCannotWrite)
				return
			case <-ctx.Done():
				return
			}
		}
		cancel(errCannotWrite)
	}()
	err := s.db.Compact(ctx, lower, upper, false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return classify("compaction", err)
}
