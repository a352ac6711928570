package detect

import (
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// probing notices actions that the entity never took before and that were refused:
// somebody finds out what a credential is good for.
//
// That an hour brings new actions has probability p (baseline.View.News); that
// all k of them are refused, where a share q of the entity's events is,
//
//	P = p · √q^k
//
// The root allows for new actions being refused more often than usual ones.
type probing struct{}

func newProbing(vec.Hash) Detector { return probing{} }

func (probing) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Learning() || s.Now.Faults[feature.Denied]+s.Now.Faults[feature.Unknown]+s.Now.Faults[feature.NotFound] == 0 {
		return out
	}
	var refused []window.Value
	for _, v := range s.Now.Axes[feature.Action] {
		if v.Denied == v.Count && !s.Usual.Knows(feature.Action, v.Hash) {
			refused = append(refused, v)
		}
	}
	if len(refused) == 0 {
		return out
	}
	q := s.Usual.FaultRate(feature.Denied, s.Now.Hour) + s.Usual.FaultRate(feature.NotFound, s.Now.Hour) + s.Usual.FaultRate(feature.Unknown, s.Now.Hour)
	p := s.Usual.News(feature.Action)
	surprise := bans(p) + tokenwatch.Bans(len(refused))*bans(sqrt(min(q, 1)))
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "probing", Axis: feature.Action.String(), Group: groupWhat, Surprise: min(surprise, newsLimit),
		Observed: int64(len(refused)) * 1000, Expected: vec.Milli(float64(p * q)),
		Evidence: firsts(refused), Attack: []string{"T1526", "T1087"},
	})
}

func (probing) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("was refused %d actions that are not usual for it: %s", s.Observed/1000, strings.Join(values, ", "))
}
