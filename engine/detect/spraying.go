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
// In a day, an address presents one more refused credential with probability 1/16
// each, and one of ten such addresses has an accepted one as well. Of accepted ones
// it presents one more than on any day before with the same 1/16, unless it is one
// that is shared by three or more anyway.
type spraying struct{}

func newSpraying(vec.Hash) Detector { return spraying{} }

func (spraying) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Kind != tokenwatch.EntityAddress || len(s.Now.Visitors) == 0 {
		return out
	}
	var refused, accepted []window.Value
	for _, v := range s.Now.Visitors {
		if v.Failed == v.Count {
			refused = append(refused, window.Value{Hash: v.Token, First: v.First})
		} else {
			accepted = append(accepted, window.Value{Hash: v.Token, First: v.First})
		}
	}
	day := s.Today
	day.Sources.Tokens = slices.Clone(day.Sources.Tokens)
	day.Sources.Add(s.Now)
	taken, failed := day.Sources.Counts()
	surprise := tokenwatch.Bans(failed-1) * 1200
	if failed >= 2 && taken > 0 {
		surprise += 1000
	}
	if len(refused) == 0 {
		surprise = 0
	}
	if before := max(1, int(s.Usual.Usual.Shared)); len(accepted) > 0 && before < 3 && s.Usual.Begun != 0 && s.Now.Hour-s.Usual.Begun >= 72 {
		if many := tokenwatch.Bans(taken-before) * 1200; many >= tokenwatch.Surprising && many > surprise {
			return append(out, tokenwatch.Signal{
				Row: row, Detector: "spraying", Axis: "accepted", Surprise: min(many, amountLimit),
				Observed: int64(taken) * 1000, Expected: int64(before) * 1000, Evidence: firsts(accepted), Attack: []string{"T1078"},
			})
		}
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
	if s.Axis == "accepted" {
		return fmt.Sprintf("used %s credentials that day, where it never used more than %s", decimal(s.Observed), decimal(s.Expected))
	}
	return fmt.Sprintf("presented %s credentials that day that were not valid", decimal(s.Observed))
}
