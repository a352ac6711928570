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

// TestVerdicts runs the scenarios of what is found after somebody judged a finding: the
// settled findings, and how detectors were moved.
func TestVerdicts(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("..", "testdata", "engine", "verdicts"), func(t *testing.T, td *datadriven.TestData) string {
		events, err := enginetest.Traffic(td.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		verdicts, err := enginetest.Verdicts(td.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		var log enginetest.Log
		e := engine.New(engine.Config{}, &log, &log)
		for _, v := range verdicts {
			n := slices.IndexFunc(events, func(x enginetest.Event) bool { return !x.Time.Before(v.At) })
			fill(t, &log, events[:n], 500, false)
			events = events[n:]
			runOn(t, e, &log)
			judgement := tokenwatch.Verdict{Verdict: &v.As}
			for _, f := range log.Findings() { // the last one stays
				if f.Entity == v.Token {
					judgement.Finding = f.ID
					judgement.About(&f)
				}
			}
			appendEntry(t, &log, tokenwatch.Entry{Tenant: tenant, Control: judgement.Control()})
		}
		fill(t, &log, events, 500, true)
		runOn(t, e, &log)
		return show(log.Findings(), true) + moved(t, e)
	})
}

func runOn(t *testing.T, e *engine.Engine, log *enginetest.Log) {
	t.Helper()
	if err := e.RunTo(context.Background(), log.Last()); err != nil {
		t.Fatal(err)
	}
}

// moved lists the detectors that were judged.
func moved(t *testing.T, e *engine.Engine) string {
	t.Helper()
	all, err := e.Detectors(context.Background(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, d := range all {
		if d.FalsePositive+d.Benign+d.TruePositive > 0 {
			fmt.Fprintf(&out, "%s: %d false positives, %d benign, %d true positives, shift %d\n", d.Name, d.FalsePositive, d.Benign, d.TruePositive, d.Shift)
		}
	}
	return out.String()
}

// TestVerdictsHoldFromTheirPlace: what settled findings say depends on which events
// come before and which behind each verdict, and on nothing else: neither on their order
// of arrival there, nor on requests, shards, snapshots and restarts. A verdict that was
// taken back before anything settled has changed nothing.
func TestVerdictsHoldFromTheirPlace(t *testing.T) {
	seed := storySeed()
	t.Logf("seed %d", seed)
	changed := 0
	for h := range tries() {
		r := rand.New(rand.NewPCG(seed, uint64(1000+h)))
		events := story(r)
		parts := [][]enginetest.Event{events}
		var unjudged enginetest.Log
		fill(t, &unjudged, events, 1000, true)
		run(t, engine.Config{Shards: 1}, &unjudged)
		var verdicts []tokenwatch.Verdict
		for range 2 + r.IntN(3) {
			rest := parts[len(parts)-1]
			n := r.IntN(len(rest) / 3)
			parts = append(parts[:len(parts)-1], rest[:n], rest[n:])
			v := tokenwatch.Verdict{Verdict: &tokenwatch.Verdicts[1+r.IntN(3)]}
			f := unjudged.Findings()[r.IntN(len(unjudged.Findings()))]
			v.Finding = f.ID
			v.About(&f)
			verdicts = append(verdicts, v)
		}
		// build makes a log of the parts with the verdicts in between.
		build := func(size int, arrive func([]enginetest.Event) []enginetest.Event, undo bool) *enginetest.Log {
			log := new(enginetest.Log)
			for i, part := range parts {
				fill(t, log, arrive(part), size, i == len(parts)-1)
				if i == len(verdicts) {
					break
				}
				appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Control: verdicts[i].Control()})
				if undo {
					back := tokenwatch.Verdict{Finding: verdicts[i].Finding, Verdict: &tokenwatch.Verdicts[0]}
					appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Control: back.Control()})
				}
			}
			return log
		}
		inOrder := func(events []enginetest.Event) []enginetest.Event { return events }
		calm := build(1000, inOrder, false)
		run(t, engine.Config{Shards: 1}, calm)
		want, without := enginetest.Settled(calm.Findings()), enginetest.Settled(unjudged.Findings())
		if !slices.Equal(want, without) {
			changed++
		}
		undone := build(1000, inOrder, true)
		run(t, engine.Config{}, undone)
		if got := enginetest.Settled(undone.Findings()); !slices.Equal(got, without) {
			t.Fatalf("history %d: verdicts that were taken back have changed something\n%s", h, difference(without, got))
		}
		for v := range 3 {
			log := build(1+r.IntN(400), func(events []enginetest.Event) []enginetest.Event { return shuffle(r, events, 170*time.Minute) }, false)
			cfg := engine.Config{Shards: 1 + r.IntN(8), StepEntries: 1 + r.IntN(20), SnapshotRows: 1 + r.IntN(3000)}
			runWithRestarts(t, r, cfg, log, r.IntN(12))
			if got := enginetest.Settled(log.Findings()); !slices.Equal(got, want) {
				t.Fatalf("history %d, variant %d: findings differ\n%s", h, v, difference(want, got))
			}
			checkRevisions(t, log.Findings())
		}
	}
	if changed == 0 {
		t.Error("no verdict changed anything: the test shows nothing")
	}
	t.Logf("in %d of %d histories verdicts changed what was found", changed, tries())
}
