package block

import (
	"math/rand/v2"
	"testing"
)

// TestFilter: what a filter was made of passes it, and of the rest little does.
func TestFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, n := range []int{0, 1, 31, 33, 1000, pageRows} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = rng.Uint64()
		}
		twice := append(append([]uint64{}, hashes...), hashes...)
		filter := appendFilter([]byte{1, 2, 3}, twice)[3:]
		if len(filter) > n*filterBits/8+filterBlock {
			t.Errorf("%d values take %d bytes", n, len(filter))
		}
		for _, h := range hashes {
			if !passes(filter, h) {
				t.Fatalf("a value of %d does not pass", n)
			}
		}
		passed := 0
		const tries = 10_000
		for range tries {
			if passes(filter, rng.Uint64()) {
				passed++
			}
		}
		if passed > tries/20 {
			t.Errorf("of %d other values %d pass the filter of %d", tries, passed, n)
		}
	}
}
