// Package baseline knows what each entity usually does.
//
// Settled windows come in, in order of their hours, and a [Usual] per entity
// comes out: which values it is known for on each axis and how often something new
// was among them, how much it does at which hours, how often it is refused, and
// how often it was in two places at once. An [Epoch] holds the same for all
// entities of a kind together, so that a new one can be judged by its peers.
package baseline

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Unit is 1 in the fixed-point numbers of a Usual.
const Unit = 256

// Usual is what one entity usually does. Numbers in units of 1/Unit lose half
// of their weight in about a month. It is made by New.
type Usual struct {
	First      int32  // hour of the first window learned; 0: none yet
	Last       int32  // of the last one
	Hours      uint32 // active hours, in 1/Unit
	Origins    uint32 // hours whose origins are known, in 1/Unit
	Concurrent uint32 // of these, with two networks in use at once
	Silent     uint16 // days without use before the day at hand
	Shared     uint16 // of an address: most tokens taken in a day before this one
	Refused    uint16 // the same of those not taken
	Today      Day    // so far
	*Habits
}

// Habits are what an entity does that leads events of its own. Most addresses and
// many actors never do: they share one, which stays empty.
type Habits struct {
	_       struct{}                `cbor:",toarray"`
	Lived   uint32                  // active hours since it had settled in, in 1/Unit; half of it is lost in eight days
	Novel   [feature.NumAxes]uint32 // of these, with something new
	Values  [feature.NumAxes]uint32 // how many new values that was
	Seen    Seen
	Volume  Volume
	Mix     Mix
	Objects Objects
	Faults  [feature.NumFaults]uint32 // events by the answer they got, in 1/Unit
	Places  []Place                   // where it was used from last, the latest first
}

var none = new(Habits)

// New returns the baseline of an entity of which nothing is known.
func New() Usual { return Usual{Habits: none} }

// Place is a network that an entity was used from.
type Place struct {
	_       struct{} `cbor:",toarray"`
	Network uint64
	Country uint64
	Last    int64 // UTC milliseconds
}

const maxPlaces = 4

// Clone copies a baseline, for the token that goes on where another one ends.
func (u *Usual) Clone() Usual {
	c := *u
	c.Today.Sources.Tokens = slices.Clone(c.Today.Sources.Tokens)
	if u.Habits == none {
		return c
	}
	habits := *u.Habits
	c.Habits = &habits
	c.Places = slices.Clone(c.Places)
	c.Seen.List = slices.Clone(c.Seen.List)
	c.Objects.Least = slices.Clone(c.Objects.Least)
	return c
}

// settle notes where a window's events came from.
func (u *Usual) settle(w *window.Window) {
	for i := range w.Origins {
		o := &w.Origins[i]
		at := slices.IndexFunc(u.Places, func(p Place) bool { return p.Network == o.Network })
		if at < 0 {
			u.Places = append(u.Places, Place{Network: o.Network, Country: o.Country, Last: o.Last})
			continue
		}
		u.Places[at].Last = max(u.Places[at].Last, o.Last)
	}
	u.orderPlaces()
}

// orderPlaces keeps those where the entity was last.
func (u *Usual) orderPlaces() {
	slices.SortFunc(u.Places, func(a, b Place) int { return cmp.Or(-cmp.Compare(a.Last, b.Last), cmp.Compare(a.Network, b.Network)) })
	u.Places = u.Places[:min(len(u.Places), maxPlaces)]
}

const (
	familiar    = 3
	perOrdinary = 3
	perOdd      = 1
)

// maxKnown bounds the values remembered per axis; the ones not seen for longest
// are forgotten first.
var maxKnown = [feature.NumAxes]int{
	feature.Network: 48, feature.Address: 64, feature.Country: 16, feature.AgentFamily: 24,
	feature.Agent: 48, feature.Action: 128, feature.ActionClass: 16, feature.Area: 48,
}

// Day is a 1-day window as far as its hours have settled.
type Day struct {
	_          struct{} `cbor:",toarray"`
	Day        int32    // since 1970
	Hours      uint32   // active ones
	Events     uint32   // that the service did not fail to answer
	Faults     [feature.NumFaults]uint32
	Concurrent uint32          // hours with two networks in use at once
	Most       tokenwatch.Bans // greatest combined surprise of an hour
	Before     tokenwatch.Bans // that of the day before
	Sources    Sources
}

func fingerprint(hash uint64) uint32 { return uint32(hash >> 32) }

// Warm reads a little of what is asked for first; what it returns means nothing.
func (u *Usual) Warm() uint32 {
	sum := u.Hours + u.Today.Events + u.Lived + u.Volume.Hours + u.Faults[0]
	if n := len(u.Seen.List); n > 0 {
		sum += u.Seen.List[0].Hash + u.Seen.List[n/2].Hash + u.Seen.List[n-1].Hash
	}
	if n := len(u.Today.Sources.Tokens); n > 0 {
		sum += u.Today.Sources.Tokens[0].Token
	}
	return sum
}

