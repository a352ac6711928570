package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// shard is a part of one tenant's entities, chosen by the hash of the entity. It
// belongs to one goroutine at a time.
type shard struct {
	*tenant
	index, count uint64
	byName       [2]map[string]*entity // by EntityKind: token, actor
	byAddr       map[[16]byte]*entity
	open         map[int32][]*entity  // which have a window open, by hour
	incidental   map[*entity]struct{} // which have incidents
	touched      []touch              // windows of the entity at hand, by the batch at hand
	pool         window.Pool
	changed      []*entity // whose settled state differs from the snapshot's
	dropped      []string  // keys of the snapshot to delete
	out          []tokenwatch.Finding
	spilled      map[int32]*overflow // since gather, by hour
	swept        int32               // day
}

// entity is what the engine knows of one token, actor or address.
type entity struct {
	tokenwatch.Entity
	usual     baseline.Usual
	windows   []*window.Window // open, in order of their hours
	incidents []*finding.Incident
	life      *baseline.Life // of a token, as far as something is told
	changed   bool           // listed in shard.changed
	gone      bool           // dropped
}

// touch is a window that a batch added events to.
type touch struct {
	*window.Window
	latest int64 // greatest event time the batch added, UTC milliseconds
}

func newShard(t *tenant, index, count int) *shard {
	return &shard{
		tenant: t, index: uint64(index), count: uint64(count),
		byName: [2]map[string]*entity{{}, {}}, byAddr: map[[16]byte]*entity{},
		open: map[int32][]*entity{}, incidental: map[*entity]struct{}{},
	}
}

// apply adds a batch's rows to the windows of this shard's entities, one entity after
// the other, and judges each while it is at hand.
func (s *shard) apply(r *feature.Rows) error {
	tokens := r.Batch.Column(tokenwatch.ColToken).Dict
	for code, groups := 1, r.ByToken(); code < groups.Len(); code++ {
		if h := r.Tokens.Hashes[code]; h != 0 && s.mine(h) {
			if err := s.applyToken(r, tokens.At(code), groups.Of(code)); err != nil {
				return err
			}
		}
	}
	actors := r.Batch.Column(tokenwatch.ColActor).Dict
	for code, groups := 1, r.ByActor(); code < groups.Len(); code++ {
		if h := r.Actors.Hashes[code]; h != 0 && s.mine(h) {
			if err := s.applyActor(r, actors.At(code), groups.Of(code)); err != nil {
				return err
			}
		}
	}
	for code, groups := 1, r.ByAddress(); code < groups.Len(); code++ {
		if a, h := r.Addr(code); h != 0 && s.mine(h) {
			if err := s.applyAddress(r, a, groups.Of(code)); err != nil {
				return err
			}
		}
	}
	return nil
}

// counts tells whether a row lies within the windows that have not settled.
func (s *shard) counts(r *feature.Rows, i uint32) bool {
	return r.Hours[i] != feature.NoHour && r.Hours[i] >= s.settled
}

func (s *shard) applyToken(r *feature.Rows, id string, rows []uint32) error {
	var e *entity
	for _, row := range rows {
		if !s.counts(r, row) {
			continue
		}
		i := int(row)
		if e == nil {
			if e = s.roomForNamed(tokenwatch.EntityToken, id); e == nil {
				s.spill(r, i, tokenwatch.EntityToken)
				continue
			}
		}
		w := s.window(e, r.Hours[i], r.Millis[i])
		if r.Lead[i] == tokenwatch.EntityToken {
			w.Add(&s.pool, r, i)
			if e.life != nil && len(e.life.Networks) > 0 && !e.life.Allows(r.Batch.Addr(i)) {
				w.AddOutside(r, i)
			}
		}
		w.AddOrigin(r, i, 0, r.Passing(i))
	}
	return s.score(e)
}

func (s *shard) applyActor(r *feature.Rows, id string, rows []uint32) error {
	var e *entity
	for _, row := range rows {
		if !s.counts(r, row) {
			continue
		}
		i := int(row)
		if e == nil {
			if e = s.roomForNamed(tokenwatch.EntityActor, id); e == nil {
				s.spill(r, i, tokenwatch.EntityActor)
				continue
			}
		}
		w := s.window(e, r.Hours[i], r.Millis[i])
		if r.Lead[i] == tokenwatch.EntityActor {
			w.Add(&s.pool, r, i)
		}
		w.AddOrigin(r, i, r.Tokens.At(i), r.Session(i))
	}
	return s.score(e)
}

func (s *shard) applyAddress(r *feature.Rows, a [16]byte, rows []uint32) error {
	var e *entity
	for _, row := range rows {
		i := int(row)
		visits := r.Tokens.At(i) != 0
		if !s.counts(r, row) || !visits && r.Lead[i] != tokenwatch.EntityAddress {
			continue
		}
		if e == nil {
			if e = s.roomFor(a); e == nil {
				s.spill(r, i, tokenwatch.EntityAddress)
				continue
			}
		}
		w := s.window(e, r.Hours[i], r.Millis[i])
		if r.Lead[i] == tokenwatch.EntityAddress {
			w.Add(&s.pool, r, i)
		}
		if visits {
			w.AddVisitor(r, i)
		}
	}
	return s.score(e)
}

