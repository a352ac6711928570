package local

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

// offsetsOf lists the entries of a tenant that are there.
func offsetsOf(t *testing.T, s *Store, tenant string) (out []tokenwatch.Offset) {
	t.Helper()
	for e, err := range s.Scan(t.Context(), storage.Range{Tenant: tenant}) {
		must(t, err)
		out = append(out, e.Offset)
	}
	return out
}

// TestRetainAge drops what came in too long ago: merged and appended segments
// whole, and a merged one in part. The rest stays as it was, the history says
// what went, and a follower passes over it.
func TestRetainAge(t *testing.T) {
	w := &workload{now: begin}
	mem := vfs.NewMem()
	cfg := steady(mem, w.clock)
	cfg.KeepTenant = map[string]Keep{"a": {Age: 10 * 24 * time.Hour}}
	s, err := Open(cfg)
	must(t, err)
	fill(t, s, w, 80)
	mergeAll(t, s)
	fill(t, s, w, 3)
	w.now = w.now.Add(9*24*time.Hour + 21*time.Hour)
	fill(t, s, w, 20)
	all, others := offsetsOf(t, s, "a"), offsetsOf(t, s, "b")
	if n, err := s.Retain(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d rows went too early: %v", n, err)
	}
	// All that came in within the first two thirds of an hour is over.
	w.now = begin.Add(10*24*time.Hour + 40*time.Minute)
	rows, err := s.Retain(t.Context())
	must(t, err)
	left := offsetsOf(t, s, "a")
	if rows == 0 || len(left) >= len(all) {
		t.Fatalf("%d rows went, %d entries of %d are left", rows, len(left), len(all))
	}
	gone := len(all) - len(left)
	for i, at := range left {
		if at != all[gone+i] {
			t.Fatalf("entry %d is left, want %d", at, all[gone+i])
		}
	}
	if n := len(offsetsOf(t, s, "b")); n != len(others) {
		t.Errorf("%d entries of the tenant that keeps all, want %d", n, len(others))
	}
	storagetest.CheckSegments(t, s)
	_, err = s.Verify(t.Context())
	must(t, err)
	if _, _, err := s.Row(t.Context(), tokenwatch.EventRef{Offset: all[0]}); err == nil {
		t.Error("a row that went is read")
	}
	for e, err := range s.Follow(t.Context(), 1) {
		must(t, err)
		if e.Tenant == "a" && e.Offset < left[0] {
			t.Fatalf("a follower is given entry %d, which went", e.Offset)
		}
		if e.Offset == s.Last() {
			break
		}
	}
	// Later all of it goes, and the store can be opened and goes on.
	w.now = w.now.Add(30 * 24 * time.Hour)
	_, err = s.Retain(t.Context())
	must(t, err)
	if left := offsetsOf(t, s, "a"); len(left) > 1 { // the last entry is not covered by a Step
		t.Errorf("entries %v are left", left)
	}
	_, err = s.Verify(t.Context())
	must(t, err)
	must(t, s.Close())
	s, err = Open(cfg)
	must(t, err)
	fill(t, s, w, 10)
	mergeAll(t, s)
	storagetest.CheckSegments(t, s)
	checkExport(t, s)
	must(t, s.Close())
}

// checkExport exports the history with all payloads and verifies it.
func checkExport(t *testing.T, s *Store) {
	t.Helper()
	key, err := history.NewKey(rand.Reader, "example.com/store")
	must(t, err)
	signer, err := history.NewSigner(key, history.Dir{Path: t.TempDir()})
	must(t, err)
	signed, err := signer.Sign(s.Head(), s.Reader())
	must(t, err)
	dir := t.TempDir()
	_, err = history.Export(history.Dir{Path: dir}, signed, key.Verifier(), s.Reader(), s.Payloads(t.Context(), storage.Range{}))
	must(t, err)
	report, err := history.Verify(os.DirFS(dir), history.Options{VKey: key.Verifier(), Payloads: true, TickGap: -1})
	must(t, err)
	if report.Verdict != history.OK {
		t.Errorf("the export is %v: %v", report.Verdict, report.Problems)
	}
}

// tableBytes is how much of the tables segments and what is left of them take.
func tableBytes(t *testing.T, s *Store) (n uint64) {
	t.Helper()
	must(t, s.flush())
	for _, kind := range []byte{keyLog, keyChunk} {
		size, err := s.db.EstimateDiskUsage([]byte{kind}, []byte{kind + 1})
		must(t, err)
		n += size
	}
	return n
}

// TestRetainBytes drops the oldest until the rest fits, and gives back the space.
func TestRetainBytes(t *testing.T) {
	w := &workload{now: begin}
	cfg := steady(vfs.NewMem(), w.clock)
	s, err := Open(cfg)
	must(t, err)
	fill(t, s, w, 120)
	mergeAll(t, s)
	w.now = w.now.Add(48 * time.Hour)
	before := tableBytes(t, s)
	total, err := s.segmentBytes("a")
	must(t, err)
	s.cfg.Keep = Keep{Bytes: total / 2}
	rows, err := s.Retain(t.Context())
	must(t, err)
	now, err := s.segmentBytes("a")
	must(t, err)
	if rows == 0 || now > total/2 || now == 0 {
		t.Errorf("%d rows went, %d bytes of %d are left", rows, now, total)
	}
	if after := tableBytes(t, s); after > before*2/3 {
		t.Errorf("%d bytes in tables before, %d after", before, after)
	}
	if n, err := s.Retain(t.Context()); err != nil || n != 0 {
		t.Errorf("%d rows more went: %v", n, err)
	}
	storagetest.CheckSegments(t, s)
	var retention *history.Retention
	for l, err := range s.Leaves(t.Context(), "a", 0) {
		must(t, err)
		leaf, err := history.Decode(l.Bytes)
		must(t, err)
		if b, ok := leaf.Body.(*history.Retention); ok {
			retention = b
		}
	}
	if retention == nil || !strings.Contains(retention.Policy, "bytes") || retention.Rows == 0 {
		t.Errorf("the history says %+v", retention)
	}
	must(t, s.Close())
}
