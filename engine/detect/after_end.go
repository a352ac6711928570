package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// afterEnd notices a credential that is presented after its time: revoked, expired or
// switched off.
//
// Every second owner forgets a client that goes on trying, so that by itself it has
// p = 1/50; from a network or with a program that it was never used from before it
// is somebody else, p = 1/5000.
type afterEnd struct{}

func newAfterEnd(vec.Hash) Detector { return afterEnd{} }

const (
	forgotten = 0.02
	stranger  = 0.0002
	// endGrace is how long after its end a credential is not yet out of place.
	endGrace = 5 * 60 * 1000
)

func (afterEnd) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.token() == "" {
		return out
	}
	since, ok := s.Life.Ended(s.token(), s.end())
	if !ok {
		return out
	}
	evidence, p := s.overdue(since)
	if len(evidence) == 0 {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "after_end", Surprise: bans(p),
		Observed: vec.Milli(float64(s.end()-since) / 3600_000), Evidence: evidence, Attack: []string{"T1078"},
	})
}

func (afterEnd) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("was presented within %s hours after its end", decimal(s.Observed))
}
