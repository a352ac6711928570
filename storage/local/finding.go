package local

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// finding adds a revision of a finding: the revision itself, its place in the
// order of updates instead of that of the one before, and its leaf. It fills in
// Revision, Update, HistoryIndex and Raised.
func (g *group) finding(f *tokenwatch.Finding) error {
	if f.Tenant == "" || len(f.Tenant) > maxTenant || f.ID == "" {
		return errors.New("a finding needs a tenant and an id")
	}
	key := findingKey(f.Tenant, f.ID)
	before, err := g.findingBefore(key)
	if err != nil {
		return err
	}
	if before != nil {
		old, err := decodeFinding(before)
		if err != nil {
			return err
		}
		g.delete(updateKey(f.Tenant, old.Update))
		f.Revision = old.Revision + 1
		f.Status, f.Verdict, f.Note, f.JudgedBy, f.Judged = old.Status, old.Verdict, old.Note, old.JudgedBy, old.Judged
	} else {
		f.Revision = 1
	}
	g.commit.Update++
	f.Update = g.commit.Update
	f.Raised = g.now
	digest := sha256.Sum256(f.Canonical())
	f.HistoryIndex = g.leaf(f.Tenant, "", &history.Finding{
		ID: f.ID, Revision: uint64(max(0, f.Revision)), Settled: f.Settled, Withdrawn: f.Withdrawn,
		Score: int64(f.Score), Digest: digest,
	})
	return g.putFinding(key, f)
}

// findingBefore returns a finding as the group finds it, nil if there is none.
func (g *group) findingBefore(key []byte) ([]byte, error) {
	if before, known := g.findings[string(key)]; known {
		return before, nil
	}
	before, err := get(g.s.db, key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, classify("finding", err)
	}
	return before, nil
}

// putFinding stores a finding at its place in the order of updates.
func (g *group) putFinding(key []byte, f *tokenwatch.Finding) error {
	value, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode finding: %w", err)
	}
	g.findings[string(key)] = value
	g.set(key, value)
	g.set(updateKey(f.Tenant, f.Update), []byte(f.ID))
	return nil
}

func decodeFinding(b []byte) (tokenwatch.Finding, error) {
	var f tokenwatch.Finding
	if err := json.Unmarshal(b, &f); err != nil {
		return f, damaged("finding", errors.New("not a finding"))
	}
	return f, nil
}

// Finding returns the last revision of a finding; see storage.Findings.
func (s *Store) Finding(_ context.Context, tenant, id string) (tokenwatch.Finding, error) {
	v, done, err := s.acquire()
	if err != nil {
		return tokenwatch.Finding{}, err
	}
	defer done()
	return findingAt(v.snapshot, tenant, id)
}

func findingAt(r pebble.Reader, tenant, id string) (tokenwatch.Finding, error) {
	if len(tenant) > maxTenant {
		return tokenwatch.Finding{}, storage.ErrNotFound
	}
	b, err := get(r, findingKey(tenant, id))
	if errors.Is(err, storage.ErrNotFound) {
		return tokenwatch.Finding{}, err
	}
	if err != nil {
		return tokenwatch.Finding{}, classify("finding", err)
	}
	return decodeFinding(b)
}

// Findings yields the findings of a tenant, newest update first.
func (s *Store) Findings(ctx context.Context, tenant string) iter.Seq2[tokenwatch.Finding, error] {
	return s.updates(ctx, tenant, 0, (*pebble.Iterator).Last, (*pebble.Iterator).Prev)
}

// Updates yields the findings of a tenant updated after an update, in order.
func (s *Store) Updates(ctx context.Context, tenant string, after uint64) iter.Seq2[tokenwatch.Finding, error] {
	if after+1 == 0 {
		return func(func(tokenwatch.Finding, error) bool) {}
	}
	return s.updates(ctx, tenant, after+1, (*pebble.Iterator).First, (*pebble.Iterator).Next)
}

// updates walks the order of updates from one on, either way, in one view.
func (s *Store) updates(ctx context.Context, tenant string, from uint64, first, next func(*pebble.Iterator) bool) iter.Seq2[tokenwatch.Finding, error] {
	return func(yield func(tokenwatch.Finding, error) bool) {
		if len(tenant) > maxTenant {
			return
		}
		v, done, err := s.acquire()
		if err != nil {
			yield(tokenwatch.Finding{}, err)
			return
		}
		defer done()
		it, err := v.snapshot.NewIter(&pebble.IterOptions{
			LowerBound: updateKey(tenant, from),
			UpperBound: prefixEnd(tenanted(keyUpdate, tenant)),
		})
		if err != nil {
			yield(tokenwatch.Finding{}, classify("finding", err))
			return
		}
		defer it.Close()
		for ok := first(it); ok; ok = next(it) {
			f, err := tokenwatch.Finding{}, ctx.Err()
			if err == nil {
				f, err = findingAt(v.snapshot, tenant, string(it.Value()))
			}
			if errors.Is(err, storage.ErrNotFound) {
				err = damaged("finding", errors.New("an update without its finding"))
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(tokenwatch.Finding{}, classify("finding", err))
		}
	}
}

// Changed returns a channel closed at the next update of any tenant.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
