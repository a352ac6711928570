package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// oddHours notices an entity at work at an hour of the week, or in a part of the
// hour, in which it never is: a person's night, a job outside its schedule.
//
// Over D past days of that kind (working days, weekends) the hour and, with less
// weight, the two hours on either side were active with frequency f; smoothed by
// one day of the entity's overall rate r of active hours,
//
//	p = (f·D + r)/(D + 1)
//
// Besides, the hour of the day lies so many hours away from all at which the entity
// was ever active, and P is the share of its peers' active hours that lie so far out.
// Within active hours the same is asked of slots of five minutes, which tell a job
// that runs at the full hour from one that somebody runs.
type oddHours struct{}

func newOddHours(vec.Hash) Detector { return oddHours{} }

// byHand is how many hours of a job hold a run by hand, whatever its schedule.
const byHand = 0.003

func (oddHours) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	v := &s.Usual.Usual.Volume
	if s.Now.Events == 0 || v.Hours < 8*baseline.Unit {
		return out
	}
	p, days := s.Usual.Busy(s.Now.Hour)
	signal := tokenwatch.Signal{
		Row: row, Detector: "odd_hours", Axis: "hour", Group: groupWhen, Surprise: min(bans(p), whenLimit),
		Observed: 1000, Expected: vec.Milli(float64(p * days)),
	}
	if distance, far := s.Usual.Far(s.Now.Hour); distance > 1 && bans(far) > signal.Surprise {
		signal.Axis, signal.Surprise, signal.Observed, signal.Expected = "distance", min(bans(far), whenLimit), int64(distance)*1000, vec.Milli(float64(far*100))
	}
	odd := -1
	for i := range s.Now.Slots {
		at, hours := v.Slot(s.Now.Slots[i].Slot)
		at = max(at, byHand)
		if b := bans(at); b > signal.Surprise {
			// Whoever runs a job once more does more of it as well.
			signal.Group = groupAmount
			signal.Axis, signal.Surprise, signal.Observed = "minutes", b, 1000
			signal.Expected = vec.Milli(float64(at * hours))
			odd = i
		}
	}
	if signal.Surprise < tokenwatch.Surprising {
		return out
	}
	if odd >= 0 {
		signal.Evidence = []tokenwatch.EventRef{s.Now.Slots[odd].Sample}
	} else {
		signal.Evidence = samples(s.Now)
	}
	signal.Attack = []string{"T1078"}
	return append(out, signal)
}

func (oddHours) Explain(s tokenwatch.Signal, _ []string) string {
	switch s.Axis {
	case "distance":
		return fmt.Sprintf("was active %s hours of the day away from any at which it was active before, as in %s of 100 hours of its peers", decimal(s.Observed), decimal(s.Expected))
	case "minutes":
		return fmt.Sprintf("was active in minutes of the hour in which it was active in %s of its past hours", decimal(s.Expected))
	}
	return fmt.Sprintf("was active at an hour at which it was active on %s past days", decimal(s.Expected))
}
