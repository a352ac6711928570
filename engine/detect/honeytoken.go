package detect

import (
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// honeytoken notices that a decoy is presented: a credential that was left where only
// those find it who look for credentials, and that the inventory declares by the word
// honeytoken, canarytoken or decoy in its type, purpose or name.
//
// Nobody honest has a use for it but one who tests it, or a scanner of the house that
// tries what it finds, once in ten thousand weeks. Whether it was taken makes no
// difference (Spitzner, Honeytokens: the other honeypot, 2003).
type honeytoken struct{}

func newHoneytoken(vec.Hash) Detector { return honeytoken{} }

const tested = 1e-8

func (honeytoken) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.Life == nil || !s.Life.Decoy {
		return out
	}
	first, ok := s.first()
	if !ok {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "honeytoken", Surprise: bans(tested),
		Observed: int64(s.Now.Events) * 1000, Evidence: []tokenwatch.EventRef{first}, Attack: []string{"T1552"},
	})
}

func (honeytoken) Explain(s tokenwatch.Signal, _ []string) string {
	return "was presented, which is a decoy that nobody has a use for"
}
