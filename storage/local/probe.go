package local

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Exists tells whether there is a store in a directory, without opening it. A
// nil file system is vfs.Default.
func Exists(fs vfs.FS, dir string) (bool, error) {
	if fs == nil {
		fs = vfs.Default
	}
	_, made, err := readIdentity(fs, dir)
	if err != nil {
		return false, fmt.Errorf("look for a store: %w", err)
	}
	return made, nil
}

// Memory returns the configuration of an empty store that is gone when it is
// closed.
func Memory() Config {
	return Config{Dir: "store", FS: vfs.NewMem(), Ballast: -1}
}
