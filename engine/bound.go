package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
)

// The engine keeps a bounded number of entities of each kind, and of their windows. Those that have shown
// nothing worth keeping are dropped when their hour or day is over: credentials that
// never were taken, addresses that few tokens came from. When there is room for no
// more, events go on being stored and those of entities that are known go on being
// judged while there is room for their windows; the others are counted by hour, and a
// finding about the tenant's overflow tells of them. So it is with tokens that the
// inventory has no room for, and with what rules and policies find. What there is room
// for then depends on the order of the log and the number of shards; short of that,
// nothing does.

// overflowEntity is who such a finding is about.
const overflowEntity = "overflow"

// overflow is what there was no room for in one hour.
type overflow struct {
	_      struct{} `cbor:",toarray"`
	Hour   int32
	Events uint64
	Kinds  [tokenwatch.NumEntityKinds]uint64
	First  tokenwatch.EventRef
	// Unlisted is events of tokens that are not in the inventory, Untold what rules and
	// policies found and nothing tells of.
	Unlisted, Untold uint64
}

func (o *overflow) add(p *overflow) {
	if o.First.Offset == 0 || p.First.Before(o.First) {
		o.First = p.First
	}
	o.Events += p.Events
	o.Unlisted += p.Unlisted
	o.Untold += p.Untold
	for k := range o.Kinds {
		o.Kinds[k] += p.Kinds[k]
	}
}

// spill counts an event about an entity that there is no room for.
func (s *shard) spill(r *feature.Rows, i int, kind tokenwatch.EntityKind) {
	o := overflow{Hour: r.Events[i].Hour, Events: 1, First: r.Ref(i)}
	o.Kinds[kind] = 1
	if s.spilled == nil {
		s.spilled = map[int32]*overflow{}
	}
	if have := s.spilled[o.Hour]; have != nil {
		have.add(&o)
		return
	}
	s.spilled[o.Hour] = &o
}

// missed counts events that there was no room for, while no shard works; first is one
// of them.
func (t *tenant) missed(o overflow) {
	have := t.overflows[o.Hour]
	if have == nil {
		have = &overflow{Hour: o.Hour}
		t.overflows[o.Hour] = have
	}
	have.add(&o)
}

// gather takes the shards' overflows into the tenant's, and tells of hours that had
// none before. It runs while no shard works.
func (t *tenant) gather() error {
	for _, s := range t.shards {
		for _, o := range s.spilled {
			t.missed(*o)
		}
		clear(s.spilled)
	}
	for hour, o := range t.overflows {
		e, err := t.overflowing()
		if err != nil {
			return err
		}
		if in := e.existing(hour / 24); in != nil && in.Has(hour) {
			continue
		}
		if err := t.explode(e, o, false); err != nil {
			return err
		}
	}
	return nil
}

// settleOverflow gives the final word on an hour's overflow.
func (t *tenant) settleOverflow(hour int32) error {
	o := t.overflows[hour]
	if o == nil {
		return nil
	}
	delete(t.overflows, hour)
	e, err := t.overflowing()
	if err != nil {
		return err
	}
	return t.explode(e, o, true)
}

func (t *tenant) overflowing() (*entity, error) {
	h := t.hash.String(overflowEntity)
	return t.shardOf(h).entity(tokenwatch.EntityToken, h, overflowEntity)
}

