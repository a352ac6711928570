package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// TestCrashKeepsFindings is R1, R3 and R4 together: the machine crashes before
// every operation on the file system while requests are stored and the engine
// commits Steps; afterwards all requests are sent again. The settled findings are
// those of a run without a crash, each of them there once.
func TestCrashKeepsFindings(t *testing.T) {
	seed := storySeed()
	rng := rand.New(rand.NewPCG(seed, 0))
	chunks := slices.Collect(slices.Chunk(story(rand.New(rand.NewPCG(11, 11))), 400))
	cfg := engine.Config{Shards: 2, StepEntries: 2, SnapshotRows: 900, ResidentBytes: 2000}

	calm := vfs.NewMem()
	want := settledAfter(t, calm, chunks, cfg)
	if len(want) == 0 {
		t.Fatal("the story has no finding: the test shows nothing")
	}
	mem := vfs.NewCrashableMem()
	crashes := 0
	var mu sync.Mutex
	hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			return nil
		}
		survival := crashes % 3 * 50
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survival, RNG: rng})
		crashes++
		if got := settledAfter(t, clone, chunks, cfg); !slices.Equal(got, want) {
			t.Errorf("seed %d, crash %d, %d %% of unsynced data survive: %s", seed, crashes, survival, difference(want, got))
		}
		return nil
	})
	if got := settledAfter(t, errorfs.Wrap(mem, hook), chunks, cfg); !slices.Equal(got, want) {
		t.Error(difference(want, got))
	}
	t.Logf("seed %d: %d crashes, %d settled findings after each, 0 differing", seed, crashes, len(want))
}

// settledAfter opens a store, sends it all requests, lets the engine read them as
// they come, and returns the settled findings.
func settledAfter(t *testing.T, fs vfs.FS, chunks [][]enginetest.Event, cfg engine.Config) []string {
	ctx := context.Background()
	s, err := local.Open(local.Config{
		Dir: "store", FS: fs, Ballast: -1, MemTableSize: 1 << 20, CacheSize: 1 << 20,
		Clock: func() time.Time { return enginetest.Start.AddDate(1, 0, 0) },
	})
	if err != nil {
		t.Errorf("open: %v", err)
		return nil
	}
	defer s.Close()
	e := engine.New(cfg, s, s)
	send := func(entry tokenwatch.Entry) {
		if _, err := s.Append(ctx, entry); err != nil {
			t.Errorf("append: %v", err)
		}
		if err := e.RunTo(ctx, s.Last()); err != nil {
			t.Errorf("engine: %v", err)
		}
	}
	for i, chunk := range chunks {
		batch := enginetest.Batch(chunk)
		send(tokenwatch.Entry{Tenant: tenant, Batch: batch, Requests: []tokenwatch.Request{{
			Key: fmt.Sprint("request ", i), Digest: [32]byte{byte(i), byte(i >> 8)}, Rows: batch.Rows(),
		}}})
	}
	send(tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd}})
	var findings []tokenwatch.Finding
	seen := map[string]bool{}
	for f, err := range s.Findings(ctx, tenant) {
		if err != nil {
			t.Errorf("findings: %v", err)
			break
		}
		if seen[f.ID] {
			t.Errorf("finding %s twice", f.ID)
		}
		seen[f.ID] = true
		findings = append(findings, f)
	}
	return enginetest.Settled(findings)
}
