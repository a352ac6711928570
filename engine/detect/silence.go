package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// silence notices that a token which is used every day is not used any more: its job
// has died, somebody has got in its way, or it works where no log is kept.
//
// The probability of the silent days is by how rarely days of their kind were silent
// before (baseline.View.Silent). It is asked on the first days only, not of tokens whose
// time is over, and not where yesterday was a holiday for all: a source that is silent
// is told as such.
type silence struct{}

func newSilence(vec.Hash) Detector { return silence{} }

func (silence) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if !s.Now.Empty() || s.token() == "" || s.over() {
		return out
	}
	days, p := s.Usual.Silent(s.Now.Hour)
	surprise := min(bans(p), newsLimit)
	if days == 0 || surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "silence", Surprise: surprise, Observed: int64(days) * 1000,
		Evidence: []tokenwatch.EventRef{{Millis: int64(s.Now.Hour) * 3600_000}}, Attack: []string{"T1562"},
	})
}

func (silence) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("was not used for %s days, which before was used every day", decimal(s.Observed))
}
