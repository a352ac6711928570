package engine

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// One token may be seen by several names: raw in one log, by its hash in another. Rows
// are added to windows of the names by which they call the token, as if these were
// different tokens; for each open hour the windows of those that are one are merged into
// one, which is what is judged and learned. So it can be done again whenever more is
// known of names, and what settles depends on what is known of the hour and no order of
// arrival (see inventory.Ones): not on when a link was found, nor on whether it was taken
// back meanwhile. Baselines are merged when the first hour settles in which tokens are
// one; those that part afterwards go on from what was known of them together.
//
// Only tokens that share a name or a link with another, which few do, are namesakes; of
// all others the windows of their names are their own.

// namesake is one of the ids that may be of one token.
type namesake struct {
	id      tokenwatch.TokenID
	hash    uint64
	kin     *kin
	raw     *entity            // whose windows the rows are added to; nil while there are none
	seen    int32              // first hour of a row; inventory.Never: none
	into    tokenwatch.TokenID // the token that it was in the last hour that settled; "": itself
	changed bool               // listed in namesakes.changed
}

// kin are the ids that names and links connect.
type kin struct {
	members []*namesake // in order of id
	of      []int       // who is whom, by place, from an hour on; nil: it is not known
	from    int32
}

// namesakes are those of a tenant. They change between batches only, while no shard
// works.
type namesakes struct {
	by      map[tokenwatch.TokenID]*namesake
	open    map[int32]map[*namesake]struct{} // that have rows in hours that are open
	changed []*namesake                      // since the snapshot
	stored  map[tokenwatch.TokenID]namesakeRecord
	left    []left // since it was told

	// rename is which token the ids are of that are another one's, by their hashes, as of
	// the latest hour.
	rename   map[uint64]uint64
	settling bool // an hour is
}

func newNamesakes() namesakes {
	return namesakes{
		by: map[tokenwatch.TokenID]*namesake{}, open: map[int32]map[*namesake]struct{}{}, rename: map[uint64]uint64{}, stored: map[tokenwatch.TokenID]namesakeRecord{},
	}
}

// next is the hour that settles next: what somebody says holds from there on. It is 1 at
// least.
func (t *tenant) next() int32 { return max(t.settled, 1) }

// self is the token that the id was in the last hour that settled.
func (n *namesake) self() tokenwatch.TokenID { return cmp.Or(n.into, n.id) }

// opened notes that there are rows in an hour.
func (s *namesakes) opened(n *namesake, hour int32) {
	of := s.open[hour]
	if of == nil {
		of = map[*namesake]struct{}{}
		s.open[hour] = of
	}
	of[n] = struct{}{}
}

// kinIn lists those of which there are rows in an hour, in order.
func (s *namesakes) kinIn(hour int32) []*kin {
	var out []*kin
	for n := range s.open[hour] {
		out = append(out, n.kin)
	}
	slices.SortFunc(out, (*kin).compare)
	return slices.Compact(out)
}

func (k *kin) compare(o *kin) int { return cmp.Compare(k.members[0].id, o.members[0].id) }

// at is who is whom in an hour.
func (t *tenant) at(k *kin, hour int32) []int {
	if k.of != nil && hour >= k.from {
		return k.of
	}
	ids, seen := make([]tokenwatch.TokenID, len(k.members)), make([]int32, len(k.members))
	for i, n := range k.members {
		ids[i], seen[i] = n.id, n.seen
	}
	of, steady := t.guard.inv.Ones(ids, seen, hour)
	if hour >= steady {
		k.of, k.from = of, steady
	}
	return of
}

