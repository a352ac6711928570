package detect

import (
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// concurrentOrigins notices a credential that is used from a second network
// while it is in use from its own: someone else has it too.
//
// The probability of that without a thief is how often the entity had two
// networks at once in its active hours H, of which C were so,
//
//	p = (C + a·π) / (H + a),  a = 10 hours, π that of its peers,
//
// or, where the other network is new to it, which novelty tells, how many of the hours
// that bring its peers a new network have another one in use meanwhile (baseline.View.Beside):
// jobs move bit by bit. That is taken times how rarely the two sides of an honest pair differ in the kind of
// network, in the program, and in the credential of one session. Looking at these
// in turn follows the fidelity ladder of Elastic's rule for session tokens used
// from several addresses; the numbers are ours, set by judgement with the shipped
// trail in view, and not fitted to traffic.
//
// For an actor only pairs with different credentials count: if both sides use
// one token, that token's own finding tells it.
type concurrentOrigins struct{}

func newConcurrentOrigins(vec.Hash) Detector { return concurrentOrigins{} }

const (
	priorHours     = 10.0
	concurrentRate = 0.05  // π of a token or a person, before peers are known: laptop and phone, office and VPN
	sessionRate    = 0.002 // π of a session's credentials, which live in one place
	usualNetwork   = 0.5   // both networks are ones the entity is known for
	otherKind      = 0.1   // one network private or hosted, the other not
	otherAgent     = 0.3   // another program on the other side
	otherKey       = 0.02  // a second key id of a session while the first one is in use
)

func (concurrentOrigins) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Kind == tokenwatch.EntityAddress {
		return out
	}
	best := 2.0
	var own, other *window.Origin
	for i := range s.Now.Origins {
		for j := i + 1; j < len(s.Now.Origins); j++ {
			a, b := &s.Now.Origins[i], &s.Now.Origins[j]
			if !baseline.Overlap(a, b) || (s.Usual.Kind == tokenwatch.EntityActor && a.Token == b.Token && a.Token != 0) {
				continue
			}
			if p := ladder(s, a, b); p < best {
				best, own, other = p, a, b
			}
		}
	}
	if best > 1 {
		return out
	}
	if foreign(s, own, other) {
		own, other = other, own
	}
	rate := concurrentRate
	if s.Now.Passing {
		rate = sessionRate
	}
	rate = s.Usual.Peers.ConcurrentRate(rate)
	concurrent, hours := s.Usual.ConcurrentHours()
	expected := (concurrent + float64(priorHours*rate)) / (hours + priorHours)
	if !s.Usual.Learning() && !s.Now.Passing && !s.Usual.Knows(feature.Network, other.Network) {
		expected = s.Usual.Beside(expected) // that it came is novelty's to tell
	}
	surprise := bans(float64(expected * best))
	if surprise < tokenwatch.Surprising {
		return out
	}
	attack := []string{"T1550.001"}
	if s.Now.Passing {
		attack = append(attack, "T1552.005")
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "concurrent_origins", Axis: feature.Network.String(), Surprise: surprise,
		Observed: 1000, Expected: vec.Milli(expected),
		Learning: s.Usual.Learning(), Evidence: []tokenwatch.EventRef{other.First}, Beside: []tokenwatch.EventRef{own.First}, Attack: attack,
	})
}

// ladder is how probable it is that the two sides of an honest pair differ as
// much as a and b do.
func ladder(s *Subject, a, b *window.Origin) float64 {
	p := 1.0
	if s.Usual.Knows(feature.Network, a.Network) && s.Usual.Knows(feature.Network, b.Network) {
		p = usualNetwork
	}
	if a.Kind != b.Kind {
		p = float64(p * otherKind)
	}
	if one(a) && one(b) && a.AgentLow != b.AgentLow {
		p = float64(p * otherAgent)
	}
	if s.Now.Passing && a.Token != 0 && b.Token != 0 && a.Token != b.Token {
		p = float64(p * otherKey)
	}
	return p
}

// one tells whether an origin showed exactly one program.
func one(o *window.Origin) bool { return o.AgentLow == o.AgentHigh && o.AgentLow != 0 }

// foreign tells whether a rather than b is the side that does not belong: the
// network the entity is not known for; else the one seen later.
func foreign(s *Subject, a, b *window.Origin) bool {
	knowsA, knowsB := s.Usual.Knows(feature.Network, a.Network), s.Usual.Knows(feature.Network, b.Network)
	if knowsA != knowsB {
		return knowsB
	}
	return b.First.Before(a.First)
}

func (concurrentOrigins) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("was in use from two networks at once, %s, where %s of 100 hours would be expected to show that",
		strings.Join(values, " and "), decimal(s.Expected*100))
}
