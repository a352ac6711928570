package local

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// gate is the file system as Pebble sees it. Until it is armed it lets all
// through. Once armed, the first failed write freezes the disk as it then
// stands, like a crash at that point, and fails the store; Pebble, which would
// panic or exit, is told that all went well, and nothing is acknowledged any
// more. A failed sync is thus never retried.
//
// Tables are different: Pebble can do without one that could not be written,
// and tries again later. For want of space that is left to it, once the gate is
// lenient.
type gate struct {
	vfs.FS
	armed   atomic.Bool
	lenient atomic.Bool
	frozen  atomic.Bool
	once    sync.Once
	fail    func(error) // told of the failure, once
	full    func()      // told that space ran out
}

// retryPause is how long a table that cannot be written holds up the flush or
// compaction that writes it: Pebble itself retries without pause.
const retryPause = 20 * time.Millisecond

// freeze stops all writes for good.
func (g *gate) freeze(err error) {
	g.once.Do(func() {
		g.frozen.Store(true)
		g.fail(err)
	})
}

// check decides what Pebble hears of the outcome of a write to a file.
func (g *gate) check(name string, err error) error {
	if err == nil || !g.armed.Load() {
		return err
	}
	if isTable(name) {
		if errors.Is(err, syscall.ENOSPC) && g.lenient.Load() {
			g.full()
		} else {
			g.freeze(err)
		}
		time.Sleep(retryPause)
		return err
	}
	g.freeze(err)
	return nil
}

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

var errFrozen = errors.New("store was frozen after a failed write")

// refuse is the outcome of making a new file once frozen.
func (g *gate) refuse(name string) (vfs.File, error) {
	if isTable(name) {
		time.Sleep(retryPause)
		return nil, errFrozen
	}
	return vfs.NewMem().Create("void", vfs.WriteCategoryUnspecified)
}

// made wraps a file that was opened for writing.
func (g *gate) made(name string, f vfs.File, err error) (vfs.File, error) {
	if err == nil {
		return &gateFile{File: f, g: g, name: name}, nil
	}
	if err = g.check(name, err); err != nil {
		return nil, err
	}
	return g.refuse(name)
}

func (g *gate) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if g.frozen.Load() {
		return g.refuse(name)
	}
	f, err := g.FS.Create(name, c)
	if err == nil && strings.HasPrefix(g.PathBase(name), "MANIFEST-") {
		// Pebble syncs the name of a manifest together with that of the marker
		// which points to it; a crash in between may keep the marker alone.
		err = syncDir(g.FS, g.PathDir(name))
	}
	return g.made(name, f, err)
}

func (g *gate) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if g.frozen.Load() {
		return g.refuse(name)
	}
	f, err := g.FS.OpenReadWrite(name, c, opts...)
	return g.made(name, f, err)
}

func (g *gate) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if g.frozen.Load() {
		return g.refuse(to)
	}
	f, err := g.FS.ReuseForWrite(from, to, c)
	return g.made(to, f, err)
}

func (g *gate) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &gateFile{File: f, g: g, name: name}, nil
}

func (g *gate) Rename(from, to string) error {
	if g.frozen.Load() {
		return nil
	}
	return g.check(to, g.FS.Rename(from, to))
}

func (g *gate) Link(from, to string) error {
	if g.frozen.Load() {
		return nil
	}
	return g.check(to, g.FS.Link(from, to))
}

func (g *gate) Remove(name string) error {
	if g.frozen.Load() {
		return nil
	}
	return g.FS.Remove(name)
}

func (g *gate) RemoveAll(name string) error {
	if g.frozen.Load() {
		return nil
	}
	return g.FS.RemoveAll(name)
}

func (g *gate) MkdirAll(name string, mode os.FileMode) error {
	if g.frozen.Load() {
		return nil
	}
	return g.check(name, g.FS.MkdirAll(name, mode))
}

func (g *gate) Lock(name string) (io.Closer, error) { return g.FS.Lock(name) }

// Unwrap gives the file system below.
func (g *gate) Unwrap() vfs.FS { return g.FS }

// gateFile is a file open for writing.
type gateFile struct {
	vfs.File
	g    *gate
	name string
}

func (f *gateFile) Write(p []byte) (int, error) {
	if f.g.frozen.Load() {
		return f.lost(len(p))
	}
	n, err := f.File.Write(p)
	if err != nil {
		if err = f.g.check(f.name, err); err == nil {
			n = len(p)
		}
	}
	return n, err
}

func (f *gateFile) WriteAt(p []byte, at int64) (int, error) {
	if f.g.frozen.Load() {
		return f.lost(len(p))
	}
	n, err := f.File.WriteAt(p, at)
	if err != nil {
		if err = f.g.check(f.name, err); err == nil {
			n = len(p)
		}
	}
	return n, err
}

func (f *gateFile) lost(n int) (int, error) {
	if isTable(f.name) {
		time.Sleep(retryPause)
		return 0, errFrozen
	}
	return n, nil
}

func (f *gateFile) sync(sync func() error) error {
	if f.g.frozen.Load() {
		_, err := f.lost(0)
		return err
	}
	return f.g.check(f.name, sync())
}

func (f *gateFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *gateFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *gateFile) SyncTo(n int64) (full bool, err error) {
	err = f.sync(func() error {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, err
}

func (f *gateFile) Preallocate(at, n int64) error {
	if f.g.frozen.Load() {
		return nil
	}
	return f.File.Preallocate(at, n)
}

func (f *gateFile) Close() error {
	err := f.File.Close()
	if f.g.frozen.Load() {
		return nil
	}
	return f.g.check(f.name, err)
}
