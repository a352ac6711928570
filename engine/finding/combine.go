package finding

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Combined is what the signals of one entity's hour come to.
type Combined struct {
	Sum     tokenwatch.Bans
	Signals []tokenwatch.Signal // those that count, strongest first
}

// Combine adds up the surprises of one hour,
//
//	S = Σ max(0, s − 1)
//
// over the detectors and axes: below one ban is what happens to everybody, and
// taking it off each term pays for looking in several respects. Of route and
// action, which mostly say the same, only the stronger one counts.
func Combine(signals []tokenwatch.Signal) Combined {
	signals = slices.Clone(signals)
	slices.SortFunc(signals, func(a, b tokenwatch.Signal) int {
		return cmp.Or(-cmp.Compare(a.Surprise, b.Surprise), cmp.Compare(a.Detector, b.Detector), cmp.Compare(a.Axis, b.Axis))
	})
	var c Combined
	what := false
	for _, s := range signals {
		if s.Surprise < tokenwatch.Surprising {
			break
		}
		if s.Axis == feature.Route.String() || s.Axis == feature.Action.String() {
			if what {
				continue
			}
			what = true
		}
		c.Sum += s.Surprise - tokenwatch.Surprising
		c.Signals = append(c.Signals, s)
	}
	return c
}

// Score maps a combined surprise to 0–100:
//
//	q = 168 · 10^−S     false findings expected per entity and week of 168 hours
//	score = 30 − 20·log10 q, cut to 0…100
//
// so that 56 is one false finding in 20 entity-weeks and 70 one in 100, if the
// detectors' models hold: the rate is nominal, not calibrated on traffic.
func Score(sum tokenwatch.Bans) int {
	// 30 − 20·log10(168) = −14.506; all in thousandths, rounded half up.
	milli := 20*int(sum) - 14506
	return max(0, min(100, (milli+500)/1000))
}
