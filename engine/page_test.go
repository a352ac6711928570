package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
)

// longStory is two weeks in which most do little: some come back after days, as what
// they were or not, one goes on where another ended that has slept since, some that came
// every day fall silent.
func longStory(r *rand.Rand) []enginetest.Event {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add("token=seldom{c} copies=5 every=%dh for=14d asn=64500 ip=10.0.0.{c} agent=a action=run class=read", 7+r.IntN(9))
	add("token=busy{c} copies=3 every=40m for=14d asn=64501 ip=10.0.1.{c} agent=b action=work class=read")
	add("token=daily{c} copies=4 every=2h for=%dd asn=64502 ip=10.0.2.{c} agent=c action=job class=read", 9+r.IntN(2))
	add("token=gone every=20m for=2d asn=64503 ip=10.0.3.1 agent=d action=list class=list")
	back := 6 + r.IntN(6)
	add("token=gone every=%dm for=4h at=%dd asn=%d ip=10.0.3.%d agent=%s action=%s class=%s", 2+r.IntN(9), back, 64503+r.IntN(2)*400, 1+r.IntN(2),
		[]string{"d", "evil"}[r.IntN(2)], []string{"list", "steal{n}"}[r.IntN(2)], []string{"list", "credential"}[r.IntN(2)])
	add("token=before every=15m for=3d asn=64504 ip=10.0.4.1 agent=e action=build class=write")
	add("actor=admin fact=rotated of=after previous=before until=2h at=%dd for=1m action=rotate class=credential", 7+r.IntN(3))
	add("token=after every=15m for=2d at=%dd2h asn=%d ip=10.0.4.1 agent=e action=%s class=write", 8+r.IntN(3), 64504+r.IntN(2), []string{"build", "other"}[r.IntN(2)])
	add("actor=admin fact=%s of=seldom1 at=%dd for=1m action=end class=credential", []string{"revoked", "leaked"}[r.IntN(2)], 5+r.IntN(4))
	add("actor=person actor_kind=user every=3h for=14d ip=192.0.2.7 agent=f action=look class=read")
	add("actor=person actor_kind=user every=1m for=20m at=%dd ip=198.51.100.9 agent=f action=grab{n} class=credential", 9+r.IntN(4))
	add("token=guess{n} every=40s for=30m at=%dd3h ip=10.0.0.1 agent=scan action=me class=read status=401", 3+r.IntN(9))
	events, err := enginetest.Traffic(strings.Join(lines, "\n"))
	if err != nil {
		panic(err)
	}
	return events
}

// TestWhoIsLeftToTheStoreDoesNotMatter: however little memory there is for who sleeps,
// and whenever the engine starts again, no byte of a settled finding changes.
func TestWhoIsLeftToTheStoreDoesNotMatter(t *testing.T) {
	found, variants, paged := 0, 0, int64(0)
	for h := range tries() / 3 {
		r := rand.New(rand.NewPCG(storySeed(), uint64(1000+h)))
		events := longStory(r)
		noPeers := h%2 == 1
		var calm enginetest.Log
		fill(t, &calm, events, 1000, true)
		run(t, engine.Config{Shards: 1, NoPeers: noPeers}, &calm)
		if n := calm.Paged.Load(); n > 0 {
			t.Fatalf("%d entities were read from the state without need", n)
		}
		want := enginetest.Settled(calm.Findings())
		found += len(want)
		for range 4 {
			var log enginetest.Log
			fill(t, &log, shuffle(r, events, 170*time.Minute), 1+r.IntN(400), true)
			cfg := engine.Config{
				Shards: 1 + r.IntN(4), StepEntries: 1 + r.IntN(20), NoPeers: noPeers,
				SnapshotRows: 1 + r.IntN(3000), ResidentBytes: 1 + r.IntN(2)*(1+r.IntN(4000)),
			}
			runWithRestarts(t, r, cfg, &log, r.IntN(6))
			variants++
			paged += log.Paged.Load()
			if got := enginetest.Settled(log.Findings()); !slices.Equal(got, want) {
				t.Fatalf("history %d, %+v: findings differ\n%s", h, cfg, difference(want, got))
			}
			checkRevisions(t, log.Findings())
		}
	}
	if found == 0 || paged == 0 {
		t.Errorf("%d findings, %d entities read from the state: the test shows nothing", found, paged)
	}
	t.Logf("%d variants, %d settled findings, %d entities read from the state, 0 differing", variants, found, paged)
}
