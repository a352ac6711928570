package window

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Merge takes in what another window of the same hour holds: afterwards it is as if the
// rows of both had been added to one; p is where the window came from. What was seen of
// either while it was open does not come along, nor what is new of it.
func (w *Window) Merge(p *Pool, o *Window) {
	w.Overflow = w.Overflow || o.Overflow
	w.Passing = w.Passing || o.Passing
	w.Origins = merge(w, w.Origins, o.Origins, MaxOrigins, Origin.compare, (*Origin).merge)
	w.Visitors = merge(w, w.Visitors, o.Visitors, MaxVisitors, Visitor.compare, (*Visitor).merge)
	if o.Own == none {
		return
	}
	p.lead(w)
	w.Events += o.Events
	w.Bytes += o.Bytes
	for f := range w.Faults {
		w.Faults[f] += o.Faults[f]
	}
	for a := range w.Axes {
		w.Axes[a] = merge(w, w.Axes[a], o.Axes[a], MaxValues, Value.compare, (*Value).merge)
	}
	w.Places = merge(w, w.Places, o.Places, MaxValues, Place.compare, (*Place).merge)
	w.Wrong = merge(w, w.Wrong, o.Wrong, int(feature.NumFaults), Fault.compare, (*Fault).merge)
	w.Slots = merge(w, w.Slots, o.Slots, len(w.Slots)+len(o.Slots), Slot.compare, (*Slot).merge)
	w.Runs = merge(w, w.Runs, o.Runs, MaxRuns, Run.compare, (*Run).merge)
	for _, h := range o.Objects.Hashes {
		w.Objects.Add(h)
	}
	w.Objects.Full = w.Objects.Full || o.Objects.Full
}

// merge makes one of two lists in order: what is in both is joined, and of more than
// there is room for the first are kept.
func merge[T any](w *Window, a, b []T, room int, compare func(T, T) int, join func(*T, *T)) []T {
	if len(b) == 0 {
		return a
	}
	for i := range b {
		at, ok := slices.BinarySearchFunc(a, b[i], compare)
		if ok {
			join(&a[at], &b[i])
		} else {
			a = slices.Insert(a, at, b[i])
		}
	}
	if len(a) > room {
		w.Overflow = true
		a = a[:room]
	}
	return a
}

// News makes what is new of another window since that was cleared new of this one
// instead.
func (w *Window) News(o *Window) {
	w.Begun, w.Grown, w.Fresh, w.FreshSlots = w.Begun || o.Begun, w.Grown || o.Grown, w.Fresh|o.Fresh, w.FreshSlots|o.FreshSlots
	o.Begun, o.Grown, o.Fresh, o.FreshSlots = false, false, 0, 0
}

// Replace has a window that was merged anew go on where the one before it was.
func (w *Window) Replace(old *Window) {
	w.News(old)
	if w.Own != none && len(old.Shown) > 0 {
		w.Shown, w.Calm = slices.Clone(old.Shown), old.Calm
	}
	w.judged, w.weighed = old.judged, old.weighed
	w.Grown = w.Grown || len(w.Origins) > max(1, len(old.Origins))
	w.grow()
}

// Rename gives the tokens that others came with, or came from the window's address, the
// names that they have in to, and makes those one that have the same then.
func (w *Window) Rename(to map[uint64]uint64) {
	origins, visitors := w.Origins, w.Visitors
	w.Origins, w.Visitors = nil, nil
	for i := range origins {
		origins[i].Token = renamed(origins[i].Token, to)
		w.Origins = merge(w, w.Origins, origins[i:i+1], MaxOrigins, Origin.compare, (*Origin).merge)
	}
	for i := range visitors {
		visitors[i].Token = renamed(visitors[i].Token, to)
		w.Visitors = merge(w, w.Visitors, visitors[i:i+1], MaxVisitors, Visitor.compare, (*Visitor).merge)
	}
}

// Renames tells whether Rename would change anything.
func (w *Window) Renames(to map[uint64]uint64) bool {
	for i := range w.Origins {
		if _, ok := to[w.Origins[i].Token]; ok {
			return true
		}
	}
	for i := range w.Visitors {
		if _, ok := to[w.Visitors[i].Token]; ok {
			return true
		}
	}
	return false
}

func renamed(token uint64, to map[uint64]uint64) uint64 {
	if t, ok := to[token]; ok {
		return t
	}
	return token
}

// earlier is the earlier of two events, of those that there are.
func earlier(hasA bool, a tokenwatch.EventRef, hasB bool, b tokenwatch.EventRef) tokenwatch.EventRef {
	if !hasA || hasB && b.Before(a) {
		return b
	}
	return a
}

func (v Value) compare(o Value) int { return cmp.Compare(v.Hash, o.Hash) }

func (v *Value) merge(o *Value) {
	v.Count += o.Count
	v.Denied += o.Denied
	v.First = earlier(true, v.First, true, o.First)
}

func (f Fault) compare(o Fault) int { return cmp.Compare(f.Kind, o.Kind) }

func (f *Fault) merge(o *Fault) { f.First = earlier(true, f.First, true, o.First) }

func (s Slot) compare(o Slot) int { return cmp.Compare(s.Slot, o.Slot) }

func (s *Slot) merge(o *Slot) {
	s.Events += o.Events
	if c := cmp.Compare(scatter(o.Sample.Millis), scatter(s.Sample.Millis)); c < 0 || c == 0 && o.Sample.Before(s.Sample) {
		s.Sample = o.Sample
	}
}

func (r Run) compare(o Run) int { return cmp.Compare(r.Place, o.Place) }

func (r *Run) merge(o *Run) { r.Seen |= o.Seen }

func (o Origin) compare(p Origin) int {
	return cmp.Or(cmp.Compare(o.Network, p.Network), cmp.Compare(o.Token, p.Token))
}

func (o *Origin) merge(p *Origin) {
	o.Count += p.Count
	o.Minutes |= p.Minutes
	o.AgentLow, o.AgentHigh = min(o.AgentLow, p.AgentLow), max(o.AgentHigh, p.AgentHigh)
	o.Last = max(o.Last, p.Last)
	if p.First.Before(o.First) {
		o.First, o.Kind, o.Country = p.First, p.Kind, p.Country
	}
}

func (v Visitor) compare(o Visitor) int { return cmp.Compare(v.Token, o.Token) }

func (v *Visitor) merge(o *Visitor) {
	v.Count += o.Count
	v.Failed += o.Failed
	v.From = min(v.From, o.From)
	v.First = earlier(true, v.First, true, o.First)
}
