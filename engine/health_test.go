package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
)

// TestHealth runs the scenarios of testdata/health: what is found of sources, as it
// is raised and as it settles, and how they stand at the end.
func TestHealth(t *testing.T) {
	datadriven.Walk(t, filepath.Join("..", "testdata", "health"), func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			events, err := enginetest.Traffic(td.Input)
			if err != nil {
				return err.Error() + "\n"
			}
			var log enginetest.Log
			fill(t, &log, events, 30, true)
			eng := engine.New(engine.Config{}, &log, &log)
			if err := eng.RunTo(context.Background(), log.Last()); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, f := range log.Findings() {
				if f.EntityKind != tokenwatch.EntitySource {
					continue
				}
				at := f.Time.Sub(enginetest.Start)
				state := "raised"
				if f.Withdrawn {
					state = "withdrawn"
				} else if f.Settled {
					state = "settled"
				}
				fmt.Fprintf(&out, "%dd%s %s %s %s: %s\n", at/(24*time.Hour), at%(24*time.Hour), state, f.Kind, f.Entity, f.Summary)
			}
			all, err := eng.Sources(context.Background(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				fmt.Fprintf(&out, "%s %s usual=%s holes=%d\n", s.Name, s.State, s.Usual.Round(time.Second), s.Holes)
			}
			return out.String()
		})
	})
}

// sent is a batch of a source, of which some records were refused.
func sent(source string, at time.Time, records, rejects int) tokenwatch.Entry {
	var events []enginetest.Event
	for i := range records {
		events = append(events, enginetest.Event{Time: at.Add(time.Duration(i) * time.Second), Fields: map[string]string{"source": source, "token": "a", "action": "x"}})
	}
	return tokenwatch.Entry{
		Tenant: tenant, Batch: enginetest.Batch(events), Time: at.Add(time.Minute),
		Requests: []tokenwatch.Request{{Source: source, Rows: records, Rejects: make([]tokenwatch.Reject, rejects)}},
	}
}

// TestRejectsAreAFinding: a source of which suddenly half cannot be read is told of
// at once, and one of which a few never could is not.
func TestRejectsAreAFinding(t *testing.T) {
	var log enginetest.Log
	for hour := range 30 {
		at := enginetest.Start.Add(time.Duration(hour) * time.Hour)
		appendEntry(t, &log, sent("tidy", at, 20, 0))
		appendEntry(t, &log, sent("messy", at, 20, 2))
	}
	bad := enginetest.Start.Add(30 * time.Hour)
	appendEntry(t, &log, sent("tidy", bad, 20, 20))
	appendEntry(t, &log, sent("messy", bad, 20, 3))
	eng := engine.New(engine.Config{}, &log, &log)
	if err := eng.RunTo(context.Background(), log.Last()); err != nil {
		t.Fatal(err)
	}
	check := func(settled bool) {
		t.Helper()
		var last *tokenwatch.Finding
		for _, f := range log.Findings() {
			if f.EntityKind == tokenwatch.EntitySource {
				if f.Entity != "tidy" || f.Kind != "source_rejects" {
					t.Errorf("found %s of %s", f.Kind, f.Entity)
				}
				last = &f
			}
		}
		if last == nil || last.Settled != settled || !last.Time.Equal(bad) || !strings.Contains(last.Summary, "20 of 40") {
			t.Fatalf("found %+v", last)
		}
	}
	check(false)
	list, err := eng.Sources(context.Background(), tenant)
	if err != nil || len(list) != 2 || list[1].State != tokenwatch.SourceRejecting || list[0].State != tokenwatch.SourceReporting || list[1].Rejects != 20 {
		t.Errorf("sources %+v, %v", list, err)
	}
	appendEntry(t, &log, tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd}})
	if err := eng.RunTo(context.Background(), log.Last()); err != nil {
		t.Fatal(err)
	}
	check(true)
}

