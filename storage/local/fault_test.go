package local

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/tokenwatch/tokenwatch/storage"
)

// TestFaults fails the n-th operation that writes, for every n until none is
// left to fail: once, or from then on. Nothing may be acknowledged that is not
// there afterwards, errors must have their exit code, and the store must open.
func TestFaults(t *testing.T) {
	rounds := 5
	if *long {
		rounds = 24
	}
	w := newWorkload(rounds)
	want := calm(t, w)
	for _, fault := range []struct {
		err        error
		persistent bool
		code       int
	}{{syscall.EIO, false, ExitIO}, {syscall.EIO, true, ExitIO}, {syscall.ENOSPC, false, ExitDiskFull}, {syscall.ENOSPC, true, ExitDiskFull}} {
		failed, untouched := 0, 0
		n := 0
		for fired := true; fired; n++ {
			var stopped bool
			if fired, stopped = faulty(t, w, want, n, fault.err, fault.persistent, fault.code); stopped {
				failed++
			} else {
				untouched++
			}
			if t.Failed() {
				return
			}
		}
		t.Logf("%v, persistent %v: %d positions, %d stopped the store, %d did not; 0 lost", fault.err, fault.persistent, n-1, failed, untouched-1)
	}
}

// faulty runs the workload with a fault at write n. It tells whether the fault
// was reached, and whether it stopped the store.
func faulty(t *testing.T, w *workload, want []string, n int, fault error, persistent bool, code int) (fired, stopped bool) {
	what := fmt.Sprintf("%v at %d, persistent %v", fault, n, persistent)
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	count := n
	injected := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		count--
		if count == -1 || persistent && count < 0 {
			return &os.PathError{Op: "write", Path: "…", Err: fault}
		}
		return nil
	})
	acked := 0
	s, err := Open(steady(errorfs.Wrap(mem, injected), w.clock))
	for i := 0; err == nil && i < len(w.steps); i++ {
		if err = w.do(s, i); err == nil {
			acked++
		}
	}
	mu.Lock()
	fired = count < 0
	mu.Unlock()
	if err != nil {
		if ExitCode(err) != code {
			t.Errorf("%s: exit code %d, want %d: %v", what, ExitCode(err), code, err)
		}
		if s != nil && s.Err() == nil && !errors.Is(err, storage.ErrReadOnly) && !isFlush(err) {
			t.Errorf("%s: the store goes on after: %v", what, err)
		}
	}
	if s != nil {
		if text, err := dump(s); err != nil {
			t.Errorf("%s: read after the fault: %v", what, err)
		} else if text != want[acked] {
			t.Errorf("%s: read after the fault: %s", what, difference(text, want[acked]))
		}
		err := s.Close()
		mu.Lock()
		fired = count < 0
		mu.Unlock()
		if err != nil && !fired {
			t.Errorf("%s: close: %v", what, err)
		}
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	recovered(t, w, crashed, what, want[acked:min(acked+2, len(want))])
	return fired, err != nil
}

// isFlush tells the error of the workload's own flushes from one of a store.
func isFlush(err error) bool { return !strings.Contains(err.Error(), "store") }

// TestBitRot damages a store that was killed, so that its write-ahead log matters,
// one file at a time, in every kind of file it has: a bit, a sector, the end. It
// must answer as before or name the damage.
func TestBitRot(t *testing.T) {
	trials := 60
	if *long {
		trials = 1000
	}
	w := newWorkload(11)
	mem := vfs.NewCrashableMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	for i := range w.steps {
		must(t, w.do(s, i))
	}
	want, err := dump(s)
	must(t, err)
	rng := rand.New(rand.NewPCG(*seed, 3))
	mem = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	must(t, s.Close())
	files := kinds(t, mem)
	for _, kind := range []string{"log", "sst", "MANIFEST", markName, identityName, "OPTIONS"} {
		if len(files[kind]) == 0 {
			t.Fatalf("the store has no file of kind %s: %v", kind, files)
		}
		same, named := 0, 0
		for trial := range trials {
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
			path := files[kind][rng.IntN(len(files[kind]))]
			what := damage(t, clone, path, trial, rng)
			if outcome(t, w, clone, want, fmt.Sprintf("seed %d, trial %d, %s of %s", *seed, trial, what, path)) {
				same++
			} else {
				named++
			}
		}
		t.Logf("seed %d, %s: %d trials, %d answered as before, %d named the damage, 0 silent", *seed, kind, trials, same, named)
	}
}

// kinds sorts the files of a store by kind; empty ones are left out.
func kinds(t *testing.T, fs vfs.FS) map[string][]string {
	files := make(map[string][]string)
	for _, dir := range []string{"store", "store/db"} {
		names, err := fs.List(dir)
		must(t, err)
		slices.Sort(names)
		for _, name := range names {
			path := fs.PathJoin(dir, name)
			info, err := fs.Stat(path)
			must(t, err)
			if info.IsDir() || info.Size() == 0 {
				continue
			}
			kind := name
			if before, _, ok := strings.Cut(name, "-"); ok {
				kind = before
			} else if _, after, ok := strings.Cut(name, "."); ok {
				kind = after
			}
			files[kind] = append(files[kind], path)
		}
	}
	return files
}

// damage inverts a bit of a file, or zeroes a sector, or cuts its end off.
func damage(t *testing.T, fs vfs.FS, path string, trial int, rng *rand.Rand) string {
	content := readFile(t, fs, path)
	at := rng.IntN(len(content))
	var what string
	switch trial % 6 {
	case 4:
		clear(content[at:min(at+512, len(content))])
		what = fmt.Sprintf("zeros from byte %d", at)
	case 5:
		content = content[:at]
		what = fmt.Sprintf("cut at byte %d", at)
	default:
		bit := rng.IntN(8)
		content[at] ^= 1 << bit
		what = fmt.Sprintf("bit %d of byte %d", bit, at)
	}
	writeFile(t, fs, path, content)
	return what
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	r, err := fs.Open(path)
	must(t, err)
	content, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	return content
}

func writeFile(t *testing.T, fs vfs.FS, path string, content []byte) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, errors.Join(f.Sync(), f.Close()))
}

// outcome tells whether a damaged store answers as before; if it does not, it
// must name the damage.
func outcome(t *testing.T, w *workload, fs vfs.FS, want, what string) bool {
	t.Helper()
	s, err := Open(steady(fs, w.clock))
	var text string
	if err == nil {
		text, err = dump(s)
		if closing := s.Close(); err == nil && closing != nil {
			t.Errorf("%s: close: %v", what, closing)
		}
	}
	if err != nil {
		if code := ExitCode(err); code != ExitCorruption && code != ExitLoss && code != ExitNewer {
			t.Errorf("%s: neither corruption nor loss: %v", what, err)
		}
		return false
	}
	if text != want {
		t.Errorf("%s: silent: %s", what, difference(text, want))
	}
	return true
}
