package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// allowList notices a token that is used from outside the networks which its
// inventory allows it. That is a stated rule, and lists that are out of date are
// the only honest reason: one token in five hundred a week.
type allowList struct{}

func newAllowList(vec.Hash) Detector { return allowList{} }

const outdated = 1.0 / (500 * 168)

func (allowList) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Life == nil || len(s.Life.Networks) == 0 {
		return out
	}
	outside, first := s.Now.Strays(s.Life.Allows)
	if outside == 0 {
		return out
	}
	p := outdated
	if outside*2 > s.Now.Events && (s.Usual.Learning() || len(s.strange(feature.Network)) == 0) {
		p = 0.01 // it is used so, whatever the list says
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "allow_list", Axis: feature.Network.String(), Surprise: bans(p),
		Observed: int64(outside) * 1000, Evidence: []tokenwatch.EventRef{first}, Attack: []string{"T1078"},
	})
}

func (allowList) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("was used %s times from %s, outside the networks allowed to it", decimal(s.Observed), join(values))
}
