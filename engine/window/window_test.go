package window_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

type event struct {
	millis                          int64
	agent, action, class, ip, cloud string
	token                           string
	failed                          bool
}

// random makes n events of one hour, which tokens lead; with many distinct values some axes overflow.
func random(r *rand.Rand, n, distinct int) []event {
	pick := func(prefix string, n int) string {
		if i := r.IntN(n + 1); i > 0 {
			return fmt.Sprint(prefix, i)
		}
		return ""
	}
	out := make([]event, n)
	for i := range out {
		out[i] = event{
			millis: 500_000*3600_000 + r.Int64N(3600_000), agent: pick("agent", 3), action: pick("act", distinct), class: pick("c", 4),
			ip: fmt.Sprintf("10.%d.0.1", r.IntN(90)), cloud: pick("kind", 2), token: fmt.Sprint("t", r.IntN(4)), failed: r.IntN(3) == 0,
		}
	}
	return out
}

func rows(events []event) *feature.Rows {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for _, e := range events {
		row.Reset()
		row.SetInt(tokenwatch.ColTime, e.millis*1e6)
		row.SetString(tokenwatch.ColRequestID, fmt.Sprint(e)) // says which event it is
		row.SetString(tokenwatch.ColAgentFamily, e.agent)
		row.SetString(tokenwatch.ColAction, e.action)
		row.SetString(tokenwatch.ColActionClass, e.class)
		row.SetString(tokenwatch.ColSrcCloud, e.cloud)
		row.SetString(tokenwatch.ColToken, e.token)
		row.SetAddr(netip.MustParseAddr(e.ip))
		if e.failed {
			row.SetString(tokenwatch.ColOutcome, "denied")
		}
		b.Append(&row)
	}
	return feature.Extract(b.Batch(), 1, vec.NewHash([16]byte{}))
}

func fill(r *feature.Rows) *window.Window {
	w := window.New(500_000)
	var pool window.Pool
	for i := range r.Events {
		w.Add(&pool, r, i)
		w.AddOrigin(r, i, r.Events[i].Token, false)
		if r.Events[i].Token != 0 {
			w.AddVisitor(r, i)
		}
	}
	return w
}

// TestAgainstReference compares a window with what maps and sorting make of the
// same events.
func TestAgainstReference(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		events := random(r, 1+r.IntN(300), 40)
		f := rows(events)
		w := fill(f)
		counts := map[string]uint32{}
		first := map[string]int64{}
		failed, slots := uint32(0), map[uint8]uint32{}
		for _, e := range events {
			if e.failed {
				failed++
			}
			slots[uint8(e.millis/300_000%12)]++
			if e.action != "" {
				if counts[e.action] == 0 || e.millis < first[e.action] {
					first[e.action] = e.millis
				}
				counts[e.action]++
			}
		}
		if int(w.Events) != len(events) || w.Faults[feature.Denied] != failed || len(w.Slots) != len(slots) || w.Overflow != (networks(events) > window.MaxOrigins) {
			t.Fatalf("seed %d: %d events, %d denied, %d slots, overflow %v", seed, w.Events, w.Faults[feature.Denied], len(w.Slots), w.Overflow)
		}
		for _, s := range w.Slots {
			if s.Events != slots[s.Slot] {
				t.Fatalf("seed %d: %d events in slot %d, want %d", seed, s.Events, s.Slot, slots[s.Slot])
			}
		}
		hash := vec.NewHash([16]byte{})
		if len(w.Axes[feature.Action]) != len(counts) {
			t.Fatalf("seed %d: %d actions, want %d", seed, len(w.Axes[feature.Action]), len(counts))
		}
		for action, n := range counts {
			at := slices.IndexFunc(w.Axes[feature.Action], func(v window.Value) bool { return v.Hash == hash.String(action) })
			if v := w.Axes[feature.Action][at]; v.Count != n || v.First.Millis != first[action] {
				t.Fatalf("seed %d, %s: %d times from %d on, want %d from %d", seed, action, v.Count, v.First.Millis, n, first[action])
			}
		}
	}
}

// networks counts the origins of events: distinct networks and tokens.
func networks(events []event) int {
	seen := map[[2]string]bool{}
	for _, e := range events {
		seen[[2]string{netip.PrefixFrom(netip.MustParseAddr(e.ip), 16).Masked().String(), e.token}] = true
	}
	return len(seen)
}

// TestOrderDoesNotMatter shuffles events, also so many that values and origins
// are left out.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		events := random(r, 6000, 100+int(seed)*500)
		want := fill(rows(events))
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		got := fill(rows(events))
		strip(want)
		strip(got)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("seed %d: windows differ", seed)
		}
	}
}

// TestStrays counts those that came from elsewhere again, in windows merged of parts.
func TestStrays(t *testing.T) {
	allowed := netip.MustParsePrefix("10.0.0.0/10")
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		events := random(r, 1+r.IntN(300), 40)
		want, earliest := uint32(0), int64(0)
		for _, e := range events {
			if !allowed.Contains(netip.MustParseAddr(e.ip)) {
				if want++; want == 1 || e.millis < earliest {
					earliest = e.millis
				}
			}
		}
		w, pool, at := window.New(500_000), new(window.Pool), r.IntN(len(events))
		w.Merge(pool, fill(rows(events[at:])))
		w.Merge(pool, fill(rows(events[:at])))
		if n, first := w.Strays(allowed.Contains); n != want || first.Millis != earliest {
			t.Fatalf("seed %d: %d events from outside, from %d on, want %d from %d", seed, n, first.Millis, want, earliest)
		}
	}
}

// strip takes the places of events in the batch away: these do depend on order.
func strip(w *window.Window) {
	for a := range w.Axes {
		for i := range w.Axes[a] {
			w.Axes[a][i].First.Row = 0
		}
	}
	for i := range w.Origins {
		w.Origins[i].First.Row = 0
	}
	for i := range w.Visitors {
		w.Visitors[i].First.Row = 0
	}
	for i := range w.Wrong {
		w.Wrong[i].First.Row = 0
	}
	for i := range w.Slots {
		w.Slots[i].Sample.Row = 0
	}
}

// TestMerge: windows of parts of the events merge into the window of all of them,
// whatever they are full of.
func TestMerge(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		all := random(r, 50+r.IntN(3000), []int{3, 40, 6000}[seed%3])
		parts := make([][]event, 1+r.IntN(4))
		for _, e := range all {
			i := r.IntN(len(parts))
			parts[i] = append(parts[i], e)
		}
		got, pool := window.New(500_000), new(window.Pool)
		for _, p := range parts {
			got.Merge(pool, fill(rows(p)))
		}
		a, b := fill(rows(all)), got
		for _, w := range []*window.Window{a, b} { // of events: rows and their order are others
			blur(w)
		}
		x, err := a.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(x, y) {
			t.Fatalf("seed %d: %d parts of %d events merge to something else than all of them", seed, len(parts), len(all))
		}
	}
}

// blur forgets at which place of which batch the events stand that a window refers to.
func blur(w *window.Window) {
	clear := func(r *tokenwatch.EventRef) { r.Row, r.Offset = 0, 0 }
	for i := range w.Origins {
		clear(&w.Origins[i].First)
	}
	for i := range w.Visitors {
		clear(&w.Visitors[i].First)
	}
	for a := range w.Axes {
		for i := range w.Axes[a] {
			clear(&w.Axes[a][i].First)
		}
	}
	for i := range w.Wrong {
		clear(&w.Wrong[i].First)
	}
	for i := range w.Slots {
		clear(&w.Slots[i].Sample)
	}
}
