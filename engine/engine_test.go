package engine_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
	"github.com/tokenwatch/tokenwatch/storage"
)

var histories = flag.Int("histories", 12, "how many random histories the property tests try")

var seedFlag = flag.Uint64("seed", 1, "seed of the random histories; 0 takes the clock, for long runs")

// tries is how many histories a property test tries: few where time is short, as
// under the race detector.
func tries() int {
	if testing.Short() {
		return min(*histories, 3)
	}
	return *histories
}

// storySeed is the seed of a property test's histories. Tests are the same each
// time, so that a change is told from chance; long runs look further.
func storySeed() uint64 {
	if *seedFlag == 0 {
		return uint64(time.Now().UnixNano())
	}
	return *seedFlag
}

const tenant = "t"

// fill appends events in requests of a given number, with a tick after each, and
// the end of input if asked.
func fill(t *testing.T, log *enginetest.Log, events []enginetest.Event, size int, end bool) {
	t.Helper()
	for chunk := range slices.Chunk(events, size) {
		appendEntry(t, log, tokenwatch.Entry{Tenant: tenant, Batch: enginetest.Batch(chunk)})
		appendEntry(t, log, tokenwatch.Entry{Time: chunk[0].Time, Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	}
	if end {
		appendEntry(t, log, tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd}})
	}
}

func appendEntry(t *testing.T, log *enginetest.Log, e tokenwatch.Entry) {
	t.Helper()
	if e.Time.IsZero() {
		e.Time = enginetest.Start.AddDate(1, 0, 0)
	}
	if _, err := log.Append(context.Background(), e); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cfg engine.Config, log *enginetest.Log) {
	t.Helper()
	if err := engine.New(cfg, log, log).RunTo(context.Background(), log.Last()); err != nil {
		t.Fatal(err)
	}
}

// TestDetectors runs the scenarios of testdata/detect. A case is traffic, then
// what is found: provisional revisions that raise something, or settled findings.
func TestDetectors(t *testing.T) {
	for _, d := range detect.All {
		scenarios(t, filepath.Join("..", "testdata", "detect", d.Name))
	}
}

// TestCauses runs those of what many entities have in common, of which one finding
// tells.
func TestCauses(t *testing.T) { scenarios(t, filepath.Join("..", "testdata", "engine", "causes")) }

func scenarios(t *testing.T, path string) {
	datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
		events, err := enginetest.Traffic(td.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		inventory, err := enginetest.Inventory(td.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		var log enginetest.Log
		if inventory != nil {
			appendEntry(t, &log, tokenwatch.Entry{Tenant: tenant, Control: inventory})
		}
		fill(t, &log, events, 500, td.Cmd == "settled")
		run(t, engine.Config{}, &log)
		return show(log.Findings(), td.Cmd == "settled")
	})
}

