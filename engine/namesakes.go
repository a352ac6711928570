package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/inventory"
	"github.com/tokenwatch/tokenwatch/engine/window"
	"github.com/tokenwatch/tokenwatch/storage"
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

// passOn gives those who are one in an hour that settles, and were not, what was usual
// for all of them; and those who part a copy each.
func (t *tenant) passOn(hour int32) error {
	for _, k := range t.namesakes.kinIn(hour) {
		of := t.at(k, hour)
		if !slices.ContainsFunc(k.members, func(n *namesake) bool { return k.self(of, n) != n.self() }) {
			continue
		}
		usual := map[tokenwatch.TokenID]*baseline.Usual{}
		var gone []tokenwatch.TokenID
		for i, n := range k.members {
			if was := n.self(); of[i] != i {
				gone = append(gone, was)
				continue
			}
			u, err := t.together(k, of, i)
			if err != nil {
				return err
			}
			usual[n.id] = u
		}
		for _, id := range gone {
			if usual[id] == nil {
				if err := t.renew(id, baseline.New()); err != nil {
					return err
				}
			}
		}
		for i, n := range k.members {
			if u := usual[n.id]; u != nil && u.Last != 0 {
				if err := t.renew(n.id, *u); err != nil {
					return err
				}
			}
			if id := k.members[of[i]].id; id != n.self() {
				n.into = id
				t.note(n)
			}
		}
	}
	return nil
}

// renew gives a token another baseline.
func (t *tenant) renew(id tokenwatch.TokenID, usual baseline.Usual) error {
	hash := t.hash.String(string(id))
	s := t.shardOf(hash)
	e, err := s.entity(tokenwatch.EntityToken, hash, string(id))
	if err != nil {
		return err
	}
	e.usual = usual
	s.change(e)
	return nil
}

func (k *kin) self(of []int, n *namesake) tokenwatch.TokenID {
	return k.members[of[slices.Index(k.members, n)]].id
}

// together is what is usual for all that are one token from now on: its own first.
func (t *tenant) together(k *kin, of []int, i int) (*baseline.Usual, error) {
	from := []tokenwatch.TokenID{}
	for j, n := range k.members {
		if of[j] == i && !slices.Contains(from, n.self()) {
			from = append(from, n.self())
		}
	}
	id := k.members[i].id
	slices.SortFunc(from, func(a, b tokenwatch.TokenID) int {
		switch {
		case a == id:
			return -1
		case b == id:
			return 1
		}
		return cmp.Compare(a, b)
	})
	u := baseline.New()
	for _, id := range from {
		hash := t.hash.String(string(id))
		e, err := t.shardOf(hash).peek(tokenwatch.EntityToken, hash)
		if err != nil {
			return nil, err
		}
		if e != nil {
			u.Absorb(&e.usual)
		}
	}
	return &u, nil
}

// remakeHour merges the windows of an hour for the last time, and has others' windows
// call the tokens what they are.
func (t *tenant) remakeHour(hour int32) error {
	to := map[uint64]uint64{}
	for _, k := range t.namesakes.kinIn(hour) {
		if _, err := t.remake(k, hour); err != nil {
			return err
		}
		t.renames(k, hour, to)
	}
	if len(to) == 0 {
		return nil
	}
	return t.each(t.opened(hour), func(s *shard) error {
		for _, e := range s.open[hour] {
			if w := e.windows[0]; e.Kind != tokenwatch.EntityToken && w.Renames(to) {
				w.Rename(to)
			}
		}
		return nil
	})
}

// closeNames forgets the windows of names in an hour that has settled.
func (t *tenant) closeNames(hour int32) {
	for n := range t.namesakes.open[hour] {
		at, ok := n.raw.find(hour)
		if !ok {
			continue
		}
		s := t.shardOf(n.raw.hash)
		if n.raw.windows[at].Stored {
			s.dropped = append(s.dropped, windowKey(t.name, n.raw.Entity, hour))
		}
		s.pool.Put(n.raw.windows[at])
		n.raw.windows = slices.Delete(n.raw.windows, at, at+1)
		s.opened--
	}
	delete(t.namesakes.open, hour)
}

// namesakeRecord is what is stored of a namesake.
type namesakeRecord struct {
	_    struct{} `cbor:",toarray"`
	Seen int32
	Into tokenwatch.TokenID
}

func (t *tenant) note(n *namesake) {
	if !n.changed {
		n.changed = true
		t.namesakes.changed = append(t.namesakes.changed, n)
	}
}

// nameRecords puts what has changed of names since the last snapshot, and their windows.
func (t *tenant) nameRecords(out *[]storage.Record) {
	slices.SortFunc(t.namesakes.changed, func(a, b *namesake) int { return cmp.Compare(a.id, b.id) })
	for _, n := range t.namesakes.changed {
		n.changed = false
		key := appendPart(appendPart([]byte{recNamesake}, t.name), string(n.id))
		*out = append(*out, storage.Record{Key: key, Value: encode(namesakeRecord{Seen: n.seen, Into: n.into})})
	}
	t.namesakes.changed = t.namesakes.changed[:0]
	for _, hour := range slices.Sorted(maps.Keys(t.namesakes.open)) {
		var open []*namesake
		for n := range t.namesakes.open[hour] {
			open = append(open, n)
		}
		slices.SortFunc(open, func(a, b *namesake) int { return cmp.Compare(a.id, b.id) })
		for _, n := range open {
			if at, ok := n.raw.find(hour); ok {
				n.raw.windows[at].Stored = true
				*out = append(*out, storage.Record{Key: []byte(windowKey(t.name, n.raw.Entity, hour)), Value: encode(n.raw.windows[at])})
			}
		}
	}
}

func (t *tenant) loadNamesake(key []byte, r storage.Record) error {
	id, _, ok := cutPart(key)
	var n namesakeRecord
	if !ok {
		return corrupt(r)
	}
	if err := decode(r, &n); err != nil {
		return err
	}
	t.namesakes.stored[tokenwatch.TokenID(id)] = n
	return nil
}
