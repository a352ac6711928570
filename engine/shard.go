package engine

import (
	"cmp"
	"math/bits"
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
	// entities are by the hash of their ids, as values are told apart: those that are
	// awake, and those that sleep.
	entities   [tokenwatch.NumEntityKinds]map[uint64]*entity
	asleep     [tokenwatch.NumEntityKinds]map[uint64]sleeper
	packing    []byte
	resident   int                  // bytes of sleepers in memory
	left       []*entity            // that the batches at hand are about, and that were left to the store
	open       map[int32][]*entity  // which have a window open, by hour
	opened     int                  // windows
	incidental map[*entity]struct{} // which have incidents
	busy       []*entity            // that the batches at hand are about
	parts      []part
	touched    []touch // windows of the entity at hand, by the batches at hand
	pool       window.Pool
	subject    detect.Subject // of the judgement at hand
	closed     baseline.Common
	warmed     uint64 // means nothing; see warm
	signals    []tokenwatch.Signal
	dropped    []string // keys of the snapshot to delete
	out        []tokenwatch.Finding
	told       []telling                 // incidents of which out tells
	spilled    map[int32]*overflow       // since gather, by hour
	swept      int32                     // day
	judged     []judged                  // of the batches or the hour at hand
	raised     []int32                   // hours of the entity at hand that the batches give reason to tell of
	tallies    map[int32]*baseline.Tally // of the batches or the hour at hand, by hour
	asides     []aside                   // by the batches at hand
	remade     []remade                  // likewise
}

// entity is what the engine knows of one token, actor or address.
type entity struct {
	tokenwatch.Entity
	hash      uint64
	usual     baseline.Usual
	windows   []*window.Window // open, in order of their hours
	incidents []*finding.Incident
	life      *baseline.Life // of a token, as far as something is told
	changed   bool           // its settled state differs from the snapshot's
	// parts and lastPart are the first and last of the entity's parts, see part.
	parts, lastPart int32

	// Of a token with namesakes; see namesake.
	raw    *entity   // to whose windows rows are added; its own are merged of those of its names
	names  *namesake // of such a raw one
	before *entity   // whose baseline serves while it has none
	again  int32     // place in shard.remade, counted from 1
}

// telling is an incident that something was told of.
type telling struct {
	*entity
	*finding.Incident
}

// touch is a window that a batch added events to.
type touch struct {
	*window.Window
	latest int64 // greatest event time the batch added, UTC milliseconds
}

func newShard(t *tenant, index, count int) *shard {
	return &shard{
		tenant: t, index: uint64(index), count: uint64(count),
		entities: [tokenwatch.NumEntityKinds]map[uint64]*entity{{}, {}, {}}, asleep: [tokenwatch.NumEntityKinds]map[uint64]sleeper{{}, {}, {}},
		open: map[int32][]*entity{}, incidental: map[*entity]struct{}{}, tallies: map[int32]*baseline.Tally{},
	}
}

// apply adds the rows of some batches to the windows of this shard's entities. All
// entities are looked up first; then each has its rows added, and is judged, while it
// is at hand.
func (s *shard) apply(group []*feature.Rows) error {
	for _, r := range group {
		tokens, actors := r.Batch.Column(tokenwatch.ColToken).Dict, r.Batch.Column(tokenwatch.ColActor).Dict
		for code, g := 1, r.ByToken(); code < g.Len(); code++ {
			if h := r.Tokens.Hashes[code]; h != 0 && s.mine(h) {
				s.share(tokenwatch.EntityToken, h, r, g.Of(code), func() string { return strings.Clone(tokens.At(code)) })
			}
		}
		for code, g := 1, r.ByActor(); code < g.Len(); code++ {
			if h := r.Actors.Hashes[code]; h != 0 && s.mine(h) {
				s.share(tokenwatch.EntityActor, h, r, g.Of(code), func() string { return strings.Clone(actors.At(code)) })
			}
		}
		for code, g := 1, r.ByAddress(); code < g.Len(); code++ {
			if a, h := r.Addr(code); h != 0 && s.mine(h) {
				s.share(tokenwatch.EntityAddress, h, r, g.Of(code), func() string { return netip.AddrFrom16(a).Unmap().String() })
			}
		}
		for i := range r.Blocks {
			if b := &r.Blocks[i]; s.mine(b.Hash) {
				s.share(tokenwatch.EntityAddress, b.Hash, r, b.Rows, b.Prefix.String)
			}
		}
	}
	if err := s.fetch(s.left); err != nil {
		return err
	}
	clear(s.left)
	s.left = s.left[:0]
	common := s.causes.Now()
	for i, e := range s.busy {
		if i%ahead == 0 {
			s.warm(s.busy[i:min(i+ahead, len(s.busy))])
		}
		to := e
		if e.raw != nil {
			to = e.raw
		}
		for at := e.parts; at != 0; {
			p := &s.parts[at-1]
			s.add(to, p.from, p.rows)
			at = p.next
		}
		e.parts = 0
		if to != e {
			s.setAside(to)
			continue
		}
		s.score(e, common)
	}
	clear(s.busy)
	clear(s.parts)
	s.busy, s.parts = s.busy[:0], s.parts[:0]
	return nil
}