// hours are the open hours in which there are rows.
func (k *kin) hours() []int32 {
	var out []int32
	for _, n := range k.members {
		if n.raw != nil {
			for _, w := range n.raw.windows {
				out = append(out, w.Hour)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// relate follows what is new of names and links.
func (t *tenant) relate() error {
	for _, ids := range t.guard.inv.Namesakes() {
		k, err := t.kinOf(ids)
		if err != nil {
			return err
		}
		k.of = nil
		t.renames(k, inventory.Never-1, t.namesakes.rename)
		for _, hour := range k.hours() {
			if _, err := t.remake(k, hour); err != nil {
				return err
			}
		}
	}
	return nil
}

// kinOf brings ids together.
func (t *tenant) kinOf(ids []tokenwatch.TokenID) (*kin, error) {
	k := &kin{}
	for _, id := range ids {
		n := t.namesakes.by[id]
		if n == nil {
			n = &namesake{id: id, hash: t.hash.String(string(id)), seen: inventory.Never}
			if r, ok := t.namesakes.stored[id]; ok {
				n.seen, n.into = r.Seen, r.Into
				delete(t.namesakes.stored, id)
			}
			t.namesakes.by[id] = n
			s := t.shardOf(n.hash)
			e, err := s.peek(tokenwatch.EntityToken, n.hash)
			if err != nil {
				return nil, err
			}
			if e != nil && e.usual.First != 0 {
				n.seen = min(n.seen, e.usual.First)
			}
			if e := t.called(id); e != nil {
				s.adopt(e, n)
			}
			t.note(n)
		}
		n.kin = k
		k.members = append(k.members, n)
	}
	return k, nil
}

// renames notes which ids of kin are another token's in an hour.
func (t *tenant) renames(k *kin, hour int32, to map[uint64]uint64) {
	of := t.at(k, hour)
	for i, n := range k.members {
		if delete(to, n.hash); of[i] != i {
			to[n.hash] = k.members[of[i]].hash
		}
	}
}

// others is an entity's window with each token that others came with once, by whatever
// name. At the end of its hour the window itself is made so.
func (s *shard) others(e *entity, w *window.Window) *window.Window {
	if e.Kind == tokenwatch.EntityToken || s.namesakes.settling || len(s.namesakes.rename) == 0 || !w.Renames(s.namesakes.rename) {
		return w
	}
	c := *w
	c.Origins, c.Visitors = slices.Clone(w.Origins), slices.Clone(w.Visitors)
	c.Rename(s.namesakes.rename)
	return &c
}

// called is the entity of an id, nil if there is none or it is asleep.
func (t *tenant) called(id tokenwatch.TokenID) *entity {
	return t.awake(tokenwatch.EntityToken, t.hash.String(string(id)))
}

// adopt has the rows about an entity go to windows of its name.
func (s *shard) adopt(e *entity, n *namesake) {
	if e.raw = n.raw; n.raw != nil { // it slept
		return
	}
	n.raw = &entity{Entity: e.Entity, hash: e.hash, windows: e.windows, names: n}
	e.raw, e.windows = n.raw, nil
	for _, w := range n.raw.windows {
		n.seen = min(n.seen, w.Hour)
		s.close(e, w.Hour)
		s.namesakes.opened(n, w.Hour)
	}
}

// close takes an entity from those that have a window open in an hour.
func (s *shard) close(e *entity, hour int32) {
	s.open[hour] = slices.DeleteFunc(s.open[hour], func(o *entity) bool { return o == e })
	if len(s.open[hour]) == 0 {
		delete(s.open, hour)
	}
}

// live ties an entity to what is told of any of its names; and finds whose baseline
// serves while it has none.
func (t *tenant) live(e *entity, group []*namesake) error {
	var lives []*life
	e.before = nil
	for _, n := range group {
		if l := t.lives.byToken[n.id]; l != nil && !slices.Contains(lives, l) {
			lives = append(lives, l)
		}
		if e.usual.Hours > 0 || string(n.self()) == e.ID {
			continue
		}
		was, err := t.token(n.id)
		if err != nil {
			return err
		}
		if was != nil && (e.before == nil || was.usual.Hours > e.before.usual.Hours) {
			e.before = was
		}
	}
	e.life = lifeOf(tokenwatch.TokenID(e.ID), group, lives)
	return nil
}

// lifeOf makes one life of those of a token's names.
func lifeOf(id tokenwatch.TokenID, group []*namesake, lives []*life) *baseline.Life {
	of := func(name tokenwatch.TokenID) bool {
		return slices.ContainsFunc(group, func(n *namesake) bool { return n.id == name })
	}
	switch {
	case len(lives) == 0:
		return nil
	case len(lives) == 1 && !slices.ContainsFunc(lives[0].Moments, func(m baseline.Moment) bool { return m.Token != id && of(m.Token) }):
		return &lives[0].Life
	}
	out := new(baseline.Life)
	for _, l := range lives {
		out.Absorb(&l.Life, func(m *baseline.Moment) {
			if of(m.Token) {
				m.Token = id
			}
		})
	}
	return out
}

// bearer is the entity whose window holds what was done in an hour by a name of its
// token, nil if there is none.
func (t *tenant) bearer(id tokenwatch.TokenID, hour int32) *entity {
	if n := t.namesakes.by[id]; n != nil {
		if i := slices.Index(n.kin.members, n); i >= 0 {
			id = n.kin.members[t.at(n.kin, hour)[i]].id
		}
	}
	return t.called(id)
}
