package vec

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestGroupAgainstReference compares Group with what a map makes of the same codes.
func TestGroupAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var g Groups // reused, larger and smaller
	for range 200 {
		n := 1 + r.IntN(50)
		codes := make([]uint32, r.IntN(300))
		want := map[int][]uint32{}
		for i := range codes {
			codes[i] = uint32(r.IntN(n))
			want[int(codes[i])] = append(want[int(codes[i])], uint32(i))
		}
		g.Group(codes, n)
		if g.Len() != n {
			t.Fatalf("%d codes, want %d", g.Len(), n)
		}
		for code := range n {
			if !slices.Equal(g.Of(code), want[code]) {
				t.Fatalf("code %d: %v, want %v", code, g.Of(code), want[code])
			}
		}
	}
}
