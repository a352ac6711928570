package local_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

// config is that of a small store.
func config(fs vfs.FS, clock func() time.Time) local.Config {
	return local.Config{Dir: "store", FS: fs, Clock: clock, Ballast: -1, MemTableSize: 1 << 20, CacheSize: 1 << 20}
}

func TestConformanceInMemory(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, clock func() time.Time) storage.Store {
		s, err := local.Open(config(vfs.NewMem(), clock))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestConformanceOnDisk(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, clock func() time.Time) storage.Store {
		cfg := config(vfs.Default, clock)
		cfg.Dir, cfg.Ballast = t.TempDir()+"/a/store", 1<<16
		s, err := local.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
