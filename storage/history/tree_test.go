package history

import (
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

// TestTreeIsRFC6962 holds roots, inclusion and consistency proofs of every size
// up to 300 against an implementation that shares no code with ours.
func TestTreeIsRFC6962(t *testing.T) {
	m := newStory(t, 1).grow(t, 300).m
	hasher := rfc6962.DefaultHasher
	factory := compact.RangeFactory{Hash: hasher.HashChildren}
	reference := factory.NewEmptyRange(0)
	roots := make([]tlog.Hash, 301)
	roots[0] = tlog.Hash(hasher.EmptyRoot())
	for n := 1; n <= 300; n++ {
		if err := reference.Append(hasher.HashLeaf(m.leaves[n-1]), nil); err != nil {
			t.Fatal(err)
		}
		root, err := reference.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		roots[n] = tlog.Hash(root)
	}
	proofs := 0
	for n := range 301 {
		tr, err := readTree(uint64(n), m)
		if err != nil {
			t.Fatal(err)
		}
		if tr.root() != roots[n] {
			t.Fatalf("size %d: root %v, want %v", n, tr.root(), roots[n])
		}
		for i := 0; i < n; i += 1 + n/7 {
			p, err := tlog.ProveRecord(int64(n), int64(i), m)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyInclusion(hasher, uint64(i), uint64(n), hasher.HashLeaf(m.leaves[i]), slicesOf(p), roots[n][:]); err != nil {
				t.Fatalf("leaf %d of %d: %v", i, n, err)
			}
			c, err := tlog.ProveTree(int64(n), int64(i+1), m)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(hasher, uint64(i+1), uint64(n), slicesOf(c), roots[i+1][:], roots[n][:]); err != nil {
				t.Fatalf("size %d to %d: %v", i+1, n, err)
			}
			proofs += 2
		}
	}
	t.Logf("301 roots, %d proofs", proofs)
}

func slicesOf(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}
