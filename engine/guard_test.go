package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/storage"
)

// windowPack has policies that read the window: of a use, of any, and of what is
// there while little is.
const windowPack = `# For tests: what is allowed now and then.
pack: windows
policies:
  - id: many_uses
    title: Used more often than allowed
    severity: low
    when: token.kind == "" && window.requests >= 3
    message: "{window.requests} uses in one hour, {window.day_requests} in the day so far."
  - id: reads_with_company
    title: A read from more than one network in the hour
    severity: medium
    when: event.action_class == "read" && event.source != "none" && window.networks < 2 && window.errors == 0 && window.day_requests > 5
  - id: rarely_used
    title: Once in an hour
    severity: low
    when: token.kind == "" && window.requests == 1
`

// packs is the control record of all packs that come with the program, and of
// windowPack.
func packs(t testing.TB) *tokenwatch.Control {
	t.Helper()
	var p tokenwatch.PolicyPacks
	for _, name := range policy.Names() {
		b, err := policy.Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		p.Packs = append(p.Packs, b)
	}
	p.Packs = append(p.Packs, []byte(windowPack))
	return p.Control()
}

// lifeStory is some days of use and of what an audit trail says of the tokens:
// t0, t1 … are known by a truncated hash, and some of them go by their secret,
// s0, s1 …, in another log.
func lifeStory(r *rand.Rand) (events []enginetest.Event, inventory *tokenwatch.Control) {
	var lines, held []string
	var bare []int // that the inventory does not have: an audit trail tells of them first
	n := 3 + r.IntN(4)
	for i := range n {
		lines = append(lines, fmt.Sprintf("token=t%d every=%dm for=3d asn=64500 agent=a action=act class=read scope=s%d ip=10.0.0.%d", i, 9+r.IntN(60), r.IntN(3), i))
		if r.IntN(2) == 0 {
			lines = append(lines, fmt.Sprintf("token=s%d every=%dm at=%dm for=2d asn=64500 agent=a action=act class=read ip=198.51.100.%d source=raw", i, 30+r.IntN(200), r.IntN(900), i))
		}
		if r.IntN(2) == 0 {
			held = append(held, fmt.Sprintf("inventory token=t%d created=%dd used=%dd scopes=s0,s1 networks=10.0.0.0/8", i, 10+r.IntN(600), r.IntN(200)))
		} else {
			bare = append(bare, i)
		}
	}
	events, err := enginetest.Traffic(strings.Join(lines, "\n"))
	if err != nil {
		panic(err)
	}
	inventory, err = enginetest.Inventory(strings.Join(held, "\n"))
	if err != nil {
		panic(err)
	}
	for _, i := range bare {
		events = append(events, enginetest.Event{
			Time: enginetest.Start, Fields: map[string]string{"source": "audit", "request_id": fmt.Sprint("c", i)},
			Fact: &tokenwatch.Fact{Kind: tokenwatch.FactCreated, Token: tokenwatch.TokenID(fmt.Sprint("t", i)), Lineage: fmt.Sprint("inventory of t", i)},
		})
	}
	for j := range 2 + r.IntN(12) {
		i := r.IntN(n)
		at := enginetest.Start.Add(time.Duration(r.Int64N(int64(70 * time.Hour))))
		f := &tokenwatch.Fact{Token: tokenwatch.TokenID(fmt.Sprint("t", i)), Lineage: fmt.Sprint("inventory of t", i)}
		switch f.Kind = tokenwatch.FactKinds[r.IntN(len(tokenwatch.FactKinds))]; f.Kind {
		case tokenwatch.FactCreated:
			f.Owner, f.Env, f.Expires = fmt.Sprint("u", r.IntN(2)), "live", tokenwatch.Never
			if r.IntN(2) == 0 {
				f.Expires = at.Add(time.Duration(r.IntN(40)) * time.Hour).UnixNano()
			}
		case tokenwatch.FactRotated:
			f.Previous, f.Token = f.Token, tokenwatch.TokenID(fmt.Sprint("r", n+j)) // a secret that is new
			if r.IntN(3) == 0 {
				f.Previous = ""
			}
			for k := range r.IntN(20) {
				use := enginetest.Event{Time: at.Add(time.Duration(k) * time.Hour), Fields: map[string]string{
					"token": string(f.Token), "action": "act", "scope": "s0", "ip": "10.1.1.1", "request_id": fmt.Sprint("u", j, "-", k),
				}}
				events = append(events, use)
			}
			f.Until = at.Add(time.Duration(r.IntN(20)) * time.Hour).UnixNano()
		case tokenwatch.FactOwnerLeft:
			f.Token, f.Lineage, f.Owner = "", "", fmt.Sprint("u", r.IntN(2))
		case tokenwatch.FactOwnerChanged:
			f.Owner = fmt.Sprint("u", r.IntN(3))
		case tokenwatch.FactScopeChanged:
			f.Scopes, f.Removed = []string{"s2"}, []string{"s0"}
		case tokenwatch.FactLeaked:
			f.Place = "repo"
		}
		events = append(events, enginetest.Event{Time: at, Fact: f, Fields: map[string]string{"actor": "it", "request_id": fmt.Sprint("f", j), "source": "audit"}})
	}
	slices.SortStableFunc(events, func(a, b enginetest.Event) int { return a.Time.Compare(b.Time) })
	return events, inventory
}

