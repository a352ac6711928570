package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// The layout of an export is that of C2SP tlog-tiles, with two files of ours:
//
//	checkpoint                     the newest signed head
//	tile/<level>/<n>[.p/<width>]   256 hashes (or width, at the right edge)
//	tile/entries/<n>[.p/<width>]   256 leaves, each after its length in two bytes
//	segments/<offset>              bytes of the log entry at an offset, if included
//	merged/<leaf>                  bytes of the merged segment that a leaf states, if included
//	manifest.json                  what is in the export, for people and tools
const (
	checkpointFile = "checkpoint"
	manifestFile   = "manifest.json"
	entriesFolder  = "tile/entries/"
	segmentsFolder = "segments"
	mergedFolder   = "merged"

	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tilePath returns the path of a hash tile. tlog.Tile.Path is not it: that adds
// the height, which C2SP fixes at 8.
func tilePath(level int, n uint64, width int) string {
	return "tile/" + strconv.Itoa(level) + "/" + partPath(n, width)
}

// entriesPath returns the path of an entry bundle.
func entriesPath(n uint64, width int) string { return entriesFolder + partPath(n, width) }

// partPath writes n in groups of three digits, all but the last after an x, and
// a width below the full one as a suffix: x001/x234/067.p/8.
func partPath(n uint64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < tileWidth {
		path += ".p/" + strconv.Itoa(width)
	}
	return path
}

// SegmentPath returns where in an export the bytes of the log entry at an
// offset lie.
func SegmentPath(offset uint64) string { return fmt.Sprintf("%s/%020d", segmentsFolder, offset) }

// MergedPath returns where in an export the bytes of the merged segment lie
// that the leaf at an index states.
func MergedPath(leaf uint64) string { return fmt.Sprintf("%s/%020d", mergedFolder, leaf) }

// HashTile returns the bytes of a hash tile, for servers of tlog-tiles: width
// hashes from the n-th tile of a level, of which 256 make a full one.
func HashTile(level int, n uint64, width int, hashes tlog.HashReader) ([]byte, error) {
	return tlog.ReadTileData(tlog.Tile{H: tileHeight, L: level, N: int64(n), W: width}, hashes)
}

// AppendEntry appends a leaf to an entry bundle.
func AppendEntry(bundle, leaf []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
	return append(bundle, leaf...)
}

var errBundle = errors.New("entry bundle ends within an entry")

// nextEntry cuts the first leaf off a bundle. It aliases the bundle.
func nextEntry(bundle []byte) (leaf, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errBundle
	}
	n := int(binary.BigEndian.Uint16(bundle))
	if len(bundle)-2 < n {
		return nil, nil, errBundle
	}
	return bundle[2 : 2+n], bundle[2+n:], nil
}
