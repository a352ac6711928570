package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// rhythm notices the pace of a machine on a person's token, and that of a person on a
// machine's.
//
// A person works in sessions, some minutes of some hours; a job at its minute; a copy of
// the token in a script, or somebody who tries it out, in many five-minute slots of an
// hour, or in many hours of a day. With m the mean number of slots in the entity's
// active hours, or of hours in its active days, k or more of them have by the geometric
// distribution that has this mean and starts at one
//
//	P(K ≥ k) = ((m − 1)/m)^(k−1)
//
// with a tenth of a slot or hour added to m, since no past is so regular. Slots are an
// amount of work and hours a time of it, and each counts with others of its kind. That a job works at other minutes of the
// hour than it does is what odd_hours tells.
type rhythm struct{}

func newRhythm(vec.Hash) Detector { return rhythm{} }

const (
	// pacedHours is how many active hours must be known, and pacedDays how many days.
	pacedHours = 12
	pacedDays  = 5
)

func (rhythm) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	v := &s.Usual.Usual.Volume
	if s.Now.Events == 0 || s.Usual.Kind == tokenwatch.EntityAddress || v.Hours < pacedHours*baseline.Unit {
		return out
	}
	signal := func(axis, group string, k int, mean float64, limit tokenwatch.Bans) {
		surprise := held(paced(k, mean), limit)
		if surprise < tokenwatch.Surprising {
			return
		}
		out = append(out, tokenwatch.Signal{
			Row: row, Detector: "rhythm", Axis: axis, Group: group, Surprise: surprise,
			Observed: int64(k) * 1000, Expected: vec.Milli(mean), Evidence: samples(s.Now), Attack: []string{"T1078"},
		})
	}
	signal("slots", groupAmount, len(s.Now.Slots), v.SlotsAnHour(), amountLimit)
	if mean, days := v.HoursADayOf(); days >= pacedDays {
		signal("hours", groupWhen, int(s.Usual.ActiveHours(s.Now.Hour)), mean, whenLimit)
	}
	return out
}

// paced is the surprise of k or more, of a geometric distribution of that mean.
func paced(k int, mean float64) tokenwatch.Bans {
	rest := mean - 1 + 0.1
	return tokenwatch.Bans(min(int64(k-1)*vec.Milli(-vec.Log10(rest/(rest+1))), int64(tokenwatch.MaxBans)))
}

func (rhythm) Explain(s tokenwatch.Signal, _ []string) string {
	if s.Axis == "hours" {
		return fmt.Sprintf("was at work in %s hours of the day, where %s would be expected", decimal(s.Observed), decimal(s.Expected))
	}
	return fmt.Sprintf("was at work in %s of the hour's slots of five minutes, where %s would be expected", decimal(s.Observed), decimal(s.Expected))
}
