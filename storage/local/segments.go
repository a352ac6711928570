package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// Segments yields the segments of a range; see storage.Segments. They share the
// view they were found in, and give it up when ctx ends.
func (s *Store) Segments(ctx context.Context, r storage.Range) iter.Seq2[storage.Segment, error] {
	return func(yield func(storage.Segment, error) bool) {
		v, done, err := s.pin(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		if ctx.Done() == nil {
			defer done()
		}
		found, err := s.findSegments(ctx, v, r)
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range found {
			var segment storage.Segment
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if found[i].merged {
				segment, err = s.openMerged(v, &found[i].entry)
			} else {
				segment, err = s.openAppended(v, found[i].found)
			}
			if !yield(segment, err) || err != nil {
				return
			}
		}
	}
}

// findSegments lists the segments of a range by the index alone, in the order of
// their first offsets.
func (s *Store) findSegments(ctx context.Context, v *view, r storage.Range) ([]piece, error) {
	var pieces []piece
	for e, err := range mergedOf(v.snapshot, r.Tenant) {
		if err != nil {
			return nil, err
		}
		if e.within(r) {
			pieces = append(pieces, piece{entry: e, merged: true})
		}
	}
	edges := make(map[string]uint64)
	edge := func(tenant string) (at uint64, err error) {
		at, ok := edges[tenant]
		if !ok {
			at, err = frontier(v.snapshot, tenant)
			edges[tenant] = at
		}
		return at, err
	}
	appended := r
	if r.Tenant != "" {
		at, err := edge(r.Tenant)
		if err != nil {
			return nil, err
		}
		appended.First = max(r.First, tokenwatch.Offset(at+1))
	}
	for f, err := range s.offsetsIn(ctx, v, appended) {
		if err != nil {
			return nil, err
		}
		if f.index.Control {
			continue
		}
		at, err := edge(f.index.Tenant)
		if err != nil {
			return nil, err
		}
		if uint64(f.at) > at {
			pieces = append(pieces, piece{found: f, entry: mergedEntry{First: uint64(f.at)}})
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.entry.First, b.entry.First) })
	return pieces, nil
}

// pin keeps the newest view until ctx ends, done is called or the store closes.
func (s *Store) pin(ctx context.Context) (v *view, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	v = s.view
	v.refs++
	p := new(func())
	*p = func() { // under Store.mu
		if _, ok := s.pins[p]; ok {
			delete(s.pins, p)
			s.release(v)
		}
	}
	s.pins[p] = struct{}{}
	done = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		(*p)()
	}
	context.AfterFunc(ctx, done)
	return v, done, nil
}

var errEnded = errors.New("segment is used after its context has ended")

// hold keeps a view for one read, if it has not been given up yet.
func (s *Store) hold(v *view) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.refs == 0 {
		return nil, errEnded
	}
	v.refs++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.release(v)
	}), nil
}

// appended is a segment as it was appended: one entry of the log.
type appended struct {
	s    *Store
	view *view
	at   tokenwatch.Offset
	head block.Head
}

func (s *Store) openAppended(v *view, f found) (*appended, error) {
	a := &appended{s: s, view: v, at: f.at}
	err := a.read(func(b []byte) (err error) {
		a.head, err = block.ReadHead(b)
		return err
	})
	return a, err
}

// read calls f with the bytes of the segment, which last as long as the call.
func (a *appended) read(f func([]byte) error) error {
	done, err := a.s.hold(a.view)
	if err != nil {
		return err
	}
	defer done()
	value, closer, err := a.view.snapshot.Get(numbered(keyLog, uint64(a.at)))
	if err != nil {
		return broken("log", a.at, err)
	}
	defer closer.Close()
	if len(value) == 0 || value[0] != tagSegment {
		return broken("log", a.at, errors.New("not a segment"))
	}
	if err := f(value[1:]); err != nil {
		return broken("segment", a.at, err)
	}
	return nil
}

func (a *appended) First() tokenwatch.Offset { return a.at }
func (a *appended) Rows() int                { return a.head.Rows }

// Counts: too few rows to be worth them.
func (a *appended) Counts(tokenwatch.Col) ([]storage.ValueCount, bool) { return nil, false }

// Counted: see Counts.
func (a *appended) Counted(tokenwatch.Col) bool { return false }

// Addresses: they are written out.
func (a *appended) Addresses(context.Context, tokenwatch.Col, int, int) (codes []uint32, distinct []byte, ok bool, err error) {
	return nil, nil, false, nil
}

// Search: there are no shapes.
func (a *appended) Search(context.Context, tokenwatch.Col, *tokenwatch.TextTest, int, int, []int32) (rows []int32, ok bool, err error) {
	return nil, false, nil
}

// TokenRows: the rows are in the order of the log.
func (a *appended) TokenRows(tokenwatch.TokenID) (lo, hi int, ok bool) { return 0, 0, false }

// Series: its rows are few, and are counted when they are asked for.
func (a *appended) Series(ctx context.Context, _ series.Kind, _ series.Measures) (*series.Table, error) {
	return nil, ctx.Err()
}

func (a *appended) Bounds(col tokenwatch.Col) (storage.Bounds, bool) {
	c, ok := a.head.Column(col)
	c.Col = col
	return boundsOf(&c, c.Codec == block.CodecConst, ok, a.head.Rows)
}

func (a *appended) MayHold(col tokenwatch.Col, value string) bool {
	c, ok := a.head.Column(col)
	c.Col = col
	return mayHold(&c, c.Codec == block.CodecConst, ok, value)
}

// Runs: there are no filters.
func (a *appended) Runs(tokenwatch.Col, string) (runs [][2]int, ok bool) { return nil, false }

func (a *appended) MayContain(col tokenwatch.Col, substring string) bool {
	c, ok := a.head.Column(col)
	c.Col = col
	return mayContain(&c, c.Codec == block.CodecConst, ok, substring)
}

func (a *appended) Select(ctx context.Context, cols tokenwatch.ColSet) (b *tokenwatch.Batch, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = a.read(func(value []byte) (err error) {
		b, err = a.s.decoder.Select(value, cols)
		return err
	})
	return b, err
}

func (a *appended) SelectRows(ctx context.Context, cols tokenwatch.ColSet, lo, hi int) (*tokenwatch.Batch, error) {
	if lo < 0 || hi < lo || hi > a.head.Rows {
		return nil, fmt.Errorf("rows %d to %d of a segment of %d", lo, hi, a.head.Rows)
	}
	b, err := a.Select(ctx, cols)
	if err != nil || hi-lo == b.Rows() {
		return b, err
	}
	return b.Slice(lo, hi), nil
}
