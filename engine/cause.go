package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// One cause over many entities is one finding. What changes in the same way for so
// many in one hour that chance is ruled out (baseline.Causes) is nobody's own: their
// windows are judged once more without it, and what they would have raised for it
// alone is told by a finding about the group. That is computed when the hour
// settles, from all its windows. While it is open, what has been seen of it so far
// serves, and what was raised before the cause was recognised is taken back.
//
// Coming from somewhere new together is different: if most of those who do so do
// there what they always do, they moved; if not, somebody has their credentials.
// Then nothing is explained away, and the findings of all of them are one.

// sight is a window that shows changes which others may share.
type sight struct {
	e     *entity
	shown []window.Shown
	calm  bool
}

// has finds a change among those that are shown.
func has(shown []window.Shown, c baseline.Change) *window.Shown {
	for i := range shown {
		if shown[i].Change == uint64(c) {
			return &shown[i]
		}
	}
	return nil
}

// see notes what an open window shows by now, and counts what it did not before.
func (s *shard) see(w *window.Window, j *judged) {
	if len(j.shown) == 0 && len(w.Shown) == 0 {
		return
	}
	for _, c := range j.shown {
		if has(w.Shown, baseline.Change(c.Change)) == nil {
			s.tally(j.hour).Add(baseline.Change(c.Change), 1)
			w.Shown = append(w.Shown, c)
		}
	}
	w.Calm = j.calm
}

// remember counts again what open windows show, after they were loaded.
func (t *tenant) remember() {
	for _, s := range t.shards {
		for hour, list := range s.open {
			for _, e := range list {
				at, _ := e.find(hour)
				for _, c := range e.windows[at].Shown {
					s.tally(hour).Add(baseline.Change(c.Change), 1)
				}
			}
		}
	}
	t.mergeTallies()
}

// mergeTallies takes the shards' tallies of open hours into the tenant's, and tells
// of which hours there were any, in order.
func (t *tenant) mergeTallies() []int32 {
	var hours []int32
	for _, s := range t.shards {
		for hour, tally := range s.tallies {
			have := t.tallies[hour]
			if have == nil {
				have = &baseline.Tally{}
				t.tallies[hour] = have
			}
			have.Merge(tally)
			hours = append(hours, hour)
		}
		clear(s.tallies)
	}
	slices.Sort(hours)
	return slices.Compact(hours)
}

// note counts what a window shows that settles.
func (s *shard) note(j *judged) {
	t := s.tally(j.hour)
	if j.e.windows[0].Events > 0 && j.e.usual.Hours > 0 {
		t.Active++
	}
	for _, c := range j.shown {
		t.Add(baseline.Change(c.Change), 1)
	}
}

func (s *shard) tally(hour int32) *baseline.Tally {
	t := s.tallies[hour]
	if t == nil {
		t = &baseline.Tally{}
		s.tallies[hour] = t
	}
	return t
}

// cause is what many entities of an hour have in common.
type cause struct {
	group   tokenwatch.Entity
	hour    int32
	shared  bool // it is nobody's own
	changes []shared
	members map[*entity]struct{}
	told    []tokenwatch.Member // who would have findings of their own
	best    tokenwatch.Bans     // the least of their rates
}

// shared is one of the changes of a cause.
type shared struct {
	baseline.Change
	n, calm  int
	expected float64
	first    tokenwatch.EventRef
	members  map[*entity]struct{}
}

// known is to which group a change belongs, and how long it will.
type known struct {
	_     struct{} `cbor:",toarray"`
	Group string
	Until int32
}

// groups tells to which group changes belong that were recognised before: in hours
// that have settled, or, beyond those, in open ones.
type groups struct {
	of     map[baseline.Change]known
	beyond *groups
}

func (g *groups) find(c baseline.Change, hour int32) (string, bool) {
	for ; g != nil; g = g.beyond {
		if k, ok := g.of[c]; ok && k.Until >= hour {
			return k.Group, true
		}
	}
	return "", false
}

// causesOf finds the causes of an hour. It depends on the sets of changes and
// members only.
func (t *tenant) causesOf(hour int32, tally *baseline.Tally, sights []sight, groups *groups) []*cause {
	peers := t.peers(tokenwatch.EntityToken)
	recognised := t.causes.Recognise(tally, peers)
	if len(recognised) == 0 {
		return nil
	}
	var changes []shared
	for _, c := range recognised {
		x := shared{Change: c, expected: t.causes.Expected(c, tally, peers), members: map[*entity]struct{}{}}
		for _, s := range sights {
			if shown := has(s.shown, c); shown != nil {
				if x.n++; s.calm {
					x.calm++
				}
				if x.n == 1 || shown.First.Before(x.first) {
					x.first = shown.First
				}
				x.members[s.e] = struct{}{}
			}
		}
		changes = append(changes, x)
	}
	slices.SortFunc(changes, func(a, b shared) int { return cmp.Or(-cmp.Compare(a.n, b.n), cmp.Compare(a.Change, b.Change)) })
	var causes []*cause
	for _, x := range changes {
		c := causeFor(&x, groups, hour, causes)
		if c == nil {
			c = &cause{group: t.groupFor(&x, groups, hour), hour: hour, members: map[*entity]struct{}{}}
			causes = append(causes, c)
		}
		c.changes = append(c.changes, x)
		maps.Copy(c.members, x.members)
	}
	for _, c := range causes {
		c.settleKind()
		for i := range c.changes {
			groups.of[c.changes[i].Change] = known{Group: c.group.ID, Until: hour + baseline.Follow}
		}
	}
	return causes
}

