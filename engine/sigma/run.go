package sigma

import (
	"cmp"
	"slices"
)

// Running is a pack at work on one stream of events. What its correlations hold is
// bounded: of a group the newest maxHits hits within the timespan, and of groups
// those that had hits last.
type Running struct {
	pack   *Pack
	groups map[groupKey][]held
	newest map[string]int64 // by correlation: greatest time of a hit
}

type groupKey struct{ correlation, group string }

// held is a hit with the row it came from; the row is of the batch at hand, or -1.
type held struct {
	Hit
	row int
}

const (
	maxHits   = 10_000 // of one group
	maxGroups = 100_000
)

// Fired is a correlation that came true.
type Fired struct {
	By    *Correlation
	Group string
	Rows  []int // of the batch at hand, among the hits that made it true; the last is the one that did
}

// Run makes a pack ready for a stream.
func Run(pack *Pack) *Running {
	return &Running{pack: pack, groups: map[groupKey][]held{}, newest: map[string]int64{}}
}

// Take looks at a batch, and returns the correlations that came true, in the order
// of the pack and of time. millis and ties order its rows.
func (r *Running) Take(v *View, millis []int64, ties func(row int) uint32) (fired []Fired) {
	if len(r.pack.Correlations) == 0 {
		return nil
	}
	matches := map[string][]int{}
	for _, rule := range r.pack.Rules {
		if rows := rule.Match(v); len(rows) > 0 {
			matches[rule.Key()] = rows
		}
	}
	for _, c := range r.pack.Correlations {
		var touched []groupKey
		for _, name := range c.rules {
			hits, rows := c.Hits(v, name, matches[name], millis, ties)
			for i, h := range hits {
				k := groupKey{c.Key(), h.Group}
				if !slices.Contains(touched, k) {
					touched = append(touched, k)
				}
				r.groups[k] = append(r.groups[k], held{Hit: h, row: rows[i]})
				r.newest[c.Key()] = max(r.newest[c.Key()], h.Millis)
			}
		}
		var became []int
		for _, k := range touched {
			list := r.sorted(c, k)
			hits := make([]Hit, len(list))
			for i := range list {
				hits[i] = list[i].Hit
			}
			for _, at := range c.Fires(hits) {
				if list[at].row < 0 {
					continue // told with an earlier batch
				}
				f := Fired{By: c, Group: k.group}
				for j := range list[:at+1] {
					if list[j].row >= 0 && list[at].Millis-list[j].Millis <= c.Timespan.Milliseconds() {
						f.Rows = append(f.Rows, list[j].row)
					}
				}
				fired = append(fired, f)
				became = append(became, list[at].row)
			}
			for i := range list {
				list[i].row = -1
			}
		}
		if len(became) > 0 {
			slices.Sort(became)
			matches[c.Key()] = slices.Compact(became)
		}
		r.forget(c)
	}
	return fired
}

// sorted puts the hits of a group in order of time and drops those that no hit to
// come can be together with.
func (r *Running) sorted(c *Correlation, k groupKey) []held {
	list := r.groups[k]
	slices.SortStableFunc(list, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.Millis, b.Millis), cmp.Compare(a.Tie, b.Tie), cmp.Compare(a.Rule, b.Rule))
	})
	if len(list) > maxHits {
		list = slices.Clone(list[len(list)-maxHits:])
	}
	r.groups[k] = list
	return list
}

// forget drops what is out of the timespan of everything to come, and the oldest
// groups where there are too many.
func (r *Running) forget(c *Correlation) {
	if len(r.groups) <= maxGroups {
		return
	}
	for k, list := range r.groups {
		if k.correlation == c.Key() && r.newest[c.Key()]-list[len(list)-1].Millis > 2*c.Timespan.Milliseconds() {
			delete(r.groups, k)
		}
	}
}
