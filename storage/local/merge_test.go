package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

// fill appends entries of two tenants, with repeats among them, and lets a Step
// cover all but the last.
func fill(t *testing.T, s *Store, w *workload, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 8))
	for i := range n {
		w.now = w.now.Add(time.Minute)
		events := storagetest.Events(1+rng.IntN(40), w.now.Add(-time.Duration(rng.IntN(300))*time.Second), "web", fmt.Sprint("e", i%7, i/20))
		for k := range events {
			events[k].Token = fmt.Sprintf("tkw_%d", rng.IntN(9))
		}
		e := storagetest.Entry("ab"[i%2:i%2+1], fmt.Sprint(w.now.UnixNano()), events...)
		e.Requests[0].Rejects = []tokenwatch.Reject{{Index: i, Reason: tokenwatch.ReasonMalformed}}
		_, err := s.Append(t.Context(), e)
		must(t, err)
	}
	_, err := s.Commit(t.Context(), storage.Step{Cursor: s.Last() - 1})
	must(t, err)
}

// mergeAll merges as long as there is something to merge.
func mergeAll(t *testing.T, s *Store) (n int) {
	t.Helper()
	for {
		merged, err := s.Merge(t.Context())
		must(t, err)
		if !merged {
			return n
		}
		n++
	}
}

// answers is what a store says of its log, without the history.
func answers(t *testing.T, s *Store) (out string) {
	t.Helper()
	for e, err := range s.Scan(t.Context(), storage.Range{}) {
		must(t, err)
		out += storagetest.Text(e)
	}
	for _, tenant := range []string{"a", "b"} {
		for r, err := range s.Rejects(t.Context(), tenant) {
			must(t, err)
			out += fmt.Sprintln(r)
		}
	}
	return out
}

// TestMerge merges, goes on, and merges what was merged: the log says the same
// as before, its segments are true, and it goes on after a restart.
func TestMerge(t *testing.T) {
	w := &workload{now: begin}
	mem := vfs.NewMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	merges := 0
	for round := range 6 {
		fill(t, s, w, 40)
		want := answers(t, s)
		n := mergeAll(t, s)
		if n == 0 {
			t.Fatalf("round %d: nothing was merged", round)
		}
		merges += n
		if got := answers(t, s); got != want {
			t.Fatalf("round %d: %s", round, difference(got, want))
		}
		storagetest.CheckSegments(t, s)
		_, err := s.Verify(t.Context())
		must(t, err)
		if round%2 == 1 {
			must(t, s.Close())
			s, err = Open(steady(mem, w.clock))
			must(t, err)
			if got := answers(t, s); got != want {
				t.Fatalf("round %d, reopened: %s", round, difference(got, want))
			}
		}
	}
	sizes := segmentSizes(t, s, "a")
	if len(sizes) > 20 {
		t.Errorf("120 entries of a tenant still are %d segments: %v", len(sizes), sizes)
	}
	again, leaves := 0, 0
	for l, err := range s.AllLeaves(t.Context(), 0) {
		must(t, err)
		leaf, err := history.Decode(l.Bytes)
		must(t, err)
		if m, ok := leaf.Body.(*history.Merge); ok {
			leaves++
			if m.Rows > 200 {
				again++
			}
		}
	}
	if leaves != merges || again == 0 {
		t.Errorf("%d merges, %d leaves of which %d of larger ones", merges, leaves, again)
	}
	t.Logf("%d merges, segments of tenant a: %v", merges, sizes)
	must(t, s.Close())
}

func segmentSizes(t *testing.T, s *Store, tenant string) (sizes []int) {
	t.Helper()
	for seg, err := range s.Segments(t.Context(), storage.Range{Tenant: tenant}) {
		must(t, err)
		sizes = append(sizes, seg.Rows())
	}
	return sizes
}

// TestMergeWaits: what no Step has covered is not merged, and a segment that a
// reader holds goes on to be what it was.
func TestMergeWaits(t *testing.T) {
	w := &workload{now: begin}
	s, err := Open(steady(vfs.NewMem(), w.clock))
	must(t, err)
	fill(t, s, w, 2)
	covered := s.Last()
	for i := range 20 {
		_, err := s.Append(t.Context(), storagetest.Entry("a", fmt.Sprint(i), storagetest.Events(10, w.now, "web", fmt.Sprint(i))...))
		must(t, err)
	}
	if mergeAll(t, s) != 0 {
		t.Fatal("entries that no Step covers were merged")
	}
	_, err = s.Commit(t.Context(), storage.Step{Cursor: covered + 8})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var held []storage.Segment
	for seg, err := range s.Segments(ctx, storage.Range{Tenant: "a"}) {
		must(t, err)
		held = append(held, seg)
	}
	if mergeAll(t, s) == 0 {
		t.Fatal("nothing was merged")
	}
	for e, err := range mergedOf(s.db, "a") {
		must(t, err)
		if e.Last > uint64(covered+8) {
			t.Fatalf("entries up to %d were merged, a Step covers those up to %d", e.Last, covered+8)
		}
	}
	for _, seg := range held {
		b, err := seg.Select(ctx, tokenwatch.Cols(tokenwatch.ColPath))
		must(t, err)
		if b.Rows() != seg.Rows() {
			t.Fatalf("%d rows of %d", b.Rows(), seg.Rows())
		}
	}
	storagetest.CheckSegments(t, s)
	must(t, s.Close())
}

