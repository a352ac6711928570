package local

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/tokenwatch/tokenwatch/storage"
)

// Letters yields the records of the outbox; see storage.Outbox.
func (s *Store) Letters(ctx context.Context, prefix []byte) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		lower := append([]byte{keyOutbox}, prefix...)
		for it, err := range s.scan(ctx, lower, prefixEnd(lower)) {
			var r storage.Record
			if err == nil {
				r = storage.Record{Key: bytes.Clone(it.Key()[1:]), Value: bytes.Clone(it.Value())}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// PutLetters stores records of the outbox; see storage.Outbox.
func (s *Store) PutLetters(ctx context.Context, records ...storage.Record) error {
	for _, r := range records {
		if len(r.Key) == 0 {
			return errors.New("put letters: a record has no key")
		}
	}
	return s.do(ctx, len(records), func(g *group) error {
		for _, r := range records {
			key := append([]byte{keyOutbox}, r.Key...)
			if r.Value == nil {
				g.delete(key)
			} else {
				g.set(key, r.Value)
			}
		}
		return nil
	})
}
