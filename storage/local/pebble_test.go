package local

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// TestLogs writes snapshots of an engine that are larger than a memtable: the
// write-ahead logs they went through do not stay, and a stop right after one, while
// it is still being flushed, leaves no more than an empty one.
func TestLogs(t *testing.T) {
	w := newWorkload(1)
	fs := vfs.NewMem()
	s, err := Open(steady(fs, w.clock))
	must(t, err)
	must(t, w.do(s, 0))
	value := make([]byte, 1<<14)
	rng := rand.NewChaCha8([32]byte{1})
	snapshot := storage.Step{Cursor: 1}
	for i := range 4 * int(s.cfg.MemTableSize) / len(value) {
		rng.Read(value)
		snapshot.Records = append(snapshot.Records, storage.Record{Key: []byte{'x', byte(i >> 8), byte(i)}, Value: append([]byte(nil), value...)})
	}
	for range 3 {
		_, err := s.Commit(t.Context(), snapshot)
		must(t, err)
		must(t, s.flush())
	}
	if n := s.db.Metrics().WAL.ObsoleteFiles; n != 0 {
		t.Errorf("%d write-ahead logs of no use are kept", n)
	}
	_, err = s.Commit(t.Context(), snapshot)
	must(t, err)
	dir := s.dbDir()
	must(t, s.Close())
	names, err := fs.List(dir)
	must(t, err)
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		must(t, err)
		if strings.HasSuffix(name, ".log") && info.Size() > 64 {
			t.Errorf("a clean stop leaves %d bytes in %s", info.Size(), name)
		}
	}
	s, err = Open(steady(fs, w.clock))
	must(t, err)
	n := 0
	for _, err := range s.Records(t.Context(), []byte{'x'}) {
		must(t, err)
		n++
	}
	if n != len(snapshot.Records) {
		t.Errorf("%d records of %d", n, len(snapshot.Records))
	}
	if at, err := s.Cursor(t.Context()); err != nil || at != tokenwatch.Offset(1) {
		t.Errorf("cursor %d, %v", at, err)
	}
	must(t, s.Close())
}

// TestCloseWithSmallTables closes a store whose memtables are full but too small for
// Pebble to flush them: the first ones are of 256 KiB, whatever is configured.
func TestCloseWithSmallTables(t *testing.T) {
	w := newWorkload(1)
	conf := steady(vfs.NewMem(), w.clock)
	conf.MemTableSize = 8 << 20
	s, err := Open(conf)
	must(t, err)
	must(t, w.do(s, 0))
	value := make([]byte, 1<<14)
	rand.NewChaCha8([32]byte{1}).Read(value)
	for i := byte(0); s.db.Metrics().MemTable.Count <= 1; i++ {
		_, err := s.Commit(t.Context(), storage.Step{Cursor: 1, Records: []storage.Record{{Key: []byte{'x', i}, Value: value}}})
		must(t, err)
	}
	must(t, s.Close())
}

// TestTold: a damaged table is told of in one line.
func TestTold(t *testing.T) {
	w := newWorkload(1)
	fs := vfs.NewMem()
	s, err := Open(steady(fs, w.clock))
	must(t, err)
	must(t, w.do(s, 0))
	must(t, s.Close())
	dir := s.dbDir()
	names, err := fs.List(dir)
	must(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.OpenReadWrite(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = f.WriteAt([]byte{0x55, 0xaa, 0x55}, 40)
		must(t, err)
		must(t, f.Close())
	}
	_, err = Open(steady(fs, w.clock))
	if ExitCode(err) != ExitCorruption || strings.Contains(err.Error(), "\n") {
		t.Errorf("exit code %d: %v", ExitCode(err), err)
	}
}
