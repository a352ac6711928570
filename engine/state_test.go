package engine_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
	"github.com/tokenwatch/tokenwatch/storage"
)

// TestSnapshotOfAnotherProgram is R14: a snapshot that another program laid out is
// left aside and the log read again; the settled findings are those of a calm run,
// with revisions numbered on, and nothing of the old snapshot stays.
func TestSnapshotOfAnotherProgram(t *testing.T) {
	events := story(rand.New(rand.NewPCG(11, 11)))
	cfg := engine.Config{Shards: 2, StepEntries: 3, SnapshotRows: 500}
	var calm, log enginetest.Log
	fill(t, &calm, events, 400, true)
	fill(t, &log, events, 400, true)
	run(t, cfg, &calm)
	want := enginetest.Settled(calm.Findings())
	if len(want) == 0 {
		t.Fatal("the story has no finding: the test shows nothing")
	}
	for _, end := range []tokenwatch.Offset{log.Last() / 3, log.Last() * 2 / 3} {
		if err := engine.New(cfg, &log, &log).RunTo(context.Background(), end); err != nil {
			t.Fatal(err)
		}
		spoil(t, &log)
	}
	run(t, cfg, &log)
	if got := enginetest.Settled(log.Findings()); !slices.Equal(got, want) {
		t.Error(difference(want, got))
	}
	checkRevisions(t, log.Findings())
	for r := range log.Records(context.Background(), nil) {
		if string(r.Value) == "of another program" {
			t.Errorf("the record %q has stayed", r.Key)
		}
	}
}

// spoil makes the engine's records those of another program: incidents stay.
func spoil(t *testing.T, log *enginetest.Log) {
	t.Helper()
	cursor, err := log.Cursor(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	offset, err := cbor.Marshal(uint64(cursor))
	if err != nil {
		t.Fatal(err)
	}
	step := storage.Step{Cursor: cursor}
	for r := range log.Records(context.Background(), nil) {
		switch r.Key[0] {
		case 's':
			r.Value = offset
		case 'i', 'q':
			continue
		default:
			r.Value = []byte("of another program")
		}
		step.Records = append(step.Records, r)
	}
	step.Records = append(step.Records, storage.Record{Key: []byte("zzz"), Value: []byte("of another program")})
	if _, err := log.Commit(context.Background(), step); err != nil {
		t.Fatal(err)
	}
}
