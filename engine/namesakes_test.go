package engine_test

import (
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

// TestNamesakes runs the scenarios of tokens that are known by several names: settled
// findings, with all of them, and which of these were merged into others.
func TestNamesakes(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("..", "testdata", "engine", "names"), func(t *testing.T, td *datadriven.TestData) string {
		events, err := enginetest.Traffic(td.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		events = ownNames(events)
		links, err := enginetest.Links(td.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		var log enginetest.Log
		for _, l := range links {
			n := slices.IndexFunc(events, func(x enginetest.Event) bool { return !x.Time.Before(l.At) })
			fill(t, &log, events[:n], 60, false)
			events = events[n:]
			appendEntry(t, &log, tokenwatch.Entry{Tenant: tenant, Control: l.Control()})
		}
		fill(t, &log, events, 60, true)
		run(t, engine.Config{}, &log)
		var merged strings.Builder
		of := map[string]string{}
		for _, f := range log.Findings() {
			of[f.ID] = f.Entity
		}
		last := map[string]tokenwatch.Finding{}
		for _, f := range log.Findings() {
			last[f.ID] = f
		}
		for _, f := range log.Findings() {
			if f.MergedInto != "" && last[f.ID].Revision == f.Revision {
				fmt.Fprintf(&merged, "%s is part of %s\n", f.Entity, of[f.MergedInto])
			}
		}
		return show(log.Findings(), true) + merged.String()
	})
}

// aliased is a story in which tokens go by several names: raw in one log, by a cut hash
// or an id in another, from some time on; and near misses.
func aliased(r *rand.Rand) []enginetest.Event {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	hours := func(n int) time.Duration {
		return time.Duration(r.IntN(n))*time.Hour + time.Duration(r.IntN(3600))*time.Second
	}
	const raw, cut = "sha256_digest:16:%[1]da,sha256_digest:8:%[1]d", "sha256_prefix:%[1]d,sha256_digest:8:%[1]d"
	for i := range 4 {
		add("token=raw%d own="+strings.ReplaceAll(raw, "[1]", "[2]")+" every=%[3]dm for=3d at=%[4]s asn=64500 agent=a%[2]d action=act%[2]d class=read cloud=hosting", i, i, 9+r.IntN(20), hours(30))
		add("token=cut%d own="+strings.ReplaceAll(cut, "[1]", "[2]")+" source=gw every=%[3]dm for=3d at=%[4]s asn=64501 agent=a%[2]d action=gw%[2]d class=list cloud=hosting", i, i, 9+r.IntN(20), hours(30))
	}
	// Shares the first eight bytes with one of them from some time on.
	add("token=near own=sha256_digest:16:1b,sha256_digest:8:1 every=20m for=30h at=%s asn=64502 agent=n action=near class=read", hours(40))
	// An issuer's id: a row or a fact tells whose it is, and another that it is a lineage.
	add("token=tok_9 own=provider_id:tok_9 every=11m for=3d asn=64500 agent=p action=list class=list source=idp")
	add("token=key9 own=sha256_digest:16:9a,sha256_digest:8:9 every=13m for=3d asn=64500 agent=p action=get class=read")
	add("token=key9 named=provider_id:tok_9 own=sha256_digest:16:9a,sha256_digest:8:9 every=5h for=12h at=%s asn=64500 agent=p action=get class=read", hours(40))
	at := 40 + r.IntN(20)
	add("actor=admin fact=rotated of=key9b previous=key9 named=provider_id:tok_9 at=%dh for=1m action=rotate class=credential", at)
	add("token=key9b own=sha256_digest:16:9b,sha256_digest:8:99 every=13m for=20h at=%dh1m asn=64500 agent=p action=get class=read", at)
	add("actor=admin fact=revoked of=%s at=%dh for=1m action=end class=credential", []string{"cut2", "raw2"}[r.IntN(2)], r.IntN(60))
	add("actor=dev token=raw3 own=sha256_digest:16:3a,sha256_digest:8:3 every=30m for=2d asn=64500 agent=a3 action=act3 class=read")
	for range 3 {
		who := []string{"raw0", "cut0", "raw1", "cut1", "near", "raw3", "tok_9", "key9"}[r.IntN(8)]
		add("token=%s every=%ds for=%dm at=%s asn=65%03d agent=evil%d action=steal{n} class=credential cloud=isp", who, 10+r.IntN(50), 5+r.IntN(90), hours(70), r.IntN(900), r.IntN(2))
	}
	at = 20 + r.IntN(40)
	add("token=gr{c} own=sha256_digest:8:g{c},sha256_digest:16:g{c}b copies=4 every=%dm for=2h at=%dh ip=203.0.113.5 agent=x action=act1 class=read status=401", 20+r.IntN(20), at)
	add("token=gc{c} own=sha256_prefix:g{c},sha256_digest:8:g{c} copies=%d source=gw every=20m for=2h at=%dh ip=203.0.113.5 agent=x action=act1 class=read status=401", 2+r.IntN(7), at+r.IntN(2))
	add("token=d{c} copies=5 every=45m for=3d asn=64510 ip=10.1.0.{c} agent=b action=run class=read")
	add("token=raw1 every=1m for=30m at=%dh ip=192.0.2.7 agent=evil action=take{n} class=list", 30+r.IntN(30))
	add("token=cut1 every=1m for=30m at=%dh ip=192.0.2.7 agent=evil action=take{n} class=list source=gw", 30+r.IntN(30))
	// Whose inventories allow them networks: what came by another name counts against these.
	const allowed, other = "own=sha256_digest:16:a%[1]db,sha256_digest:8:a%[1]d", "own=sha256_prefix:a%[1]d,sha256_digest:8:a%[1]d source=gw"
	for i := range 3 {
		at := 3*60 + r.IntN(60*60)
		add("token=allowed%[1]d "+allowed+" every=%[2]dm for=3d ip=10.1.0.%[1]d asn=64500 agent=p action=get class=read", i, 9+r.IntN(20))
		add("token=other%[1]d "+other+" every=%[2]ds for=%[3]dm at=%[4]dm ip=198.51.100.{n} asn=64501 agent=x action=get{n} class=read", i, 30+r.IntN(50), 5+r.IntN(90), at)
		add("token=other%[1]d "+other+" every=7m for=20m at=%[2]dm ip=10.1.0.%[1]d asn=64500 agent=p action=get class=read", i, at)
	}
	events, err := enginetest.Traffic(strings.Join(lines, "\n"))
	if err != nil {
		panic(err)
	}
	return ownNames(events)
}

// imports are two inventories of aliased's tokens, the latter of which allows other
// networks.
func imports(t *testing.T) (first, second *tokenwatch.Control) {
	var controls [2]*tokenwatch.Control
	for i, lines := range []string{
		"inventory token=allowed0 networks=10.0.0.0/8\ninventory token=allowed1 networks=198.51.100.0/24,10.0.0.0/8\ninventory token=allowed2 networks=10.1.0.0/16",
		"inventory token=allowed0 networks=10.1.0.0/24\ninventory token=allowed1 networks=10.0.0.0/8\ninventory token=other2 networks=198.51.100.0/28",
	} {
		var err error
		if controls[i], err = enginetest.Inventory(lines); err != nil {
			t.Fatal(err)
		}
	}
	return controls[0], controls[1]
}

// ownNames has each event give its token the names that the id is made of, as sealing
// does; a scenario need say so in one line only.
func ownNames(events []enginetest.Event) []enginetest.Event {
	own := map[tokenwatch.TokenID][]tokenwatch.Naming{}
	for _, e := range events {
		for _, n := range e.Names {
			if n.Hour == 0 && !slices.Contains(own[n.Token], n) {
				own[n.Token] = append(own[n.Token], n)
			}
		}
	}
	for i := range events {
		e := &events[i]
		e.Names = append(slices.Clone(e.Names), own[tokenwatch.TokenID(e.Fields["token"])]...)
	}
	return events
}

// TestNamesakesAreAFunctionOfTheEvents: whatever names tokens go by and whenever that is
// found, settled findings depend on the events and on which come before which link that
// somebody made: not on the order of arrival, sizes of requests, number of shards,
// snapshots and restarts. A link that was taken back at once has changed nothing.
func TestNamesakesAreAFunctionOfTheEvents(t *testing.T) {
	seed := storySeed()
	t.Logf("seed %d", seed)
	found, linked, outside := 0, 0, 0
	for h := range (tries() + 2) / 3 {
		r := rand.New(rand.NewPCG(seed, uint64(2000+h)))
		events := aliased(r)
		first, second := imports(t)
		n := len(events)/4 + r.IntN(len(events)/2)
		m := n + r.IntN(len(events)-n)
		parts := [][]enginetest.Event{events[:n], events[n:m], events[m:]}
		same := tokenwatch.Link{A: "d0", B: "d1", Kind: tokenwatch.LinkSame, Confidence: 100, By: "key_1"}
		apart := tokenwatch.Link{A: "raw0", B: "cut0", Kind: tokenwatch.LinkApart, Confidence: 100, By: "key_1"}
		back := tokenwatch.Link{A: "d1", B: "d0", Kind: tokenwatch.LinkApart, Confidence: 100, By: "key_1"}
		links := [][]tokenwatch.Link{{same, apart}, {back}}
		if r.IntN(2) == 0 {
			links[0] = append(links[0], tokenwatch.Link{A: "d2", B: "d3", Kind: tokenwatch.LinkFollows, Confidence: 50, By: "key_1"})
		}
		build := func(size int, arrive func([]enginetest.Event) []enginetest.Event, links ...[]tokenwatch.Link) *enginetest.Log {
			log := new(enginetest.Log)
			appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Control: first})
			for i, part := range parts {
				if i == 1 {
					appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Control: second})
				}
				fill(t, log, arrive(part), size, i == len(parts)-1)
				if i < len(links) {
					for _, l := range links[i] {
						appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Control: l.Control()})
					}
				}
			}
			return log
		}
		inOrder := func(events []enginetest.Event) []enginetest.Event { return events }
		plain := build(1000, inOrder)
		run(t, engine.Config{Shards: 1}, plain)
		without := enginetest.Settled(plain.Findings())
		undone := build(1000, inOrder, []tokenwatch.Link{same, back})
		run(t, engine.Config{}, undone)
		if got := enginetest.Settled(undone.Findings()); !slices.Equal(got, without) {
			t.Fatalf("history %d: a link that was taken back has changed something\n%s", h, difference(without, got))
		}
		calm := build(1000, inOrder, links...)
		run(t, engine.Config{Shards: 1}, calm)
		want := enginetest.Settled(calm.Findings())
		found += len(want)
		for _, f := range want {
			outside += strings.Count(f, "outside the networks allowed")
		}
		if !slices.Equal(want, without) {
			linked++
		}
		for v := range 4 {
			size := 1 + r.IntN(400)
			log := build(size, func(events []enginetest.Event) []enginetest.Event { return shuffle(r, events, 170*time.Minute) }, links...)
			cfg := engine.Config{Shards: 1 + r.IntN(8), StepEntries: 1 + r.IntN(20), SnapshotRows: 1 + r.IntN(3000), ResidentBytes: 1 + r.IntN(1<<14)}
			restarts := r.IntN(12)
			runWithRestarts(t, r, cfg, log, restarts)
			if got := enginetest.Settled(log.Findings()); !slices.Equal(got, want) {
				t.Fatalf("history %d, variant %d (requests of %d, %d restarts): findings differ\n%s", h, v, size, restarts, difference(want, got))
			}
			checkRevisions(t, log.Findings())
		}
	}
	if found == 0 || linked == 0 || outside == 0 {
		t.Errorf("%d findings, %d of use from outside, links changed some in %d histories: the test shows nothing", found, outside, linked)
	}
	t.Logf("%d histories, %d settled findings, %d of use from outside, links changed some in %d, 0 differing", (tries()+2)/3, found, outside, linked)
}
