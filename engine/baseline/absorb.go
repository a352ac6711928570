package baseline

import (
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Absorb takes in what is usual for another entity that turned out to be this one. What
// was known of either is known afterwards, and amounts add up, since both were done; of
// hours, in which they may have been active together, the greater number counts. The
// other one stays as it is.
func (u *Usual) Absorb(other *Usual) {
	o := other.Clone()
	switch {
	case o.Last == 0:
		return
	case u.Last == 0:
		*u = o
		return
	}
	last := max(u.Last, o.Last)
	for _, x := range [...]*Usual{u, &o} {
		x.pass(last)
		x.Last = last
	}
	u.First = min(u.First, o.First)
	u.Hours, u.Origins, u.Concurrent = max(u.Hours, o.Hours), max(u.Origins, o.Origins), max(u.Concurrent, o.Concurrent)
	u.Silent, u.Shared, u.Refused = min(u.Silent, o.Silent), max(u.Shared, o.Shared), max(u.Refused, o.Refused)
	u.Today.absorb(&o.Today)
	switch {
	case o.Habits == none:
	case u.Habits == none:
		u.Habits = o.Habits
	default:
		u.absorb(&o)
	}
}

func (d *Day) absorb(o *Day) {
	d.Hours, d.Concurrent = max(d.Hours, o.Hours), max(d.Concurrent, o.Concurrent)
	d.Most, d.Before = max(d.Most, o.Most), max(d.Before, o.Before)
	d.Events += o.Events
	for f := range d.Faults {
		d.Faults[f] += o.Faults[f]
	}
}

// absorb is Absorb of the habits of two that have some. The other one's may be changed.
func (u *Usual) absorb(o *Usual) {
	u.Lived = max(u.Lived, o.Lived)
	u.absorbSeen(o) // by the volumes before they are added
	for a := range u.Novel {
		u.Novel[a], u.Values[a] = max(u.Novel[a], o.Novel[a]), max(u.Values[a], o.Values[a])
	}
	u.Volume.absorb(&o.Volume)
	u.Mix.G, u.Mix.Freedom = u.Mix.G+o.Mix.G, u.Mix.Freedom+o.Mix.Freedom
	u.Objects.Least = append(u.Objects.Least, o.Objects.Least...)
	slices.Sort(u.Objects.Least)
	u.Objects.Least = slices.Compact(u.Objects.Least)
	u.Objects.Least = u.Objects.Least[:min(len(u.Objects.Least), maxLeast)]
	u.Objects.Fresh, u.Objects.Hours = u.Objects.Fresh+o.Objects.Fresh, max(u.Objects.Hours, o.Objects.Hours)
	for f := range u.Faults {
		u.Faults[f] += o.Faults[f]
	}
	for _, p := range o.Places {
		at := slices.IndexFunc(u.Places, func(q Place) bool { return q.Network == p.Network })
		if at < 0 {
			u.Places = append(u.Places, p)
			continue
		}
		u.Places[at].Last = max(u.Places[at].Last, p.Last)
	}
	u.orderPlaces()
}

// absorbSeen takes the other's values in. Shares of the hours' actions are those of both
// together.
func (u *Usual) absorbSeen(o *Usual) {
	mine, others := u.Volume.Total+1, o.Volume.Total+1
	seen := u.Seen.On(feature.Action)
	for i := range seen {
		seen[i].Share = uint16(uint64(seen[i].Share) * mine / (mine + others))
	}
	for a := range feature.NumAxes {
		for _, k := range o.Seen.On(a) {
			k.Share = uint16(uint64(k.Share) * others / (mine + others))
			at := u.Seen.place(a, k.Hash)
			if on := u.Seen.On(a); at == len(on) || on[at].Hash != k.Hash {
				u.Seen.insert(a, at, k)
				continue
			}
			have := &u.Seen.On(a)[at]
			have.Born, have.Day, have.Weight, have.Share = min(have.Born, k.Born), max(have.Day, k.Day), max(have.Weight, k.Weight), have.Share+k.Share
		}
		u.forget(a, new(Peers)) // the peers have learned of it before
	}
}

func (v *Volume) absorb(o *Volume) {
	for i := range v.Events {
		v.Events[i] += o.Events[i]
		v.Active[i] = max(v.Active[i], o.Active[i])
	}
	for i := range v.Days {
		v.Days[i] = max(v.Days[i], o.Days[i])
	}
	for i := range v.Slots {
		v.Slots[i] = max(v.Slots[i], o.Slots[i])
	}
	v.Total, v.Objects, v.Counted = v.Total+o.Total, v.Objects+o.Objects, v.Counted+o.Counted
	if o.Hours > v.Hours { // sums over the hours go with their number
		v.Hours, v.Log, v.Log2 = o.Hours, o.Log, o.Log2
	}
	v.Squares, v.Excess = v.Squares+o.Squares, v.Excess+o.Excess
	newest := max(v.Newest, o.Newest)
	var totals [lagDays]uint32
	for day := max(0, newest-lagDays+1); day <= newest; day++ {
		totals[day%lagDays] = v.total(day) + o.total(day)
	}
	v.Totals, v.Newest = totals, newest
}