// causeFor finds the cause that a change is part of, nil if it is none of those so
// far: the same group was told of it before, or most who show it show the other's as
// well. Of where they come from, it has to be most of both.
func causeFor(x *shared, groups *groups, hour int32, causes []*cause) *cause {
	before, ok := groups.find(x.Change, hour)
	for _, c := range causes {
		if ok && before == c.group.ID {
			return c
		}
	}
	if ok {
		return nil
	}
	for _, c := range causes {
		both := 0
		for e := range x.members {
			if _, ok := c.members[e]; ok {
				both++
			}
		}
		of := x.n
		if x.Where() || c.changes[0].Where() {
			of = max(of, len(c.members))
		}
		if both*2 > of {
			return c
		}
	}
	return nil
}

// groupFor names the group that a change leads.
func (t *tenant) groupFor(x *shared, groups *groups, hour int32) tokenwatch.Entity {
	if before, ok := groups.find(x.Change, hour); ok {
		return tokenwatch.Entity{Kind: tokenwatch.EntityGroup, ID: before}
	}
	kind := finding.KindDeploy
	if _, ok := x.Fault(); ok {
		kind = finding.KindOutage
	} else if _, ok := x.Axis(); !ok {
		if kind = finding.KindSchedule; x.Amount() {
			kind = finding.KindSurge
		}
	} else if x.Where() {
		if kind = finding.KindSource; x.quiet() {
			kind = finding.KindMigration
		}
	}
	return finding.Group(kind, fmt.Sprintf("%08x", uint32(t.hash.Uint64(uint64(x.Change))>>32)))
}

// quiet tells whether those who come from somewhere new do there what they always do.
func (x *shared) quiet() bool { return x.calm*4 >= x.n*3 }

// settleKind decides whether a cause is nobody's own.
func (c *cause) settleKind() {
	c.shared = finding.KindOf(c.group) != finding.KindSource
	for i := range c.changes {
		c.shared = c.shared && (!c.changes[i].Where() || c.changes[i].quiet())
	}
}

// list returns the changes of causes that are nobody's own.
func list(causes []*cause) (out []baseline.Change) {
	for _, c := range causes {
		if !c.shared {
			continue
		}
		for i := range c.changes {
			out = append(out, c.changes[i].Change)
		}
	}
	slices.Sort(out)
	return out
}

// of finds the cause that explains what a window shows, nil if none does.
func (j *judged) of(causes []*cause) *cause {
	for _, c := range causes {
		if _, ok := c.members[j.e]; ok {
			return c
		}
	}
	return nil
}

// join counts a window's finding among those that a cause has taken the place of.
func (c *cause) join(j *judged) {
	if len(c.told) == 0 || j.alone < c.best {
		c.best = j.alone
	}
	c.told = append(c.told, tokenwatch.Member{EntityKind: j.e.Kind, Entity: j.e.ID, Score: finding.Score(j.alone)})
}

// home is the shard that tells of an entity.
func (t *tenant) home(e *entity) *shard {
	if e.Kind == tokenwatch.EntityGroup {
		return t.shards[0]
	}
	return t.shardOf(e.hash)
}

// groupNamed finds or makes the entity of a group.
func (t *tenant) groupNamed(id string) *entity {
	e, ok := t.groups[id]
	if !ok {
		e = &entity{Entity: tokenwatch.Entity{Kind: tokenwatch.EntityGroup, ID: id}}
		t.groups[id] = e
	}
	return e
}

// tellCause tells of a cause in whose place nothing else is told. at is the time of
// the event that led to it; none once the hour has settled.
func (t *tenant) tellCause(c *cause, at time.Time) error {
	if !c.shared {
		return nil // told with what its members did
	}
	e := t.groupNamed(c.group.ID)
	s := t.home(e)
	in := e.existing(c.hour / 24)
	var before *finding.Hour
	if in != nil {
		before = in.At(c.hour)
	}
	settled := at.IsZero()
	switch {
	case settled && len(c.told) == 0:
		if before != nil {
			in.Put(c.hour, nil)
			s.tell(e, in, at)
		}
		return nil
	case !settled && before == nil && len(c.told) == 0:
		return nil
	case !settled && before != nil && len(c.members) < 2*before.Count:
		return nil // told; the rest when it has grown or settled
	}
	if settled {
		before = nil
	}
	h, err := t.describeCause(c, before)
	if err != nil {
		return err
	}
	h.Settled = settled
	in = s.incident(e, c.hour/24)
	in.Put(c.hour, h)
	s.tell(e, in, at)
	return nil
}

// describeCause puts a cause in words. before is what was said of it before, while
// its hour is open.
func (t *tenant) describeCause(c *cause, before *finding.Hour) (*finding.Hour, error) {
	rate := finding.Lower(finding.KindOf(c.group), c.best)
	members := slices.Clone(c.told)
	if before != nil && len(c.told) == 0 {
		rate = before.Rate
	}
	if before != nil {
		members = append(members, before.Members...)
	}
	for e := range c.members {
		members = append(members, tokenwatch.Member{EntityKind: e.Kind, Entity: e.ID})
	}
	h := &finding.Hour{Hour: c.hour, Rate: rate}
	h.Members, _ = finding.SortMembers(members)
	h.Count = max(len(c.members), len(c.told))
	for i := range c.changes {
		x := &c.changes[i]
		ev, err := finding.EventOf(x.first, t.log)
		if err != nil {
			return nil, err
		}
		value := ""
		if a, ok := x.Axis(); ok {
			b, row, err := t.log.Row(x.first)
			if err != nil {
				return nil, err
			}
			value = a.Of(b, row)
		}
		r := detect.Together(x.Change, x.n, x.expected, value)
		h.Reasons = append(h.Reasons, r)
		h.Events = append(h.Events, ev)
		if i == 0 {
			h.Telling = ev
		}
	}
	return h, nil
}
