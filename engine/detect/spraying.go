package detect

import (
	"fmt"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// spraying notices an address from which one credential after the other is
// presented: refused ones, which is guessing, or accepted ones of many owners.
//
// In a day, an address is taken to present u refused credentials with probability
// 0.1^u beyond the first, less for every accepted one beside them; and of accepted
// ones to be as many as it always had, see baseline.Sources.
type spraying struct{}

func newSpraying(vec.Hash) Detector { return spraying{} }

func (spraying) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Kind != tokenwatch.EntityAddress || len(s.Now.Visitors) == 0 {
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
	day := s.Today
	day.Sources.Tokens = slices.Clone(day.Sources.Tokens)
	day.Sources.Add(s.Now)
	taken, failed := day.Sources.Counts()
	surprise := tokenwatch.Bans(failed-1) * 1200
	if failed >= 2 && taken > 0 {
		surprise += 1000
	}
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "spraying", Surprise: min(surprise, tokenwatch.MaxBans),
		Observed: int64(failed) * 1000, Expected: vec.Milli(0.1), Evidence: firsts(refused), Attack: []string{"T1110.004"},
	})
}

func (spraying) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("presented %s credentials that day that were not valid", decimal(s.Observed))
}