func show(findings []tokenwatch.Finding, settled bool) string {
	var out strings.Builder
	last := map[string]int{}
	for i, f := range findings {
		last[f.ID] = i
	}
	for i, f := range findings {
		if settled && (last[f.ID] != i || f.Withdrawn) || !settled && f.Revision > 1 {
			continue
		}
		at := f.Time.Sub(enginetest.Start)
		fmt.Fprintf(&out, "%dd%s %s %s score=%d", at/(24*time.Hour), at%(24*time.Hour), f.EntityKind, f.Entity, f.Score)
		if f.Learning {
			out.WriteString(" learning")
		}
		fmt.Fprintf(&out, " %s\n  %s\n", strings.Join(f.Attack, ","), f.Summary)
		if f.MemberCount > 0 {
			fmt.Fprintf(&out, "  with %d:", f.MemberCount)
			for _, m := range f.Members[:min(len(f.Members), 4)] {
				fmt.Fprintf(&out, " %s %s=%d", m.EntityKind, m.Entity, m.Score)
			}
			out.WriteString("\n")
		}
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func TestEveryDetectorHasCases(t *testing.T) {
	for _, d := range detect.All {
		if _, err := os.Stat(filepath.Join("..", "testdata", "detect", d.Name)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join("detect", d.Name+".go")); err != nil {
			t.Error(err)
		}
	}
}

// story is a few days of mixed traffic with attacks in it, some of them spread
// over hours and midnight.
func story(r *rand.Rand) []enginetest.Event {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for i := range 3 + r.IntN(4) {
		add("token=k%d every=%dm for=3d asn=%d agent=a%d action=act%d class=read cloud=hosting", i, 7+r.IntN(30), 64500+i%3, i%2, i)
		add("token=k%d every=3h for=3d asn=%d agent=a%d action=other%d class=list cloud=hosting", i, 64500+i%3, i%2, i%4)
	}
	for range 1 + r.IntN(3) {
		k, at := r.IntN(3), time.Duration(r.IntN(70))*time.Hour+time.Duration(r.IntN(3600))*time.Second
		add("token=k%d every=%ds for=%dm at=%s asn=65%03d agent=evil%d action=steal{n} class=credential cloud=isp", k, 10+r.IntN(50), 5+r.IntN(90), at, r.IntN(900), r.IntN(2))
	}
	add("actor=role/i-1 actor_kind=role_session token=s1 kind=aws_session every=9m for=2d ip=203.0.113.7 cloud=public action=ping class=read")
	add("actor=role/i-1 actor_kind=role_session token=s2 kind=aws_session every=1m for=3m at=%dh ip=10.9.8.7 cloud=private action=whoami class=read", 5+r.IntN(30))
	add("ip=198.51.100.%d every=2s for=20m at=%dh agent=scan action=probe{n} class=read outcome=failure", r.IntN(250), r.IntN(60))
	at := 20 + r.IntN(40)
	add("actor=admin fact=rotated of=k1next previous=k1 until=%dh at=%dh for=1m action=rotate class=credential", r.IntN(5), at)
	add("token=k1next every=%dm for=20h at=%dh1m asn=64501 agent=a1 action=act1 class=read cloud=hosting", 7+r.IntN(30), at)
	add("actor=admin fact=%s of=k2 at=%dh for=1m action=end class=credential", []string{"revoked", "leaked", "expired"}[r.IntN(3)], r.IntN(60))
	add("token=guess{n} every=40s for=30m at=%dh ip=192.0.2.%d agent=scan action=me class=read status=401", r.IntN(60), r.IntN(9))
	// What many have in common: a deploy or a move, and one source of many tokens.
	add("token=d{c} copies=%d every=45m for=3d asn=64510 ip=10.1.0.{c} agent=b action=run class=read", 6+r.IntN(3))
	at = 24 + r.IntN(40)
	add("token=d{c} copies=%d every=%dm for=1h at=%dh asn=%d ip=10.%d.0.{c} agent=%s action=%s class=read status=%d", 5+r.IntN(3), 5+r.IntN(20), at,
		64510+r.IntN(2), 1+r.IntN(2), []string{"b", "c"}[r.IntN(2)], []string{"run", "go{n}"}[r.IntN(2)], []int{200, 403}[r.IntN(2)])
	add("token=d{c} copies=%d every=2m for=%dm at=%dh asn=64999 ip=192.0.2.%d agent=evil action=take{n} class=list", 2+r.IntN(6), 4+r.IntN(90), 30+r.IntN(30), r.IntN(3))
	events, err := enginetest.Traffic(strings.Join(lines, "\n"))
	if err != nil {
		panic(err)
	}
	return events
}

// shuffle lets events arrive out of order, each up to a given delay late, and
// some twice.
func shuffle(r *rand.Rand, events []enginetest.Event, delay time.Duration) []enginetest.Event {
	type arrival struct {
		at time.Time
		e  enginetest.Event
	}
	var arrivals []arrival
	for _, e := range events {
		for range 1 + r.IntN(10)/9 {
			arrivals = append(arrivals, arrival{e.Time.Add(time.Duration(r.Int64N(int64(delay)))), e})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	out := make([]enginetest.Event, len(arrivals))
	for i, a := range arrivals {
		out[i] = a.e
	}
	return out
}

// TestSettledFindingsAreAFunctionOfTheEvents is R5: arrival order within the
// lateness, repeats, sizes of requests, number of shards, and restarts at any
// Step change no byte of a settled finding.
func TestSettledFindingsAreAFunctionOfTheEvents(t *testing.T) {
	seed := storySeed()
	t.Logf("seed %d", seed)
	found, variants := 0, 0
	for h := range tries() {
		r := rand.New(rand.NewPCG(seed, uint64(h)))
		events := story(r)
		var calm enginetest.Log
		fill(t, &calm, events, 1000, true)
		run(t, engine.Config{Shards: 1}, &calm)
		want := enginetest.Settled(calm.Findings())
		found += len(want)
		for v := range 8 {
			arrived := shuffle(r, events, 170*time.Minute)
			size := 1 + r.IntN(400)
			if v == 0 {
				arrived, size = events, 1
			}
			var log enginetest.Log
			fill(t, &log, arrived, size, true)
			cfg := engine.Config{Shards: 1 + r.IntN(8), StepEntries: 1 + r.IntN(20), SnapshotRows: 1 + r.IntN(3000)}
			restarts := r.IntN(12)
			runWithRestarts(t, r, cfg, &log, restarts)
			variants++
			if got := enginetest.Settled(log.Findings()); !slices.Equal(got, want) {
				t.Fatalf("history %d, variant %d (requests of %d, %d shards, steps of %d, snapshots after %d rows, %d restarts): findings differ\n%s",
					h, v, size, cfg.Shards, cfg.StepEntries, cfg.SnapshotRows, restarts, difference(want, got))
			}
			checkRevisions(t, log.Findings())
		}
	}
	if found == 0 {
		t.Error("no history had a finding: the test shows nothing")
	}
	t.Logf("%d histories, %d variants, %d settled findings, 0 differing", tries(), variants, found)
}

var errCrash = errors.New("crash")

func runWithRestarts(t *testing.T, r *rand.Rand, cfg engine.Config, log *enginetest.Log, restarts int) {
	t.Helper()
	for range restarts {
		failing := &enginetest.FailAfter{Log: log, N: log.Commits() + r.IntN(30), Err: errCrash}
		err := engine.New(cfg, log, failing).RunTo(context.Background(), log.Last())
		if err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		cfg.Shards = 1 + r.IntN(8) // a restart may change it
	}
	run(t, cfg, log)
}

// checkRevisions is R4: revisions of a finding are numbered from 1 without gap.
func checkRevisions(t *testing.T, findings []tokenwatch.Finding) {
	t.Helper()
	last := map[string]int{}
	for _, f := range findings {
		if f.Revision != last[f.ID]+1 {
			t.Fatalf("finding %s: revision %d after %d", f.ID, f.Revision, last[f.ID])
		}
		last[f.ID] = f.Revision
	}
}

func difference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		var w, g string
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Sprintf("%d findings against %d; first difference:\nwant %s\n got %s", len(want), len(got), w, g)
		}
	}
	return ""
}

// TestShiftByWeeks: findings of the same story whole weeks later are the same
// but for their times and ids.
func TestShiftByWeeks(t *testing.T) {
	events := story(rand.New(rand.NewPCG(7, 7)))
	var log, later enginetest.Log
	fill(t, &log, events, 300, true)
	for i := range events {
		events[i].Time = events[i].Time.Add(5 * 7 * 24 * time.Hour)
	}
	fill(t, &later, events, 300, true)
	run(t, engine.Config{}, &log)
	run(t, engine.Config{}, &later)
	if a, b := essence(log.Findings()), essence(later.Findings()); !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("%d findings against %d:\n%s\n%s", len(a), len(b), a, b)
	}
}

