package engine

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
)

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
