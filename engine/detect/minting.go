package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// minting notices the use of a token that another token made, where there is something
// to its making: who holds a stolen one makes one that outlives it.
//
// Of tokens that are made by tokens, judging by few companies, one in two thousand is
// made by one that was anomalous that day and is used for something honest all the same;
// each further link of a chain, one made within a day by one made within a day, has one
// in a hundred; and in one of twenty its first days show a network that is not usual for
// anybody. These multiply:
//
//	p = 1/2000 (if its maker was anomalous) · 100^(1−depth) · 1/20 (if it is used from a stranger's network)
//
// The maker's day is judged once its hour has settled.
type minting struct{}

func newMinting(vec.Hash) Detector { return minting{} }

const (
	oddMaker   = 0.0005
	link       = 0.01
	ownNetwork = 0.05
	mintDays   = 7
	dayMillis  = 24 * 3600_000
)

func (minting) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.Life == nil || s.Life.Mint.Millis == 0 || s.token() == "" {
		return out
	}
	m := s.Life.Mint
	if s.end() < m.Millis || s.end()-m.Millis > mintDays*dayMillis {
		return out
	}
	p := 1.0
	if m.Odd {
		p = oddMaker
	}
	for range m.Depth - 1 {
		p = float64(p * link)
	}
	evidence := s.strange(feature.Network)
	if len(evidence) > 0 && s.unpopular(feature.Network, evidence) && (m.Odd || m.Depth > 1) {
		p = float64(p * ownNetwork)
	}
	surprise := min(bans(p), newsLimit)
	first, ok := s.first()
	if surprise < tokenwatch.Surprising || !ok {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "minting", Surprise: surprise, Learning: s.Usual.Learning(),
		Observed: int64(m.Depth) * 1000, Evidence: []tokenwatch.EventRef{first}, Attack: []string{"T1098.001"},
	})
}

func (minting) Explain(s tokenwatch.Signal, _ []string) string {
	if s.Observed > 1000 {
		return fmt.Sprintf("is the last of %s tokens in a row that were made by one another", decimal(s.Observed))
	}
	return "was made by a token that was anomalous on that day"
}
