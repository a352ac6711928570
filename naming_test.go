package tokenwatch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNamingSet compares the set with a map, over several batches.
func TestNamingSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var set namingSet
	for batch := range 4 {
		seen := make(map[Naming]bool)
		var want []Naming
		for range 2000 {
			n := Naming{
				Token: TokenID(fmt.Sprintf("%s%d", TokenPrefix, r.IntN(20))),
				Alias: Alias{Kind: NameKinds[r.IntN(3)], Value: fmt.Sprint(r.IntN(20))},
			}
			set.add(n)
			if !seen[n] {
				seen[n] = true
				want = append(want, n)
			}
		}
		if !slices.Equal(set.list, want) {
			t.Fatalf("batch %d: %d namings, want %d in the order they came", batch, len(set.list), len(want))
		}
		set = set.reset()
	}
}
