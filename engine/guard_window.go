package engine

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// candidate is what a policy that reads the window waits for: the events of a token's
// hour of which all else holds. Whether the window's part holds is asked anew while
// the window grows, and for the last time before it settles; so it depends on the
// whole hour, and not on the order in which it came in.
type candidate struct {
	_      struct{}           `cbor:",toarray"`
	Token  tokenwatch.TokenID // as the events have it
	Policy string
	Hour   int32
	Events []tokenwatch.EventRef // the earliest
	Holds  bool
	Window policy.Window // when it was asked last
}

type candidateKey struct {
	policy string
	hour   int32
}

// candidates are a guard's, by token.
type candidates struct {
	by    map[tokenwatch.TokenID]map[candidateKey]*candidate
	asked map[tokenwatch.TokenID]struct{} // of which there is more since they were judged
	dirty bool                            // differ from what was stored
}

func newCandidates() candidates {
	return candidates{by: map[tokenwatch.TokenID]map[candidateKey]*candidate{}, asked: map[tokenwatch.TokenID]struct{}{}}
}

// of finds or makes the candidate of a token's hour.
func (c *candidates) of(token tokenwatch.TokenID, k candidateKey) *candidate {
	if c.by[token] == nil {
		c.by[token] = map[candidateKey]*candidate{}
	}
	found := c.by[token][k]
	if found == nil {
		found = &candidate{Token: token, Policy: k.policy, Hour: k.hour}
		c.by[token][k] = found
	}
	return found
}

// wait notes an event that breaks a policy if its token's window does.
func (g *guard) wait(token tokenwatch.TokenID, p *policy.Policy, e tokenwatch.EventRef) {
	c := g.candidates.of(token, candidateKey{p.ID, int32(e.Millis / 3600_000)})
	c.Events = insertRef(c.Events, e)
	g.candidates.asked[token], g.candidates.dirty = struct{}{}, true
}

// used notes that windows of a batch's tokens have grown.
func (g *guard) used(r *feature.Rows) {
	tokens := r.Batch.Column(tokenwatch.ColToken)
	for code := range tokens.Dict.Len() {
		if token := tokenwatch.TokenID(tokens.Dict.At(code)); g.candidates.by[token] != nil {
			g.candidates.asked[token] = struct{}{}
		}
	}
}

// judgeWindows asks the windows of which there is more; it comes when the shards have
// applied the batches.
func (g *guard) judgeWindows() error {
	for _, token := range slices.Sorted(maps.Keys(g.candidates.asked)) {
		for _, k := range sortedCandidates(g.candidates.by[token]) {
			if k.hour < g.settled {
				continue
			}
			if err := g.judgeWindow(g.candidates.by[token][k]); err != nil {
				return err
			}
		}
	}
	clear(g.candidates.asked)
	return nil
}

// settleWindows asks the windows of an hour for the last time: it comes just before
// they settle.
func (g *guard) settleWindows(hour int32) error {
	for _, token := range slices.Sorted(maps.Keys(g.candidates.by)) {
		for _, k := range sortedCandidates(g.candidates.by[token]) {
			switch {
			case k.hour == hour:
				if err := g.judgeWindow(g.candidates.by[token][k]); err != nil {
					return err
				}
			case k.hour/24+2 <= hour/24: // no breach of its day is told anew
				delete(g.candidates.by[token], k)
				g.candidates.dirty = true
			}
		}
		if len(g.candidates.by[token]) == 0 {
			delete(g.candidates.by, token)
		}
	}
	return nil
}

func sortedCandidates(m map[candidateKey]*candidate) []candidateKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b candidateKey) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.policy, b.policy))
	})
}

// judgeWindow asks one, and tells its breach what has changed.
func (g *guard) judgeWindow(c *candidate) error {
	p := g.policy(c.Policy)
	e := g.bearer(c.Token, c.Hour)
	if p == nil || e == nil {
		return nil // the policy is not in use any more, there was no room for the token, or the window has settled
	}
	at, ok := e.find(c.Hour)
	if !ok {
		return nil
	}
	c.Window = windowOf(e, at)
	c.Holds = len(c.Events) > 0 && p.HoldsOfWindow(&c.Window)
	g.candidates.dirty = true
	return g.gatherBreach(p, breachKey{g.inv.Canonical(c.Token), c.Policy, c.Hour / 24})
}

