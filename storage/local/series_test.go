package local

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

// TestCheckSeries: merged segments carry what their rows count; one that is
// written anew says the same; damage is told.
func TestCheckSeries(t *testing.T) {
	w := &workload{now: begin}
	s, err := Open(steady(vfs.NewMem(), w.clock))
	must(t, err)
	fill(t, s, w, 60)
	if mergeAll(t, s) == 0 {
		t.Fatal("nothing was merged")
	}
	r, err := s.CheckSeries(t.Context(), true)
	must(t, err)
	if r.Segments == 0 || r.Carrying == 0 || r.Tables < r.Carrying || r.Bytes == 0 || r.Differing+r.Rewritten != 0 {
		t.Fatalf("%+v", r)
	}
	want := answers(t, s)
	pieces, err := s.mergedPieces(t.Context(), "a")
	must(t, err)
	must(t, s.mergePieces(t.Context(), "a", pieces[:1]))
	if got := answers(t, s); got != want {
		t.Fatalf("written anew: %s", difference(got, want))
	}
	storagetest.CheckSegments(t, s)
	_, err = s.Verify(t.Context())
	must(t, err)
	again, err := s.CheckSeries(t.Context(), false)
	must(t, err)
	if again != r {
		t.Fatalf("written anew: %+v, before %+v", again, r)
	}
	pieces, err = s.mergedPieces(t.Context(), "a")
	must(t, err)
	m, err := s.merged(s.db, pieces[0].entry.ID)
	must(t, err)
	n, _ := m.Chunks()
	for chunk := range uint64(n) {
		key := chunkKey(pieces[0].entry.ID, chunk)
		value, err := get(s.db, key)
		must(t, err)
		if len(value) > 0 {
			value = append([]byte(nil), value...)
			value[len(value)/2] ^= 4
			must(t, s.db.Set(key, value, pebble.Sync))
		}
	}
	s.opened.forget(pieces[0].entry.ID)
	s.mu.Lock()
	s.release(s.view)
	s.view = &view{snapshot: s.db.NewSnapshot(), refs: 1}
	s.mu.Unlock()
	var corrupt *storage.Corruption
	if _, err := s.CheckSeries(t.Context(), false); !errors.As(err, &corrupt) {
		t.Fatalf("damaged: %v", err)
	}
	must(t, s.Close())
}
