package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
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
		for f, err := range s.offsetsIn(ctx, v, r) {
			var found storage.Segment
			switch {
			case err != nil:
			case f.index.Control:
				continue
			default:
				found, err = s.openAppended(v, f)
			}
			if !yield(found, err) || err != nil {
				return
			}
		}
	}
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

// TokenRows: the rows are in the order of the log.
func (a *appended) TokenRows(tokenwatch.TokenID) (lo, hi int, ok bool) { return 0, 0, false }

func (a *appended) Bounds(col tokenwatch.Col) (storage.Bounds, bool) {
	return boundsOf(&a.head, col)
}

func (a *appended) MayHold(col tokenwatch.Col, value string) bool {
	return mayHold(&a.head, col, value)
}

func (a *appended) MayContain(col tokenwatch.Col, substring string) bool {
	return mayContain(&a.head, col, substring)
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

// boundsOf is what a head says of the values of a column.
func boundsOf(h *block.Head, col tokenwatch.Col) (storage.Bounds, bool) {
	if col.Kind() == tokenwatch.KindMap {
		return storage.Bounds{}, false
	}
	c, ok := h.Column(col)
	if !ok {
		if col.Kind() == tokenwatch.KindBool {
			return storage.Bounds{}, true
		}
		return storage.Bounds{Nulls: h.Rows}, true
	}
	b := storage.Bounds{
		Nulls: c.Nulls, Min: c.Min, Max: c.Max, MinAddr: c.MinAddr, MaxAddr: c.MaxAddr,
		MinText: c.MinText, MaxText: c.MaxText, Open: c.Open,
	}
	if col.Kind() == tokenwatch.KindBool {
		b.Max = 1
		if c.Codec == block.CodecConst {
			b.Min = 1
		}
	}
	return b, true
}