func essence(findings []tokenwatch.Finding) []string {
	var out []string
	for _, f := range findings {
		if f.Settled {
			out = append(out, fmt.Sprint(f.EntityKind, f.Entity, f.Score, f.Summary))
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// TestLateAndFutureChangeNothing is V16: events that cannot be right open and
// close no window.
func TestLateAndFutureChangeNothing(t *testing.T) {
	events := story(rand.New(rand.NewPCG(3, 3)))
	var clean, odd enginetest.Log
	fill(t, &clean, events, 200, true)
	var mixed []enginetest.Event
	for i, e := range events {
		mixed = append(mixed, e)
		if i%50 == 10 {
			for _, wrong := range []time.Time{time.Unix(0, 1), e.Time.AddDate(0, 0, -30), e.Time.AddDate(10, 0, 0)} {
				x := enginetest.Event{Time: wrong, Fields: map[string]string{"token": "k0", "action": fmt.Sprint("odd", i), "class": "credential"}}
				mixed = append(mixed, x)
			}
		}
	}
	fill(t, &odd, mixed, 200, true)
	run(t, engine.Config{}, &clean)
	run(t, engine.Config{}, &odd)
	want, got := enginetest.Settled(clean.Findings()), enginetest.Settled(odd.Findings())
	if !slices.Equal(want, got) || len(want) == 0 {
		t.Error(difference(want, got))
	}
}

// TestNeighboursDoNotMatter: with peers off, other entities' traffic changes
// nothing.
func TestNeighboursDoNotMatter(t *testing.T) {
	events := story(rand.New(rand.NewPCG(5, 5)))
	var alone []enginetest.Event
	for _, e := range events {
		if e.Fields["token"] == "k0" {
			alone = append(alone, e)
		}
	}
	var all, one enginetest.Log
	fill(t, &all, events, 100, true)
	fill(t, &one, alone, 100, true)
	run(t, engine.Config{NoPeers: true}, &all)
	run(t, engine.Config{NoPeers: true}, &one)
	var ofK0 []tokenwatch.Finding
	for _, f := range all.Findings() {
		if f.Entity == "k0" {
			ofK0 = append(ofK0, f)
		}
	}
	want, got := enginetest.Settled(one.Findings()), enginetest.Settled(ofK0)
	if !slices.Equal(want, got) {
		t.Error(difference(want, got))
	}
}

// ending is a State whose caller's context ends while it commits.
type ending struct {
	*enginetest.Log
	end context.CancelFunc
}

func (e ending) Commit(ctx context.Context, step storage.Step) ([]tokenwatch.Finding, error) {
	e.end()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.Log.Commit(ctx, step)
}

// TestStopLosesNoFinding: what was found is committed although the engine is told
// to stop at that moment.
func TestStopLosesNoFinding(t *testing.T) {
	var log enginetest.Log
	fill(t, &log, story(rand.New(rand.NewPCG(1, 1))), 500, true)
	for range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		if err := engine.New(engine.Config{}, &log, ending{&log, cancel}).Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var calm enginetest.Log
	fill(t, &calm, story(rand.New(rand.NewPCG(1, 1))), 500, true)
	run(t, engine.Config{}, &calm)
	if want, got := enginetest.Settled(calm.Findings()), enginetest.Settled(log.Findings()); !slices.Equal(want, got) || len(want) == 0 {
		t.Error(difference(want, got))
	}
}

// TestSameBytes pins the bytes of settled findings: they are the same on every
// machine, and at every level of the processor that the compiler may use.
func TestSameBytes(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("..", "testdata", "engine", "settled"), func(t *testing.T, td *datadriven.TestData) string {
		var out strings.Builder
		for seed := range uint64(6) {
			var log enginetest.Log
			fill(t, &log, story(rand.New(rand.NewPCG(seed, 42))), 250, true)
			run(t, engine.Config{}, &log)
			settled := enginetest.Settled(log.Findings())
			fmt.Fprintf(&out, "story %d: %d findings, sha256 %x\n", seed, len(settled), sha256.Sum256([]byte(strings.Join(settled, "\n"))))
		}
		return out.String()
	})
}

// TestEntitiesAreBounded is V10: more tokens than there is room for open no more
// windows and are not listed; those that are known go on being judged, and a finding
// tells of it. So it is where there is room for the tokens, but not for their windows.
func TestEntitiesAreBounded(t *testing.T) {
	events, err := enginetest.Traffic(`token=good every=10m for=9d asn=64500 agent=sdk action=items.get class=read status=200
token=good every=5m for=30m at=8d10h asn=64999 agent=curl action=users.{n} class=admin status=403
token=many{n} every=1s for=20m at=8d10h ip=192.0.2.7 agent=sdk action=items.get class=read status=200`)
	if err != nil {
		t.Fatal(err)
	}
	for i, cfg := range []engine.Config{{Shards: 1, Entities: 30}, {Shards: 3, Entities: 30}, {Shards: 1, Windows: 60}, {Shards: 3, Windows: 60}} {
		var log enginetest.Log
		fill(t, &log, events, 500, true)
		e := engine.New(cfg, &log, &log)
		if err := e.RunTo(context.Background(), log.Last()); err != nil {
			t.Fatal(err)
		}
		listed := 0
		for range e.Tokens(context.Background(), tenant, "") {
			listed++
		}
		found := map[string]tokenwatch.Finding{}
		for _, f := range log.Findings() {
			if f.Settled {
				found[f.Entity] = f
			}
		}
		if f, ok := found["overflow"]; !ok || f.Score != 100 || !strings.Contains(f.Summary, "of token entities") ||
			cfg.Entities > 0 != strings.Contains(f.Summary, "of tokens that the inventory does not list") {
			t.Errorf("case %d: no finding tells of the overflow: %+v", i, f)
		}
		if _, ok := found["good"]; !ok && cfg.Entities > 0 {
			t.Errorf("case %d: what was known is no longer judged", i)
		}
		if want := cfg.Entities; want > 0 && listed != want {
			t.Errorf("case %d: %d tokens are listed, not %d", i, listed, want)
		}
	}
}
