package ingest

import (
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// TestNamingsAreWrittenOnce: again only as of an earlier hour, or where the token has
// the name for another reason.
func TestNamingsAreWrittenOnce(t *testing.T) {
	n := named{}
	naming := tokenwatch.Naming{Token: "tkw_a", Alias: tokenwatch.Alias{Kind: tokenwatch.NameProviderID, Value: "17"}}
	for i, c := range []struct {
		hour  int32
		fresh int
	}{{9, 1}, {9, 0}, {10, 0}, {7, 1}, {8, 0}, {0, 1}, {0, 0}, {7, 0}} {
		naming.Hour = c.hour
		var b tokenwatch.Builder
		b.AddName(naming)
		entries := n.unwritten([]tokenwatch.Entry{{Tenant: "t", Batch: b.Batch()}})
		if got := len(entries[0].Batch.Names()); got != c.fresh {
			t.Errorf("step %d: as of hour %d it is written %d times, not %d", i, c.hour, got, c.fresh)
		}
		n.wrote(entries)
	}
}