// ahead is how many entities are warmed at a time: what they hold is to stay in the
// nearest caches until their turn comes.
const ahead = 8

// warm reads a little of what is needed for each of some entities. They lie all over the
// memory, and most of what an entity costs is waiting for it: a processor waits for
// several at once if nothing depends on any of them yet.
func (s *shard) warm(list []*entity) {
	sum := uint64(0)
	for _, e := range list {
		for at := e.parts; at != 0; {
			p := &s.parts[at-1]
			for _, row := range p.rows {
				sum += uint64(p.from.Events[row].Hour)
			}
			at = p.next
		}
	}
	for _, e := range list {
		sum += uint64(e.usual.Warm())
		if n := len(e.windows); n > 0 {
			sum += e.windows[n-1].Warm()
		}
	}
	s.warmed += sum
}

// warmJudged is the same for those that are to be learned.
func (s *shard) warmJudged(list []judged) {
	sum := uint64(0)
	for i := range list {
		e := list[i].e
		sum += uint64(e.usual.Warm()) + e.windows[0].Warm()
	}
	s.warmed += sum
}

// warmSettling is the same for entities whose first windows settle.
func (s *shard) warmSettling(list []*entity) {
	sum := uint64(0)
	for _, e := range list {
		sum += uint64(e.usual.Warm()) + e.windows[0].Warm()
	}
	s.warmed += sum
}

// part is rows of a batch that are about one entity.
type part struct {
	from *feature.Rows
	rows []uint32
	next int32 // place of the entity's next part in shard.parts, counted from 1
}

// share notes that rows of a batch are about an entity, which is made if some of them
// count; id is only asked for then.
func (s *shard) share(kind tokenwatch.EntityKind, hash uint64, r *feature.Rows, rows []uint32, id func() string) {
	e := s.entities[kind][hash]
	if e == nil {
		if !slices.ContainsFunc(rows, func(row uint32) bool { return s.counts(kind, r, row) }) {
			return
		}
		if _, sleeps := s.asleep[kind][hash]; s.crammed() || !sleeps && s.full(kind) {
			for _, row := range rows {
				if s.counts(kind, r, row) {
					s.spill(r, int(row), kind)
				}
			}
			return
		}
		var here bool
		if e, here = s.rouse(kind, hash); e == nil {
			e = s.make(kind, hash, id())
		} else if !here {
			s.left = append(s.left, e)
		}
	}
	s.parts = append(s.parts, part{from: r, rows: rows})
	at := int32(len(s.parts))
	if e.parts == 0 {
		e.parts = at
		s.busy = append(s.busy, e)
	} else {
		s.parts[e.lastPart-1].next = at
	}
	e.lastPart = at
}

// counts tells whether a row lies within the windows that have not settled, and says
// something of the entity of a kind that it names: an address is of interest for the
// tokens that come from it, or where there is nothing else.
func (s *shard) counts(kind tokenwatch.EntityKind, r *feature.Rows, row uint32) bool {
	e := &r.Events[row]
	if e.Hour == feature.NoHour || e.Hour < s.settled {
		return false
	}
	return kind != tokenwatch.EntityAddress || e.Lead == tokenwatch.EntityAddress || e.Token != 0
}

