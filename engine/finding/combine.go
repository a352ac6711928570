package finding

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// Combined is what the signals of one entity's hour come to.
type Combined struct {
	Sum     tokenwatch.Bans
	Rate    tokenwatch.Bans     // log₁₀ of the false findings expected per entity and week at that sum
	Signals []tokenwatch.Signal // those that count, strongest first
}

// Combine adds up the surprises of one hour,
//
//	S = Σ max(0, s − 1)
//
// over the detectors and axes: below one ban is what happens to everybody, and
// taking it off each term pays for looking in several respects. Of signals of one
// group, which mostly say the same, only the strongest counts.
func Combine(signals []tokenwatch.Signal) Combined {
	signals = slices.Clone(signals)
	slices.SortFunc(signals, func(a, b tokenwatch.Signal) int {
		return cmp.Or(-cmp.Compare(a.Surprise, b.Surprise), cmp.Compare(a.Detector, b.Detector), cmp.Compare(a.Axis, b.Axis))
	})
	var c Combined
	var groups []string
	for _, s := range signals {
		if s.Surprise < tokenwatch.Surprising {
			break
		}
		if s.Group != "" {
			if slices.Contains(groups, s.Group) {
				continue
			}
			groups = append(groups, s.Group)
		}
		c.Sum += s.Surprise - tokenwatch.Surprising
		c.Signals = append(c.Signals, s)
	}
	return c
}

// Score maps an expected rate of false findings q per entity and week, given as
// its decimal logarithm, to
//
//	score = 30 − 20·log10 q, cut to 0…100
//
// so that 56 is one false finding in 20 entity-weeks and 70 one in 100. What rate
// goes with a combined surprise is learned, see baseline.Tail.
func Score(rate tokenwatch.Bans) int {
	milli := 30_000 - 20*int(rate)
	return max(0, min(100, (milli+500)/1000))
}