// TestMergeRefusesDamage: what is not what the history says is not merged.
func TestMergeRefusesDamage(t *testing.T) {
	w := &workload{now: begin}
	s, err := Open(steady(vfs.NewMem(), w.clock))
	must(t, err)
	fill(t, s, w, 12)
	key := numbered(keyLog, 3)
	value, err := get(s.db, key)
	must(t, err)
	value[len(value)/2] ^= 1
	must(t, s.db.Set(key, value, pebble.Sync))
	s.mu.Lock()
	s.release(s.view)
	s.view = &view{snapshot: s.db.NewSnapshot(), refs: 1}
	s.mu.Unlock()
	var damage *storage.Corruption
	if _, err := s.Merge(t.Context()); !errors.As(err, &damage) {
		t.Fatalf("damage was merged: %v", err)
	}
	must(t, s.Close())
}

// TestMergeOrphans removes what a crash left behind: a table not taken in, and
// chunks without a segment.
func TestMergeOrphans(t *testing.T) {
	w := &workload{now: begin}
	mem := vfs.NewMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	fill(t, s, w, 40)
	mergeAll(t, s)
	want := answers(t, s)
	must(t, s.db.Set(chunkKey(s.merges.lastID+1, 0), []byte("x"), pebble.Sync))
	must(t, s.Close())
	f, err := mem.Create("store/"+mergeFile, vfs.WriteCategoryUnspecified)
	must(t, err)
	must(t, f.Close())
	s, err = Open(steady(mem, w.clock))
	must(t, err)
	if _, err := mem.Stat("store/" + mergeFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if _, err := get(s.db, chunkKey(s.merges.lastID, 0)); s.merges.lastID > 0 && !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the chunk is still there: %v", err)
	}
	if got := answers(t, s); got != want {
		t.Error(difference(got, want))
	}
	must(t, s.Close())
}

// TestRun merges by itself after a Step.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workload{now: begin}
		s, err := Open(steady(vfs.NewMem(), w.clock))
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		fill(t, s, w, 40)
		synctest.Wait()
		if n := len(segmentSizes(t, s, "a")); n >= 20 {
			t.Errorf("still %d segments", n)
		}
		cancel()
		must(t, <-done)
		must(t, s.Close())
	})
}

// TestMergeWaitsForHours: events stay as they were appended until the engine has
// settled their hours, but not for ever.
func TestMergeWaitsForHours(t *testing.T) {
	for _, later := range []struct {
		what  string
		event time.Duration // of an event appended later
		wall  time.Duration // passed until then
	}{{"watermark", 6 * time.Hour, 6 * time.Hour}, {"wall clock", 0, 30 * time.Hour}} {
		w := &workload{now: begin}
		cfg := steady(vfs.NewMem(), w.clock)
		cfg.limits.backlog = 1 << 20
		s, err := Open(cfg)
		must(t, err)
		fill(t, s, w, 24)
		if mergeAll(t, s) != 0 {
			t.Fatalf("%s: merged although the hour is not settled", later.what)
		}
		at := w.now.Add(later.event)
		w.now = w.now.Add(later.wall)
		_, err = s.Append(t.Context(), storagetest.Entry("a", "later", storagetest.Events(1, at, "web", "later")...))
		must(t, err)
		_, err = s.Commit(t.Context(), storage.Step{Cursor: s.Last()})
		must(t, err)
		if mergeAll(t, s) == 0 {
			t.Errorf("%s: nothing was merged although the hour is settled", later.what)
		}
		storagetest.CheckSegments(t, s)
		must(t, s.Close())
	}
}

// TestMergeWhenQuiet: where nothing comes any more, nothing waits for its hour.
func TestMergeWhenQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workload{now: begin}
		cfg := steady(vfs.NewMem(), w.clock)
		cfg.limits.backlog, cfg.limits.quiet, cfg.limits.quietRows = 1<<20, 10*time.Second, 1
		s, err := Open(cfg)
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		fill(t, s, w, 24)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		before := segmentSizes(t, s, "a")
		if len(before) != 12 {
			t.Fatalf("merged although the hour is not settled: %v", before)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if after := segmentSizes(t, s, "a"); len(after) > 2 {
			t.Errorf("still so many segments: %v", after)
		}
		storagetest.CheckSegments(t, s)
		cancel()
		must(t, <-done)
		must(t, s.Close())
	})
}
