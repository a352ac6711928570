//go:build !unix

package source

import "io/fs"

// placeOf names the place of a file, here by its name only.
func placeOf(info fs.FileInfo) string { return info.Name() }
