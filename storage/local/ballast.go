package local

import (
	"errors"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballast is a file that does nothing but take up space: when the disk is full
// it is removed, and there is room to clean up and to stop in order.
type ballast struct {
	fs   vfs.FS
	dir  string
	size int64 // 0 or less: none
}

const ballastName = "ballast"

// ensure makes the file if it is not there, of written bytes, as holes would
// keep no space.
func (b *ballast) ensure() error {
	if b.size <= 0 {
		return nil
	}
	path := b.fs.PathJoin(b.dir, ballastName)
	if info, err := b.fs.Stat(path); err == nil && info.Size() >= b.size {
		return nil
	}
	f, err := b.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	zeros := make([]byte, min(b.size, 1<<20))
	for left := b.size; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, b.drop())
	}
	return nil
}

// drop removes the file.
func (b *ballast) drop() error {
	err := b.fs.Remove(b.fs.PathJoin(b.dir, ballastName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// free returns how many bytes the disk has left, false if it cannot tell.
func (b *ballast) free() (int64, bool) {
	usage, err := b.fs.GetDiskUsage(b.dir)
	if err != nil {
		return 0, false
	}
	return int64(min(usage.AvailBytes, 1<<62)), true
}
