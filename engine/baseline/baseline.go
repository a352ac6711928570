// Package baseline knows what each entity usually does.
//
// Settled windows come in, in order of their hours, and a [Usual] per entity
// comes out: which values it is known for on each axis, how often something new
// was among them, and how often it was in two places at once. An [Epoch] holds
// the same for all entities of a kind together, so that a new one can be judged
// by its peers.
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
// of their weight in about a month.
type Usual struct {
	_          struct{}                `cbor:",toarray"` // stored without the names of its fields
	Last       int32                   // hour of the last window learned; 0: none yet
	Hours      uint32                  // active hours, in 1/Unit
	Concurrent uint32                  // hours with two networks in use at once, in 1/Unit
	Novel      [feature.NumAxes]uint32 // values that were new when they came, in 1/Unit
	Seen       [feature.NumAxes][]Known
}

// Known is one value an entity was seen with.
type Known struct {
	_      struct{} `cbor:",toarray"`
	Hash   uint64
	Weight uint8 // known from familiar on: one ordinary hour, or three anomalous ones
	Day    uint16
}

const (
	familiar    = 3
	perOrdinary = 3
	perOdd      = 1

	// MaxKnown bounds the values remembered per axis; the ones not seen for
	// longest are forgotten first.
	MaxKnown = 512
)

// Learn adds a settled window to what is usual, and notes in delta what that
// changes for the peers. odd says that the window was anomalous: what was new in
// it then counts a third and becomes usual only if it keeps coming, and it does
// not teach the peers what a first hour is like.
func (u *Usual) Learn(w *window.Window, odd bool, delta *Peers) {
	u.decay(w.Hour)
	u.Last = w.Hour
	weight, step := uint8(perOrdinary), uint32(Unit)
	if odd {
		weight, step = perOdd, Unit/3
	}
	concurrent := Concurrent(w)
	if concurrent {
		u.Concurrent += step
	}
	if !odd && len(w.Origins) > 0 {
		delta.Hours++
		if concurrent {
			delta.Concurrent++
		}
	}
	if w.Events == 0 {
		return // the entity led none of the window's events: it did nothing of its own
	}
	first := u.Hours == 0
	u.Hours += Unit
	day := uint16(w.Hour / 24)
	for a := range feature.NumAxes {
		fresh := uint32(0)
		for _, v := range w.Axes[a] {
			at, ok := u.find(a, v.Hash)
			if !ok {
				u.Seen[a] = slices.Insert(u.Seen[a], at, Known{Hash: v.Hash})
			}
			k := &u.Seen[a][at]
			if k.Weight < familiar {
				fresh++
				k.Weight = min(familiar, k.Weight+weight)
				if k.Weight == familiar {
					delta.note(a, v.Hash, 1)
				}
			}
			k.Day = day
		}
		u.Novel[a] += fresh * step
		u.forget(a, delta)
		if first && !odd {
			delta.FirstNovel[a] += fresh
		}
	}
	if first && !odd {
		delta.Entities++
	}
}

// decay takes away 1/42 of the weight for each day since the last window: half
// in 29 days.
func (u *Usual) decay(hour int32) {
	if u.Last == 0 {
		return
	}
	for range min(hour/24-u.Last/24, 400) {
		u.Hours -= u.Hours / 42
		u.Concurrent -= u.Concurrent / 42
		for a := range u.Novel {
			u.Novel[a] -= u.Novel[a] / 42
		}
	}
}

func (u *Usual) forget(a feature.Axis, delta *Peers) {
	if len(u.Seen[a]) <= MaxKnown {
		return
	}
	byAge := slices.Clone(u.Seen[a])
	slices.SortFunc(byAge, func(x, y Known) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Hash, y.Hash)) })
	for _, k := range byAge[:len(byAge)-MaxKnown] {
		at, _ := u.find(a, k.Hash)
		u.Seen[a] = slices.Delete(u.Seen[a], at, at+1)
		if k.Weight == familiar {
			delta.note(a, k.Hash, -1)
		}
	}
}

func (u *Usual) find(a feature.Axis, hash uint64) (int, bool) {
	return slices.BinarySearchFunc(u.Seen[a], hash, func(k Known, h uint64) int { return cmp.Compare(k.Hash, h) })
}

// Knows tells whether a value is usual for the entity.
func (u *Usual) Knows(a feature.Axis, hash uint64) bool {
	at, ok := u.find(a, hash)
	return ok && u.Seen[a][at].Weight >= familiar
}

// Concurrent tells whether a window has two networks in use at once: one is
// used between the first and the last use of the other.
func Concurrent(w *window.Window) bool {
	for i, a := range w.Origins {
		for _, b := range w.Origins[i+1:] {
			if Overlap(a, b) {
				return true
			}
		}
	}
	return false
}

// Overlap tells whether two origins are different networks in use at once.
func Overlap(a, b window.Origin) bool {
	return a.Network != b.Network &&
		a.First.Millis <= b.Last.Millis && b.First.Millis <= a.Last.Millis
}

// View is what is usual for an entity as seen from one of its windows: the
// settled baseline, and the entity's own earlier windows that are still open.
type View struct {
	Kind  tokenwatch.EntityKind
	Usual *Usual
	Open  []*window.Window // earlier than the window that is judged
	Peers *Peers           // of the last settled epoch; nil where peers are left out
}

// Knows tells whether a value is usual, or was so in an earlier open window.
func (v *View) Knows(a feature.Axis, hash uint64) bool {
	if v.Usual.Knows(a, hash) {
		return true
	}
	for _, w := range v.Open {
		if w.Has(a, hash) {
			return true
		}
	}
	return false
}

// Learning tells that nothing has settled yet for this entity.
func (v *View) Learning() bool { return v.Usual.Hours == 0 }

// Hours is how many active hours the view rests on.
func (v *View) Hours() float64 {
	n := v.Usual.Hours
	for _, w := range v.Open {
		if w.Events > 0 {
			n += Unit
		}
	}
	return float64(n) / Unit
}

// ConcurrentHours is in how many of these two networks were in use at once.
func (v *View) ConcurrentHours() float64 {
	n := v.Usual.Concurrent
	for _, w := range v.Open {
		if Concurrent(w) {
			n += Unit
		}
	}
	return float64(n) / Unit
}

// heaps is the exponent of Heaps' law, by which the number of distinct values
// seen grows with the number n of occasions: V(n) ∝ n^β, so that the next
// occasion brings β·V/n new ones. Text has β of 0.4 to 0.6 (Heaps 1978); what API
// tokens do is repetitive, hence the lower end.
const heaps = 0.4

// Novelties is how many values new to the entity its next active hour is
// expected to bring on an axis.
func (v *View) Novelties(a feature.Axis) float64 {
	first := v.Peers.firstHour(v.Kind, a)
	hours := v.Hours()
	if hours == 0 {
		return first
	}
	n := v.Usual.Novel[a]
	for i, w := range v.Open {
		before := View{Usual: v.Usual, Open: v.Open[:i]}
		for _, value := range w.Axes[a] {
			if !before.Knows(a, value.Hash) {
				n += Unit
			}
		}
	}
	return float64(heaps*(float64(n)/Unit+first)) / (hours + 1)
}

// Popular tells whether a value that is new to the entity is usual for its peers.
func (v *View) Popular(a feature.Axis, hash uint64) bool {
	if v.Peers == nil {
		return false
	}
	return v.Peers.Known[a][hash] >= max(3, v.Peers.Entities/20)
}