func (s *shard) mine(hash uint64) bool { return hash%s.count == s.index }

// roomForNamed returns the entity of a token or an actor, nil if there is no room for it.
func (s *shard) roomForNamed(kind tokenwatch.EntityKind, id string) *entity {
	if s.full(kind) && s.byName[kind][id] == nil {
		return nil
	}
	return s.named(kind, id)
}

// roomFor returns the entity of an address, nil if there is no room for it.
func (s *shard) roomFor(a [16]byte) *entity {
	if s.full(tokenwatch.EntityAddress) && s.byAddr[a] == nil {
		return nil
	}
	return s.address(a)
}

func (s *shard) named(kind tokenwatch.EntityKind, id string) *entity {
	e, ok := s.byName[kind][id]
	if !ok {
		id = strings.Clone(id)
		e = &entity{Entity: tokenwatch.Entity{Kind: kind, ID: id}}
		if kind == tokenwatch.EntityToken {
			if l := s.lives.byToken[tokenwatch.TokenID(id)]; l != nil {
				e.life = &l.Life
			}
		}
		s.byName[kind][id] = e
	}
	return e
}

func (s *shard) address(a [16]byte) *entity {
	e, ok := s.byAddr[a]
	if !ok {
		id := netip.AddrFrom16(a).Unmap().String()
		e = &entity{Entity: tokenwatch.Entity{Kind: tokenwatch.EntityAddress, ID: id}}
		s.byAddr[a] = e
	}
	return e
}

// window returns an entity's window of an hour and notes that it was touched.
func (s *shard) window(e *entity, hour int32, millis int64) *window.Window {
	for i := range s.touched {
		if t := &s.touched[i]; t.Hour == hour {
			t.latest = max(t.latest, millis)
			return t.Window
		}
	}
	i, ok := e.find(hour)
	if !ok {
		s.addWindow(e, s.pool.New(hour))
	}
	s.touched = append(s.touched, touch{e.windows[i], millis})
	return e.windows[i]
}

// addWindow opens a window that the entity has none of the hour of.
func (s *shard) addWindow(e *entity, w *window.Window) {
	at, _ := e.find(w.Hour)
	e.windows = slices.Insert(e.windows, at, w)
	s.open[w.Hour] = append(s.open[w.Hour], e)
}

func (e *entity) find(hour int32) (int, bool) {
	return slices.BinarySearchFunc(e.windows, hour, func(w *window.Window, h int32) int { return int(w.Hour - h) })
}

// score judges the windows of an entity that were touched, at once, against what has
// settled and the entity's own earlier open windows; e is nil if none were.
func (s *shard) score(e *entity) error {
	if len(s.touched) > 1 {
		slices.SortFunc(s.touched, func(a, b touch) int { return cmp.Compare(a.Hour, b.Hour) })
	}
	for _, t := range s.touched {
		if !t.Grown {
			continue
		}
		t.Grown = false
		at, _ := e.find(t.Hour)
		c := s.judge(e, at, s.usualFor(e))
		if !s.raises(c) {
			continue // what was raised before stays until its hour settles
		}
		in := s.incident(e, t.Hour/24)
		news := escalates(in, t.Hour, c)
		if !news && in.Has(t.Hour) {
			continue
		}
		h, err := finding.Describe(t.Hour, c, s.log, s.explain)
		if err != nil {
			return err
		}
		in.Put(t.Hour, h)
		if news {
			s.tell(e, in, time.UnixMilli(t.latest).UTC())
		}
	}
	clear(s.touched)
	s.touched = s.touched[:0]
	return nil
}

// raises tells whether what was combined is worth a finding.
func (s *shard) raises(c finding.Combined) bool {
	return len(c.Signals) > 0 && finding.Score(c.Rate) >= s.threshold
}

// From which score on an hour is taken to be anomalous when it is learned, and
// from which on it is left out when the tail of ordinary hours is; both whatever
// rate of findings was asked for.
const (
	odd  = 60
	sure = 70
)

// escalates tells whether an open hour says enough more than the finding does
// already to revise it: five points of score, or a further reason.
func escalates(in *finding.Incident, hour int32, c finding.Combined) bool {
	if in.Revision == 0 {
		return true
	}
	for _, h := range in.Hours {
		if h.Hour == hour && len(h.Reasons) < len(c.Signals) {
			return true
		}
	}
	return finding.Score(c.Rate) >= in.Score+5
}

// usualFor is the baseline that an entity is judged by as long as nothing has
// settled: its own, or that of the token it follows.
func (s *shard) usualFor(e *entity) *baseline.Usual {
	if e.usual.Hours == 0 && len(s.lives.heirs) > 0 {
		if a := s.ancestor(e); a != nil {
			return &a.usual
		}
	}
	return &e.usual
}

