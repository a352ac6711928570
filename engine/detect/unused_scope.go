package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// unusedScope notices the first use of a scope that a token has held all along: the
// grant was wider than the job, and now somebody finds out.
//
// That an hour brings a new part of the service has probability p_area
// (baseline.View.News, times the share of it that is not usual for peers). Of ten such
// first uses by honest owners, seven follow a grant of the last days or a release that
// peers have as well, and three are of what was held for long:
//
//	P = p_area · 3/10
//
// It belongs to what novelty says of actions and areas, of which the strongest counts.
type unusedScope struct{}

func newUnusedScope(vec.Hash) Detector { return unusedScope{} }

const (
	heldForLong = 0.3
	// heldDays is for how many days a scope must have been held, and the token known.
	heldDays = 7
)

func (unusedScope) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.token() == "" || s.Life == nil || s.Usual.Learning() || s.Now.Hour-s.Usual.Usual.First < heldDays*24 {
		return out
	}
	var idle []window.Value
	for _, v := range s.strange(feature.Area) {
		if held, known := s.Life.Grants(v.Hash, s.token(), s.end()); known && held && !s.Life.Granted(v.Hash, s.token(), s.end()) {
			idle = append(idle, v)
		}
	}
	if len(idle) == 0 {
		return out
	}
	p := s.Usual.News(feature.Area)
	expected := p
	if s.unpopular(feature.Area, idle) {
		p = float64(p * s.odds(feature.Area, idle) * heldForLong)
	}
	surprise := bans(p) + tokenwatch.Bans(len(idle)-1)*bans(s.Usual.More(feature.Area))
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "unused_scope", Axis: feature.Area.String(), Group: groupWhat, Surprise: min(surprise, newsLimit),
		Observed: int64(s.Now.Hour-s.Usual.Usual.First) * 1000 / 24, Expected: vec.Milli(expected),
		Evidence: firsts(idle), Attack: []string{"T1078"},
	})
}

func (unusedScope) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("used for the first time in %s days what it has held the scope for all along, %s, as %s of 100 hours would be expected to bring", decimal(s.Observed), join(values), decimal(s.Expected*100))
}