// TestUnusedOnlyWhereCovered: a token is not called dormant when a source that
// showed its use was silent since.
func TestUnusedOnlyWhereCovered(t *testing.T) {
	for _, hole := range []string{"", "token=other every=10m for=12h at=35d12h source=audit\ntoken=other every=10m for=4d at=36d12h source=audit\n"} {
		lines := "token=idle every=1h for=2d source=audit\ntoken=x every=10m for=41d source=edge\ntoken=other every=10m for=35d source=audit\n"
		if hole == "" {
			lines += "token=other every=10m for=6d at=35d source=audit\n"
		} else {
			lines += hole
		}
		events, err := enginetest.Traffic(lines)
		if err != nil {
			t.Fatal(err)
		}
		var log enginetest.Log
		fill(t, &log, events, 1000, true)
		eng := engine.New(engine.Config{}, &log, &log)
		if err := eng.RunTo(context.Background(), log.Last()); err != nil {
			t.Fatal(err)
		}
		r, err := eng.Token(context.Background(), tenant, "idle")
		if err != nil {
			t.Fatal(err)
		}
		want := tokenwatch.TokenDormant
		if hole != "" {
			want = tokenwatch.TokenActive
		}
		if r.State != want || r.Covered(r.LastUsed) != (hole == "") {
			t.Errorf("hole %t: the token is %s, with %+v", hole != "", r.State, r.Coverage)
		}
	}
}

// TestHealthIsAFunctionOfTheEvents: what settles about sources does not depend on
// the order in which events come, on how they are batched, or on restarts.
func TestHealthIsAFunctionOfTheEvents(t *testing.T) {
	lines := `token=a every=5m for=6d source=edge
token=b every=1m for=2d source=audit
token=b every=1m for=20h at=2d2h source=audit
token=b every=1m for=2d at=3d source=audit
token=c every=20m for=4d source=slow
token=c every=20m for=20h at=5d source=slow`
	events, err := enginetest.Traffic(lines)
	if err != nil {
		t.Fatal(err)
	}
	settled := func(events []enginetest.Event, size, restarts, snapshot int) string {
		var log enginetest.Log
		fill(t, &log, events, size, true)
		for i := range restarts {
			last := log.Last() * tokenwatch.Offset(i+1) / tokenwatch.Offset(restarts+1)
			if err := engine.New(engine.Config{SnapshotRows: snapshot, Shards: 1 + i%3}, &log, &log).RunTo(context.Background(), last); err != nil {
				t.Fatal(err)
			}
		}
		run(t, engine.Config{SnapshotRows: snapshot}, &log)
		var out []string
		for _, f := range enginetest.Settled(log.Findings()) {
			if strings.Contains(f, `"entity_kind":"source"`) {
				out = append(out, f)
			}
		}
		return strings.Join(out, "\n")
	}
	want := settled(events, 50, 0, 0)
	if strings.Count(want, "\n") < 1 {
		t.Fatalf("too little is found: %s", want)
	}
	for i := range tries() {
		r := rand.New(rand.NewPCG(storySeed(), uint64(i)))
		shuffled := slices.Clone(events)
		delay := make(map[*enginetest.Event]time.Time, len(shuffled))
		for k := range shuffled {
			delay[&shuffled[k]] = shuffled[k].Time.Add(time.Duration(r.Int64N(int64(150 * time.Minute))))
		}
		order := make([]*enginetest.Event, 0, len(shuffled))
		for k := range shuffled {
			order = append(order, &shuffled[k])
		}
		slices.SortFunc(order, func(a, b *enginetest.Event) int { return delay[a].Compare(delay[b]) })
		mixed := make([]enginetest.Event, 0, len(order))
		for _, e := range order {
			mixed = append(mixed, *e)
		}
		if got := settled(mixed, 10+r.IntN(300), r.IntN(4), 1000+r.IntN(5000)); got != want {
			t.Fatalf("history %d: got\n%s\nwant\n%s", i, got, want)
		}
	}
}
