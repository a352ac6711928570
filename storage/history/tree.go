package history

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is an RFC 6962 tree of which only the right edge is kept: the roots of
// the full subtrees it is made of, largest first, one per set bit of size.
type tree struct {
	size  uint64
	peaks []tlog.Hash
}

// readTree loads the right edge of the tree of a size.
func readTree(size uint64, hashes tlog.HashReader) (tree, error) {
	if size == 0 {
		return tree{}, nil
	}
	at := make([]int64, 0, bits.OnesCount64(size))
	for level := bits.Len64(size) - 1; level >= 0; level-- {
		if size>>level&1 == 1 {
			at = append(at, tlog.StoredHashIndex(level, int64(size>>level)-1))
		}
	}
	peaks, err := hashes.ReadHashes(at)
	if err != nil {
		return tree{}, fmt.Errorf("read hashes of the tree of size %d: %w", size, err)
	}
	if len(peaks) != len(at) {
		return tree{}, fmt.Errorf("read hashes of the tree of size %d: got %d of %d", size, len(peaks), len(at))
	}
	return tree{size: size, peaks: append([]tlog.Hash(nil), peaks...)}, nil
}

// add appends a leaf's hash, and to out the hashes to store for it: its own and
// those of the subtrees it completes, as tlog.StoredHashes orders them.
func (t *tree) add(leaf tlog.Hash, out []tlog.Hash) []tlog.Hash {
	out = append(out, leaf)
	h := leaf
	for n := t.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(t.peaks[len(t.peaks)-1], h)
		t.peaks = t.peaks[:len(t.peaks)-1]
		out = append(out, h)
	}
	t.peaks = append(t.peaks, h)
	t.size++
	return out
}

// root returns the root hash; of the empty tree it is SHA-256 of nothing.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return emptyRoot
	}
	h := t.peaks[len(t.peaks)-1]
	for i := len(t.peaks) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.peaks[i], h)
	}
	return h
}

// clone returns a tree that grows apart from t.
func (t *tree) clone() tree {
	return tree{size: t.size, peaks: append([]tlog.Hash(nil), t.peaks...)}
}

var emptyRoot = func() tlog.Hash {
	h, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic("history: empty tree: " + err.Error()) // reads nothing
	}
	return h
}()
