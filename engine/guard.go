package engine

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/storage"
)

// guard watches one tenant's tokens by policies. What breaks one is a breach: of
// what a token is like, found by going through what was said of its unit, or of
// its use, found row by row where a policy's cheap parts let a row through. Both
// are functions of the sets of facts and events up to the watermark; so when what
// is said comes after what was done, the rows since then are read once more.
type guard struct {
	*tenant
	inv        *inventory.Inventory
	policies   *policy.Set
	any        uint64 // policies of events of any token
	posture    []int  // places of the policies of what a token is like
	events     []int  // places of those of its use
	breaches   map[breachKey]*breach
	byToken    map[tokenwatch.TokenID][]*breach
	open       map[*breach]struct{} // that have not settled
	pending    []*breach            // of which there is something to tell
	timed      map[*inventory.Unit]struct{}
	recent     []extent // batches whose rows may still count
	checked    int32    // hour up to which time was let pass
	masks      []uint64
	now        atomic.Int64 // greatest event time, or tick that counts as one, for readers
	latest     int64        // greatest time of an event of the batch at hand, ns
	out        []tokenwatch.Finding
	changed    []*breach  // differ from what was stored
	candidates candidates // of policies that read the window
	windowed   bool       // there are such
}

// extent is how far in event time a batch goes.
type extent struct {
	offset tokenwatch.Offset
	latest int64 // ns
}

func newGuard(t *tenant) *guard {
	g := &guard{
		tenant: t, inv: inventory.New(t.name),
		breaches: map[breachKey]*breach{}, byToken: map[tokenwatch.TokenID][]*breach{}, open: map[*breach]struct{}{},
		timed: map[*inventory.Unit]struct{}{}, candidates: newCandidates(),
	}
	g.inv.Limit = t.capacity
	g.adopt(t.policies)
	return g
}

// use has the guard go by other policies, from here on.
func (g *guard) use(s *policy.Set) error {
	g.adopt(s)
	clear(g.timed)
	for _, u := range g.inv.Units() {
		if err := g.review(u); err != nil {
			return err
		}
	}
	return g.tell(0)
}

func (g *guard) adopt(s *policy.Set) {
	g.policies, g.any, g.posture, g.events, g.windowed = s, 0, nil, nil, false
	for i, p := range s.Policies {
		if !p.OfEvents() {
			g.posture = append(g.posture, i)
			continue
		}
		g.events = append(g.events, i)
		g.windowed = g.windowed || p.OfWindow()
		if p.OfAnyToken() {
			g.any |= 1 << i
		}
	}
}

// learned follows a control record that changed units.
func (g *guard) learned(changed []inventory.Change, offset tokenwatch.Offset) error {
	if err := g.relate(); err != nil {
		return err
	}
	if err := g.weigh(changed, offset); err != nil {
		return err
	}
	if err := g.judgeWindows(); err != nil {
		return err
	}
	return g.tell(0)
}

// take takes in a batch.
func (g *guard) take(r *feature.Rows) error {
	changed, unlisted := g.inv.Take(r.Batch, r.Offset, func(row int) bool { return r.Events[row].Fault != feature.Unknown })
	for _, row := range unlisted {
		if hour := r.Events[row].Hour; hour != feature.NoHour && hour >= g.settled {
			g.missed(overflow{Hour: hour, Unlisted: 1, First: r.Ref(int(row))})
		}
	}
	if err := g.weigh(changed, r.Offset); err != nil {
		return err
	}
	if err := g.look(r, nil); err != nil {
		return err
	}
	if g.windowed {
		g.used(r)
	}
	latest := int64(math.MinInt64)
	for i := range r.Events {
		if r.Events[i].Hour != feature.NoHour {
			latest = max(latest, r.Batch.Int(tokenwatch.ColTime, i))
		}
	}
	g.recent = append(g.recent, extent{r.Offset, latest})
	g.latest = latest
	g.now.Store(g.watermark.Greatest())
	return g.tell(latest)
}

// weigh looks at the units of which more is known now, and once more at what was
// done with their tokens since.
func (g *guard) weigh(changed []inventory.Change, offset tokenwatch.Offset) error {
	for _, c := range changed {
		before := c.Armed
		if err := g.review(c.Unit); err != nil {
			return err
		}
		if armed := before | c.Unit.Root().Armed; armed != 0 && c.From != 0 && c.Before >= c.From {
			if err := g.again(c, offset); err != nil {
				return err
			}
		}
	}
	return nil
}

// again finds anew what broke a policy with a unit's tokens since a time.
func (g *guard) again(c inventory.Change, before tokenwatch.Offset) error {
	from := max(c.From-c.From%int64(time.Hour), g.bound()) // whole hours
	only := map[tokenwatch.TokenID]bool{}
	for _, id := range g.inv.IDs(c.Unit) {
		only[id] = true
		for _, b := range g.byToken[id] {
			if b.At != 0 || b.Gone || b.Settled && b.last() < g.settled {
				continue
			}
			if p := g.policy(b.Policy); p != nil && p.OfWindow() {
				continue
			}
			b.Events = slices.DeleteFunc(b.Events, func(e tokenwatch.EventRef) bool { return e.Millis >= from/1e6 })
			b.keepBefore(int32(from / int64(time.Hour)))
			g.change(b)
		}
	}
	g.forgetCandidates(only, int32(from/int64(time.Hour)))
	for _, x := range g.recent {
		if x.latest < from || x.offset >= before {
			continue
		}
		for entry, err := range g.log.events.Scan(context.Background(), storage.Range{First: x.offset, Last: x.offset}) {
			if err != nil {
				return err
			}
			if entry.Batch == nil {
				continue
			}
			if err := g.look(feature.Extract(entry.Batch, entry.Offset, g.hash), func(id tokenwatch.TokenID, ns int64) bool {
				return only[id] && ns >= from
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle ends what is about hours before one, and lets time pass.
func (g *guard) settle(end int32) error {
	if end/24 > g.checked/24 {
		for u := range g.timed {
			if err := g.review(u); err != nil {
				return err
			}
		}
	}
	if err := g.reviewSettling(); err != nil {
		return err
	}
	g.checked = end
	for b := range g.open {
		if !b.pending && (b.Gone || b.Hours == 0 || b.last() < g.settled) {
			b.pending = true
			g.pending = append(g.pending, b)
		}
	}
	g.recent = slices.DeleteFunc(g.recent, func(x extent) bool { return x.latest < g.bound() })
	return g.tell(0)
}

// reviewSettling looks once more at the units whose postures are about to settle:
// use that came in since may speak against them.
func (g *guard) reviewSettling() error {
	units := map[*inventory.Unit]struct{}{}
	for b := range g.open {
		if u := g.inv.Of(b.Token); u != nil && b.At != 0 && !b.Gone && b.last() < g.settled {
			units[u] = struct{}{}
		}
	}
	for u := range units {
		if err := g.review(u); err != nil {
			return err
		}
	}
	return nil
}

// bound is the time before which everything has settled, in ns.
func (g *guard) bound() int64 {
	if g.settled == math.MaxInt32 {
		return g.watermark.Greatest()
	}
	return int64(g.settled) * int64(time.Hour)
}

func (g *guard) policy(id string) *policy.Policy {
	i, ok := slices.BinarySearchFunc(g.policies.Policies, id, func(p *policy.Policy, id string) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return nil
	}
	return g.policies.Policies[i]
}
