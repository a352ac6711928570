package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/storage"
)

// guard watches one tenant's tokens by policies. What breaks one is a breach: of
// what a token is like, found by going through what was said of its unit, or of
// its use, found row by row where a policy's cheap parts let a row through. Both
// are functions of the sets of facts and events up to the watermark; so when what
// is said comes after what was done, the rows since then are read once more.
type guard struct {
	*tenant
	inv      *inventory.Inventory
	policies *policy.Set
	any      uint64 // policies of events of any token
	posture  []int  // places of the policies of what a token is like
	events   []int  // places of those of its use
	breaches map[breachKey]*breach
	byToken  map[tokenwatch.TokenID][]*breach
	open     map[*breach]struct{} // that have not settled
	pending  []*breach            // of which there is something to tell
	timed    map[*inventory.Unit]struct{}
	recent   []extent // batches whose rows may still count
	checked  int32    // hour up to which time was let pass
	masks    []uint64
	now      atomic.Int64 // greatest event time, for readers
	out      []tokenwatch.Finding
	changed  []*breach // differ from what was stored
}

// extent is how far in event time a batch goes.
type extent struct {
	offset tokenwatch.Offset
	latest int64 // ns
}

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

func newGuard(t *tenant) *guard {
	g := &guard{
		tenant: t, inv: inventory.New(t.name),
		breaches: map[breachKey]*breach{}, byToken: map[tokenwatch.TokenID][]*breach{}, open: map[*breach]struct{}{},
		timed: map[*inventory.Unit]struct{}{},
	}
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
	g.policies, g.any, g.posture, g.events = s, 0, nil, nil
	for i, p := range s.Policies {
		if !p.OfEvents() {
			g.posture = append(g.posture, i)
			continue
		}
		g.events = append(g.events, i)
		if p.OfAnyToken() {
			g.any |= 1 << i
		}
	}
}

// learned follows a control record that changed units.
func (g *guard) learned(changed []inventory.Change, offset tokenwatch.Offset) error {
	if err := g.weigh(changed, offset); err != nil {
		return err
	}
	return g.tell(0)
}

// take takes in a batch.
func (g *guard) take(r *feature.Rows) error {
	if err := g.weigh(g.inv.Take(r.Batch, r.Offset), r.Offset); err != nil {
		return err
	}
	if err := g.look(r, nil); err != nil {
		return err
	}
	latest := int64(math.MinInt64)
	for i, h := range r.Hours {
		if h != feature.NoHour {
			latest = max(latest, r.Batch.Int(tokenwatch.ColTime, i))
		}
	}
	g.recent = append(g.recent, extent{r.Offset, latest})
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
			b.Events = slices.DeleteFunc(b.Events, func(e tokenwatch.EventRef) bool { return e.Millis >= from/1e6 })
			b.keepBefore(int32(from / int64(time.Hour)))
			g.change(b)
		}
	}
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

// first and last are the hours of the first and the last event, which there must be.
func (b *breach) first() int32 { return b.Day*24 + int32(bits.TrailingZeros32(b.Hours)) }
func (b *breach) last() int32  { return b.Day*24 + int32(31-bits.LeadingZeros32(b.Hours)) }

// keepBefore forgets the hours from one on.
func (b *breach) keepBefore(hour int32) {
	if n := hour - b.Day*24; n < 32 {
		b.Hours &= 1<<max(n, 0) - 1
	}
}

