package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Cursor returns the offset of the last entry a Step covered, 0 if there was no
// Step.
func (s *Store) Cursor(context.Context) (tokenwatch.Offset, error) {
	v, done, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer done()
	b, err := get(v.snapshot, []byte{keyCursor})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, classify("cursor", err)
	case len(b) != 8:
		return 0, damaged("cursor", errors.New("not a number"))
	}
	return tokenwatch.Offset(binary.BigEndian.Uint64(b)), nil
}

// Records yields the engine's records by prefix; see storage.State. Key and
// value last until the next.
func (s *Store) Records(ctx context.Context, prefix []byte) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		lower := append([]byte{keyRecord}, prefix...)
		for it, err := range s.scan(ctx, lower, prefixEnd(lower)) {
			var r storage.Record
			if err == nil {
				r.Key = it.Key()[1:]
				r.Value, err = it.ValueAndErr()
				err = classify("engine record", err)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

var _ storage.Values = (*Store)(nil)

// Values returns the values of the engine's records by key; see storage.Values.
func (s *Store) Values(ctx context.Context, keys [][]byte) ([][]byte, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	values := make([][]byte, len(keys))
	var key []byte
	for i := range keys {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		key = append(append(key[:0], keyRecord), keys[i]...)
		values[i], err = get(v.snapshot, key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, classify("engine record", err)
		}
	}
	return values, nil
}

// Commit stores a Step; see storage.State. The cursor of a Step lies within the
// log and does not go back.
func (s *Store) Commit(ctx context.Context, step storage.Step) ([]tokenwatch.Finding, error) {
	var findings []tokenwatch.Finding
	err := s.do(ctx, len(step.Records), func(g *group) error {
		if uint64(step.Cursor) > g.commit.Last {
			return fmt.Errorf("commit step: cursor %d is beyond the log, which ends at %d", step.Cursor, g.commit.Last)
		}
		g.stepped = true
		g.set([]byte{keyCursor}, binary.BigEndian.AppendUint64(nil, uint64(step.Cursor)))
		for _, r := range step.Records {
			key := append([]byte{keyRecord}, r.Key...)
			if r.Value == nil {
				g.delete(key)
			} else {
				g.set(key, r.Value)
			}
		}
		findings = append(findings[:0], step.Findings...)
		for i := range findings {
			if err := g.finding(&findings[i]); err != nil {
				return fmt.Errorf("commit step: finding %d of %d: %w", i+1, len(findings), err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return findings, nil
}
