package feature_test

import (
	"net/netip"
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

// TestLeads: the columns and the single row agree on whose habits a row belongs to.
func TestLeads(t *testing.T) {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for i := range 16 {
		row.Reset()
		if i&1 != 0 {
			row.SetString(tokenwatch.ColToken, "tkw_a")
		}
		if i&2 != 0 {
			row.SetString(tokenwatch.ColActor, "role/a")
		}
		if i&4 != 0 {
			row.SetAddr(netip.MustParseAddr("192.0.2.1"))
		}
		if i&8 != 0 {
			row.SetString(tokenwatch.ColTokenKind, "aws_session")
		}
		b.Append(&row)
	}
	batch := b.Batch()
	leads := map[tokenwatch.EntityKind]int{}
	for i, e := range feature.Extract(batch, 1, vec.NewHash([16]byte{})).Events {
		lead := e.Lead
		if lead != batch.Lead(i) {
			t.Errorf("row %d: %v and %v", i, lead, batch.Lead(i))
		}
		leads[lead]++
	}
	if len(leads) != 4 {
		t.Errorf("not all kinds lead: %v", leads)
	}
}
