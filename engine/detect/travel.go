package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// travel notices a token that turns up on a network new to it soon after it was in
// use on another one: sooner than its owner could have got there.
//
// That an hour brings a new network or country has probability p
// (baseline.View.News). Of honest new networks, most are taken up after hours of
// rest, and one in ten within an hour and a half; of new countries, one in a
// thousand. Networks that are usual for peers and no private lines are gateways,
// and need no travelling; nor does what works round the clock.
type travel struct{ isp, mobile uint64 }

func newTravel(hash vec.Hash) Detector { return travel{hash.String("isp"), hash.String("mobile")} }

const (
	soon       = 90 * 60 * 1000 // milliseconds
	taken      = 0.1
	impossible = 0.001
	// roundTheClock is in how many hours of a day an entity is active that nobody
	// carries around.
	roundTheClock = 12
)

func (t travel) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Usual.Kind == tokenwatch.EntityAddress || s.Usual.Learning() || s.Usual.Usual.Volume.HoursADay() >= roundTheClock {
		return out
	}
	var best tokenwatch.Signal
	for i := range s.Now.Origins {
		o := &s.Now.Origins[i]
		if s.Usual.Knows(feature.Network, o.Network) {
			continue
		}
		place, ok := s.Usual.Before(o.Network, o.First.Millis, soon)
		for j := range s.Now.Origins {
			b := &s.Now.Origins[j]
			if b.Network != o.Network && b.First.Millis < o.First.Millis && min(b.Last, o.First.Millis-1) > place.Last {
				place, ok = baseline.Place{Network: b.Network, Country: b.Country, Last: min(b.Last, o.First.Millis-1)}, true
			}
		}
		if !ok || !s.Usual.Knows(feature.Network, place.Network) {
			continue
		}
		abroad := o.Country != 0 && place.Country != 0 && o.Country != place.Country
		line := o.Kind == t.isp || o.Kind == t.mobile
		if s.Usual.Popular(feature.Network, o.Network) && !(abroad && line) {
			continue
		}
		p := float64(s.Usual.News(feature.Network) * taken)
		if abroad {
			p = float64(s.Usual.News(feature.Country) * impossible)
		}
		if b := min(bans(p), newsLimit); b > best.Surprise {
			best = tokenwatch.Signal{
				Surprise: b, Observed: (o.First.Millis - place.Last) * 1000 / 60_000, Expected: 0,
				Evidence: []tokenwatch.EventRef{o.First},
			}
		}
	}
	if best.Surprise < tokenwatch.Surprising {
		return out
	}
	best.Row, best.Detector, best.Axis, best.Group, best.Attack = row, "travel", feature.Network.String(), groupWhere, []string{"T1550.001"}
	return append(out, best)
}

func (travel) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("was used from %s, not usual for it, %s minutes after it was in use elsewhere", join(values), decimal(s.Observed))
}
