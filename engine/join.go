package engine

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
)

// One incident is one finding, though a token, its user and their address would each
// have one. What an entity's hour gives reason for is told by another's finding of
// the day where
//
//   - many came from one new source together, and not to do what they always do;
//   - the source of its most telling event sprayed credentials that day or the day
//     before; addresses of one /24 (IPv6: /48) spray together;
//   - another secret of the same token's life has a finding;
//   - the other's evidence holds one of its own events.
//
// The other one is whichever came first by its earliest event, and lists it among
// its members. So every entity keeps the key of its finding, which ends merged into
// that of the incident.

// told is an hour that gives reason for a finding.
type told struct {
	*judged
	*finding.Hour
}

// order puts sources before those who came from them, and then goes by time.
func (a *told) order(b *told) int {
	source := func(t *told) int {
		if t.e.Kind == tokenwatch.EntityAddress {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.judged.hour, b.judged.hour), cmp.Compare(source(a), source(b)),
		begins(a.Hour).Compare(begins(b.Hour)), compareEntities(a.e, b.e))
}

// begins is the time of an hour's earliest evidence.
func begins(h *finding.Hour) time.Time {
	if len(h.Events) == 0 {
		return finding.HourStart(h.Hour)
	}
	return h.Events[0].Time
}

// describe puts in words what was raised, in the order in which it is told.
func (t *tenant) describe(list []*judged) ([]*told, error) {
	var out []*told
	for _, j := range list {
		if !j.raises {
			continue
		}
		h, err := finding.Describe(j.hour, j.Combined, t.log, t.explain)
		if err != nil {
			return nil, err
		}
		h.Settled = j.latest == 0
		out = append(out, &told{j, h})
	}
	slices.SortFunc(out, (*told).order)
	return out, nil
}

// place puts an hour where it is told, and returns whose finding that is.
func (t *tenant) place(x *told, causes []*cause) (*entity, error) {
	by, how, err := t.anchor(x, causes)
	if err != nil {
		return nil, err
	}
	day := x.judged.hour / 24
	in := t.home(x.e).incident(x.e, day)
	if by == nil || by == x.e {
		if h := in.At(x.judged.hour); h != nil && h.Settled == x.Settled { // it has absorbed others
			x.Members, x.Count, x.Rate = h.Members, h.Count, min(x.Rate, h.Rate)
		}
		in.Join(x.judged.hour, "")
		t.frame(in, x.e, x)
		in.Put(x.judged.hour, x.Hour)
		t.noteSpray(x)
		return x.e, nil
	}
	in.Join(x.judged.hour, t.id(by, day))
	in.Score = finding.Score(x.Rate)
	t.home(x.e).change(x.e)
	into := t.home(by).incident(by, day)
	h := into.At(x.judged.hour)
	if h == nil || h.Settled != x.Settled {
		h = &finding.Hour{Hour: x.judged.hour, Settled: x.Settled, Rate: x.Rate}
		h.Reasons = []tokenwatch.Reason{{
			Detector: x.Reasons[0].Detector, Axis: x.Reasons[0].Axis, Surprise: x.Reasons[0].Surprise,
			Observed: x.Reasons[0].Observed, Expected: x.Reasons[0].Expected, Text: how, Attack: x.Reasons[0].Attack,
		}}
	} else {
		copied := *h
		h = &copied
	}
	h.Absorb(x.e.Entity, x.Hour)
	t.frame(into, by, x)
	into.Put(x.judged.hour, h)
	return by, nil
}

// frame notes what was expected of an entity, as of the first of its incident's hours,
// before another is put there.
func (t *tenant) frame(in *finding.Incident, e *entity, x *told) {
	if x.Settled && slices.ContainsFunc(in.Hours, func(h finding.Hour) bool { return h.Settled }) ||
		!x.Settled && len(in.Hours) > 0 && in.Hours[0].Hour < x.judged.hour {
		return
	}
	in.Band = tokenwatch.Series{}
	at, ok := e.find(x.judged.hour)
	if !ok {
		return
	}
	s, usual := t.home(e), &e.usual
	if !x.Settled {
		usual = s.usualFor(e)
	}
	in.Band = s.band(e, at, usual, in.Day)
}

// anchor finds whose finding tells of an hour, nil if its own entity's does; and how
// the other one is concerned, in a clause.
func (t *tenant) anchor(x *told, causes []*cause) (*entity, string, error) {
	if x.e.Kind == tokenwatch.EntityAddress {
		if !sprays(x.Hour) {
			return nil, "", nil
		}
		return t.sprayer(x.e.ID, x), "is of a range of addresses that present one invalid credential after the other", nil
	}
	if e := t.sprayer(x.Telling.SrcIP, x); e != nil {
		return e, "is where credentials were used from that it had guessed or found", nil
	}
	for _, c := range causes {
		if _, ok := c.members[x.e]; ok && !c.shared && c.hour == x.judged.hour {
			e, how, err := t.source(c)
			return e, how, err
		}
	}
	if l := t.lives.byToken[tokenwatch.TokenID(x.e.ID)]; l != nil && x.e.Kind == tokenwatch.EntityToken {
		for _, id := range l.tokens {
			if e := t.bearer(id, x.judged.hour); e != nil && e != x.e && t.tells(e, x) {
				return e, "has another secret that was used alike", nil
			}
		}
	}
	return t.witness(x), "is part of the same events", nil
}