// add adds rows that are about an entity to its windows.
func (s *shard) add(e *entity, r *feature.Rows, rows []uint32) {
	for _, row := range rows {
		if !s.counts(e.Kind, r, row) {
			continue
		}
		i, event := int(row), &r.Events[row]
		w := s.window(e, event.Hour, event.Millis)
		if w == nil {
			s.spill(r, i, e.Kind)
			continue
		}
		if event.Lead == e.Kind {
			w.Add(&s.pool, r, i)
		}
		switch e.Kind {
		case tokenwatch.EntityToken:
			w.AddOrigin(r, i, 0, event.Passing)
		case tokenwatch.EntityActor:
			w.AddOrigin(r, i, event.Token, event.Session)
		case tokenwatch.EntityAddress:
			if event.Token != 0 {
				w.AddVisitor(r, i)
			}
		}
	}
}

func (s *shard) mine(hash uint64) bool { return hash%s.count == s.index }

// entity returns the entity of a kind and id, made if need be.
func (s *shard) entity(kind tokenwatch.EntityKind, hash uint64, id string) (*entity, error) {
	if e, err := s.wake(kind, hash); e != nil {
		return e, err
	}
	return s.make(kind, hash, strings.Clone(id)), nil
}

func (s *shard) make(kind tokenwatch.EntityKind, hash uint64, id string) *entity {
	e := &entity{Entity: tokenwatch.Entity{Kind: kind, ID: id}, hash: hash, usual: baseline.New()}
	s.own(e)
	s.entities[kind][hash] = e
	return e
}

// own gives a token what is told of its life.
func (s *shard) own(e *entity) {
	if e.Kind != tokenwatch.EntityToken {
		return
	}
	if l := s.lives.byToken[tokenwatch.TokenID(e.ID)]; l != nil {
		e.life = &l.Life
	}
	if n := s.namesakes.by[tokenwatch.TokenID(e.ID)]; n != nil {
		s.adopt(e, n)
	}
}

// window returns an entity's window of an hour and notes that it was touched; nil if
// there is no room for it.
func (s *shard) window(e *entity, hour int32, millis int64) *window.Window {
	for i := range s.touched {
		if t := &s.touched[i]; t.Hour == hour {
			t.latest = max(t.latest, millis)
			return t.Window
		}
	}
	i, ok := e.find(hour)
	if !ok && s.crammed() {
		return nil
	}
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
	if e.names == nil {
		s.open[w.Hour] = append(s.open[w.Hour], e)
	}
	s.opened++
}

// find looks from the end: nearly always it is the last one.
func (e *entity) find(hour int32) (int, bool) {
	at := len(e.windows)
	for at > 0 && e.windows[at-1].Hour >= hour {
		at--
	}
	return at, at < len(e.windows) && e.windows[at].Hour == hour
}

// score judges the windows of an entity that were touched, at once, against what has
// settled and the entity's own earlier open windows; e is nil if none were. What is
// raised of it is for conclude.
func (s *shard) score(e *entity, common *baseline.Common) {
	if len(s.touched) > 1 {
		slices.SortFunc(s.touched, func(a, b touch) int { return cmp.Compare(a.Hour, b.Hour) })
	}
	for _, t := range s.touched {
		at, _ := e.find(t.Hour)
		if !s.news(e, at) || s.idle(e, at, s.usualFor(e)) {
			continue
		}
		j := s.judge(e, at, s.usualFor(e), common)
		j.latest = t.latest
		s.see(t.Window, &j)
		if j.raises = s.raises(j.Combined); j.raises {
			s.judged = append(s.judged, j)
			s.raised = append(s.raised, t.Hour)
		}
	}
	s.raised = s.raised[:0]
	clear(s.touched)
	s.touched = s.touched[:0]
}

// news tells whether there is something to judge in a window that was not there the
// last time: values and minutes that are usual are not.
func (s *shard) news(e *entity, at int) bool {
	w := e.windows[at]
	begun, grown, axes, slots := w.Begun, w.Grown, w.Fresh, w.FreshSlots
	w.Begun, w.Grown, w.Fresh, w.FreshSlots = false, false, 0, 0
	if grown || e.life != nil {
		return true
	}
	v := baseline.View{Usual: s.usualFor(e), Open: e.windows[:at]}
	if begun && !v.Regular(w.Hour) {
		return true
	}
	for ; axes != 0; axes &= axes - 1 {
		a := feature.Axis(bits.TrailingZeros8(axes))
		for i := range w.Axes[a] {
			if !v.Current(a, w.Axes[a][i].Hash, w.Hour) {
				return true
			}
		}
	}
	for ; slots != 0; slots &= slots - 1 {
		if v.Rare(uint8(bits.TrailingZeros16(slots))) {
			return true
		}
	}
	return false
}

