//go:build unix

package source

import (
	"fmt"
	"io/fs"
	"syscall"
)

// placeOf names the place of a file on its disk.
func placeOf(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%x-%x", s.Dev, s.Ino)
	}
	return info.Name()
}
