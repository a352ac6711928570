package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/engine/replay"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

const traffic = `
token=a every=5m for=12d asn=64500 agent=curl action=items.get class=read ip=192.0.2.1
token=b every=7m for=12d asn=64501 agent=go action=items.list class=list ip=192.0.2.2
token=d every=6h for=12d asn=64500 agent=curl action=items.get class=read ip=192.0.2.7 status=401 outcome=denied
token=c every=11m for=12d asn=64500 agent=curl action=items.get class=read ip=192.0.2.1
token=a every=5s for=20m at=9d3h asn=64999 country=KP agent=evil action=secrets.{n} class=credential ip=203.0.113.9
fact=revoked of=b at=10d for=1m
`

func packs(t *testing.T, names ...string) *tokenwatch.PolicyPacks {
	t.Helper()
	var p tokenwatch.PolicyPacks
	for _, name := range names {
		b, err := policy.Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		p.Packs = append(p.Packs, b)
	}
	return &p
}

// live is a store in memory that took events in batches, shuffled if late is
// above 0, with an engine that followed in several runs.
func live(t *testing.T, seed uint64, shuffled bool) (*local.Store, engine.Config) {
	t.Helper()
	conf := local.Memory()
	now := enginetest.Start
	conf.Clock = func() time.Time { return now }
	s, err := local.Open(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cfg := engine.Config{Key: [32]byte{7}, Rate: 0.2}
	events, err := enginetest.Traffic(traffic)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	var batches [][]enginetest.Event
	for len(events) > 0 {
		n := min(len(events), 1+rng.IntN(800))
		batches = append(batches, events[:n])
		events = events[n:]
	}
	if shuffled {
		rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	}
	put := func(e tokenwatch.Entry) {
		if _, err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	put(tokenwatch.Entry{Control: packs(t, "lifecycle").Control()})
	follow := func() {
		if err := engine.New(cfg, s, s).RunTo(t.Context(), s.Last()); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range batches {
		if now = b[len(b)-1].Time.Add(time.Second); shuffled {
			now = enginetest.Start.AddDate(0, 0, 13)
		}
		put(tokenwatch.Entry{Tenant: "t", Batch: enginetest.Batch(b)})
		if rng.IntN(4) == 0 {
			follow()
		}
		if rng.IntN(3) == 0 {
			put(tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
		}
	}
	now = enginetest.Start.AddDate(0, 0, 14)
	put(tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	follow()
	return s, cfg
}

func stored(t *testing.T, s *local.Store) (list []tokenwatch.Finding) {
	t.Helper()
	for f, err := range s.Findings(t.Context(), "t") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

func again(t *testing.T, s *local.Store, o replay.Options) *replay.Result {
	t.Helper()
	r, err := replay.Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRun: a replay finds what the live engine did, merged segments or not, byte
// for byte; so it does with the policies that were in use.
func TestRun(t *testing.T) {
	for seed := range uint64(3) {
		s, cfg := live(t, seed, false)
		for _, o := range []replay.Options{
			{Engine: cfg},
			{Engine: engine.Config{Key: cfg.Key, Rate: cfg.Rate, Shards: 3, GroupRows: 1}},
			{Engine: cfg, Policies: packs(t, "lifecycle")},
			{Engine: cfg, Reorder: true},
		} {
			r := again(t, s, o)
			list, alike := replay.Compare(stored(t, s), r.Findings, replay.Settled)
			if len(list) > 0 || alike < 2 {
				t.Fatalf("seed %d, %+v: %d alike, %d differ: %s", seed, o, alike, len(list), first(list))
			}
			if r.Packs != 1 || r.Dropped != 0 || r.Rows == 0 || !slices.Equal(r.Tenants, []string{"t"}) {
				t.Errorf("seed %d: %+v", seed, r)
			}
		}
		for {
			if more, err := s.Merge(t.Context()); err != nil || !more {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		if list, _ := replay.Compare(stored(t, s), again(t, s, replay.Options{Engine: cfg}).Findings, replay.Settled); len(list) > 0 {
			t.Fatalf("seed %d, merged: %s", seed, first(list))
		}
	}
}

func first(list []replay.Difference) string {
	if len(list) == 0 {
		return ""
	}
	show := func(f *tokenwatch.Finding) string {
		if f == nil {
			return "nothing"
		}
		return string(f.Canonical())
	}
	return fmt.Sprintf("\n%s\n%s", show(list[0].Before), show(list[0].After))
}

// TestReorder: a log in any order comes to what it would have in the order of
// time.
func TestReorder(t *testing.T) {
	ordered, cfg := live(t, 1, false)
	shuffled, _ := live(t, 1, true)
	want := stored(t, ordered)
	if list, _ := replay.Compare(want, stored(t, shuffled), replay.Settled); len(list) == 0 {
		t.Fatal("the order makes no difference: the test tests nothing")
	}
	r := again(t, shuffled, replay.Options{Engine: cfg, Reorder: true})
	if list, alike := replay.Compare(want, r.Findings, replay.Settled); len(list) > 0 || alike == 0 {
		t.Fatalf("%d alike, %d differ: %s", alike, len(list), first(list))
	}
}

// TestPolicies: without the policies, what they found is gone and nothing else.
func TestPolicies(t *testing.T) {
	s, cfg := live(t, 2, false)
	r := again(t, s, replay.Options{Engine: cfg, Policies: &tokenwatch.PolicyPacks{}})
	list, alike := replay.Compare(stored(t, s), r.Findings, replay.Held)
	if len(list) == 0 || alike == 0 {
		t.Fatalf("%d alike, %d differ", alike, len(list))
	}
	for _, d := range list {
		if d.Before == nil || d.After != nil || d.Before.Class != tokenwatch.ClassPolicy {
			t.Errorf("without policies: %s", first([]replay.Difference{d}))
		}
	}
}

// TestLast: up to a cursor, a replay comes to what was there then; and it ends
// when it is given up.
func TestLast(t *testing.T) {
	s, cfg := live(t, 0, false)
	half := s.Last() / 2
	r := again(t, s, replay.Options{Engine: cfg, Last: half})
	if r.Entries != uint64(half) {
		t.Errorf("%d entries read, want %d", r.Entries, half)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := replay.Run(ctx, s, replay.Options{Engine: cfg, Progress: func(replay.Progress) { cancel() }})
	if err == nil {
		t.Error("a replay that was given up came to something")
	}
}

// TestVerdictsAreReplayed: a verdict given to a store moves what is found from there on,
// live and replayed alike.
func TestVerdictsAreReplayed(t *testing.T) {
	score := map[bool]int{}
	for _, judged := range []bool{false, true} {
		s, cfg := live(t, 1, false)
		for _, f := range stored(t, s) {
			if said := tokenwatch.VerdictFalsePositive; judged && f.Entity == "a" && f.Class == tokenwatch.ClassAnomaly {
				if _, err := s.Judge(t.Context(), "t", tokenwatch.Verdict{Finding: f.ID, Verdict: &said, By: "key_1"}, storage.Action{Tenant: "t", Actor: "key_1", Verb: "findings.update"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		events, err := enginetest.Traffic("token=c every=5s for=20m at=12d3h asn=64998 agent=worse action=rob.{n} class=credential ip=198.51.100.9")
		if err != nil {
			t.Fatal(err)
		}
		end := tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd}}
		if _, err := s.Append(t.Context(), tokenwatch.Entry{Tenant: "t", Batch: enginetest.Batch(events)}, end); err != nil {
			t.Fatal(err)
		}
		if err := engine.New(cfg, s, s).RunTo(t.Context(), s.Last()); err != nil {
			t.Fatal(err)
		}
		list, alike := replay.Compare(stored(t, s), again(t, s, replay.Options{Engine: cfg}).Findings, replay.Settled)
		if len(list) > 0 || alike < 3 {
			t.Fatalf("%d alike, %d differ: %s", alike, len(list), first(list))
		}
		for _, f := range stored(t, s) {
			if f.Entity == "c" {
				score[judged] = f.Score
			}
		}
	}
	if score[true] >= score[false] || score[true] == 0 {
		t.Errorf("score %d after a verdict, %d without", score[true], score[false])
	}
}
