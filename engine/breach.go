package engine

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

type breachKey struct {
	token  tokenwatch.TokenID
	policy string
	day    int32
}

// breach is one policy broken by one token on one day.
type breach struct {
	_        struct{} `cbor:",toarray"`
	Token    tokenwatch.TokenID
	Policy   string
	Day      int32
	Events   []tokenwatch.EventRef // earliest first; of a posture, the record that tells of it
	At       int64                 // of a posture: since when, ns; 0 if it is about events
	Hours    uint32                // of the day that have such events, as bits; those of a posture's time
	Message  string
	Settled  bool
	Gone     bool // it does not hold after all
	Into     tokenwatch.TokenID
	Revision int
	Told     uint64 // digest of what was told last
	dirty    bool
	pending  bool
}

func (b *breach) key() breachKey { return breachKey{b.Token, b.Policy, b.Day} }

// first and last are the hours of the first and the last event, which there must be.
func (b *breach) first() int32 { return b.Day*24 + int32(bits.TrailingZeros32(b.Hours)) }

func (b *breach) last() int32 { return b.Day*24 + int32(31-bits.LeadingZeros32(b.Hours)) }

// keepBefore forgets the hours from one on.
func (b *breach) keepBefore(hour int32) {
	if n := hour - b.Day*24; n < 32 {
		b.Hours &= 1<<max(n, 0) - 1
	}
}

// note adds an event to a breach.
func (g *guard) note(b *breach, e tokenwatch.EventRef, say func() string) {
	hour := int32(e.Millis / 3600_000)
	at, same := slices.BinarySearchFunc(b.Events, e, tokenwatch.EventRef.Compare)
	bit := uint32(1) << (hour % 24)
	if same || at == tokenwatch.MaxEvidence {
		if b.Hours&bit == 0 {
			b.Hours |= bit
			g.change(b)
		}
		return
	}
	if at == 0 {
		b.Message = say() // as the earliest event has it
	}
	b.Events = slices.Insert(b.Events, at, e)
	b.Events = b.Events[:min(len(b.Events), tokenwatch.MaxEvidence)]
	b.Hours |= bit
	g.change(b)
}

func (g *guard) breach(k breachKey) *breach {
	b, ok := g.breaches[k]
	if !ok {
		b = &breach{Token: k.token, Policy: k.policy, Day: k.day}
		g.add(b)
	}
	return b
}

func (g *guard) add(b *breach) {
	g.breaches[b.key()] = b
	g.byToken[b.Token] = append(g.byToken[b.Token], b)
	if !b.Settled {
		g.open[b] = struct{}{}
	}
}

// change notes that a breach is to be told, and stored.
func (g *guard) change(b *breach) {
	b.Settled = false
	g.open[b] = struct{}{}
	if !b.pending {
		b.pending = true
		g.pending = append(g.pending, b)
	}
	g.store(b)
}

func (g *guard) store(b *breach) {
	if !b.dirty {
		b.dirty = true
		g.changed = append(g.changed, b)
	}
}

// move makes breaches of ids that turned out to be another token's part of those
// of that token, whether they have settled or not.
func (g *guard) move(u *inventory.Unit) error {
	for _, id := range g.inv.IDs(u) {
		into := g.inv.Canonical(id)
		if into == id {
			continue
		}
		for _, b := range g.byToken[id] {
			if b.Into == into {
				continue
			}
			if p := g.policy(b.Policy); b.At == 0 && !b.Gone && (p == nil || !p.OfWindow()) {
				for _, e := range b.Events {
					if err := g.noteAgain(into, b, e); err != nil {
						return err
					}
				}
			}
			b.Gone, b.Into = true, into
			g.change(b)
		}
	}
	return g.moveCandidates(u)
}

// noteAgain notes an event of a breach for the token that it turned out to be of.
func (g *guard) noteAgain(into tokenwatch.TokenID, b *breach, e tokenwatch.EventRef) error {
	batch, row, err := g.log.Row(e)
	if err != nil {
		return err
	}
	g.note(g.breach(breachKey{into, b.Policy, b.Day}), e, func() string {
		p := g.policy(b.Policy)
		if p == nil {
			return b.Message // of a policy that is no longer in use
		}
		now := batch.Int(tokenwatch.ColTime, row)
		record, _ := g.inv.AsOf(into, now)
		return p.Say(&policy.Case{Token: &record, Batch: batch, Row: row, Now: now})
	})
	return nil
}

