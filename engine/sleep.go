package engine

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// An entity that has neither an open window nor an incident is asleep: what is left of
// it is its packed baseline, in memory or in the store only, see page. It falls asleep
// when the last hour it was active in has settled, and wakes when something about it
// comes. Nothing that is told depends on which entities sleep: a baseline that was
// packed in between is the same.

// sleeper is an entity that is asleep.
type sleeper struct {
	packed string // its id, and then its baseline; "" is in the store
	last   int32  // hour of the last window learned
	traits uint8
}

// What need be known of a sleeper while it sleeps.
const (
	unsaved  = 1 << iota // its settled state differs from the snapshot's
	daily                // see baseline.Usual.Daily
	habitual             // an address that has habits or several tokens of its own, see sweep
)

func traitsOf(u *baseline.Usual) (traits uint8) {
	if u.Daily() {
		traits |= daily
	}
	if taken, _ := u.Today.Sources.Counts(); u.Hours > 0 || u.Shared >= 2 || taken >= 2 {
		traits |= habitual
	}
	return traits
}

// rest puts to sleep all who have nothing more to do.
func (s *shard) rest() {
	for kind := range s.entities {
		for hash, e := range s.entities[kind] {
			if len(e.windows) > 0 || len(e.incidents) > 0 || e.raw != nil && len(e.raw.windows) > 0 {
				continue
			}
			if e.usual.Last == 0 { // nothing is known of it
				if delete(s.entities[kind], hash); e.changed {
					s.dropped = append(s.dropped, baselineKey(s.name, e.Kind, hash)) // something was
				}
				continue
			}
			z := sleeper{packed: string(s.pack(e)), last: e.usual.Last, traits: traitsOf(&e.usual)}
			if e.changed {
				z.traits |= unsaved
			}
			delete(s.entities[kind], hash)
			s.asleep[kind][hash] = z
			s.resident += len(z.packed)
		}
	}
}

// pack returns an entity's id and baseline, until the next call.
func (s *shard) pack(e *entity) []byte {
	s.packing = e.usual.Pack(appendPart(s.packing[:0], e.ID))
	return s.packing
}

// rouse takes an entity out of those that sleep, nil if there is none; here tells whether
// it is awake now, or was left to the store and must be fetched.
func (s *shard) rouse(kind tokenwatch.EntityKind, hash uint64) (e *entity, here bool) {
	z, ok := s.asleep[kind][hash]
	if !ok {
		return nil, false
	}
	delete(s.asleep[kind], hash)
	s.resident -= len(z.packed)
	e = &entity{Entity: tokenwatch.Entity{Kind: kind}, hash: hash, changed: z.traits&unsaved != 0}
	s.entities[kind][hash] = e
	if z.packed == "" {
		return e, false
	}
	id, usual, ok := unpackEntity([]byte(z.packed))
	if !ok {
		panic("engine: a sleeping entity cannot be read") // it was packed here, or tried when it was loaded
	}
	e.ID, e.usual = strings.Clone(id), usual
	s.own(e)
	return e, true
}

// wake returns the entity of a hash, nil if there is none.
func (s *shard) wake(kind tokenwatch.EntityKind, hash uint64) (*entity, error) {
	if e := s.entities[kind][hash]; e != nil {
		return e, nil
	}
	e, here := s.rouse(kind, hash)
	if e == nil || here {
		return e, nil
	}
	return e, s.fetch([]*entity{e})
}

// peek returns the entity of a hash as it is, without waking it; nil if there is none.
func (s *shard) peek(kind tokenwatch.EntityKind, hash uint64) (*entity, error) {
	if e := s.entities[kind][hash]; e != nil {
		return e, nil
	}
	z, ok := s.asleep[kind][hash]
	if !ok {
		return nil, nil
	}
	e := &entity{Entity: tokenwatch.Entity{Kind: kind}, hash: hash}
	if z.packed == "" {
		return e, s.fetch([]*entity{e})
	}
	e.ID, e.usual, _ = unpackEntity([]byte(z.packed))
	return e, nil
}

// awake returns the entity of a hash, nil if there is none or it has no window open and
// no incident.
func (t *tenant) awake(kind tokenwatch.EntityKind, hash uint64) *entity {
	return t.shardOf(hash).entities[kind][hash]
}

// known is how many entities of a kind there are.
func (s *shard) known(kind tokenwatch.EntityKind) int {
	return len(s.entities[kind]) + len(s.asleep[kind])
}

// listenAsleep wakes the tokens whose silence is worth judging in an hour, and opens a
// window for each.
func (s *shard) listenAsleep(hour int32) error {
	day := hour / 24
	var silent []uint64
	for hash, z := range s.asleep[tokenwatch.EntityToken] {
		if z.traits&daily != 0 && baseline.Silence(z.last, day) {
			silent = append(silent, hash)
		}
	}
	list, err := s.wakeAll(tokenwatch.EntityToken, silent)
	for _, e := range list {
		s.addWindow(e, window.New(hour))
	}
	return err
}

// sweepAsleep drops those sleepers of a kind that need not be kept.
func (s *shard) sweepAsleep(kind tokenwatch.EntityKind, old func(z *sleeper) bool) {
	for hash, z := range s.asleep[kind] {
		if old(&z) {
			delete(s.asleep[kind], hash)
			s.resident -= len(z.packed)
			s.dropped = append(s.dropped, baselineKey(s.name, kind, hash))
		}
	}
}
