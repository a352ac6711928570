package history

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// The most bytes that files of an export can have: a checkpoint with very many
// signatures, a full tile, a full bundle of leaves as long as may be.
const (
	maxCheckpoint = 1 << 20
	maxTile       = tileWidth * tlog.HashSize
	maxBundle     = tileWidth * (2 + MaxLeaf)
)

// readFile reads a file, and of one that is longer than limit a byte more than
// that: enough to see that it is too long.
func readFile(dir fs.FS, name string, limit int) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	return b, errors.Join(err, f.Close())
}

// readPart reads the n-th tile or bundle of a folder: the full one or else the
// widest partial one. It returns nil and 0 if there is none.
func (v *verifier) readPart(folder string, n uint64, limit int) ([]byte, int, error) {
	full := folder + partPath(n, tileWidth)
	b, err := readFile(v.dir, full, limit)
	if err == nil {
		return b, tileWidth, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("read %s: %w", full, err)
	}
	list, err := fs.ReadDir(v.dir, full+".p")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s.p: %w", full, err)
	}
	width, name := 0, ""
	for _, f := range list {
		if w, err := strconv.Atoi(f.Name()); err == nil && w > width && w < tileWidth {
			width, name = w, f.Name()
		}
	}
	if width == 0 {
		return nil, 0, nil
	}
	b, err = readFile(v.dir, full+".p/"+name, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s.p/%s: %w", full, name, err)
	}
	return b, width, nil
}

// readTiles finds out how many of the leaf hashes in the tiles are vouched for
// by a signed root: with these, the first altered leaf can be named.
func (v *verifier) readTiles() error {
	var (
		t   tree
		out []tlog.Hash
	)
	for n := uint64(0); ; n++ {
		tile, _, err := v.readPart("tile/0/", n, maxTile)
		if err != nil {
			return err
		}
		count := min(len(tile)/tlog.HashSize, tileWidth)
		for i := range count {
			out = t.add(hashesOf(tile, i), out[:0])
			for _, a := range v.anchors {
				if a.Size == t.size && a.Root == t.root() {
					v.trusted = t.size
				}
			}
		}
		if count < tileWidth {
			return nil
		}
	}
}

// readEntries streams the leaves: it grows the tree, compares the tiles and
// checks what the leaves say.
func (v *verifier) readEntries() error {
	tiles := tileCheck{v: v}
	v.reach()
	for n := uint64(0); ; n++ {
		bundle, width, err := v.readPart(entriesFolder, n, maxBundle)
		if err != nil {
			return err
		}
		if width == 0 {
			return v.findHole(n)
		}
		for count := 0; len(bundle) > 0; count++ {
			index := int64(v.tree.size)
			if count == tileWidth {
				v.leaves.fail(index, "more leaves in a bundle than fit")
				return nil
			}
			var leaf []byte
			if leaf, bundle, err = nextEntry(bundle); err != nil {
				v.leaves.fail(index, "%v", err)
				return nil
			}
			if err := tiles.add(tlog.RecordHash(leaf)); err != nil {
				return err
			}
			v.reach()
			if v.mismatch == NoIndex {
				if err := v.leaves.check(leaf, uint64(index)); err != nil {
					return err
				}
			}
		}
		if v.tree.size != (n+1)*tileWidth {
			return v.findHole(n + 1)
		}
	}
}

// findHole notes a hole if there are bundles after the end of the leaves, from
// the n-th on.
func (v *verifier) findHole(n uint64) error {
	last := n + 1 // without a signed size, one bundle further
	for _, a := range v.anchors {
		last = max(last, (a.Size+tileWidth-1)/tileWidth)
	}
	for ; n <= last; n++ {
		_, width, err := v.readPart(entriesFolder, n, maxBundle)
		if err != nil {
			return err
		}
		if width > 0 {
			v.hole = int64(v.tree.size)
			return nil
		}
	}
	return nil
}

// tileCheck compares the hash tiles with the leaves.
type tileCheck struct {
	v      *verifier
	levels [8]struct { // of tiles: 8 × 8 levels of hashes
		loaded bool
		n      uint64
		tile   []byte
	}
	out []tlog.Hash
}

// add grows the tree by a leaf and compares the hashes that this gives.
func (c *tileCheck) add(leaf tlog.Hash) error {
	index := c.v.tree.size
	c.out = c.v.tree.add(leaf, c.out[:0])
	for level := 0; level*tileHeight < len(c.out); level++ {
		at := index >> (level * tileHeight)
		l := &c.levels[level]
		if n := at / tileWidth; !l.loaded || l.n != n {
			var err error
			if l.tile, err = c.load(level, n); err != nil {
				return err
			}
			l.loaded, l.n = true, n
		}
		i := int(at % tileWidth)
		if len(l.tile) < (i+1)*tlog.HashSize {
			continue
		}
		if hashesOf(l.tile, i) == c.out[level*tileHeight] {
			continue
		}
		if level == 0 && index < c.v.trusted && c.v.mismatch == NoIndex {
			c.v.mismatch = int64(index)
		}
		c.note(Altered, at<<(level*tileHeight), "a hash tile of level %d is not that of the leaves", level)
	}
	return nil
}

// load reads a tile, and notes if it is not as wide as the checkpoint demands.
func (c *tileCheck) load(level int, n uint64) ([]byte, error) {
	b, width, err := c.v.readPart(fmt.Sprintf("tile/%d/", level), n, maxTile)
	if err != nil || c.v.own == nil {
		return b, err
	}
	first := (n * tileWidth) << (level * tileHeight)
	want := min(tileWidth, c.v.own.Size>>(level*tileHeight)-min(n*tileWidth, c.v.own.Size>>(level*tileHeight)))
	switch {
	case uint64(width) < want:
		c.note(Incomplete, first, "a hash tile of level %d is missing", level)
	case uint64(width) > want:
		c.note(Altered, first, "a hash tile of level %d goes beyond the checkpoint", level)
	case len(b) != width*tlog.HashSize:
		c.note(Altered, first, "a hash tile of level %d has the wrong length", level)
	}
	return b, nil
}

// note keeps a problem of the tiles. They count only if the leaves themselves
// are found to be those that were signed.
func (c *tileCheck) note(verdict Verdict, index uint64, format string, level int) {
	c.v.tiles.add(verdict, int64(index), format, level)
}
