package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
)

// sigmaRules are a rule of its own, one for correlations, a count, an order, and a
// count of values.
const sigmaRules = `
title: admin page
level: low
tags: [attack.t1190]
author: The Author
logsource: {category: webserver}
detection: {s: {cs-uri-stem|startswith: /admin}, condition: s}
---
title: refused
name: refused
logsource: {category: webserver}
detection: {s: {sc-status: 401}, condition: s}
---
title: let in
name: let_in
logsource: {category: webserver}
detection: {s: {sc-status: 200}, condition: s}
---
title: many refused
name: many
level: high
correlation: {type: event_count, rules: [refused], group-by: [c-ip], timespan: 5m, condition: {gte: 5}}
---
title: forced
level: critical
correlation: {type: temporal_ordered, rules: [many, let_in], group-by: [c-ip], timespan: 30m}
---
title: many names
correlation: {type: value_count, rules: [refused], group-by: [c-ip], timespan: 2h, condition: {gte: 3, field: cs-username}}
`

func rules() tokenwatch.Entry {
	p := tokenwatch.PolicyPacks{Rules: []tokenwatch.RuleFile{{Name: "rules.yml", Text: []byte(sigmaRules)}}}
	return tokenwatch.Entry{Control: p.Control()}
}

// visits are two days of visitors, of whom some try names and passwords.
func visits(r *rand.Rand) []enginetest.Event {
	var b strings.Builder
	for i := range 3 {
		fmt.Fprintf(&b, "ip=192.0.2.%d every=%dm for=2d path=/shop status=200\n", i, 30+r.IntN(60))
	}
	for range 1 + r.IntN(3) {
		at := time.Duration(r.IntN(46*60)) * time.Minute
		ip := r.IntN(3)
		fmt.Fprintf(&b, "ip=192.0.2.%d actor=user{n} every=%ds for=%dm at=%s path=/login status=401\n", ip, 10+r.IntN(90), 1+r.IntN(12), at)
		if r.IntN(2) == 0 {
			fmt.Fprintf(&b, "ip=192.0.2.%d token=k every=1m for=3m at=%s path=/admin/users status=200\n", ip, at+time.Duration(r.IntN(40))*time.Minute)
		}
	}
	events, err := enginetest.Traffic(b.String())
	if err != nil {
		panic(err)
	}
	return events
}

// TestSigmaIsAFunctionOfTheEvents: what rules and correlations come to does not
// depend on the order of arrival within the lateness, on repeats, on how events are
// gathered, or on restarts.
func TestSigmaIsAFunctionOfTheEvents(t *testing.T) {
	seed := storySeed()
	t.Logf("seed %d", seed)
	kinds := map[string]int{}
	for h := range tries() {
		r := rand.New(rand.NewPCG(seed, uint64(h)))
		events := visits(r)
		var calm enginetest.Log
		appendEntry(t, &calm, rules())
		fill(t, &calm, events, 100, true)
		run(t, engine.Config{Shards: 1}, &calm)
		want := enginetest.Settled(calm.Findings())
		for _, f := range calm.Findings() {
			if f.Class == tokenwatch.ClassPolicy && f.Settled && !f.Withdrawn {
				kinds[f.Kind]++
			}
		}
		for range 6 {
			var log enginetest.Log
			appendEntry(t, &log, rules())
			fill(t, &log, shuffle(r, events, 170*time.Minute), 1+r.IntN(60), true)
			cfg := engine.Config{Shards: 1 + r.IntN(4), StepEntries: 1 + r.IntN(20), SnapshotRows: 1 + r.IntN(400)}
			runWithRestarts(t, r, cfg, &log, r.IntN(6))
			if got := enginetest.Settled(log.Findings()); !slices.Equal(got, want) {
				t.Fatalf("history %d: findings differ\n%s", h, difference(want, got))
			}
			checkRevisions(t, log.Findings())
		}
	}
	for _, kind := range []string{"admin page", "many", "forced", "many names"} {
		if kinds[kind] == 0 {
			t.Errorf("no history had a finding of %q: the test shows nothing of it", kind)
		}
	}
	t.Logf("%d histories, settled findings by rule: %v, 0 differing", tries(), kinds)
}

// TestSigmaFinding shows what a finding of a rule says.
func TestSigmaFinding(t *testing.T) {
	events, err := enginetest.Traffic("token=k ip=192.0.2.9 every=1m for=3m path=/admin/users status=200")
	if err != nil {
		t.Fatal(err)
	}
	var log enginetest.Log
	appendEntry(t, &log, rules())
	fill(t, &log, events, 2, true)
	run(t, engine.Config{}, &log)
	var f tokenwatch.Finding
	for _, one := range log.Findings() {
		if one.Kind == "admin page" {
			f = one
		}
	}
	if f.Summary != `This token matched the Sigma rule "admin page" by The Author.` || f.Score != 40 || !f.Settled ||
		len(f.Evidence) != 3 || !slices.Equal(f.Attack, []string{"T1190"}) || f.Class != tokenwatch.ClassPolicy || f.SrcIP != "192.0.2.9" {
		t.Errorf("%+v", f)
	}
}
