package local

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// Config says where a store is and how it works. All but Dir may be zero.
type Config struct {
	Dir    string           // made if it does not exist
	FS     vfs.FS           // vfs.Default
	Clock  func() time.Time // wall clock; time.Now
	Rand   io.Reader        // for the store's id and salt; crypto/rand
	Logger *slog.Logger     // what goes on below; none

	Lateness  time.Duration // how far behind events still count; 3 h
	IDMemory  int           // event ids remembered per tenant; 1 Mi
	Horizon   time.Duration // how long requests with a key are recognised; 7 d
	MaxKeys   int           // how many such requests at most; 10 M
	CacheSize int64         // bytes of Pebble's block cache; 64 MiB
	// MemTableSize is how many bytes of writes are gathered in memory before
	// they become a table; 16 MiB. There may be three times as many.
	MemTableSize uint64
	// Ballast is the size in bytes of a file that is removed when the disk is
	// full, so that cleaning up and a clean stop still work; 64 MiB, and none if
	// negative. When less than Ballast bytes are free besides, the store takes
	// no more entries until there is space again.
	Ballast int64

	Keep       Keep            // how much of a tenant's events is kept; all
	KeepTenant map[string]Keep // instead, of single tenants

	// Signer makes the signer of checkpoints for a store id. Nil: Checkpoint
	// returns ErrNoSigner.
	Signer func(storeID string) (*history.Signer, error)
	// AcceptLoss opens a store although acknowledged data is proven to be
	// missing, or cannot be proven to be there, and says so in the history.
	AcceptLoss bool

	limits mergeLimits // defaultLimits; lower in tests
}

func (c *Config) fill() error {
	if c.Dir == "" {
		return errors.New("open store: no directory given")
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&c.Lateness, storage.DefaultLateness)
	orDefault(&c.IDMemory, storage.DefaultIDMemory)
	orDefault(&c.Horizon, 7*24*time.Hour)
	orDefault(&c.MaxKeys, 10_000_000)
	orDefault(&c.CacheSize, 64<<20)
	orDefault(&c.MemTableSize, 16<<20)
	orDefault(&c.Ballast, 64<<20)
	orDefault(&c.limits, defaultLimits)
	if c.Lateness < 0 || c.IDMemory < 0 || c.Horizon < 0 || c.MaxKeys < 0 || c.CacheSize < 0 {
		return errors.New("open store: a limit is negative")
	}
	return nil
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
