package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// drift notices an entity that does more and more, too slowly for any hour to
// stand out.
//
// The events of the last one to four days are compared with the days before them,
// as negative binomial with a shape learned from those (atLeast); the best of the
// four spans counts, less what looking at four costs.
type drift struct{}

func newDrift(vec.Hash) Detector { return drift{} }

const (
	driftSpans = 4
	// regular is in how many hours of a day an entity must be active for its days
	// to be alike.
	regular = 5
)

func (drift) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.Usual.Usual.Volume.HoursADay() < regular {
		return out
	}
	today := *s.Today()
	today.Events += s.Now.Wanted()
	var best tokenwatch.Signal
	for n := 1; n <= driftSpans; n++ {
		sum, mean, shape, ok := s.Usual.Usual.Volume.Lagged(today, s.Usual.Usual.First, n)
		if !ok {
			break
		}
		if b := atLeast(sum, mean, shape) - bans(1.0/driftSpans); b > best.Surprise {
			best = tokenwatch.Signal{Surprise: b, Observed: vec.Milli(sum), Expected: vec.Milli(mean)}
		}
	}
	if best.Surprise < tokenwatch.Surprising {
		return out
	}
	best.Surprise = held(best.Surprise, amountLimit)
	best.Row, best.Detector, best.Group, best.Axis = row, "drift", groupAmount, "days"
	best.Evidence, best.Attack = samples(s.Now), []string{"T1530"}
	return append(out, best)
}

func (drift) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("made %s requests in the last days, where %s would be expected from the days before", decimal(s.Observed), decimal(s.Expected))
}
