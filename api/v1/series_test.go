package v1

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// TestSeriesOfFindings: a finding that was judged by a baseline keeps that one, any
// other is shown the present one, and both what was seen.
func TestSeriesOfFindings(t *testing.T) {
	s, err := local.Open(local.Config{
		Dir: "store", FS: vfs.NewMem(), Clock: func() time.Time { return monday.Add(24 * time.Hour) }, Rand: rand.NewChaCha8([32]byte{}), Ballast: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	used(t, s, map[tokenwatch.TokenID][]time.Time{
		"tkw_a":   {monday.Add(-20 * time.Hour), monday.Add(9 * time.Hour), monday.Add(9*time.Hour + time.Minute)},
		"tkw_old": {monday.Add(9 * time.Hour)},
		"tkw_b":   {monday.Add(9 * time.Hour)},
	})
	a := tokenwatch.TokenRecord{Tenant: "default", ID: "tkw_a", SameAs: []tokenwatch.TokenID{"tkw_old"}}
	x := newSeries(Config{Tokens: inventory{a}, Segments: s, Baselines: workday{"tkw_a"}})
	f := tokenwatch.Finding{
		Tenant: "default", EntityKind: tokenwatch.EntityToken, Entity: "tkw_a",
		Window: tokenwatch.Window{Start: monday.Add(9 * time.Hour), End: monday.Add(10 * time.Hour)},
	}
	if err := x.fill(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	if got := len(f.Series.Observed); got != 25 || len(f.Series.High) != 25 {
		t.Fatalf("%d hours", got)
	}
	if got := fmt.Sprint(f.Series.Observed[24], f.Series.Failed[24], f.Series.Median[24], f.Series.High[24]); got != "3 1 9 18" {
		t.Errorf("at nine %s", got)
	}
	kept := f
	kept.Series = &tokenwatch.Series{Start: monday.Add(-24 * time.Hour), Step: 1, Low: []uint32{1}, Median: []uint32{2}, High: []uint32{3}}
	if err := x.fill(t.Context(), &kept); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(len(kept.Series.Observed), kept.Series.Observed[4], kept.Series.Observed[33], kept.Series.High); got != "34 1 3 [3]" {
		t.Errorf("a kept band: %s", got)
	}
	// Whose events lead is the token, an address has none of them.
	address := f
	address.Series, address.EntityKind, address.Entity = nil, tokenwatch.EntityAddress, "192.0.2.1"
	if err := x.fill(t.Context(), &address); err != nil {
		t.Fatal(err)
	}
	if s := address.Series; s.Observed[24] != 0 || s.High != nil {
		t.Errorf("an address: %+v", s)
	}
}
