package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// spraying notices an address from which one invalid credential after the other is
// presented: somebody guesses, or tries what others have lost.
//
// In a day, an address presents one more refused credential than it did on any
// day before, b but at least one, with probability 1/16 each, and one of ten such
// addresses has an accepted one as well:
//
//	p = 16^(b−n) · (1/10 if another one was taken)
type spraying struct{}

func newSpraying(vec.Hash) Detector { return spraying{} }

func (spraying) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Kind != tokenwatch.EntityAddress || s.block() {
		return out
	}
	var refused []window.Value
	for _, v := range s.Now.Visitors {
		if v.Failed == v.Count {
			refused = append(refused, window.Value{Hash: v.Token, First: v.First})
		}
	}
	if len(refused) == 0 {
		return out
	}
	taken, failed := s.visitors()
	usual := max(1, s.Usual.MostRefused(s.Now.Hour))
	surprise := tokenwatch.Bans(failed-usual) * oneMore
	if failed > usual && taken > 0 {
		surprise += 1000
	}
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "spraying", Surprise: min(surprise, tokenwatch.MaxBans), Group: groupVisitors,
		Observed: int64(failed) * 1000, Expected: int64(usual) * 1000, Evidence: firsts(refused), Attack: []string{"T1110.004"},
	})
}

func (spraying) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("presented %s credentials that day that were not valid, where %s would be expected at most", decimal(s.Observed), decimal(s.Expected))
}