// raises tells whether what was combined is worth a finding.
func (t *tenant) raises(c finding.Combined) bool {
	return len(c.Signals) > 0 && finding.Score(c.Rate) >= t.threshold
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
// settled: its own, or that of the token it turned out to be or follows.
func (s *shard) usualFor(e *entity) *baseline.Usual {
	if e.usual.Hours == 0 && e.before != nil {
		return &e.before.usual
	}
	if e.usual.Hours == 0 && len(s.lives.heirs) > 0 {
		if a := s.ancestor(e); a != nil {
			return &a.usual
		}
	}
	return &e.usual
}

// view is what is usual for an entity as seen from its window at a place.
func (s *shard) view(e *entity, at int, usual *baseline.Usual) baseline.View {
	return baseline.View{
		Kind: e.Kind, Usual: usual, Open: s.ordinary(e, at), Peers: s.peers(e.Kind), Group: s.group(usual.Group(e.Kind)), Begun: s.epoch.Begun,
	}
}

// judged is a window with what the detectors said of it.
type judged struct {
	finding.Combined
	e      *entity
	hour   int32
	lesson lesson
	latest int64 // greatest event time that led to it, UTC milliseconds; 0 when it settles
	shown  []window.Shown
	calm   bool
	raises bool
	alone  tokenwatch.Bans // rate, if nothing were taken for what came to many at once
	would  bool            // it would raise something then
	quiet  bool            // what it gives reason for is kept for a later revision
}

// idle tells whether no detector has anything to say of an entity's window.
func (s *shard) idle(e *entity, at int, usual *baseline.Usual) bool {
	w := e.windows[at]
	return w.Events == 0 && detect.Idle(s.others(e, w), &baseline.View{Kind: e.Kind, Usual: usual, Open: s.ordinary(e, at)})
}

// judge runs the detectors over an entity's window. What came to many at once is
// taken for known.
func (s *shard) judge(e *entity, at int, usual *baseline.Usual, common *baseline.Common) judged {
	w := s.others(e, e.windows[at])
	s.subject.Set(e.Entity, e.life, w, s.view(e, at, usual))
	s.subject.Usual.Common = common
	j := judged{e: e, hour: w.Hour}
	s.signals = s.signals[:0]
	if !detect.Idle(w, &s.subject.Usual) {
		for _, d := range s.detectors {
			s.signals = d.Score(0, &s.subject, s.signals)
		}
		if !s.noPeers && (len(s.signals) > 0 || common.Foreseen()) {
			s.closed = *s.causes.Closed()
			s.subject.Usual.Common = &s.closed
			j.shown, j.calm = detect.Changes(&s.subject, s.signals)
			s.signals = detect.Individual(s.signals, w, common)
		}
	}
	s.combine(&j, usual)
	return j
}

// ordinary lists the open windows before the one at a place, without those that
// are part of an incident: what an attacker did an hour ago is not usual yet.
func (s *shard) ordinary(e *entity, at int) []*window.Window {
	open := e.windows[:at]
	if len(e.incidents)+len(s.raised) == 0 {
		return open
	}
	return slices.DeleteFunc(slices.Clone(open), func(w *window.Window) bool {
		in := e.existing(w.Hour / 24)
		return in != nil && in.Covers(w.Hour) || slices.Contains(s.raised, w.Hour)
	})
}

// judgeHour gives the windows of an hour that settles the final judgement, but for
// what many of them have in common. What no detector has anything to say of is learned
// and closed while it is at hand: most windows of addresses, and many of actors.
func (s *shard) judgeHour(hour int32, delta *baseline.Epoch) error {
	if err := s.listen(hour); err != nil {
		return err
	}
	common := s.causes.Closed()
	list := s.open[hour]
	for i, e := range list {
		if i%ahead == 0 {
			s.warmSettling(list[i:min(i+ahead, len(list))])
		}
		// Hours settle in order, so the first window is it.
		if len(e.incidents) == 0 && s.idle(e, 0, &e.usual) {
			j := judged{e: e, hour: hour}
			s.signals = s.signals[:0]
			s.combine(&j, &e.usual)
			s.learnWindow(&j, common, delta)
			continue
		}
		j := s.judge(e, 0, &e.usual, common)
		s.note(&j)
		s.judged = append(s.judged, j)
	}
	return nil
}

// learnHour closes the windows of an hour that were judged, and learns from them.
func (s *shard) learnHour(hour int32, delta *baseline.Epoch) {
	common := s.causes.Closed()
	for i := range s.judged {
		if i%ahead == 0 {
			s.warmJudged(s.judged[i:min(i+ahead, len(s.judged))])
		}
		s.learnWindow(&s.judged[i], common, delta)
	}
	s.judged = clearJudged(s.judged)
	delete(s.open, hour)
	if len(s.open) == 0 {
		s.pool, s.judged = window.Pool{}, nil // it is quiet now
	}
	for e := range s.incidental {
		s.forgetIncidents(e, hour)
	}
	s.sweep(hour)
	s.rest()
}

// listen opens a window for each token whose silence is worth judging, in the hour that
// settles first of a day. Whether a token has come back since does not count: how much
// of that is known depends on the order of arrival.
func (s *shard) listen(hour int32) error {
	day := hour / 24
	if s.epoch.Hour/24 == day || !s.noPeers && !s.epoch.Busy(day) {
		return nil
	}
	for _, e := range s.entities[tokenwatch.EntityToken] {
		if _, ok := e.find(hour); !ok && e.usual.Silence(day) {
			s.addWindow(e, window.New(hour))
		}
	}
	return s.listenAsleep(hour)
}

func clearJudged(list []judged) []judged {
	if cap(list) > 1<<10 {
		return nil // an hour's worth shall not take the memory for ever
	}
	clear(list)
	return list[:0]
}

func (s *shard) learnWindow(j *judged, common *baseline.Common, delta *baseline.Epoch) {
	e := j.e
	s.opened--
	if e.windows[0].Empty() {
		// Opened by listen: there is nothing to learn.
		e.windows = slices.Delete(e.windows, 0, 1)
		return
	}
	e.usual.Learn(e.windows[0], baseline.Lesson{
		Odd: finding.Score(j.lesson.rate) >= odd, Sure: finding.Score(j.lesson.rate) >= sure, Sum: j.lesson.sum, Peers: s.peers(e.Kind),
		Delta: &delta.Kinds[e.Kind], Group: &delta.Groups[e.usual.Group(e.Kind)], Common: common,
	})
	if e.windows[0].Stored {
		s.dropped = append(s.dropped, windowKey(s.name, e.Entity, j.hour))
	}
	s.pool.Put(e.windows[0])
	e.windows = slices.Delete(e.windows, 0, 1)
	if e.spent() {
		s.forget(e)
		return
	}
	s.change(e)
}

// tell emits a revision of an incident's finding if it says something that the
// last one did not: a settled one whenever its bytes differ, a provisional one
// as score decided.
func (s *shard) tell(e *entity, in *finding.Incident, raisedBy time.Time) {
	in.Continues = ""
	if before := e.existing(in.Day - 1); before != nil {
		if in.Continues = before.Follows(); len(before.Hours) > 0 {
			in.Continues = s.id(e, in.Day-1)
		}
	}
	s.change(e)
	if len(in.Hours) == 0 && in.Revision == 0 {
		return
	}
	if s.hushed {
		return // and the incident was stored as of what was told last
	}
	if !in.Settled() && raisedBy.IsZero() {
		return // an hour settled while others are open: their turn comes
	}
	f := finding.Build(s.key, s.name, e.Entity, in, raisedBy)
	f.Controls = detect.Controls(f.Detectors)
	told := f.Canonical()
	if string(told) == string(in.Told) {
		return
	}
	in.Revision++
	in.Told, in.Score = told, f.Score
	f.Revision = in.Revision
	s.out, s.told = append(s.out, f), append(s.told, telling{e, in})
}

// id is that of the finding of an entity's day.
func (t *tenant) id(e *entity, day int32) string {
	return finding.ID(t.key, t.name, e.Entity, tokenwatch.ClassAnomaly, "", day)
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

func (s *shard) change(e *entity) { e.changed = true }
