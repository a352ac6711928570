package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// afterRotation notices the secret before a rotation, presented when its overlap with
// its successor is over: whoever does that has not got the new one.
//
// One rotation in fifty leaves a client behind that goes on trying from where it always
// was, so that by itself p = 1/50. From a network or with a program that the token was
// never used from before, it is one who holds a copy of the old secret, p = 1/5000.
// What the successor does is judged by the habits it inherits, not here.
type afterRotation struct{}

func newAfterRotation(vec.Hash) Detector { return afterRotation{} }

func (afterRotation) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.token() == "" {
		return out
	}
	since, ok := s.Life.Replaced(s.token(), s.end())
	if !ok {
		return out
	}
	if _, ended := s.Life.Ended(s.token(), s.end()); ended {
		return out // that is another detector's
	}
	evidence, p := s.overdue(since)
	if len(evidence) == 0 {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "after_rotation", Surprise: bans(p),
		Observed: vec.Milli(float64(s.end()-since) / 3600_000), Evidence: evidence, Attack: []string{"T1078"},
	})
}

// overdue lists the events of a credential whose time was over since a moment, and how
// probable these are: those of strangers, or else all.
func (s *Subject) overdue(since int64) (evidence []tokenwatch.EventRef, p float64) {
	for _, v := range s.strange(feature.Network, feature.AgentFamily) {
		if v.First.Millis > since+endGrace {
			evidence = append(evidence, v.First)
		}
	}
	if len(evidence) > 0 {
		return evidence, stranger
	}
	return samplesAfter(s.Now, since+endGrace), forgotten
}

// over tells whether the time of the token was over before the window's end.
func (s *Subject) over() bool {
	if s.token() == "" {
		return false
	}
	_, ended := s.Life.Ended(s.token(), s.end())
	_, replaced := s.Life.Replaced(s.token(), s.end())
	return ended || replaced
}

// samplesAfter returns events of the window after a moment.
func samplesAfter(w *window.Window, millis int64) []tokenwatch.EventRef {
	var refs []tokenwatch.EventRef
	for _, slot := range w.Slots {
		if slot.Sample.Millis > millis {
			refs = append(refs, slot.Sample)
		}
	}
	return refs
}

func (afterRotation) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("was presented %s hours after the end of its overlap with the secret that follows it", decimal(s.Observed))
}