// look asks the policies of events about the rows of a batch, of those tokens and
// times that only lets through, or all.
func (g *guard) look(r *feature.Rows, only func(tokenwatch.TokenID, int64) bool) error {
	tokens := r.Batch.Column(tokenwatch.ColToken)
	if len(g.events) == 0 || tokens.Codes == nil {
		return nil
	}
	var armed bool
	if g.masks, armed = g.inv.Armed(r.Batch, g.masks); !armed && g.any == 0 {
		return nil
	}
	let := make([][]bool, len(g.policies.Policies))
	none := uint64(0) // policies that no row of the batch breaks
	for _, i := range g.events {
		if g.any&(1<<i) == 0 && !armed {
			none |= 1 << i
			continue
		}
		rows, nobody := g.policies.Policies[i].Rows(r.Batch)
		if let[i] = rows; nobody {
			none |= 1 << i
		}
	}
	views := map[uint32]view{}
	for row, code := range tokens.Codes {
		mask := (g.masks[code] | g.any) &^ none
		if code == 0 || mask == 0 || r.Hours[row] == feature.NoHour || r.Hours[row] < g.settled {
			continue
		}
		for _, i := range g.events {
			if mask&(1<<i) == 0 || let[i] != nil && !let[i][row] {
				continue
			}
			ns := r.Batch.Int(tokenwatch.ColTime, row)
			id := tokenwatch.TokenID(tokens.Dict.At(int(code)))
			if only != nil && !only(id, ns) {
				break
			}
			w, ok := views[code]
			if !ok || ns < w.from || ns >= w.until {
				w.from = ns
				w.record, w.until = g.inv.AsOf(id, ns)
				views[code] = w
			}
			p := g.policies.Policies[i]
			c := policy.Case{Token: &w.record, Batch: r.Batch, Row: row, Now: ns}
			if p.Holds(&c) {
				g.hit(p, &c, r.Ref(row))
			}
		}
	}
	return nil
}

// view is a token as of a time, and while it stays so.
type view struct {
	record      tokenwatch.TokenRecord
	from, until int64
}

// hit notes an event that breaks a policy.
func (g *guard) hit(p *policy.Policy, c *policy.Case, e tokenwatch.EventRef) {
	b := g.breach(breachKey{c.Token.ID, p.ID, int32(e.Millis / 3600_000 / 24)})
	g.note(b, e, func() string { return p.Say(c) })
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
			if b.At == 0 && !b.Gone {
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
	return nil
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

func (g *guard) policy(id string) *policy.Policy {
	i, ok := slices.BinarySearchFunc(g.policies.Policies, id, func(p *policy.Policy, id string) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return nil
	}
	return g.policies.Policies[i]
}

// The guard's records, by the first byte of what follows the tenant in their key.
const (
	guardInventory = 'i' // followed by the inventory's own key
	guardBreach    = 'p' // token, policy, day
	guardRecent    = 'r'
)

type guardRecord struct {
	_       struct{} `cbor:",toarray"`
	Checked int32
	Offsets []tokenwatch.Offset // of batches that may still count
	Latest  []int64
}

// records puts what has changed since the last snapshot.
func (g *guard) records(out *[]storage.Record) {
	base := appendPart([]byte{recGuard}, g.name)
	put := func(kind byte, key, value []byte) {
		*out = append(*out, storage.Record{Key: append(append(slices.Clone(base), kind), key...), Value: value})
	}
	g.inv.Changed(func(key, value []byte) { put(guardInventory, key, value) })
	slices.SortFunc(g.changed, func(a, b *breach) int {
		return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Day, b.Day))
	})
	for _, b := range g.changed {
		b.dirty = false
		key := appendPart(appendPart(nil, string(b.Token)), b.Policy)
		put(guardBreach, binary.BigEndian.AppendUint32(key, uint32(b.Day)), encode(b))
	}
	g.changed = g.changed[:0]
	r := guardRecord{Checked: g.checked}
	for _, x := range g.recent {
		r.Offsets, r.Latest = append(r.Offsets, x.offset), append(r.Latest, x.latest)
	}
	put(guardRecent, nil, encode(r))
}

// load takes back a record of the guard.
func (g *guard) load(key []byte, r storage.Record) error {
	if len(key) == 0 {
		return corrupt(r)
	}
	switch key[0] {
	case guardInventory:
		if g.inv.Load(key[1:], r.Value) != nil {
			return corrupt(r)
		}
	case guardBreach:
		b := new(breach)
		if err := decode(r, b); err != nil {
			return err
		}
		g.add(b)
	case guardRecent:
		var s guardRecord
		if err := decode(r, &s); err != nil || len(s.Offsets) != len(s.Latest) {
			return corrupt(r)
		}
		g.checked = s.Checked
		for i, o := range s.Offsets {
			g.recent = append(g.recent, extent{o, s.Latest[i]})
		}
	default:
		return corrupt(r)
	}
	return nil
}
