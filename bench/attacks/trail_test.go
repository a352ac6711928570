package main

import (
	"math"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

func at(minute int) time.Time {
	return time.Date(2023, 7, 10, 11, minute, 0, 0, time.UTC)
}

func finding(key string, score int, minute int, settled bool, kind string) tokenwatch.Finding {
	return tokenwatch.Finding{
		Aliases: []tokenwatch.Alias{{Kind: "access_key_id", Value: key}},
		Score:   score, Time: at(minute), Settled: settled, Kind: kind,
	}
}

// An hour with an attacker, who is found by the event of the third minute, a stolen
// session found later, one that nobody finds, and two honest keys of which one raises
// a false finding above the stolen session.
func TestJudge(t *testing.T) {
	labels := []label{
		{at(0), "honest", "benign-collector"}, {at(0), "quiet", "background"}, {at(0), "", "background"},
		{at(10), "attacker", "scaffolding"}, {at(12), "attacker", "detonate"},
		{at(20), "stolen", "stolen-instance-credentials"}, {at(21), "lost", "detonate"},
		{at(30), "person", "operator-console-or-service"}, {at(60), "honest", "benign-collector"},
	}
	withdrawn := finding("quiet", 99, 5, true, "novelty")
	withdrawn.Withdrawn = true
	got := judge("all", labels, []tokenwatch.Finding{
		finding("attacker", 50, 13, false, "novelty"), finding("attacker", 46, 15, false, "faults"),
		finding("stolen", 57, 25, false, "concurrent_origins"),
		finding("attacker", 80, 12, true, "novelty"), finding("attacker", 70, 12, true, "rule"),
		finding("stolen", 57, 20, true, "concurrent_origins"),
		finding("honest", 60, 40, true, "volume"), finding("person", 50, 40, true, "volume"),
		finding("nobody knows", 50, 40, true, "volume"), withdrawn,
	})
	if got.Credentials != 6 || got.Hours != 1 || math.Abs(got.Honest-2) > 1e-9 || math.Abs(got.Ambiguous-1) > 1e-9 {
		t.Errorf("%+v", got)
	}
	if len(got.Attack) != 3 {
		t.Fatalf("%+v", got.Attack)
	}
	for i, want := range []credential{
		{Key: "attacker", Role: attacker, Score: 80, Rank: 1, Above: 0, Minutes: 3},
		{Key: "stolen", Role: stolen, Score: 57, Rank: 3, Above: 1, Minutes: 5},
		{Key: "lost", Role: attacker},
	} {
		c := got.Attack[i]
		if c.Key != want.Key || c.Role != want.Role || c.Score != want.Score || c.Rank != want.Rank || c.Above != want.Above || c.Minutes != want.Minutes {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if kinds := got.Attack[0].Kinds; len(kinds) != 2 {
		t.Errorf("kinds %q", kinds)
	}
}