// explode tells of an hour's overflow.
func (t *tenant) explode(e *entity, o *overflow, settled bool) error {
	s := t.shardOf(t.hash.String(overflowEntity))
	signal := tokenwatch.Signal{
		Detector: overflowEntity, Surprise: tokenwatch.MaxBans, Observed: int64(o.Events) * 1000,
		Expected: int64(t.capacity) * 1000, Evidence: []tokenwatch.EventRef{o.First}, Attack: []string{"T1499"},
	}
	var kinds []string
	for k, n := range o.Kinds {
		if n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d of %s entities", n, tokenwatch.EntityKind(k)))
		}
	}
	for _, more := range [...]struct {
		n    uint64
		what string
	}{{o.Unlisted, "of tokens that the inventory does not list"}, {o.Untold, "that broke rules and policies, which nothing tells of"}} {
		if more.n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", more.n, more.what))
		}
	}
	h, err := finding.Describe(o.Hour, finding.Combined{Sum: signal.Surprise, Rate: -3500, Signals: []tokenwatch.Signal{signal}}, s.log,
		func(tokenwatch.Signal, []string) string {
			return fmt.Sprintf("stands for more than there is room for, %d entities of each kind and %d open windows: events of that hour that nobody judged are %s", t.capacity, t.windows, strings.Join(kinds, ", "))
		})
	if err != nil {
		return err
	}
	h.Settled = settled
	in := s.incident(e, o.Hour/24)
	in.Put(o.Hour, h)
	raised := time.Time{}
	if !settled {
		raised = time.UnixMilli(o.First.Millis).UTC()
	}
	s.tell(e, in, raised)
	return nil
}

// full tells whether there is room for no further entity of a kind.
func (s *shard) full(kind tokenwatch.EntityKind) bool {
	return s.known(kind) >= s.room()
}

// crammed tells whether there is room for no further window.
func (s *shard) crammed() bool { return s.opened >= max(1, s.windows/int(s.count)) }

// room is how many entities of each kind the shard may have.
func (s *shard) room() int { return max(1, s.capacity/int(s.count)) }

// spent tells whether nothing that an entity has done up to the hour that settled is
// worth keeping: it is a credential that never was taken. Which of its later events
// have come already must not count.
func (e *entity) spent() bool {
	if e.Kind != tokenwatch.EntityToken || e.life != nil || e.raw != nil || slices.ContainsFunc(e.incidents, settledIn) {
		return false
	}
	u := &e.usual
	for f, n := range u.Faults {
		if n > 0 && feature.Fault(f) != feature.Unknown {
			return false
		}
	}
	return u.Faults[feature.Unknown] > 0
}

// settledIn tells whether an hour of an incident has settled.
func settledIn(in *finding.Incident) bool {
	return slices.ContainsFunc(in.Hours, func(h finding.Hour) bool { return h.Settled })
}

// forget has an entity begin anew: it is dropped, or, where later windows are open
// already, it has no past when these settle. Both come to the same.
func (s *shard) forget(e *entity) {
	if len(e.windows) == 0 && len(e.incidents) == 0 {
		s.drop(e)
		return
	}
	e.usual = baseline.New()
	s.change(e)
}

// keepDays is for how many days an address is kept that several tokens came from,
// and at least how many days' silence an entity needs to make room for others.
const keepDays = 30

// sweep drops, once a day, addresses without habits of their own, and of the others
// those that were silent for longest where room is short.
func (s *shard) sweep(hour int32) {
	day := hour / 24
	if day <= s.swept {
		return
	}
	s.swept = day
	for _, e := range s.entities[tokenwatch.EntityAddress] {
		if slices.ContainsFunc(e.incidents, settledIn) || e.usual.Last == 0 && len(e.windows) > 0 {
			continue
		}
		last := e.usual.Last / 24
		if traitsOf(&e.usual)&habitual == 0 && last < day-1 || last < day-keepDays {
			s.forget(e)
		}
	}
	s.sweepAsleep(tokenwatch.EntityAddress, func(z *sleeper) bool {
		return z.traits&habitual == 0 && z.last/24 < day-1 || z.last/24 < day-keepDays
	})
	for _, kind := range [...]tokenwatch.EntityKind{tokenwatch.EntityToken, tokenwatch.EntityActor} {
		if s.known(kind)*10 >= s.room()*9 {
			s.sweepAsleep(kind, func(z *sleeper) bool { return z.last/24 < day-keepDays })
		}
	}
}

// drop forgets an entity.
func (s *shard) drop(e *entity) {
	delete(s.entities[e.Kind], e.hash)
	s.dropped = append(s.dropped, baselineKey(s.name, e.Kind, e.hash))
}