// fillLives is fill with the policies, an inventory, and the names of the tokens.
func fillLives(t *testing.T, log *enginetest.Log, events []enginetest.Event, inventory *tokenwatch.Control, size int) {
	t.Helper()
	appendEntry(t, log, tokenwatch.Entry{Time: enginetest.Start, Control: packs(t)})
	if inventory != nil {
		appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Time: enginetest.Start, Control: inventory})
	}
	for chunk := range slices.Chunk(events, size) {
		b := enginetest.Batch(chunk)
		appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Batch: b.WithNames(namesIn(b))})
		appendEntry(t, log, tokenwatch.Entry{Time: chunk[0].Time, Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	}
	appendEntry(t, log, tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd}})
}

func namesIn(b *tokenwatch.Batch) (names []tokenwatch.Naming) {
	add := func(id tokenwatch.TokenID) {
		if id == "" || slices.ContainsFunc(names, func(n tokenwatch.Naming) bool { return n.Token == id }) {
			return
		}
		digest := func(n int) tokenwatch.Naming {
			return tokenwatch.Naming{Token: id, Alias: tokenwatch.Alias{Kind: tokenwatch.NameHashDigest, Value: fmt.Sprintf("%d:%026s", n, id[1:])}}
		}
		names = append(names, digest(8))
		if id[0] == 's' {
			names = append(names, digest(16))
		}
	}
	for i := range b.Rows() {
		add(tokenwatch.TokenID(b.Text(tokenwatch.ColToken, i)))
	}
	for _, f := range b.Facts() {
		add(f.Token)
		add(f.Previous)
	}
	return names
}

// TestPoliciesAreAFunctionOfTheEvents is R5 for what policies find: of use, of
// what is said of tokens, and of how they are linked. Arrival order within the
// lateness, repeats, sizes of requests, shards and restarts change no byte of it.
func TestPoliciesAreAFunctionOfTheEvents(t *testing.T) {
	seed := storySeed()
	t.Logf("seed %d", seed)
	kinds := map[string]int{}
	variants := 0
	for h := range max(2, tries()/2) {
		r := rand.New(rand.NewPCG(seed, uint64(h)))
		events, inventory := lifeStory(r)
		var calm enginetest.Log
		fillLives(t, &calm, events, inventory, 1000)
		run(t, engine.Config{Shards: 1}, &calm)
		want := enginetest.Settled(ofPolicies(calm.Findings()))
		for _, f := range calm.Findings() {
			if f.Class == tokenwatch.ClassPolicy {
				kinds[f.Kind]++
			}
		}
		records := tokensOf(t, &calm)
		for v := range 6 {
			arrived := shuffle(r, events, 170*time.Minute)
			size := 1 + r.IntN(400)
			if v == 0 {
				arrived, size = events, 1
			}
			var log enginetest.Log
			fillLives(t, &log, arrived, inventory, size)
			cfg := engine.Config{Shards: 1 + r.IntN(8), StepEntries: 1 + r.IntN(20), SnapshotRows: 1 + r.IntN(3000)}
			restarts := r.IntN(6)
			runWithRestarts(t, r, cfg, &log, restarts)
			variants++
			where := fmt.Sprintf("history %d, variant %d (requests of %d, snapshots after %d rows, %d restarts)", h, v, size, cfg.SnapshotRows, restarts)
			if got := enginetest.Settled(ofPolicies(log.Findings())); !slices.Equal(got, want) {
				t.Fatalf("%s: findings differ\n%s", where, difference(want, got))
			}
			checkRevisions(t, log.Findings())
			if got := tokensOf(t, &log); !slices.Equal(got, records) {
				t.Fatalf("%s: tokens differ\n%s", where, difference(records, got))
			}
		}
	}
	if len(kinds) < 8 {
		t.Errorf("only policies %v were broken: the test shows little", kinds)
	}
	t.Logf("%d histories, %d variants, 0 differing; revisions by policy %v", max(2, tries()/2), variants, kinds)
}

func ofPolicies(all []tokenwatch.Finding) []tokenwatch.Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f tokenwatch.Finding) bool { return f.Class != tokenwatch.ClassPolicy })
}

// tokensOf lists the inventory after the whole log, without what tells places in it.
func tokensOf(t *testing.T, log *enginetest.Log) (out []string) {
	t.Helper()
	e := engine.New(engine.Config{}, log, log)
	if err := e.RunTo(context.Background(), log.Last()); err != nil {
		t.Fatal(err)
	}
	for r, err := range e.Tokens(context.Background(), tenant, "") {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*tokenwatch.Sighting{r.First, r.Last} {
			if s != nil {
				s.Offset, s.Row = 0, 0
			}
		}
		for i := range r.Steps {
			r.Steps[i].Offset, r.Steps[i].Row = 0, 0
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

var _ storage.Tokens = (*engine.Engine)(nil)
