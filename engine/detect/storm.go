package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// storm notices invalid credentials that come from many addresses of one block (/24 of
// IPv4, /48 of IPv6): somebody tries them out who takes another address each time.
//
// Of a block, only the credentials that were not taken are known. In a day it presents
// one more of them than on any day before, b but at least one, with
// probability 1/8 each,
//
//	p = 8^(b−n)
//
// if they come from two addresses or more; from a single one it is spraying, which the
// address itself is told for.
type storm struct{}

func newStorm(vec.Hash) Detector { return storm{} }

const oneMoreOfBlock tokenwatch.Bans = 900

func (storm) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if !s.block() || len(s.Now.Visitors) == 0 {
		return out
	}
	sources := s.sources()
	if sources.Addresses() < 2 {
		return out
	}
	_, refused := sources.Counts()
	usual := max(1, s.Usual.MostRefused(s.Now.Hour))
	surprise := min(tokenwatch.Bans(refused-usual)*oneMoreOfBlock, tokenwatch.MaxBans)
	if surprise < tokenwatch.Surprising {
		return out
	}
	values := make([]window.Value, len(s.Now.Visitors))
	for i, v := range s.Now.Visitors {
		values[i] = window.Value{Hash: v.Token, First: v.First}
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "storm", Group: groupVisitors, Surprise: surprise,
		Observed: int64(refused) * 1000, Expected: int64(usual) * 1000, Evidence: firsts(values), Attack: []string{"T1110.004"},
	})
}

func (storm) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("presented %s credentials from several addresses that day that were not valid, where %s would be expected at most", decimal(s.Observed), decimal(s.Expected))
}
