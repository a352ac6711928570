package storage

import (
	"math/rand/v2"
	"testing"

	"github.com/zeebo/xxh3"
)

// TestIDSet runs the set against a map. Few low bits make long probes.
func TestIDSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	var s idSet
	known := make(map[xxh3.Uint128]bool)
	for range 200_000 {
		h := xxh3.Uint128{Hi: 1 + rng.Uint64N(50), Lo: rng.Uint64N(20) * 61}
		if known[h] && rng.IntN(2) == 0 {
			s.remove(h)
			delete(known, h)
			continue
		}
		if s.add(h) == known[h] {
			t.Fatalf("add %v: was there %v", h, known[h])
		}
		known[h] = true
		if s.count != len(known) {
			t.Fatalf("%d hashes, want %d", s.count, len(known))
		}
	}
}
