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
)

// Mixed is how far one hour's mix of actions is off the usual one.
type Mixed struct {
	G        float64      // G-statistic, 2·Σ n·ln(n/expected)
	Freedom  float64      // its degrees of freedom
	Most     window.Value // the action that contributes most
	Expected float64      // how many events of it were expected
	Events   float64      // of all actions
}

// mix compares the known actions of a window with their usual shares; what is new is
// told as such. ok is false where there are too few events or too little is known.
func (u *Usual) mix(w *window.Window) (m Mixed, ok bool) {
	seen := u.Seen.On(feature.Action)
	if !u.steady() || len(seen) < 2 {
		return m, false
	}
	known := 0.0
	for _, k := range seen {
		if k.Share > 0 {
			known++
		}
	}
	usual := func(v *window.Value) float64 {
		if k, ok := u.Seen.find(feature.Action, v.Hash); ok {
			return float64(k.Share) / wholeShare
		}
		return 0
	}
	actions := w.Axes[feature.Action]
	for i := range actions {
		if usual(&actions[i]) > 0 {
			m.Events += float64(actions[i].Count)
		}
	}
	if m.Events < mixEvents {
		return m, false
	}
	var most, contribution float64
	for i := range actions {
		share := usual(&actions[i])
		if share == 0 {
			continue
		}
		// Shrunk to equal shares, as if ten events had shown that.
		const events = mixHours * 4.0
		n := float64(actions[i].Count)
		expected := float64(m.Events * (float64(share*events) + 10/known) / (events + 10))
		if c := n - expected; c > most {
			most, m.Most, m.Expected = c, actions[i], expected
		}
		contribution += float64(n * vec.Log10(n/expected))
	}
	m.G = max(0, float64(2*contribution*ln10))
	m.Freedom = max(1, min(known, m.Events)-1)
	return m, m.Most.Count > 0
}

const ln10 = 2.302585092994046

// learnMix averages a window's shares into the usual ones.
func (u *Usual) learnMix(w *window.Window, odd bool) {
	if m, ok := u.mix(w); ok && !odd {
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
	m, ok = v.Usual.mix(w)
	const hours = 10
	prior := float64(hours * m.Freedom)
	spread = (float64(v.Usual.Mix.G)/mixUnit + float64(3*prior)) / (float64(v.Usual.Mix.Freedom)/mixUnit + prior)
	return m, max(spread, 1), ok
}