// Lesson is what is known about a window when it is learned.
type Lesson struct {
	Odd   bool            // it was anomalous
	Sure  bool            // so much so that it says nothing about how far ordinary hours reach
	Sum   tokenwatch.Bans // its combined surprise
	Peers *Peers          // of the epoch it was judged by, of its kind; may be nil
	Delta *Peers          // takes what the window changes for the peers
	Group *Peers          // the same for its group
	// Common came to many at once, and is no habit of changing.
	Common *Common
}

// Learn adds a settled window to what is usual. What was new in an odd one counts
// a third and becomes usual only if it keeps coming; it teaches amounts with
// restraint, and does not teach the peers.
func (u *Usual) Learn(w *window.Window, l Lesson) {
	u.count(w.Hour, l)
	u.pass(w.Hour)
	if !l.Sure {
		u.Today.Most = max(u.Today.Most, l.Sum)
	}
	first := u.Hours == 0
	if u.First == 0 {
		u.First = w.Hour
	}
	u.Last = w.Hour
	step := uint32(Unit)
	if l.Odd {
		step = Unit / 3
	}
	u.Today.add(w)
	if w.Events > 0 && u.Habits == none {
		u.Habits = new(Habits)
	}
	if len(w.Origins) > 0 {
		if u.Habits != none {
			u.settle(w)
		}
		u.Origins += step
		if Concurrent(w) {
			u.Concurrent += step
		}
		if !l.Odd {
			l.Delta.Origins++
			if Concurrent(w) {
				l.Delta.Concurrent++
			}
		}
	}
	if w.Events == 0 {
		return // the entity led none of the window's events: it did nothing of its own
	}
	steady := u.steady()
	for a := range feature.NumAxes {
		if n := u.meet(a, w, l); n.values > 0 {
			if u.Hours >= settledOn(a)*Unit {
				u.Novel[a] += step
				u.Values[a] += min(n.values, 1<<10) * step
			}
			if !l.Odd {
				l.Delta.brought(a, first, steady, n, w)
				l.Group.brought(a, first, steady, n, w)
			}
		}
	}
	if steady && !l.Odd {
		l.Delta.far(u.Volume.distance(w.Hour))
		l.Group.far(u.Volume.distance(w.Hour))
	}
	u.Hours += step
	if u.Hours > settledHours/4*Unit {
		u.Lived += step
	}
	u.Volume.learn(w, l.Odd)
	u.learnMix(w, l.Odd)
	u.Objects.learn(w, steady, l.Odd)
	for f, n := range w.Faults {
		if l.Odd && feature.Fault(f) != feature.Fine {
			n = min(n, 1)
		}
		u.Faults[f] += min(n, 1<<16) * Unit / faultUnit
	}
	if !l.Odd {
		l.Delta.teach(w, first, steady)
		l.Group.teach(w, first, steady)
	}
}

// count lets an hour count in its group's tail. A day that is no odder than the one
// before counts for nothing: it would be told as the same incident.
func (u *Usual) count(hour int32, l Lesson) {
	if u.Hours < settledHours/4*Unit {
		return
	}
	tail := l.Group.Tails.of(u, hour)
	switch days := min(max(hour/24-u.Last/24, 0), 7); {
	case days > 0:
		tail.Days += tailUnit * int64(days)
		if !l.Sure && (days > 1 || l.Sum > u.Today.Most) {
			tail.raise(0, l.Sum)
		}
	case !l.Sure && l.Sum > max(u.Today.Most, u.Today.Before):
		from := u.Today.Most
		if from <= u.Today.Before {
			from = 0 // was not counted
		}
		tail.raise(from, l.Sum)
	}
}

// settledHours is after how many active hours an entity counts as settled in: what
// it shows up to then is what it is, and not news.
const settledHours = 12

// settledOn is the same for an axis: where and with what a token is used shows soon.
func settledOn(a feature.Axis) uint32 {
	if a >= feature.Action {
		return settledHours
	}
	return settledHours / 4
}

// steady tells whether the entity has settled in.
func (u *Usual) steady() bool { return u.Hours >= settledHours*Unit }

// NumGroups is how many groups of peers there are.
const NumGroups = int(tokenwatch.NumEntityKinds) * 6

// Group finds the entity's peers among those of its kind, by its way of working:
// how many of the hours are active ones, and whether its addresses keep changing.
func (u *Usual) Group(kind tokenwatch.EntityKind) int {
	g := int(kind) * 6
	if u.Hours < Unit {
		return g
	}
	days := max(uint32(u.Volume.Days[0])+uint32(u.Volume.Days[1]), Unit)
	switch share := u.Hours / 24 * 100 / days; {
	case share >= 50:
		g += 2
	case share >= 10:
		g++
	}
	if u.Novel[feature.Address] > u.Lived/5 {
		g += 3
	}
	return g
}

// faultUnit is how many events make a Unit of Usual.Faults.
const faultUnit = 16

