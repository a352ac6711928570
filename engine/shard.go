package engine

import (
	"net/netip"
	"slices"
	"strings"

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

func (s *shard) change(e *entity) { e.changed = true }
