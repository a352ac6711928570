package local

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"golang.org/x/mod/sumdb/tlog"
)

// Record appends the leaf of an action; see storage.History. Texts that a leaf
// cannot hold are kept as their digest.
func (s *Store) Record(ctx context.Context, action storage.Action) (uint64, error) {
	var index uint64
	err := s.do(ctx, 0, func(g *group) error {
		index = g.action(action)
		return nil
	})
	return index, err
}

// action adds the leaf of an action.
func (g *group) action(a storage.Action) uint64 {
	return g.leaf(a.Tenant, a.Actor, &history.AdminAction{
		Verb: history.Short(a.Verb), Object: history.Short(a.Object), Detail: history.Short(a.Detail),
	})
}

// Leaves yields the leaves of a tenant and those about all tenants; see
// storage.History. With tenant "" it yields only the latter.
func (s *Store) Leaves(ctx context.Context, tenant string, first uint64) iter.Seq2[storage.Leaf, error] {
	return s.leaves(ctx, first, func(l *history.Leaf) bool {
		return l.Tenant == history.Commitment{} || l.Tenant == s.commitment(tenant)
	})
}

// AllLeaves yields the leaves of all tenants from an index on, for export.
func (s *Store) AllLeaves(ctx context.Context, first uint64) iter.Seq2[storage.Leaf, error] {
	return s.leaves(ctx, first, func(*history.Leaf) bool { return true })
}

func (s *Store) leaves(ctx context.Context, first uint64, wanted func(*history.Leaf) bool) iter.Seq2[storage.Leaf, error] {
	return func(yield func(storage.Leaf, error) bool) {
		for it, err := range s.scan(ctx, numbered(keyLeaf, first), []byte{keyLeaf + 1}) {
			if err != nil {
				yield(storage.Leaf{}, err)
				return
			}
			leaf := storage.Leaf{Index: number(it.Key()), Bytes: append([]byte(nil), it.Value()...)}
			decoded, err := history.Decode(leaf.Bytes)
			if err != nil {
				yield(leaf, damaged("history", fmt.Errorf("leaf %d: %w", leaf.Index, err)))
				return
			}
			if wanted(&decoded) && !yield(leaf, nil) {
				return
			}
		}
	}
}

// Head returns where the history stands.
func (s *Store) Head() history.Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

// Checkpoint signs where the history stands; see storage.History.
func (s *Store) Checkpoint(ctx context.Context) ([]byte, error) {
	if s.signer == nil {
		return nil, fmt.Errorf("checkpoint: %w", ErrNoSigner)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head := s.Head() // what is stored is at least as long
	signed, err := s.signer.Sign(head, s.Reader())
	if errors.Is(err, history.ErrRollback) && head.Size < s.Head().Size {
		return s.Checkpoint(ctx) // another call has signed a newer head meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return signed, nil
}

// ReadHashes reads hashes of the history's tree by their stored index.
func (s *Store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	return readHashes(v.snapshot, indexes)
}

func readHashes(r pebble.Reader, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		b, err := get(r, numbered(keyHash, uint64(at)))
		if err == nil && len(b) != len(hashes[i]) {
			err = errors.New("not a hash")
		}
		if err != nil {
			return nil, damaged("history", fmt.Errorf("hash %d: %w", at, err))
		}
		copy(hashes[i][:], b)
	}
	return hashes, nil
}

// Reader returns the stored history as signer and export read it.
func (s *Store) Reader() history.Reader { return reader{s} }

type reader struct{ *Store }

// Leaves yields the bytes of leaves.
func (r reader) Leaves(first, end uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for it, err := range r.scan(context.Background(), numbered(keyLeaf, first), numbered(keyLeaf, end)) {
			var b []byte
			if err == nil {
				b = it.Value()
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}
