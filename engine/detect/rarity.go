package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// rarity notices what an entity did once, long ago, and does again: an action, a
// network, a program that it is known for and has all but forgotten.
//
// Of a value not seen for d days, the best estimate of its rate is half an occurrence
// in that time (Jeffreys). With h active hours a day, and n values of the axis that are
// known and that might as well have come back,
//
//	p = n / (2·d·h)
//
// What is usual for the peers says half of that. It belongs to what novelty says of its
// axis, of which the strongest counts.
type rarity struct{}

func newRarity(vec.Hash) Detector { return rarity{} }

// forgottenDays is after how many days a value counts as forgotten.
const forgottenDays = 10

var rareAxes = [...]feature.Axis{feature.Network, feature.AgentFamily, feature.Action, feature.Area}

func (rarity) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.Usual.Kind == tokenwatch.EntityAddress || s.Usual.Learning() {
		return out
	}
	hours := max(s.Usual.Usual.Volume.HoursADay(), 0.5)
	for _, a := range rareAxes {
		var back []window.Value
		longest := 0
		for _, v := range s.Now.Axes[a] {
			if days, ok := s.Usual.Unseen(a, v.Hash, s.Now.Hour, forgottenDays); ok {
				back = append(back, v)
				longest = max(longest, days)
			}
		}
		if len(back) == 0 {
			continue
		}
		surprise := bans(float64(s.Usual.Forgotten(a, s.Now.Hour, forgottenDays)) / float64(2*float64(longest)*hours))
		if !s.unpopular(a, back) {
			surprise /= 2
		}
		if surprise = min(surprise, whenLimit); surprise < tokenwatch.Surprising {
			continue
		}
		out = append(out, tokenwatch.Signal{
			Row: row, Detector: "rarity", Axis: a.String(), Group: axisGroups[a], Surprise: surprise,
			Observed: int64(longest) * 1000, Evidence: firsts(back), Attack: newsAttack(a),
		})
	}
	return out
}

func (rarity) Explain(s tokenwatch.Signal, values []string) string {
	a, _ := feature.AxisByName(s.Axis)
	return fmt.Sprintf("came back to the %s %s after %s days", axisNouns[a][0], join(values), decimal(s.Observed))
}
