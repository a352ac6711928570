package baseline

import (
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Mix is how far the hours' mixes of actions were off the usual shares, which are
// Known.Share: the sums of the G-statistics of past hours and of their degrees of
// freedom, in 1/mixUnit. Their quotient is how much wider than chance an entity's hours
// are spread, since one session does much of one thing.
type Mix struct {
	_       struct{} `cbor:",toarray"`
	G       uint32
	Freedom uint32
}

const (
	mixUnit = 16
	// wholeShare is all of an hour in units of Known.Share.
	wholeShare = 1<<16 - 1
	// mixHours is over how many hours shares are averaged; further ones fade.
	mixHours = 100
	// mixEvents is how many events an hour must have for its mix to say anything.
	mixEvents = 8
	// newShare is what an hour's events that are no known action's are expected to
	// be at least, as a part of all.
	newShare = 0.002
)

// Mixed is how far one hour's mix of actions is off the usual one.
type Mixed struct {
	G        float64      // G-statistic, 2·Σ n·ln(n/expected)
	Freedom  float64      // its degrees of freedom
	Most     window.Value // the action that contributes most
	Expected float64      // how many events of it were expected
	Events   float64      // of all actions
}

// mix compares the actions of a window with the usual shares. Actions that skip says
// are left out. ok is false where there are too few events or too little is known.
func (u *Usual) mix(w *window.Window, unseen float64, skip func(hash uint64) bool) (m Mixed, ok bool) {
	if !u.steady() || len(u.Seen.On(feature.Action)) < 2 {
		return m, false
	}
	var fresh, most, contribution float64
	skipped := func(hash uint64) bool { return skip != nil && !u.Knows(feature.Action, hash) && skip(hash) }
	for _, v := range w.Axes[feature.Action] {
		if !skipped(v.Hash) {
			m.Events += float64(v.Count)
		}
	}
	if m.Events < mixEvents {
		return m, false
	}
	known := 0.0
	for _, k := range u.Seen.On(feature.Action) {
		if k.Share > 0 {
			known++
		}
	}
	unseen = max(unseen, newShare)
	for _, v := range w.Axes[feature.Action] {
		n := float64(v.Count)
		if skipped(v.Hash) {
			continue
		}
		share := 0.0
		if k, ok := u.Seen.find(feature.Action, v.Hash); ok {
			share = float64(k.Share) / wholeShare
		}
		expected := 0.0
		if share == 0 {
			fresh += n
			expected = float64(m.Events * unseen)
		} else {
			// Shrunk to equal shares, as if ten events had shown that.
			events := mixHours * 4.0
			expected = float64(m.Events * (1 - unseen) * (float64(share*events) + 10/known) / (events + 10))
		}
		if c := n - expected; c > most {
			most, m.Most, m.Expected = c, v, expected
		}
		if share > 0 {
			contribution += float64(n * vec.Log10(n/expected))
		}
	}
	if fresh > 0 {
		contribution += float64(fresh * vec.Log10(fresh/float64(m.Events*unseen)))
	}
	m.G = max(0, float64(2*contribution*ln10))
	m.Freedom = max(1, min(known, m.Events)-1)
	return m, m.Most.Count > 0
}

const ln10 = 2.302585092994046

// learnMix averages a window's shares into the usual ones.
func (u *Usual) learnMix(w *window.Window, odd bool) {
	if m, ok := u.mix(w, 0, nil); ok && !odd {
		u.Mix.G += uint32(min(float64(m.G*mixUnit), 1<<16))
		u.Mix.Freedom += uint32(m.Freedom * mixUnit)
		if u.Mix.Freedom > 1<<24 {
			u.Mix.G, u.Mix.Freedom = u.Mix.G/2, u.Mix.Freedom/2
		}
	}
	total := uint64(0)
	for _, v := range w.Axes[feature.Action] {
		total += uint64(v.Count)
	}
	if total == 0 {
		return
	}
	hours := int64(min(max(u.Hours/Unit, 1), mixHours))
	if odd {
		hours *= 3
	}
	seen := u.Seen.On(feature.Action)
	for i := range seen {
		seen[i].Share -= uint16((int64(seen[i].Share) + hours - 1) / hours)
	}
	for _, v := range w.Axes[feature.Action] {
		if k, ok := u.Seen.find(feature.Action, v.Hash); ok {
			k.Share = uint16(min(int64(k.Share)+int64(uint64(v.Count)*wholeShare/total)/hours, wholeShare))
		}
	}
}

// Mixed is how far the window's mix of actions is off the usual one, in how many times
// what its own hours are off as a rule.
func (v *View) Mixed(w *window.Window) (m Mixed, spread float64, ok bool) {
	m, ok = v.Usual.mix(w, float64(v.News(feature.Action)/4), func(hash uint64) bool { return v.opened(feature.Action, hash) })
	const hours = 10
	prior := float64(hours * m.Freedom)
	spread = (float64(v.Usual.Mix.G)/mixUnit + float64(3*prior)) / (float64(v.Usual.Mix.Freedom)/mixUnit + prior)
	return m, max(spread, 1), ok
}