// judge runs the detectors over an entity's window.
func (s *shard) judge(e *entity, at int, usual *baseline.Usual) finding.Combined {
	w := e.windows[at]
	group := usual.Group(e.Kind)
	subject := detect.Subject{Now: w, Entity: e.Entity, Life: e.life, Usual: baseline.View{
		Kind: e.Kind, Usual: usual, Open: e.ordinary(at), Peers: s.peers(e.Kind), Group: s.group(group), Begun: s.epoch.Begun,
	}}
	subject.Today = subject.Usual.Today(w.Hour)
	var signals []tokenwatch.Signal
	for _, d := range s.detectors {
		signals = d.Score(0, &subject, signals)
	}
	c := finding.Combine(signals)
	c.Rate = s.rate(usual, e.Kind, w.Hour, c.Sum)
	return c
}

// ordinary lists the open windows before the one at a place, without those that
// are part of an incident: what an attacker did an hour ago is not usual yet.
func (e *entity) ordinary(at int) []*window.Window {
	open := e.windows[:at]
	if len(e.incidents) == 0 {
		return open
	}
	return slices.DeleteFunc(slices.Clone(open), func(w *window.Window) bool {
		in := e.existing(w.Hour / 24)
		return in != nil && in.Has(w.Hour)
	})
}

// settle closes the windows of an hour: it gives the final judgement, then
// learns from it. Hours settle in order, so e.windows[0] is the one if any is.
func (s *shard) settle(hour int32, delta *baseline.Epoch) error {
	for _, e := range s.open[hour] {
		if err := s.settleEntity(e, hour, delta); err != nil {
			return err
		}
	}
	delete(s.open, hour)
	for e := range s.incidental {
		s.forgetIncidents(e, hour)
	}
	s.sweep(hour)
	return nil
}

func (s *shard) settleEntity(e *entity, hour int32, delta *baseline.Epoch) error {
	c := s.judge(e, 0, &e.usual)
	raises := s.raises(c)
	in := e.existing(hour / 24)
	if raises {
		in = s.incident(e, hour/24)
		h, err := finding.Describe(hour, c, s.log, s.explain)
		if err != nil {
			return err
		}
		h.Settled = true
		in.Put(hour, h)
	} else if in != nil {
		in.Put(hour, nil)
	}
	if in != nil {
		s.tell(e, in, time.Time{})
	}
	e.usual.Learn(e.windows[0], baseline.Lesson{
		Odd: finding.Score(c.Rate) >= odd, Sure: finding.Score(c.Rate) >= sure, Sum: c.Sum, Peers: s.peers(e.Kind), Delta: &delta.Kinds[e.Kind], Group: &delta.Groups[e.usual.Group(e.Kind)],
	})
	if e.windows[0].Stored {
		s.dropped = append(s.dropped, windowKey(s.name, e.Entity, hour))
	}
	s.pool.Put(e.windows[0])
	e.windows = slices.Delete(e.windows, 0, 1)
	if e.spent() {
		s.drop(e)
		delete(s.byName[e.Kind], e.ID)
		return nil
	}
	s.change(e)
	return nil
}

// tell emits a revision of an incident's finding if it says something that the
// last one did not: a settled one whenever its bytes differ, a provisional one
// as score decided.
func (s *shard) tell(e *entity, in *finding.Incident, raisedBy time.Time) {
	if before := e.existing(in.Day - 1); before != nil && len(before.Hours) > 0 {
		in.Continues = finding.ID(s.key, s.name, e.Entity, tokenwatch.ClassAnomaly, "", in.Day-1)
	} else {
		in.Continues = ""
	}
	s.change(e)
	if len(in.Hours) == 0 && in.Revision == 0 {
		return
	}
	if !in.Settled() && raisedBy.IsZero() {
		return // an hour settled while others are open: their turn comes
	}
	f := finding.Build(s.key, s.name, e.Entity, in, raisedBy)
	told := f.Canonical()
	if string(told) == string(in.Told) {
		return
	}
	in.Revision++
	in.Told, in.Score = told, f.Score
	f.Revision = in.Revision
	s.out = append(s.out, f)
}

func (e *entity) existing(day int32) *finding.Incident {
	for _, in := range e.incidents {
		if in.Day == day {
			return in
		}
	}
	return nil
}

func (s *shard) incident(e *entity, day int32) *finding.Incident {
	if in := e.existing(day); in != nil {
		return in
	}
	in := &finding.Incident{Day: day}
	e.incidents = append(e.incidents, in)
	s.incidental[e] = struct{}{}
	return in
}

// forgetIncidents drops those that no hour to come can continue.
func (s *shard) forgetIncidents(e *entity, hour int32) {
	e.incidents = slices.DeleteFunc(e.incidents, func(in *finding.Incident) bool {
		old := in.Day+2 <= hour/24
		if old {
			s.dropped = append(s.dropped, incidentKey(s.name, e.Entity, in.Day))
		}
		return old
	})
	if len(e.incidents) == 0 {
		delete(s.incidental, e)
	}
}

func (s *shard) change(e *entity) {
	if !e.changed {
		e.changed = true
		s.changed = append(s.changed, e)
	}
}
