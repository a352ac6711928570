package detect

import (
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// scanning notices an address that goes through a list of things to ask for, most of
// which are not there or not for it: a scanner does not know what there is.
//
// Of d different actions that it asked for in an hour, k were refused whenever it
// asked. A share q of what is asked for is refused as a rule, its own past shrunk to
// its peers'; k is negative binomial around q·d (atLeast), with a small shape since
// what is broken is broken in several places at once. Different things count, not
// requests: a program that asks for one missing thing all day is no scanner.
type scanning struct{}

func newScanning(vec.Hash) Detector { return scanning{} }

const (
	scanShape = 0.7
	// fewest is how many different refusals make a list.
	fewest = 10
)

func (scanning) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	actions := s.Now.Axes[feature.Action]
	if s.Usual.Kind != tokenwatch.EntityAddress || len(actions) < fewest {
		return out
	}
	var refused []window.Value
	for _, v := range actions {
		if v.Denied == v.Count {
			refused = append(refused, v)
		}
	}
	if len(refused) < fewest {
		return out
	}
	q := s.Usual.FaultRate(feature.NotFound, s.Now.Hour) + s.Usual.FaultRate(feature.Denied, s.Now.Hour) + s.Usual.FaultRate(feature.Unknown, s.Now.Hour)
	mean := float64(min(q, 1) * float64(len(actions)))
	surprise := min(atLeast(float64(len(refused)), mean, scanShape), newsLimit)
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "scanning", Axis: feature.Action.String(), Group: groupFaults, Surprise: surprise,
		Observed: int64(len(refused)) * 1000, Expected: vec.Milli(mean),
		Learning: s.Usual.Learning(), Evidence: firsts(refused), Attack: []string{"T1595"},
	})
}

func (scanning) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("asked for %d different things that are not there or not for it, where %s would be expected, among them %s",
		s.Observed/1000, decimal(s.Expected), strings.Join(values[:min(3, len(values))], ", "))
}
