package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// faults notices more refusals of a kind than the entity usually meets: denied
// and missing things are what one finds who tries doors.
//
// Of n events of the hour, a share q is expected to be refused in that way, which
// is the entity's own past share shrunk to its peers'; the number is negative
// binomial with a small shape, since refusals come in runs (atLeast). The day so
// far is tested like the hour, so that patience does not help. Failures of the
// service itself say little about who asks: they count for two bans at most, and so does
// that a credential whose time is over is not taken.
type faults struct{}

func newFaults(vec.Hash) Detector { return faults{} }

const (
	faultShape = 0.7
	// serviceLimit is the most that failures of the service itself can add.
	serviceLimit tokenwatch.Bans = 2000
	// inputLimit is the most that refusals of what was asked can add: most of them
	// are mistakes of programs.
	inputLimit tokenwatch.Bans = 3000
	// firstLimit is the most that any can add while there is nothing yet to compare
	// with: how often what is missing is asked for differs from service to service.
	firstLimit tokenwatch.Bans = 3000
)

func (faults) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	for _, wrong := range s.Now.Wrong {
		if wrong.Kind == feature.Unknown && s.Usual.Learning() {
			continue // a credential that never was valid is a matter of who presents it
		}
		n, all := float64(s.Now.Faults[wrong.Kind]), float64(s.Now.Events)
		q := s.Usual.FaultRate(wrong.Kind, s.Now.Hour)
		surprise, observed, expected := atLeast(n, float64(q*all), faultShape), n, float64(q*all)
		dayN, dayAll := n+float64(s.Today().Faults[wrong.Kind]), all+float64(s.Today().Events)
		if day := atLeast(dayN, float64(q*dayAll), faultShape); day > surprise {
			surprise, observed, expected = day, dayN, float64(q*dayAll)
		}
		switch wrong.Kind {
		case feature.Unavailable, feature.Throttled:
			surprise = min(surprise, serviceLimit)
		case feature.Refused:
			surprise = min(surprise, inputLimit)
		case feature.Unknown:
			if s.over() {
				surprise = min(surprise, serviceLimit) // what else should it be answered
			}
		}
		surprise = min(surprise, newsLimit)
		if !s.Usual.Comparable() {
			surprise = min(surprise, firstLimit)
		}
		if surprise < tokenwatch.Surprising {
			continue
		}
		out = append(out, tokenwatch.Signal{
			Row: row, Detector: "faults", Axis: wrong.Kind.String(), Group: groupFaults, Surprise: surprise,
			Observed: vec.Milli(observed), Expected: vec.Milli(expected),
			Learning: s.Usual.Learning(), Evidence: []tokenwatch.EventRef{wrong.First}, Attack: []string{"T1526"},
		})
	}
	return out
}

// faultNouns say what was answered.
var faultNouns = map[string]string{
	feature.Unknown.String():     "answers that its credential is not valid",
	feature.Denied.String():      "denials",
	feature.NotFound.String():    "answers that there is no such thing",
	feature.Throttled.String():   "answers to slow down",
	feature.Refused.String():     "refusals",
	feature.Unavailable.String(): "failures of the service",
}

func (faults) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("got %s %s, where %s would be expected", decimal(s.Observed), faultNouns[s.Axis], decimal(s.Expected))
}