// gatherBreach makes a breach anew of the candidates that hold.
func (g *guard) gatherBreach(p *policy.Policy, k breachKey) error {
	ids := []tokenwatch.TokenID{k.token}
	if u := g.inv.Of(k.token); u != nil {
		ids = append(ids, g.inv.IDs(u)...)
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	var events []tokenwatch.EventRef
	var hours uint32
	var first *candidate
	for _, id := range ids {
		for ck, c := range g.candidates.by[id] {
			if ck.policy != k.policy || ck.hour/24 != k.day || !c.Holds || len(c.Events) == 0 || g.inv.Canonical(id) != k.token {
				continue
			}
			for _, e := range c.Events {
				events = insertRef(events, e)
			}
			hours |= 1 << (ck.hour % 24)
			if first == nil || c.Events[0].Before(first.Events[0]) {
				first = c
			}
		}
	}
	b := g.breaches[k]
	if b == nil && first == nil || b != nil && b.Settled && b.Hours != 0 && b.last() < g.settled && hours == b.Hours {
		return nil
	}
	message := ""
	if first != nil {
		batch, row, err := g.log.Row(first.Events[0])
		if err != nil {
			return err
		}
		now := batch.Int(tokenwatch.ColTime, row)
		record, _ := g.inv.AsOf(k.token, now)
		message = p.Say(&policy.Case{Token: &record, Batch: batch, Row: row, Now: now, Window: &first.Window})
	}
	if b == nil {
		b = g.breach(k)
	}
	if b.Hours == hours && b.Message == message && slices.EqualFunc(b.Events, events, func(a, b tokenwatch.EventRef) bool { return a.Compare(b) == 0 }) {
		return nil
	}
	b.Events, b.Hours, b.Message = events, hours, message
	g.change(b)
	return nil
}

// forgetCandidates takes back the events of tokens from an hour on, which are about to
// be looked at anew.
func (g *guard) forgetCandidates(ids map[tokenwatch.TokenID]bool, from int32) {
	for id := range ids {
		for k, c := range g.candidates.by[id] {
			if k.hour >= from {
				c.Events = nil
				g.candidates.asked[id], g.candidates.dirty = struct{}{}, true
			}
		}
	}
}

// moveCandidates gives the token that others turned out to be what their candidates
// come to.
func (g *guard) moveCandidates(u *inventory.Unit) error {
	for _, id := range g.inv.IDs(u) {
		for _, ck := range sortedCandidates(g.candidates.by[id]) {
			p := g.policy(ck.policy)
			if p == nil {
				continue
			}
			if err := g.gatherBreach(p, breachKey{g.inv.Canonical(id), ck.policy, ck.hour / 24}); err != nil {
				return err
			}
		}
	}
	return nil
}

// windowOf is what conditions may ask of an entity's window, and of its day up to and
// with that hour.
func windowOf(e *entity, at int) policy.Window {
	w := e.windows[at]
	out := hourOf(w)
	if e.usual.Today.Day == w.Hour/24 {
		d := &e.usual.Today
		for f, n := range d.Faults {
			out.DayRequests += int64(n)
			if feature.Fault(f) != feature.Fine {
				out.DayErrors += int64(n)
			}
		}
	}
	for _, o := range e.windows[:at+1] {
		if o.Hour/24 == w.Hour/24 {
			h := hourOf(o)
			out.DayRequests += h.Requests
			out.DayErrors += h.Errors
		}
	}
	return out
}

func hourOf(w *window.Window) policy.Window {
	out := policy.Window{
		Requests: int64(w.Events), Errors: int64(w.Events - w.Faults[feature.Fine]),
		Denied: int64(w.Faults[feature.Unknown] + w.Faults[feature.Denied]), Bytes: int64(min(w.Bytes, 1<<62)),
		DistinctResources: int64(w.Objects.Count()), Addresses: int64(len(w.Axes[feature.Address])),
		Actions: int64(len(w.Axes[feature.Action])),
	}
	for i := range w.Origins {
		if i == 0 || w.Origins[i].Network != w.Origins[i-1].Network {
			out.Networks++
		}
	}
	return out
}

// sorted lists the candidates for the snapshot.
func (c *candidates) sorted() []*candidate {
	var out []*candidate
	for _, token := range slices.Sorted(maps.Keys(c.by)) {
		for _, k := range sortedCandidates(c.by[token]) {
			out = append(out, c.by[token][k])
		}
	}
	return out
}
