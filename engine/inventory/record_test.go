package inventory

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// TestCoverageAgainstReference: what each source showed of a token is the same as if it
// had been counted source by source, also after the inventory was stored and read.
func TestCoverageAgainstReference(t *testing.T) {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixNano()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 4))
		v := New("t")
		want := map[string]map[string]coverage{}
		for offset := range tokenwatch.Offset(12) {
			var b tokenwatch.Builder
			var row tokenwatch.Row
			sources := 1 + r.IntN(3)
			for range 1 + r.IntN(8) {
				id, source, ns := fmt.Sprint("k", r.IntN(4)), fmt.Sprint("s", r.IntN(sources)), start+r.Int64N(1000)
				row.Reset()
				row.SetInt(tokenwatch.ColTime, ns)
				row.SetString(tokenwatch.ColToken, id)
				row.SetString(tokenwatch.ColSource, source)
				b.Append(&row)
				if want[id] == nil {
					want[id] = map[string]coverage{}
				}
				c, ok := want[id][source]
				if !ok {
					c.first, c.last = ns, ns
				}
				want[id][source] = coverage{0, min(c.first, ns), max(c.last, ns), c.events + 1}
			}
			v.Take(b.Batch(), offset+1, nil)
			if r.IntN(4) == 0 {
				v = restarted(t, v)
			}
		}
		for id, sources := range want {
			record, _ := v.Token(id, start)
			got := map[string]coverage{}
			for _, c := range record.Coverage {
				got[c.Source] = coverage{0, c.First.UnixNano(), c.Last.UnixNano(), c.Events}
			}
			if !maps.Equal(got, sources) {
				t.Fatalf("seed %d, %s: %+v, not %+v", seed, id, got, sources)
			}
		}
	}
}

// restarted is an inventory that was stored whole and read.
func restarted(t *testing.T, v *Inventory) *Inventory {
	t.Helper()
	type stored struct{ key, value []byte }
	var all []stored
	for _, r := range v.records {
		v.touch(r)
	}
	v.Changed(func(key, value []byte) { all = append(all, stored{key, value}) })
	slices.SortFunc(all, func(a, b stored) int { return slices.Compare(a.key, b.key) })
	out := New("t")
	for _, s := range all {
		if err := out.Load(s.key, s.value); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestIDsOfOneHash: ids that meet in their hash stay two.
func TestIDsOfOneHash(t *testing.T) {
	v := New("t")
	a := v.record("a")
	v.byID[xxh3.HashString("b")] = a.at // as if it were that of "a"
	b := v.record("b")
	if b == a || b.id() != "b" || v.record("b") != b || v.record("a") != a {
		t.Errorf("%v is the record of both", a)
	}
	if at, ok := v.place("c"); ok {
		t.Errorf("%d is the record of an id that was never seen", at)
	}
}
