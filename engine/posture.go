package engine

import (
	"math"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/policy"
)

// fact is a breach of a policy on what a token is like.
type fact struct {
	key     breachKey
	at      int64
	ref     tokenwatch.EventRef
	cited   bool
	message string
}

// review goes through a unit's life, and compares what breaks a policy there
// with what was found before.
func (g *guard) review(u *inventory.Unit) error {
	u = u.Root()
	found := g.walk(u)
	var known []*breach
	for _, id := range g.inv.IDs(u) {
		for _, b := range g.byToken[id] {
			if b.At != 0 && !b.Gone {
				known = append(known, b)
			}
		}
	}
	for _, f := range found {
		if slices.ContainsFunc(known, func(b *breach) bool { return b.key() == f.key && b.At == f.at && b.Message == f.message }) {
			continue
		}
		b := g.breach(f.key)
		if b.At != 0 && b.Settled && !b.Gone && b.At/int64(time.Hour) < int64(g.settled) {
			continue // told for good
		}
		b.At, b.Message, b.Gone, b.Events = f.at, f.message, false, nil
		if f.cited {
			b.Events = []tokenwatch.EventRef{f.ref}
		}
		b.Hours = 1 << (f.at / int64(time.Hour) % 24)
		g.change(b)
	}
	if err := g.move(u); err != nil {
		return err
	}
	for _, b := range known {
		if g.inv.Canonical(b.Token) != b.Token {
			continue // moved
		}
		settled := b.Settled && b.last() < g.settled
		if settled || slices.ContainsFunc(found, func(f fact) bool { return f.key == b.key() }) {
			continue
		}
		b.Gone = true
		g.change(b)
	}
	return nil
}

// walk lists what breaks policies in a unit's life so far, and arms the unit.
func (g *guard) walk(u *inventory.Unit) (found []fact) {
	on := make([]bool, len(g.policies.Policies))
	var timed uint64
	last := int64(math.MinInt64)
	until := max(g.bound(), g.inv.Last(u))
	put := func(p *policy.Policy, c *policy.Case, m *inventory.Moment) {
		f := fact{key: breachKey{c.Token.ID, p.ID, int32(c.Now / int64(24*time.Hour))}, at: c.Now, message: p.Say(c)}
		if slices.ContainsFunc(found, func(o fact) bool { return o.key == f.key }) {
			return // once a day
		}
		if m != nil && m.Row >= 0 && m.Offset > 0 {
			f.ref, f.cited = tokenwatch.EventRef{Millis: m.Time / 1e6, Row: uint32(m.Row), Offset: m.Offset}, true
		}
		found = append(found, f)
	}
	g.inv.Walk(u, until, func(m inventory.Moment) {
		for i, p := range g.policies.Policies {
			c := policy.Case{Token: m.Token, Now: m.Time}
			if p.OfEvents() {
				continue
			}
			if p.OfFacts() {
				if !m.Before && m.Kind != "" {
					c.Fact = &policy.Fact{Kind: m.Kind, Told: m.Fact}
					if p.Holds(&c) {
						put(p, &c, &m)
					}
				}
				continue
			}
			if m.Before {
				if !on[i] && p.Timed() && p.MayHold(&c) {
					timed |= 1 << i
					if p.Holds(&c) {
						c.Now = since(p, &c, last)
						put(p, &c, nil)
						on[i] = true
					}
				}
				continue
			}
			holds := p.Holds(&c)
			if holds && !on[i] {
				put(p, &c, &m)
			}
			on[i] = holds
		}
		last = m.Time
	})
	u.Armed, u.Timed = g.arm(u), timed
	if timed != 0 {
		g.timed[u] = struct{}{}
	} else {
		delete(g.timed, u)
	}
	return found
}

// arm tells which policies of events may hold of a unit's tokens at any time, as
// far as is known: an end that was told of is one of what is to come.
func (g *guard) arm(u *inventory.Unit) (armed uint64) {
	if len(g.events) == 0 {
		return 0
	}
	g.inv.Secrets(u, func(t *tokenwatch.TokenRecord, now int64) {
		for _, i := range g.events {
			if bit := uint64(1) << i; (armed|g.any)&bit == 0 && g.policies.Policies[i].MayHold(&policy.Case{Token: t, Now: now}) {
				armed |= bit
			}
		}
	})
	return armed
}

// since finds the second in which a policy came to hold, after a time at which it
// did not.
func since(p *policy.Policy, c *policy.Case, after int64) int64 {
	const second = int64(time.Second)
	lo, hi := max(after, 0)/second, c.Now/second
	try := *c
	for lo+1 < hi {
		mid := (lo + hi) / 2
		try.Now = mid * second
		if p.Holds(&try) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi * second
}
