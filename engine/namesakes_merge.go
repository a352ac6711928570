package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
)

// left is an open hour of an entity that turned out to be another one's.
type left struct {
	*entity
	hour int32
	by   *entity
}

// aside is a window of a name that has more rows now.
type aside struct {
	*namesake
	hour   int32
	latest int64
}

// remade is an entity whose windows were merged anew.
type remade struct {
	*entity
	touched []touch
}

// setAside leaves the windows of a name to those that are merged of them.
func (s *shard) setAside(e *entity) {
	for _, w := range s.touched {
		s.asides = append(s.asides, aside{e.names, w.Hour, w.latest})
	}
	clear(s.touched)
	s.touched = s.touched[:0]
}

// judgeRemade merges the windows of names that the shards have added to, and judges
// them.
func (t *tenant) judgeRemade() error {
	type key struct {
		*kin
		hour int32
	}
	latest := map[key]int64{}
	for _, s := range t.shards {
		for _, a := range s.asides {
			t.namesakes.opened(a.namesake, a.hour)
			if a.hour < a.seen {
				a.seen, a.kin.of = a.hour, nil
				t.renames(a.kin, inventory.Never-1, t.namesakes.rename)
				t.note(a.namesake)
				for _, hour := range a.kin.hours() { // it may be another token's from there on
					latest[key{a.kin, hour}] += 0
				}
			}
			k := key{a.kin, a.hour}
			latest[k] = max(latest[k], a.latest)
		}
		clear(s.asides)
		s.asides = s.asides[:0]
	}
	if len(latest) == 0 {
		return nil
	}
	windows := 0
	for _, k := range slices.SortedFunc(maps.Keys(latest), func(a, b key) int { return cmp.Or(a.compare(b.kin), cmp.Compare(a.hour, b.hour)) }) {
		list, err := t.remake(k.kin, k.hour)
		if err != nil {
			return err
		}
		for _, e := range list {
			if latest[k] > 0 {
				t.home(e).remake(e, k.hour, latest[k])
				windows++
			}
		}
	}
	return t.each(windows, func(s *shard) error { s.scoreRemade(); return nil })
}

func (s *shard) remake(e *entity, hour int32, latest int64) {
	at, _ := e.find(hour)
	w := touch{e.windows[at], latest}
	if e.again > 0 {
		r := &s.remade[e.again-1]
		r.touched = append(r.touched, w)
		return
	}
	s.remade = append(s.remade, remade{e, []touch{w}})
	e.again = int32(len(s.remade))
}

func (s *shard) scoreRemade() {
	common := s.causes.Now()
	for _, r := range s.remade {
		r.again = 0
		s.touched = append(s.touched, r.touched...)
		s.score(r.entity, common)
	}
	clear(s.remade)
	s.remade = s.remade[:0]
}

// remake merges the windows of an hour anew, and returns whose there are now.
func (t *tenant) remake(k *kin, hour int32) (out []*entity, err error) {
	of := t.at(k, hour)
	for i, n := range k.members {
		if of[i] != i {
			continue
		}
		var group, parts []*namesake
		for j, m := range k.members {
			if of[j] != i {
				continue
			}
			group = append(group, m)
			if m.raw != nil {
				if _, ok := m.raw.find(hour); ok {
					parts = append(parts, m)
				}
			}
		}
		if len(parts) > 0 {
			e, err := t.merged(n, parts, hour)
			if err != nil {
				return nil, err
			}
			if err := t.live(e, group); err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	for i, n := range k.members {
		e := t.awake(tokenwatch.EntityToken, n.hash)
		if e == nil || slices.Contains(out, e) {
			continue
		}
		if at, ok := e.find(hour); ok {
			s := t.home(e)
			s.pool.Put(e.windows[at])
			e.windows = slices.Delete(e.windows, at, at+1)
			s.opened--
			s.close(e, hour)
			if by := t.called(k.members[of[i]].id); by != nil && by != e {
				t.namesakes.left = append(t.namesakes.left, left{e, hour, by})
			}
		}
	}
	return out, nil
}

// merged gives the entity of a token the window of an hour that its names make.
func (t *tenant) merged(n *namesake, parts []*namesake, hour int32) (*entity, error) {
	s := t.shardOf(n.hash)
	e, err := s.entity(tokenwatch.EntityToken, n.hash, string(n.id))
	if err != nil {
		return nil, err
	}
	w := s.pool.New(hour)
	for _, p := range parts {
		at, _ := p.raw.find(hour)
		w.Merge(&s.pool, p.raw.windows[at])
		w.News(p.raw.windows[at])
	}
	at, ok := e.find(hour)
	if !ok {
		w.Grown = true
		s.addWindow(e, w)
		return e, nil
	}
	w.Replace(e.windows[at])
	s.pool.Put(e.windows[at])
	e.windows[at] = w
	return e, nil
}

// tellLeft takes back what was told of open hours that turned out to be another token's.
func (t *tenant) tellLeft(at time.Time) {
	for _, l := range t.namesakes.left {
		t.leave(l.entity, l.hour, l.by, at)
	}
	clear(t.namesakes.left)
	t.namesakes.left = t.namesakes.left[:0]
}

// leave has another token's finding tell of an hour, if there is one.
func (t *tenant) leave(e *entity, hour int32, by *entity, at time.Time) {
	in := e.existing(hour / 24)
	if in == nil || !in.Has(hour) {
		return
	}
	in.Put(hour, nil)
	if into := by.existing(hour / 24); into != nil && into.Has(hour) {
		in.Explain(hour, t.id(by, hour/24))
	}
	t.home(e).tell(e, in, at)
}
