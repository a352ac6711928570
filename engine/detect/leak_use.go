package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// leakUse notices a token whose secret was seen where it should not be, and which is
// then used from where it never was.
//
// Finders of secrets use them, and few tokens have leaked: three hours in ten thousand
// are taken to be those of an owner who moves meanwhile, three times as many where
// the network is usual for peers. A token without a past has only strangers' networks.
type leakUse struct{}

func newLeakUse(vec.Hash) Detector { return leakUse{} }

const (
	ownersNetwork = 0.0003
	leakDays      = 30
)

func (leakUse) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.token() == "" {
		return out
	}
	m, ok := s.Life.Latest(tokenwatch.FactLeaked, s.token(), s.end())
	if !ok || s.end()-m.Millis > leakDays*24*3600_000 {
		return out
	}
	var evidence []tokenwatch.EventRef
	popular := true
	for _, v := range s.strange(feature.Network) {
		if v.First.Millis > m.Millis {
			evidence = append(evidence, v.First)
			popular = popular && s.Usual.Popular(feature.Network, v.Hash)
		}
	}
	if len(evidence) == 0 {
		return out
	}
	p := ownersNetwork
	if popular {
		p = float64(p * 3)
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "leak_use", Axis: feature.Network.String(), Surprise: bans(p),
		Observed: vec.Milli(float64(s.end()-m.Millis) / 3600_000), Evidence: evidence, Attack: []string{"T1552"},
	})
}

func (leakUse) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("was used from %s, not usual for it, within %s hours after its secret had been found in the open", join(values), decimal(s.Observed))
}