// meet notes the values of an axis, and counts those that were new.
func (u *Usual) meet(a feature.Axis, w *window.Window, l Lesson) (n news) {
	day := uint16(w.Hour / 24)
	weight := uint8(perOrdinary)
	if l.Odd {
		weight = perOdd
	}
	for _, v := range w.Axes[a] {
		k, ok := u.Seen.find(a, v.Hash)
		if !ok {
			at := u.Seen.place(a, fingerprint(v.Hash))
			u.Seen.insert(a, at, Known{Hash: fingerprint(v.Hash), Born: day})
			k = &u.Seen.On(a)[at]
		}
		if k.Weight < familiar {
			if !l.Common.value(a, v.Hash) {
				n.values++
				n.events += v.Count
				if l.Peers.popular(a, v.Hash) {
					n.popular++
				} else if !l.Peers.heard(a, v.Hash) {
					n.unheard++
				}
			}
			k.Weight = min(familiar, k.Weight+weight)
			if k.Weight == familiar {
				l.Delta.note(a, k.Hash, 1)
				if a == feature.Network && u.steady() {
					l.Group.moved(kindOf(w, v.Hash))
				}
			}
		}
		k.Day = day
	}
	u.forget(a, l.Delta)
	return n
}

// kindOf finds the kind of a network in a window, 0 if it is not known.
func kindOf(w *window.Window, network uint64) uint64 {
	for i := range w.Origins {
		if w.Origins[i].Network == network {
			return w.Origins[i].Kind
		}
	}
	return 0
}

// pass lets time go by until an hour: each day takes 1/42 of the weight away, half
// of it in 29 days.
func (u *Usual) pass(hour int32) {
	if u.Last == 0 {
		return
	}
	own := u.Habits != none
	for day := u.Last/24 + 1; day <= min(hour/24, u.Last/24+400); day++ {
		u.Hours -= u.Hours / 42
		u.Origins -= u.Origins / 42
		u.Concurrent -= u.Concurrent / 42
		if own {
			u.Habits.pass()
		}
	}
	day := hour / 24
	if own {
		u.Volume.elapse(u.Last, hour)
		if day != u.Today.Day {
			u.Volume.close(u.Today, day)
		}
	}
	if day != u.Today.Day {
		u.Silent = uint16(min(max(day-u.Last/24-1, 0), 1<<15))
		taken, refused := u.Today.Sources.Counts()
		u.Refused = max(u.Refused-u.Refused/42, uint16(refused))
		u.Shared = max(u.Shared-u.Shared/42, uint16(taken))
		before := tokenwatch.Bans(0)
		if day == u.Today.Day+1 {
			before = u.Today.Most
		}
		u.Today = Day{Day: day, Before: before}
	}
}

// pass takes away what a day takes.
func (h *Habits) pass() {
	h.Lived -= h.Lived / 12
	for a := range h.Novel {
		h.Novel[a] -= h.Novel[a] / 12 // habits of changing change faster
		h.Values[a] -= h.Values[a] / 12
	}
	for f := range h.Faults {
		h.Faults[f] -= h.Faults[f] / 42
	}
	h.Volume.pass()
	h.Objects.pass()
}

func (u *Usual) forget(a feature.Axis, delta *Peers) {
	if len(u.Seen.On(a)) <= maxKnown[a] {
		return
	}
	byAge := slices.Clone(u.Seen.On(a))
	slices.SortFunc(byAge, func(x, y Known) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Hash, y.Hash)) })
	for _, k := range byAge[:len(byAge)-maxKnown[a]] {
		u.Seen.remove(a, u.Seen.place(a, k.Hash))
		if k.Weight == familiar {
			delta.note(a, k.Hash, -1)
		}
	}
}

// Knows tells whether a value is usual for the entity.
func (u *Usual) Knows(a feature.Axis, hash uint64) bool {
	k, ok := u.Seen.find(a, hash)
	return ok && k.Weight >= familiar
}

// newsOf counts the values of an axis that the entity was first seen with on a day,
// without those that came to many at once.
func (u *Usual) newsOf(a feature.Axis, day int32, common *Common) int {
	n := 0
	for _, k := range u.Seen.On(a) {
		if k.Born == uint16(day) && !common.print(a, k.Hash) {
			n++
		}
	}
	return n
}

func (d *Day) add(w *window.Window) {
	d.Events += w.Wanted()
	if w.Events > 0 {
		d.Hours++
	}
	for f, n := range w.Faults {
		d.Faults[f] += n
	}
	if Concurrent(w) {
		d.Concurrent++
	}
	d.Sources.Add(w)
}

// Concurrent tells whether a window has two networks in use at once: one is
// used between the first and the last use of the other.
func Concurrent(w *window.Window) bool {
	for i := range w.Origins {
		for j := i + 1; j < len(w.Origins); j++ {
			if Overlap(&w.Origins[i], &w.Origins[j]) {
				return true
			}
		}
	}
	return false
}

// Overlap tells whether two origins are different networks in use at once.
func Overlap(a, b *window.Origin) bool {
	return a.Network != b.Network && a.First.Millis <= b.Last && b.First.Millis <= a.Last
}
