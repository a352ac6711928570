package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// volume notices hours in which an entity does much more than it does at that
// time of the week: events, different objects, bytes.
//
// Given that the hour is an active one at all, events and objects are negative
// binomial, with the mean of that hour of working days or weekends shrunk to the
// mean of all active hours, and a shape learned from how far past hours were off
// (atLeast). The log of the bytes is compared with that of past hours by Student's
// distribution (beyond). Events that the service failed to answer are left out:
// they are sent again. The number of kinds of refusal is another detector's. Where
// there is nothing yet to compare with, it says little of a token or an actor, and
// of an address, which may be a visitor or a whole office, nothing.
type volume struct{}

// firstAmount is the most that an amount can add while there is nothing yet to
// compare it with.
const firstAmount tokenwatch.Bans = 2500

func newVolume(vec.Hash) Detector { return volume{} }

func (volume) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	comparable := s.Usual.Comparable()
	if s.Now.Events == 0 || !comparable && s.Usual.Kind == tokenwatch.EntityAddress {
		return out
	}
	mean, shape := s.Usual.Events(s.Now.Hour)
	signal := tokenwatch.Signal{
		Row: row, Detector: "volume", Group: groupAmount, Learning: s.Usual.Learning(),
	}
	add := func(axis string, surprise tokenwatch.Bans, observed, expected float64) {
		limit := amountLimit
		if axis == "bytes" {
			limit = newsLimit // nobody reruns a job and gets a hundred times as much
		}
		surprise = held(surprise, limit)
		if !comparable {
			surprise = min(surprise, firstAmount)
		}
		if surprise >= tokenwatch.Surprising && surprise > signal.Surprise {
			signal.Axis, signal.Surprise = axis, surprise
			signal.Observed, signal.Expected = vec.Milli(observed), vec.Milli(expected)
		}
	}
	n := float64(s.Now.Wanted())
	add("events", atLeast(n, mean, shape), n, mean)
	if v := &s.Usual.Usual.Volume; v.Hours >= 4*baseline.Unit {
		objects, expected := float64(s.Now.Objects.Count()), v.MeanObjects()
		add("objects", atLeast(objects, expected, min(shape, 1)), objects, expected)
		log, usual, deviation := v.Bytes(s.Now)
		add("bytes", beyond((log-usual)/deviation, 4+min(float64(v.Hours)/baseline.Unit/4, 12)), float64(s.Now.Bytes), 0)
		if signal.Axis == "bytes" {
			signal.Expected = vec.Milli(usual)
		}
	}
	if signal.Surprise == 0 {
		return out
	}
	signal.Evidence, signal.Attack = samples(s.Now), []string{"T1530"}
	return append(out, signal)
}

func (volume) Explain(s tokenwatch.Signal, _ []string) string {
	switch s.Axis {
	case "bytes":
		return fmt.Sprintf("was sent %s in one hour, where about %s would be expected", size(s.Observed/1000), size(1<<min(62, max(0, (s.Expected+500)/1000))))
	case "objects":
		return fmt.Sprintf("touched about %s different objects in one hour, where %s would be expected", decimal(s.Observed), decimal(s.Expected))
	default:
		return fmt.Sprintf("made %s requests in one hour, where %s would be expected at that time", decimal(s.Observed), decimal(s.Expected))
	}
}

// size prints a number of bytes.
func size(n int64) string {
	for _, unit := range []string{"bytes", "KB", "MB", "GB"} {
		if n < 10_000 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%d TB", n)
}
