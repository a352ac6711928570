package local

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

// TestBackup backs up a store while it takes entries and merges, and restores
// every backup: it holds all that was acknowledged before it began, and goes on
// as a store of its own.
func TestBackup(t *testing.T) {
	backups := 6
	if *long {
		backups = 200
	}
	w := &workload{now: begin}
	mem := vfs.NewMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	fill(t, s, w, 30)
	for i := range backups {
		acked, leaves := s.Last(), s.Head().Size
		done := make(chan error, 1)
		go func() {
			var err error
			for n := 0; err == nil && n < 20; n++ {
				_, err = s.Append(t.Context(), storagetest.Entry("a", fmt.Sprint("during", i, n), storagetest.Events(3, w.now, "web", fmt.Sprint("d", i, n))...))
			}
			done <- err
		}()
		dir := fmt.Sprint("backup", i)
		copied, err := s.Backup(t.Context(), dir)
		must(t, err)
		must(t, <-done)
		if copied.Last < acked || copied.Leaves < leaves || copied.Entries != uint64(copied.Last) || copied.StoreID != s.ID() {
			t.Fatalf("backup %d: %+v, before it %d entries and %d leaves were acknowledged", i, copied, acked, leaves)
		}
		restored(t, w, mem, dir, fmt.Sprint("restored", i), copied)
		_, err = s.Commit(t.Context(), storage.Step{Cursor: s.Last()})
		must(t, err)
		mergeAll(t, s)
	}
	if _, err := s.Backup(t.Context(), "backup0"); err == nil {
		t.Error("a backup was written over another")
	}
	must(t, s.Close())
}

// restored restores a backup and checks the store.
func restored(t *testing.T, w *workload, mem vfs.FS, from, to string, want Copy) {
	t.Helper()
	cfg := steady(mem, w.clock)
	cfg.Dir, cfg.Rand = to, rand.NewChaCha8([32]byte{1})
	got, err := Restore(t.Context(), cfg, from)
	must(t, err)
	renamed := got.NewID
	got.NewID = ""
	if got != want {
		t.Fatalf("restored %+v, backed up %+v", got, want)
	}
	s, err := Open(cfg)
	must(t, err)
	if s.ID() == want.StoreID || s.ID() != renamed || s.Last() != want.Last || s.Head().Size != want.Leaves+1 {
		t.Fatalf("store %s with %d entries and %d leaves", s.ID(), s.Last(), s.Head().Size)
	}
	said := false
	for l, err := range s.AllLeaves(t.Context(), want.Leaves) {
		must(t, err)
		leaf, err := history.Decode(l.Bytes)
		must(t, err)
		a, ok := leaf.Body.(*history.AdminAction)
		said = ok && a.Verb == "store.restore" && a.Object == "tokenwatch/"+want.StoreID
	}
	if !said {
		t.Error("the history does not say that it was restored")
	}
	_, err = s.Append(t.Context(), storagetest.Entry("a", "after", storagetest.Events(2, w.now, "web", "after")...))
	must(t, err)
	storagetest.CheckSegments(t, s)
	_, err = s.Verify(t.Context())
	must(t, err)
	must(t, s.Close())
	if _, err := Restore(t.Context(), cfg, from); err == nil {
		t.Error("restored over a store")
	}
}

// TestBackupDamaged does not call a backup good whose bytes are not those that
// the history states, and does not restore one.
func TestBackupDamaged(t *testing.T) {
	w := &workload{now: begin}
	mem := vfs.NewMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	fill(t, s, w, 30)
	mergeAll(t, s)
	_, err = s.Backup(t.Context(), "backup")
	must(t, err)
	must(t, s.Close())
	rng := rand.New(rand.NewPCG(*seed, 11))
	var tables []string
	names, err := mem.List("backup/db")
	must(t, err)
	for _, name := range names {
		if isTable(name) {
			tables = append(tables, mem.PathJoin("backup/db", name))
		}
	}
	named := 0
	for trial := range 20 {
		path := tables[rng.IntN(len(tables))]
		before := readFile(t, mem, path)
		what := damage(t, mem, path, trial, rng)
		cfg := steady(mem, w.clock)
		cfg.Dir = fmt.Sprint("restored", trial)
		if _, err := Restore(t.Context(), cfg, "backup"); err != nil {
			named++
		} else {
			again, err := Open(cfg)
			must(t, err)
			if got := offsetsOf(t, again, ""); len(got) != 30 || got[29] != tokenwatch.Offset(30) {
				t.Errorf("%s of %s: restored without a word, with entries %v", what, path, got)
			}
			must(t, again.Close())
		}
		writeFile(t, mem, path, before)
	}
	if named == 0 {
		t.Error("no damage was named")
	}
	t.Logf("%d damaged backups, %d named, 0 silent", 20, named)
}