// source is whose finding tells of those who came from one new source together: of
// the address, where it is one, or else of their group.
func (t *tenant) source(c *cause) (*entity, string, error) {
	how := fmt.Sprintf("is where %d came from for the first time within one hour, not to do what they always do", len(c.members))
	for i := range c.changes {
		x := &c.changes[i]
		if a, ok := x.Axis(); !ok || a != feature.Address {
			continue
		}
		b, row, err := t.log.Row(x.first)
		if err != nil {
			return nil, "", err
		}
		if e, err := t.addressed(b.Addr(row)); e != nil {
			return e, how, err
		}
	}
	return t.groupNamed(c.group.ID), how, nil
}

// addressed finds the entity of an address, nil if there is none.
func (t *tenant) addressed(a netip.Addr) (*entity, error) {
	if !a.IsValid() {
		return nil, nil
	}
	hash := feature.AddrHash(t.hash, a.As16())
	return t.shardOf(hash).wake(tokenwatch.EntityAddress, hash)
}

// tells tells whether an entity has a finding of its own of an hour's day, up to that
// hour, which has settled if the hour has.
func (t *tenant) tells(e *entity, x *told) bool {
	in := e.existing(x.judged.hour / 24)
	return in != nil && slices.ContainsFunc(in.Hours, func(h finding.Hour) bool {
		return h.Hour <= x.judged.hour && (h.Settled || !x.Settled)
	})
}

// sprays tells whether an hour is one of spraying.
func sprays(h *finding.Hour) bool {
	return slices.ContainsFunc(h.Reasons, func(r tokenwatch.Reason) bool { return r.Detector == "spraying" })
}

// neighbours is the range of addresses that one attacker is taken to have.
func neighbours(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // of a valid address, it cannot fail
	return p
}

// noteSpray remembers a source that sprays.
func (t *tenant) noteSpray(x *told) {
	if x.e.Kind == tokenwatch.EntityAddress && sprays(x.Hour) {
		t.noteSprayer(x.e)
	}
}

func (t *tenant) noteSprayer(e *entity) {
	a, err := netip.ParseAddr(e.ID)
	if err != nil {
		return
	}
	p := neighbours(a)
	if !slices.Contains(t.sprayers[p], e) {
		t.sprayers[p] = append(t.sprayers[p], e)
	}
}

// sprayer finds the source that sprayed before, that day or the day before, from the
// neighbourhood of an address.
func (t *tenant) sprayer(address string, x *told) *entity {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	var best *entity
	since := int32(0)
	for _, e := range t.sprayers[neighbours(a)] {
		for day := x.judged.hour/24 - 1; day <= x.judged.hour/24; day++ {
			in := e.existing(day)
			if in == nil {
				continue
			}
			for i := range in.Hours {
				h := &in.Hours[i]
				if h.Hour > x.judged.hour || x.Settled && !h.Settled || !sprays(h) {
					continue
				}
				if best == nil || h.Hour < since || h.Hour == since && e != best && earlier(e.ID, in, h, best) {
					best, since = e, h.Hour
				}
			}
		}
	}
	return best
}

// earlier tells whether an hour's evidence begins before that of another entity in
// the same hour.
func earlier(id string, in *finding.Incident, h *finding.Hour, than *entity) bool {
	o := than.existing(in.Day)
	if o == nil || o.At(h.Hour) == nil {
		return false
	}
	return cmp.Or(begins(h).Compare(begins(o.At(h.Hour))), cmp.Compare(id, than.ID)) < 0
}

// witness finds an entity whose finding of the hour has one of the same events as
// evidence.
func (t *tenant) witness(x *told) *entity {
	for _, ev := range x.Events {
		if e := t.witnesses[ev]; e != nil && e != x.e {
			if in := e.existing(x.judged.hour / 24); in != nil && in.Has(x.judged.hour) {
				return e
			}
		}
	}
	return nil
}

// tellAll places hours and tells of them, once for each finding; and of others that
// have nothing more to tell of an hour.
func (t *tenant) tellAll(list []*told, causes []*cause, others []*entity, hour int32) error {
	clear(t.witnesses)
	type whose struct {
		e   *entity
		day int32
	}
	at := map[whose]int64{}
	for _, e := range others {
		at[whose{e, hour / 24}] = 0
	}
	for _, x := range list {
		by, err := t.place(x, causes)
		if err != nil {
			return err
		}
		for _, ev := range x.Events {
			if t.witnesses[ev] == nil {
				t.witnesses[ev] = by
			}
		}
		if x.quiet {
			continue
		}
		for _, e := range []*entity{by, x.e} {
			w := whose{e, x.judged.hour / 24}
			at[w] = max(at[w], x.latest)
		}
	}
	for _, w := range slices.SortedFunc(maps.Keys(at), func(a, b whose) int {
		return cmp.Or(compareEntities(a.e, b.e), cmp.Compare(a.day, b.day))
	}) {
		t.home(w.e).tell(w.e, w.e.existing(w.day), moment(at[w]))
	}
	return nil
}

// moment is a time in UTC milliseconds; 0 is none.
func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
