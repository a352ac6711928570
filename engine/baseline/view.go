package baseline

import (
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// View is what is usual for an entity as seen from one of its windows: the
// settled baseline, and the entity's own earlier windows that are still open.
type View struct {
	Kind  tokenwatch.EntityKind
	Usual *Usual
	Open  []*window.Window // earlier than the window that is judged
	Peers *Peers           // of the last settled epoch, of its kind; nil where peers are left out
	Group *Peers           // the same, of its group
	Begun int32            // first hour of the tenant that has settled
	// Common is what came to many at once, and counts as known.
	Common *Common
}

// Knows tells whether a value is usual, or was so in an earlier open window, or
// came to many at once.
func (v *View) Knows(a feature.Axis, hash uint64) bool {
	return v.Usual.Knows(a, hash) || v.opened(a, hash) || v.Common.value(a, hash)
}

func (v *View) opened(a feature.Axis, hash uint64) bool {
	for _, w := range v.Open {
		if w.Has(a, hash) {
			return true
		}
	}
	return false
}

// Learning tells that nothing has settled yet for this entity.
func (v *View) Learning() bool { return v.Usual.Hours == 0 }

// openHours is how many open windows hold something of the entity's own.
func (v *View) openHours() float64 {
	n := 0
	for _, w := range v.Open {
		if w.Events > 0 {
			n++
		}
	}
	return float64(n)
}

// Hours is how many active hours the view rests on.
func (v *View) Hours() float64 { return float64(v.Usual.Hours)/Unit + v.openHours() }

// ConcurrentHours is in how many of how many hours two networks were in use at once.
func (v *View) ConcurrentHours() (concurrent, hours float64) {
	n, all := v.Usual.Concurrent, v.Usual.Origins
	for _, w := range v.Open {
		if len(w.Origins) > 0 {
			all += Unit
			if Concurrent(w) {
				n += Unit
			}
		}
	}
	return float64(n) / Unit, float64(all) / Unit
}

// peerHours is how many active hours the peers' rates count as.
const peerHours = 20

// FirstHour is how many values a first hour is expected to show on an axis.
func (v *View) FirstHour(a feature.Axis) float64 { return v.Peers.firstHour(v.Kind, a) }

// News is the probability that an active hour of the entity brings something new
// on an axis,
//
//	p = (D + a·π)/(L + a) + β·F/((H + 1)(1 + H/5)²),  a = 20 hours
//
// D of the L active hours since it settled in having done so, and π of its peers';
// no past makes it less than π/2, since moves and new releases come to everybody once. The second term is
// for those not yet settled in: by Heaps' law the distinct values V seen in n
// occasions grow as n^β, so that the next one brings β·V/n; F is what a first hour
// shows, β 0.4, the lower end of what texts have (Heaps 1978), and the last factor
// ends it, since what tokens do is soon exhausted.
func (v *View) News(a feature.Axis) float64 {
	lived, d := float64(v.Usual.Lived)/Unit, float64(v.Usual.Novel[a])/Unit
	for i, w := range v.Open {
		before := View{Usual: v.Usual, Open: v.Open[:i], Common: v.Common}
		if before.Hours() < float64(settledOn(a)) {
			continue
		}
		lived++
		for j := range w.Axes[a] {
			if !before.Knows(a, w.Axes[a][j].Hash) {
				d++
				break
			}
		}
	}
	peers := v.Group.news(a, v.Peers.news(a, newsRate))
	p := max((d+float64(peerHours*peers))/(lived+peerHours), peers/2)
	hours := v.Hours()
	p += float64(heaps*v.FirstHour(a)) / float64((hours+1)*float64((1+hours/5)*(1+hours/5)))
	return min(p, 0.98)
}

const heaps = 0.4

// NewsToday is how many values of an axis that the judged window does not hold came
// up for the first time on a day.
func (v *View) NewsToday(a feature.Axis, w *window.Window) int {
	day := w.Hour / 24
	n := v.Usual.newsOf(a, day, v.Common)
	for i := range w.Axes[a] {
		if k, ok := v.Usual.Seen.find(a, w.Axes[a][i].Hash); ok && k.Born == uint16(day) && !v.Common.value(a, w.Axes[a][i].Hash) {
			n--
		}
	}
	for i, o := range v.Open {
		if o.Hour/24 != day {
			continue
		}
		before := View{Usual: v.Usual, Open: v.Open[:i]}
		for j := range o.Axes[a] {
			hash := o.Axes[a][j].Hash
			if _, ok := v.Usual.Seen.find(a, hash); !ok && !before.opened(a, hash) && !w.Has(a, hash) && !v.Common.value(a, hash) {
				n++
			}
		}
	}
	return n
}

// More is the probability that one new value of an axis is followed by another
// within the day, by the entity's own past and its peers'.
func (v *View) More(a feature.Axis) float64 {
	const hours = 4
	extra := float64(v.Usual.Values[a])/Unit - float64(v.Usual.Novel[a])/Unit + float64(hours*v.Peers.more(a))
	n := float64(v.Usual.Novel[a])/Unit + hours
	return min(max(extra/(extra+n), 0.35), 0.95)
}

// Far is how many hours the hour of the day is from those at which the entity was
// active before, and the share of active hours that are that far out.
func (v *View) Far(hour int32) (distance int, p float64) {
	distance = v.Usual.Volume.distance(hour)
	for _, w := range v.Open {
		if w.Events > 0 {
			d := int((w.Hour - hour) % 24)
			if d < 0 {
				d += 24
			}
			distance = min(distance, d, 24-d)
		}
	}
	prior := 0.2
	for range distance {
		prior /= 2
	}
	return distance, v.Group.farther(distance, v.Peers.farther(distance, prior))
}

// Before finds where the entity was used from last before a moment, other than from
// a given network and no longer ago than a given time; where it was there, it is one
// of its own networks.
func (v *View) Before(network uint64, millis, within int64) (Place, bool) {
	var best Place
	consider := func(p Place) {
		if p.Network != network && p.Last < millis && p.Last >= millis-within && p.Last > best.Last {
			best = p
		}
	}
	for _, p := range v.Usual.Places {
		consider(p)
	}
	for _, w := range v.Open {
		for i := range w.Origins {
			consider(Place{Network: w.Origins[i].Network, Country: w.Origins[i].Country, Last: w.Origins[i].Last})
		}
	}
	return best, best.Last != 0
}

// ActiveHours is in how many hours of its day up to a given one the entity was active.
func (v *View) ActiveHours(hour int32) float64 {
	n := 1
	if v.Usual.Today.Day == hour/24 {
		n += int(v.Usual.Today.Hours)
	}
	for _, w := range v.Open {
		if w.Hour/24 == hour/24 && w.Events > 0 {
			n++
		}
	}
	return float64(n)
}

// Unpopular is the share of the hours with something new on an axis in which some
// of that is not usual for the peers either.
func (v *View) Unpopular(a feature.Axis) float64 {
	return v.Group.unpopular(a, v.Peers.unpopular(a, 0.5))
}

// Unheard is the share of such hours in which some of that is known of nobody at all.
// It is asked of axes only whose values are counted of the peers.
func (v *View) Unheard(a feature.Axis) float64 {
	if !shared(a) || v.Peers == nil {
		return 1
	}
	return v.Group.unheard(a, v.Peers.unheard(a, 0.5))
}

// Heard tells whether any of the peers is known for a value.
func (v *View) Heard(a feature.Axis, hash uint64) bool {
	return v.Peers == nil || !shared(a) || v.Peers.heard(a, hash)
}

// Beside is the probability that an hour with a new network has another one in use
// meanwhile: that of those who move bit by bit, or carry a telephone. Before peers
// have moved, it is what any hour of the entity's own has.
func (v *View) Beside(own float64) float64 { return v.Group.beside(v.Peers.beside(own)) }

// NewShare is the probability that an hour with new actions is of them at least as far
// as a window is; 1 where there are too few events to tell.
func (v *View) NewShare(w *window.Window) float64 {
	n := uint32(0)
	for i := range w.Axes[feature.Action] {
		if x := &w.Axes[feature.Action][i]; !v.Knows(feature.Action, x.Hash) {
			n += x.Count
		}
	}
	class, ok := shareOf(n, w.Events)
	if !ok || n == 0 {
		return 1
	}
	prior := 1.0
	for range class {
		prior /= 2
	}
	return v.Group.share(class, v.Peers.share(class, prior))
}

// Popular tells whether a value that is new to the entity is usual for its peers.
func (v *View) Popular(a feature.Axis, hash uint64) bool { return v.Peers.popular(a, hash) }

// Events is the mean number of events of an active hour at this time of the week,
// and the shape of its negative binomial distribution: the smaller, the wider.
func (v *View) Events(hour int32) (mean, shape float64) {
	events, hours := 0.0, 0.0
	for _, w := range v.Open {
		if w.Events > 0 {
			events += float64(w.Wanted())
			hours++
		}
	}
	if v.Usual.Volume.Hours < 4*Unit {
		mean := v.Group.meanEvents(v.Peers.meanEvents(20))
		events += float64(2 * mean)
		hours += 2
	}
	return v.Usual.Volume.expect(hour, events, hours)
}

// Comparable tells whether amounts can be compared with anything that was seen: a
// few hours of the entity's own, or some of its peers'. Before that the built-in
// expectation is all there is, and no two services are alike in how much is much.
func (v *View) Comparable() bool {
	own := float64(v.Usual.Volume.Hours)/Unit + v.openHours()
	return own >= 4 || v.Peers != nil && v.Peers.Active >= 50
}

// Busy is the probability that the entity is active at this hour of the week, and
// the days of that kind which it rests on.
func (v *View) Busy(hour int32) (p, days float64) {
	times, days := v.Usual.Volume.busy(hour)
	for _, w := range v.Open {
		if w.Events > 0 && w.Hour%24 == hour%24 {
			times++
		}
	}
	rate := 0.0
	if all := v.Usual.Volume.Days[0]/Unit + v.Usual.Volume.Days[1]/Unit; all > 0 {
		rate = min(float64(v.Usual.Hours)/Unit/float64(24*float64(all)), 1)
	}
	return (times + rate) / (days + 1), days
}

// Unseen is for how many days before an hour a value that is usual was not seen; ok is
// false of fewer than some.
func (v *View) Unseen(a feature.Axis, hash uint64, hour int32, least int) (days int, ok bool) {
	k, ok := v.Usual.Seen.find(a, hash)
	if !ok || k.Weight < familiar {
		return 0, false
	}
	days = int(hour/24) - int(k.Day)
	return days, days >= least && !v.opened(a, hash)
}

// Forgotten is how many usual values of an axis were not seen for that many days.
func (v *View) Forgotten(a feature.Axis, hour int32, days int) int {
	n := 0
	for _, k := range v.Usual.Seen.On(a) {
		if k.Weight >= familiar && int(hour/24)-int(k.Day) >= days {
			n++
		}
	}
	return n
}

// MostRefused is how many credentials that came from an address were not taken on any
// day before that of an hour, at most.
func (v *View) MostRefused(hour int32) int {
	n := int(v.Usual.Refused)
	yesterday := v.Today(hour/24*24 - 1)
	_, refused := yesterday.Sources.Counts()
	return max(n, refused)
}

// Today is what has settled of the day of an hour, with the open windows of that day.
func (v *View) Today(hour int32) Day {
	var d Day
	if v.Usual.Today.Day == hour/24 {
		d = v.Usual.Today
		d.Sources.Tokens = append([]Source(nil), d.Sources.Tokens...)
	}
	d.Day = hour / 24
	for _, w := range v.Open {
		if w.Hour/24 == d.Day {
			d.add(w)
		}
	}
	return d
}

// Regular tells whether it is nothing special that the entity is active at an hour: it
// is settled in, was active of late, and is so at that time as a rule.
func (v *View) Regular(hour int32) bool {
	u := v.Usual
	if u.Volume.Hours < 8*Unit || hour-u.Last > 48 || u.Volume.distance(hour) > 1 {
		return false
	}
	p, _ := v.Busy(hour)
	return p > 0.2
}

// Current tells whether a value is usual and was seen within a week before an hour, or
// was so in an earlier open window.
func (v *View) Current(a feature.Axis, hash uint64, hour int32) bool {
	if k, ok := v.Usual.Seen.find(a, hash); ok && k.Weight >= familiar && hour/24-int32(k.Day) < 7 {
		return true
	}
	return v.opened(a, hash)
}

// Rare tells whether the entity's active hours seldom are so in a five-minute slot, as
// far as enough of them are known.
func (v *View) Rare(slot uint8) bool {
	p, hours := v.Usual.Volume.Slot(slot)
	return hours >= 8 && p < 0.1
}

// OneToken tells whether no more than one token came from an address on the day of a
// window, in it or before.
func (v *View) OneToken(w *window.Window) bool {
	day, known, one := w.Hour/24, false, uint32(0)
	other := func(token uint32) bool {
		if !known {
			known, one = true, token
		}
		return token != one
	}
	if v.Usual.Today.Day == day {
		for i := range v.Usual.Today.Sources.Tokens {
			if other(v.Usual.Today.Sources.Tokens[i].Token) {
				return false
			}
		}
	}
	several := func(w *window.Window) bool {
		for i := range w.Visitors {
			if other(fingerprint(w.Visitors[i].Token)) {
				return true
			}
		}
		return false
	}
	for _, o := range v.Open {
		if o.Hour/24 == day && several(o) {
			return false
		}
	}
	return !several(w)
}

// FaultRate is the share of the entity's events that are expected to be answered
// with a fault, shrunk to its peers'. The day of the given hour is left out.
func (v *View) FaultRate(f feature.Fault, hour int32) float64 {
	var n, all float64
	today := v.Usual.Today.Day == hour/24
	for g, m := range v.Usual.Faults {
		x := float64(m) * faultUnit / Unit
		if today {
			x = max(0, x-float64(v.Usual.Today.Faults[g]))
		}
		all += x
		if feature.Fault(g) == f {
			n = x
		}
	}
	for _, w := range v.Open {
		if w.Hour/24 != hour/24 {
			n += float64(w.Faults[f])
			all += float64(w.Events)
		}
	}
	const weight = 200
	return (n + float64(weight*v.Group.faultRate(f, v.Peers.faultRate(f, faultRates[f])))) / (all + weight)
}