// tell emits what is new of breaches. latest is the time of the event that led
// to it.
func (g *guard) tell(latest int64) error {
	slices.SortFunc(g.pending, func(a, b *breach) int {
		return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Day, b.Day))
	})
	for _, b := range g.pending {
		b.pending = false
		if err := g.tellOne(b, latest); err != nil {
			return err
		}
	}
	g.pending = g.pending[:0]
	return nil
}

func (g *guard) tellOne(b *breach, latest int64) error {
	none := b.Gone || b.At == 0 && len(b.Events) == 0
	settled := none || b.last() < g.settled
	if b.Revision > 0 && !settled && !none {
		return nil // told; the rest when it has settled
	}
	if settled {
		b.Settled = true
		delete(g.open, b)
		g.store(b)
	}
	if none && b.Revision == 0 {
		return nil
	}
	f, err := g.finding(b, settled, latest)
	if err != nil {
		return err
	}
	told := vec.NewHash([16]byte(g.key[:16])).String(string(f.Canonical()))
	if told == b.Told {
		return nil
	}
	b.Revision++
	b.Told = told
	f.Revision = b.Revision
	g.store(b)
	g.out = append(g.out, f)
	return nil
}

// finding makes the finding that a breach tells of.
func (g *guard) finding(b *breach, settled bool, latest int64) (tokenwatch.Finding, error) {
	entity := tokenwatch.Entity{Kind: tokenwatch.EntityToken, ID: string(b.Token)}
	day := time.Unix(int64(b.Day)*86400, 0).UTC()
	f := tokenwatch.Finding{
		ID: finding.ID(g.key, g.name, entity, tokenwatch.ClassPolicy, b.Policy, b.Day), Tenant: g.name,
		EntityKind: tokenwatch.EntityToken, Entity: entity.ID, Token: b.Token, Class: tokenwatch.ClassPolicy, Kind: b.Policy,
		Settled: settled, Status: tokenwatch.StatusNew, Detectors: []string{b.Policy}, Reasons: []tokenwatch.Reason{}, Evidence: []tokenwatch.Event{},
		RequestIDs: []string{}, Attack: []string{}, Summary: b.Message,
	}
	p := g.policy(b.Policy)
	if p != nil {
		f.Score, f.Attack, f.Controls = p.Score(), append(f.Attack, p.Attack...), p.Controls
		f.Reasons = append(f.Reasons, tokenwatch.Reason{Detector: b.Policy, Text: p.Title, Attack: p.Attack})
	}
	f.Severity = tokenwatch.SeverityOf(f.Score)
	if b.Gone || b.At == 0 && len(b.Events) == 0 {
		f.Withdrawn, f.Time, f.Window = true, day, tokenwatch.Window{Start: day, End: day.Add(24 * time.Hour)}
		f.Summary = "withdrawn: with all that is known by now, the policy was not broken"
		if b.Into != "" {
			f.MergedInto = finding.ID(g.key, g.name, tokenwatch.Entity{Kind: tokenwatch.EntityToken, ID: string(b.Into)}, tokenwatch.ClassPolicy, b.Policy, b.Day)
			f.Summary = "the token was found to be another one, whose finding this is part of"
		}
		return f, nil
	}
	for _, ref := range b.Events {
		ev, err := finding.EventOf(ref, g.log)
		if err != nil {
			return f, err
		}
		f.Evidence = append(f.Evidence, ev)
		if ev.RequestID != "" {
			f.RequestIDs = append(f.RequestIDs, ev.RequestID)
		}
	}
	f.Window = tokenwatch.Window{Start: finding.HourStart(b.first()), End: finding.HourStart(b.last() + 1)}
	switch {
	case b.At != 0:
		f.Time = time.Unix(0, b.At).UTC()
	case settled || latest == 0:
		f.Time = f.Evidence[0].Time
	default:
		f.Time = time.Unix(0, latest).UTC().Truncate(time.Millisecond)
	}
	if b.At == 0 {
		f.SrcIP, f.Actor = f.Evidence[0].SrcIP, f.Evidence[0].Actor
	}
	return f, nil
}
