package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
)

// TestTokensAreAsOfTheLog: what is known of tokens is as of the newest event, or of a
// tick where it is quiet, live and from a snapshot; not of a clock that has gone on since
// the log ended.
func TestTokensAreAsOfTheLog(t *testing.T) {
	events, err := enginetest.Traffic("token=a every=1m for=30m agent=sdk action=items.get class=read")
	if err != nil {
		t.Fatal(err)
	}
	newest := events[len(events)-1].Time
	for _, test := range []struct {
		name string
		tick time.Time
		want time.Time
	}{
		{"years ago", newest.AddDate(3, 0, 0), newest},
		{"quiet", newest.Add(40 * time.Minute), newest.Add(40 * time.Minute)},
		{"before", newest.Add(-time.Minute), newest},
	} {
		var log enginetest.Log
		appendEntry(t, &log, tokenwatch.Entry{Tenant: tenant, Batch: enginetest.Batch(events)})
		appendEntry(t, &log, tokenwatch.Entry{Time: test.tick, Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
		for _, from := range []string{"the log", "a snapshot"} {
			e := engine.New(engine.Config{SnapshotRows: 1}, &log, &log)
			if err := e.RunTo(context.Background(), log.Last()); err != nil {
				t.Fatal(err)
			}
			a, err := e.Token(context.Background(), tenant, "a")
			if err != nil || !a.AsOf.Equal(test.want) {
				t.Errorf("%s, from %s: as of %v, want %v (%v)", test.name, from, a.AsOf, test.want, err)
			}
		}
	}
}
