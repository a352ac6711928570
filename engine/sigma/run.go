package sigma

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Candidate is an event that a rule matches, as one correlation looks at it.
type Candidate struct {
	_      struct{} `cbor:",toarray"`
	Child  string   // key of the rule, or of a correlation that may come true at the event
	Ref    tokenwatch.EventRef
	Entity tokenwatch.Entity
	Group  string // values of group-by, joined by NUL
	Value  string // of the condition's field
}

// MaxCandidates bounds the events held for one correlation; the oldest go first.
const MaxCandidates = 20_000

// Follower holds the events that correlations may still need. What it says depends
// on which events it was given, not on their order.
type Follower struct {
	pack *Pack
	// Held are the candidates of each correlation, by its key, in order of time.
	Held map[string][]Candidate
}

// Follow makes a follower of a pack's correlations.
func Follow(pack *Pack) *Follower { return &Follower{pack, map[string][]Candidate{}} }

// Take takes in the rows of a view that rules match, by the rule's key, and tells
// whether any correlation is concerned.
func (f *Follower) Take(v *View, matches map[string][]int, ref func(row int) tokenwatch.EventRef, entity func(row int) tokenwatch.Entity) bool {
	changed := false
	for _, c := range f.pack.Correlations {
		list := f.Held[c.Key()]
		before := len(list)
		for _, child := range c.rules {
			for _, row := range f.events(child, matches) {
				group, ok := c.join(v, child, c.group, row)
				if !ok {
					continue // it has not all fields to group by
				}
				value, _ := c.join(v, child, c.field, row)
				list = append(list, Candidate{Child: child, Ref: ref(row), Entity: entity(row), Group: group, Value: value})
			}
		}
		if len(list) == before {
			continue
		}
		changed = true
		slices.SortStableFunc(list, func(a, b Candidate) int {
			return cmp.Or(a.Ref.Compare(b.Ref), strings.Compare(a.Child, b.Child))
		})
		f.Held[c.Key()] = slices.Clone(list[max(0, len(list)-MaxCandidates):])
	}
	return changed
}

// events are the rows at which a rule, or a correlation, may come true.
func (f *Follower) events(key string, matches map[string][]int) []int {
	for _, c := range f.pack.Correlations {
		if c.Key() == key && !c.ofOneRule(key) {
			var rows []int
			for _, child := range c.rules {
				rows = append(rows, f.events(child, matches)...)
			}
			slices.Sort(rows)
			return slices.Compact(rows)
		}
	}
	return matches[key]
}

// ofOneRule tells whether the correlation is the aggregation of a rule of before
// Sigma 2, whose key it shares.
func (c *Correlation) ofOneRule(key string) bool { return len(c.rules) == 1 && c.rules[0] == key }

// Forget drops what nothing after a time, in UTC milliseconds since 1970, can be
// together with.
func (f *Follower) Forget(millis int64) {
	keep := map[string]int64{} // by correlation
	for _, c := range slices.Backward(f.pack.Correlations) {
		// Twice its timespan, so that whether it was true just before is known; and
		// for those that rest on it as long as they look back.
		keep[c.Key()] += 2 * c.Timespan.Milliseconds()
		for _, child := range c.rules {
			if child != c.Key() {
				keep[child] = max(keep[child], keep[c.Key()])
			}
		}
		list := f.Held[c.Key()]
		i, _ := slices.BinarySearchFunc(list, millis-keep[c.Key()], func(x Candidate, t int64) int { return cmp.Compare(x.Ref.Millis, t) })
		switch {
		case i == len(list):
			delete(f.Held, c.Key())
		case i > 0:
			f.Held[c.Key()] = slices.Clone(list[i:])
		}
	}
}

// Fired is a correlation that came true in a group.
type Fired struct {
	By     *Correlation
	Group  string
	Entity tokenwatch.Entity     // of the event at which it did
	Events []tokenwatch.EventRef // that made it true, earliest first; the last is the one at which it did
}

// Fired returns where correlations came true among all events held, in the order
// of the pack, of groups and of time.
func (f *Follower) Fired() (out []Fired) {
	trueAt := map[string]map[tokenwatch.EventRef]bool{} // by correlation
	for _, c := range f.pack.Correlations {
		trueAt[c.Key()] = map[tokenwatch.EventRef]bool{}
		groups := map[string][]Candidate{}
		for _, x := range f.Held[c.Key()] {
			if at, chained := trueAt[x.Child]; chained && x.Child != c.Key() && !at[x.Ref] {
				continue
			}
			groups[x.Group] = append(groups[x.Group], x)
		}
		names := make([]string, 0, len(groups))
		for name := range groups {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			list := groups[name]
			for _, i := range c.fires(list) {
				fired := Fired{By: c, Group: name, Entity: list[i].Entity}
				for j := range list[:i+1] {
					if list[i].Ref.Millis-list[j].Ref.Millis <= c.Timespan.Milliseconds() {
						fired.Events = append(fired.Events, list[j].Ref)
					}
				}
				trueAt[c.Key()][list[i].Ref] = true
				out = append(out, fired)
			}
		}
	}
	return out
}
