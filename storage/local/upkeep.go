package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// retainEvery is how often Run looks for what is not to be kept any longer.
const retainEvery = 10 * time.Minute

// Run merges segments as they become many, and drops what is not to be kept,
// until ctx ends or the store stops taking writes. It merges after Steps of the
// engine, and once more when the last one lies a while back: an idle store is idle.
// What cannot be merged stays as it is, and is tried again at the next Step.
func (s *Store) Run(ctx context.Context) error {
	var due <-chan time.Time
	if s.retains() {
		ticker := time.NewTicker(retainEvery)
		defer ticker.Stop()
		due = ticker.C
		if err := s.retainNow(ctx); err != nil {
			return err
		}
	}
	quiet := false
	for {
		merged, err := s.merge(ctx, quiet)
		switch {
		case ctx.Err() != nil:
			return nil
		case s.Err() != nil, errors.Is(err, ErrClosed):
			return err
		case err != nil:
			s.cfg.Logger.Error("segments not merged", "err", err)
		case merged && len(s.stepped) == 0:
			continue
		}
		var rest <-chan time.Time
		if !quiet {
			rest = time.After(s.merges.limits.quiet)
		}
		select {
		case <-s.stepped:
			quiet = false
		case <-rest:
			quiet = true
		case <-due:
			if err := s.retainNow(ctx); err != nil {
				return err
			}
		case <-s.stopped:
		case <-s.closing:
			return ErrClosed
		case <-ctx.Done():
			return nil
		}
	}
}

// retainNow drops what is over. Only what ends Run is an error.
func (s *Store) retainNow(ctx context.Context) error {
	rows, err := s.Retain(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case s.Err() != nil, errors.Is(err, ErrClosed):
		return err
	case err != nil:
		s.cfg.Logger.Error("nothing more dropped", "err", err)
	}
	if rows > 0 {
		s.cfg.Logger.Info("events dropped, as they are not to be kept longer", "rows", rows)
	}
	return nil
}

// recoverMerges removes what a crash left of merging, and counts what waits
// for it.
func (s *Store) recoverMerges() error {
	if err := s.cfg.FS.Remove(s.path(mergeFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return classify("unfinished merge", err)
	}
	live := make(map[uint64]bool)
	tenants := make(map[string]uint64) // up to where they are merged
	for e, err := range mergedOf(s.db, "") {
		if err != nil {
			return err
		}
		live[e.ID] = true
	}
	if err := s.dropOrphans(live); err != nil {
		return err
	}
	for it, err := range scanIn(context.Background(), s.db, []byte{keyFrontier}, []byte{keyFrontier + 1}) {
		if err != nil {
			return err
		}
		tenant, _, ok := tenantOf(it.Key()[1:])
		if !ok || len(it.Value()) != 8 {
			return damaged("index of merged segments", errors.New("not the place of a tenant"))
		}
		tenants[tenant] = number(append(make([]byte, 1), it.Value()...))
	}
	first := uint64(math.MaxUint64)
	for it, err := range scanIn(context.Background(), s.db, []byte{keyGreatest}, []byte{keyGreatest + 1}) {
		if err != nil {
			return err
		}
		tenant, _, ok := tenantOf(it.Key()[1:])
		if !ok {
			return damaged("tenant", errors.New("not a key of a tenant"))
		}
		first = min(first, tenants[tenant]+1)
	}
	if first == math.MaxUint64 {
		return nil
	}
	v := &view{snapshot: s.db.NewSnapshot(), refs: 1}
	defer v.snapshot.Close()
	for f, err := range s.offsetsIn(context.Background(), v, storage.Range{First: tokenwatch.Offset(first)}) {
		if err != nil {
			return err
		}
		if !f.index.Control && uint64(f.at) > tenants[f.index.Tenant] {
			s.wait(f.index.Tenant, 1, int(f.index.Rows))
		}
	}
	return nil
}

// dropOrphans removes chunks that belong to no merged segment: those of one that
// a crash came before, or that was replaced. It also finds the last id in use.
func (s *Store) dropOrphans(live map[uint64]bool) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyChunk}, UpperBound: []byte{keyChunk + 1}})
	if err != nil {
		return classify("store", err)
	}
	defer it.Close()
	for ok := it.First(); ok; {
		if len(it.Key()) != 17 {
			return damaged("merged segment", errors.New("not a key of a chunk"))
		}
		id := number(it.Key()[:9])
		s.merges.lastID = max(s.merges.lastID, id)
		if !live[id] {
			if err := s.db.DeleteRange(numbered(keyChunk, id), numbered(keyChunk, id+1), pebble.Sync); err != nil {
				return classify("unfinished merge", err)
			}
		}
		delete(live, id)
		ok = it.SeekGE(numbered(keyChunk, id+1))
	}
	if err := it.Error(); err != nil {
		return classify("store", err)
	}
	for id := range live {
		return damaged("merged segment", fmt.Errorf("the chunks of segment %d are missing", id))
	}
	return nil
}
