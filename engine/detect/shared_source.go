package detect

import (
	"fmt"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// sharedSource notices an address from which more credentials are used than ever
// came from it, all of them valid: somebody holds a bunch of keys.
//
// With b the most that came from it on any day before, at least one, an address has
// n > b of them with probability
//
//	p = 16^(b−n)
//
// counted over its day, so that patience does not help. Addresses that three or more
// share anyway are gateways and offices, and are not judged; nor is anything in a
// store's first three days, in which every address is new.
type sharedSource struct{}

func newSharedSource(vec.Hash) Detector { return sharedSource{} }

const (
	oneMore tokenwatch.Bans = 1200 // 1/16
	// gateway is from how many tokens a day on an address is one that many share.
	gateway = 3
	// acquainted is after how many hours a store knows its addresses.
	acquainted = 72
)

func (sharedSource) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Kind != tokenwatch.EntityAddress || s.Usual.Begun == 0 || s.Now.Hour-s.Usual.Begun < acquainted {
		return out
	}
	var accepted []window.Value
	for _, v := range s.Now.Visitors {
		if v.Failed < v.Count {
			accepted = append(accepted, window.Value{Hash: v.Token, First: v.First})
		}
	}
	before := max(1, int(s.Usual.Usual.Shared))
	if len(accepted) == 0 || before >= gateway {
		return out
	}
	taken, _ := s.visitors()
	surprise := min(tokenwatch.Bans(taken-before)*oneMore, tokenwatch.MaxBans)
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "shared_source", Surprise: surprise, Group: groupVisitors,
		Observed: int64(taken) * 1000, Expected: int64(before) * 1000, Evidence: firsts(accepted), Attack: []string{"T1078"},
	})
}

// visitors counts the credentials that came from an address on the window's day: those
// that were taken, and those that were not.
func (s *Subject) visitors() (taken, refused int) {
	sources := s.sources()
	return sources.Counts()
}

// sources is which credentials came from an address on the window's day.
func (s *Subject) sources() baseline.Sources {
	sources := s.Today().Sources
	sources.Tokens = slices.Clone(sources.Tokens)
	sources.Add(s.Now)
	return sources
}

func (sharedSource) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("used %s credentials that day, where it never used more than %s", decimal(s.Observed), decimal(s.Expected))
}
