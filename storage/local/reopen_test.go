package local

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

// TestReopenStamps stamps the same batches by one store and by one that is
// reopened before each: flags must be the same, also when ids run over.
func TestReopenStamps(t *testing.T) {
	w := &workload{now: begin}
	calmFS, oftenFS := vfs.NewMem(), vfs.NewMem()
	calm, err := Open(steady(calmFS, w.clock))
	must(t, err)
	often, err := Open(steady(oftenFS, w.clock))
	must(t, err)
	duplicates := 0
	for i := range 30 {
		w.now = begin.Add(time.Duration(i) * 20 * time.Minute)
		events := storagetest.Events(20, w.now, "web", fmt.Sprint("b", i))
		before := i - i%13
		again := storagetest.Events(20, begin.Add(time.Duration(before)*20*time.Minute), "web", fmt.Sprint("b", before))
		e := tokenwatch.Entry{Tenant: "a", Batch: storagetest.Batch(append(events, again...)...)}
		tick := tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}}
		must(t, often.Close())
		often, err = Open(steady(oftenFS, w.clock))
		must(t, err)
		var texts [2]string
		for k, s := range []*Store{calm, often} {
			_, err := s.Append(t.Context(), e, tick)
			must(t, err)
			for e, err := range s.Scan(t.Context(), storage.Range{First: s.Last() - 1}) {
				must(t, err)
				texts[k] += storagetest.Text(e)
			}
		}
		if texts[0] != texts[1] {
			t.Fatalf("batch %d: %s", i, difference(texts[1], texts[0]))
		}
		duplicates += strings.Count(texts[0], " duplicate ")
	}
	stats, err := calm.Stats()
	must(t, err)
	if duplicates == 0 || stats.IDsOverflow == 0 {
		t.Fatalf("%d duplicates, %d ids run over: the test tests nothing", duplicates, stats.IDsOverflow)
	}
	must(t, errors.Join(calm.Close(), often.Close()))
}

// TestLoss takes the log away from under the watermark.
func TestLoss(t *testing.T) {
	w := newWorkload(2)
	early, late := vfs.NewCrashableMem(), vfs.NewCrashableMem()
	for fs, n := range map[*vfs.MemFS]int{early: 3, late: len(w.steps)} {
		s, err := Open(steady(fs, w.clock))
		must(t, err)
		for i := range n {
			must(t, w.do(s, i))
		}
		must(t, s.Close())
	}
	newer, err := late.Open("store/watermark")
	must(t, err)
	content := make([]byte, slotStride+slotSize)
	_, err = newer.ReadAt(content, 0)
	must(t, err)
	must(t, replaceFile(early, "store", markName, content))

	var loss *storage.Loss
	if _, err := Open(steady(early, w.clock)); !errors.As(err, &loss) || ExitCode(err) != ExitLoss {
		t.Fatalf("got %v, want a loss", err)
	}
	accept := steady(early, w.clock)
	accept.AcceptLoss = true
	s, err := Open(accept)
	must(t, err)
	if loss.First != s.Last()+1 || loss.Last <= loss.First {
		t.Fatalf("lost %d to %d, log ends at %d", loss.First, loss.Last, s.Last())
	}
	found := false
	for l, err := range s.Leaves(t.Context(), "a", 0) {
		must(t, err)
		leaf, err := history.Decode(l.Bytes)
		must(t, err)
		if b, ok := leaf.Body.(*history.Loss); ok {
			found = b.First == uint64(loss.First) && b.Last == uint64(loss.Last)
		}
	}
	if !found {
		t.Fatal("the history does not report the loss")
	}
	must(t, s.Close())
	s, err = Open(steady(early, w.clock))
	must(t, err)
	must(t, s.Close())
}

// TestNewer leaves a store of a newer version as it is.
func TestNewer(t *testing.T) {
	w := newWorkload(0)
	mem := vfs.NewMem()
	s, err := Open(steady(mem, w.clock))
	must(t, err)
	id := s.ID()
	must(t, s.Close())
	must(t, replaceFile(mem, "store", identityName, identity{formatVersion + 1, id}.encode()))
	writes := 0
	_, err = Open(steady(beforeWrites(mem, func(int) { writes++ }), w.clock))
	if !errors.Is(err, ErrNewer) || ExitCode(err) != ExitNewer || writes != 0 {
		t.Fatalf("%d writes, error %v", writes, err)
	}
}

// sizedDisk says how much space it has left.
type sizedDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *sizedDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 30}, nil
}

// TestDiskFull runs out of space and gets it back.
func TestDiskFull(t *testing.T) {
	w := newWorkload(4)
	disk := &sizedDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 29)
	cfg := steady(disk, w.clock)
	cfg.Ballast = 1 << 16
	s, err := Open(cfg)
	must(t, err)
	must(t, w.do(s, 0))
	disk.free.Store(1 << 10)
	if err := w.do(s, 2); !errors.Is(err, storage.ErrReadOnly) || !errors.Is(err, ErrDiskFull) {
		t.Fatalf("append to a full disk: %v", err)
	}
	if _, err := s.Record(t.Context(), storage.Action{Verb: "test"}); err != nil {
		t.Fatalf("an action on a nearly full disk: %v", err)
	}
	if _, err := dump(s); err != nil {
		t.Fatalf("read on a full disk: %v", err)
	}
	disk.free.Store(1 << 29)
	must(t, w.do(s, 2))
	must(t, s.Close())
}

// FuzzRecords decodes records of every kind; what decodes encodes alike.
func FuzzRecords(f *testing.F) {
	at := indexEntry{Tenant: "a", Time: 1, Leaf: 2, Rows: 3, Times: true, From: -1, To: 9, Greatest: 9}
	f.Add(at.append(nil))
	request, err := (&request{time: 1, receipt: tokenwatch.Receipt{Offset: 2, Rows: 3}}).append(nil)
	must(f, err)
	f.Add(request)
	f.Add((&mark{Sequence: 1, Last: 2, Size: 3}).encode())
	f.Add(identity{1, strings.Repeat("0", 32)}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeIndex(b); err == nil {
			if again, err := decodeIndex(e.append(nil)); err != nil || again != e {
				t.Fatalf("index entry: %+v, again %+v, %v", e, again, err)
			}
		}
		if m, ok := decodeMark(b); ok && !bytes.Equal(m.encode()[:64], b[:64]) {
			t.Fatalf("watermark: %+v", m)
		}
		if i, err := decodeIdentity(b); err == nil && i.format > formatVersion {
			t.Fatalf("identity: %+v", i)
		}
		if r, err := decodeRequest(b); err == nil {
			out, err := r.append(nil)
			must(t, err)
			if again, err := decodeRequest(out); err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
				t.Fatalf("request: %+v, again %+v, %v", r, again, err)
			}
		}
		decodeControl(b)
		decodeCommit(b)
		decodeGreatest(b)
	})
}

// BenchmarkCommit appends entries of one row from many callers, on disk.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir(), Ballast: -1})
			must(b, err)
			entry := tokenwatch.Entry{Tenant: "a", Batch: storagetest.Batch(storagetest.Events(1, begin, "web", "x")...)}
			var n atomic.Int64
			b.ResetTimer()
			done := make(chan error, callers)
			for range callers {
				go func() {
					var err error
					for err == nil && n.Add(1) <= int64(b.N) {
						_, err = s.Append(b.Context(), entry)
					}
					done <- err
				}()
			}
			for range callers {
				must(b, <-done)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			b.StopTimer()
			must(b, s.Close())
		})
	}
}
