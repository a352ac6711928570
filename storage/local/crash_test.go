package local

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// beforeWrites wraps fs so that f is called before each operation that writes,
// with its number, one at a time.
func beforeWrites(fs vfs.FS, f func(n int)) vfs.FS {
	var mu sync.Mutex
	n := 0
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		f(n)
		n++
		return nil
	}))
}

// TestCrash crashes a store before every operation that writes, while it is
// made, works, flushes and compacts. What was acknowledged must be there as in
// a run without crashes, the write at work whole or not at all; after some
// crashes the machine crashes again while the store opens.
func TestCrash(t *testing.T) {
	rounds, survivals, again := 12, []int{0, 50, 100}, 60
	if *long {
		rounds, again = 60, 4
		survivals = []int{0, 0, 25, 25, 50, 50, 75, 75, 100}
	}
	w := newWorkload(rounds)
	want := calm(t, w)
	for _, kind := range []history.Kind{history.KindMerge, history.KindRetention} {
		if !strings.Contains(want[len(want)-1], kind.String()) {
			t.Fatalf("the workload has no %v", kind)
		}
	}
	rng := rand.New(rand.NewPCG(*seed, 0))
	var acked atomic.Int64
	crashes, twice, maybe := 0, 0, 0
	mem := vfs.NewCrashableMem()
	hook := func(n int) {
		if t.Failed() {
			return
		}
		for _, survival := range survivals {
			done := int(acked.Load())
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survival, RNG: rng})
			what := fmt.Sprintf("seed %d, operation %d, survival %d %%, %d acknowledged", *seed, n, survival, done)
			if n%again == 0 {
				twice += crashWhileOpening(t, w, clone, rng, what, want[done:min(done+2, len(want))])
			}
			if after := recovered(t, w, clone, what, want[done:min(done+2, len(want))]); after > 0 {
				maybe++
			}
			crashes++
		}
	}
	s, err := Open(steady(beforeWrites(mem, hook), w.clock))
	must(t, err)
	for i := range w.steps {
		must(t, w.do(s, i))
		acked.Add(1)
	}
	must(t, s.Close())
	t.Logf("seed %d: %d writes, %d crashes and %d crashes while opening after one; unacknowledged write there after %d; 0 lost",
		*seed, len(w.steps), crashes, twice, maybe)
}

// recovered opens a store after a crash and returns which of the answers that
// are allowed it gives. It may run on any goroutine, so it does not end the test.
func recovered(t *testing.T, w *workload, fs vfs.FS, what string, allowed []string) int {
	s, err := Open(steady(fs, w.clock))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return 0
	}
	text, err := dump(s)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Errorf("%s: %v", what, err)
		return 0
	}
	at := slices.Index(allowed, text)
	if at < 0 {
		t.Errorf("%s: %s", what, difference(text, allowed[0]))
	}
	return at
}

// crashWhileOpening crashes before each write of opening a store anew.
func crashWhileOpening(t *testing.T, w *workload, fs *vfs.MemFS, rng *rand.Rand, what string, allowed []string) int {
	crashes := 0
	first := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	s, err := Open(steady(beforeWrites(first, func(n int) {
		clone := first.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		recovered(t, w, clone, fmt.Sprintf("%s, again at %d", what, n), allowed)
		crashes++
	}), w.clock))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return crashes
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return crashes
}

// TestResend sends every request again after a crash: those acknowledged are
// answered as duplicates and nothing is stored twice.
func TestResend(t *testing.T) {
	w := newWorkload(8)
	want := calm(t, w)
	mem := vfs.NewCrashableMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	for i := range w.steps[:len(w.steps)/2] {
		must(t, w.do(s, i))
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	s, err = Open(steady(crashed, w.clock))
	must(t, err)
	before, last := len(want), int(s.Last())
	twice := 0
	for i := range w.steps {
		if err := w.do(s, i); err != nil {
			t.Fatalf("resend %d of %d: %v", i, before, err)
		}
		if i >= len(w.steps)/2 {
			continue
		}
		if slices.Contains(w.controls, i) {
			twice++
		}
		if int(s.Last()) != last+twice {
			t.Fatalf("write %d was stored twice: log ends at %d, before at %d", i, s.Last(), last)
		}
	}
	// Three appended entries a round, and the control records; those of the first
	// half were sent twice, of which only the control records count twice.
	if wantLast := 3*8 + len(w.controls) + twice; int(s.Last()) != wantLast {
		t.Fatalf("log ends at %d, want %d", s.Last(), wantLast)
	}
	must(t, s.Close())
}
