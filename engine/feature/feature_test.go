package feature_test

import (
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// TestRefsOrderByContent: what a reference says of an event does not depend on
// its place, and tells apart what a finding would show differently.
func TestRefsOrderByContent(t *testing.T) {
	refs := func(sources ...string) []tokenwatch.EventRef {
		var b tokenwatch.Builder
		var row tokenwatch.Row
		for _, source := range sources {
			row.Reset()
			row.SetInt(tokenwatch.ColTime, int64(500_000*time.Hour))
			row.SetString(tokenwatch.ColRequestID, "one request, logged twice")
			row.SetString(tokenwatch.ColSource, source)
			b.Append(&row)
		}
		rows := feature.Extract(b.Batch(), 1, vec.NewHash([16]byte{}))
		out := make([]tokenwatch.EventRef, len(sources))
		for i := range out {
			out[i] = rows.Ref(i)
		}
		return out
	}
	one, other := refs("gateway", "app"), refs("app", "gateway")
	if one[0].Compare(other[1]) != 0 || one[1].Compare(other[0]) != 0 {
		t.Error("the same event compares differently in another place")
	}
	if one[0].Compare(one[1]) == 0 {
		t.Error("events of two sources with one request id compare alike")
	}
}
