package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// series scores the readings of one series as they come, by what watches tokens.
//
// Shared with the engine are its baselines (the mean of the hour of the week and the
// shape of its negative binomial distribution; which values are known and how often
// new ones come), its detectors volume and novelty as they ship, how surprises are
// combined, the tail that is fitted to ordinary days and turns the sum into a rate and
// a score, and the restraint in learning from odd hours.
//
// Not shared is what makes windows of readings, since a reading is not an event. A
// series is a tenant of two entities, one that does much where readings are high and
// one where they are low. The amount of an hour is how far its most extreme reading so
// far went, in hundredths of the range of the readings in probation; its actions
// are the levels of the readings, in tenths of that range. An incident, within a
// day of which only what is odder is told, stands for the engine's. The other
// detectors have nothing to look at, but for drift and route_mix, which cost more
// than they found here and are left out.
type series struct {
	low, high float64 // range in probation
	epoch     baseline.Epoch
	sides     [2]side
	detectors []detect.Detector
	hash      vec.Hash
	told      float64 // highest score of the incident at hand
	until     time.Time
}

// side is one of the two entities.
type side struct {
	usual baseline.Usual
	now   *window.Window
	sum   tokenwatch.Bans // of the hour at hand
}

const (
	kind = tokenwatch.EntityToken
	// edge is the share of readings in probation outside their range, on either side.
	edge = 0.05
	// parts are how many units of amount the range is, levels how many actions.
	parts, levels = 100, 10
	// lasts is for how long an incident goes on after it was last told.
	lasts = 24 * time.Hour
	// odd and sure are those of the engine.
	odd, sure = 60, 70
)

// run scores all readings of a series: the engine's score, not rounded; 0 where there
// is nothing to tell. Readings in probation only teach.
func run(times []time.Time, values []float64) []float64 {
	s := series{
		sides: [2]side{{usual: baseline.New()}, {usual: baseline.New()}},
		hash:  vec.NewHash([16]byte{}),
	}
	for _, e := range detect.All {
		if e.Name == "volume" || e.Name == "novelty" {
			s.detectors = append(s.detectors, e.New(s.hash))
		}
	}
	n := probation(len(values))
	s.low, s.high = extent(values[:n])
	scores := make([]float64, len(values))
	for i, v := range values {
		scores[i] = s.read(times[i], v)
		if i >= n {
			scores[i] = s.tell(times[i], scores[i])
		}
	}
	return scores
}

// extent is the range of most of the values, never empty.
func extent(values []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0, 1
	}
	cut := int(edge * float64(len(sorted)))
	low, high = sorted[cut], sorted[len(sorted)-1-cut]
	if high > low {
		return low, high
	}
	return low, low + max(low, -low, 1)
}

// read takes a reading in, and returns the score of its hour if it made that odder.
func (s *series) read(at time.Time, value float64) float64 {
	hour := int32(at.Unix() / 3600)
	s.settle(hour)
	reach := s.high - s.low
	return max(
		s.judge(&s.sides[0], hour, (value-s.low)/reach),
		s.judge(&s.sides[1], hour, (s.high-value)/reach))
}

// judge adds a reading to the hour at hand; far is how far it went, the range being 1.
func (s *series) judge(e *side, hour int32, far float64) float64 {
	if e.now == nil {
		e.now, e.sum = &window.Window{Hour: hour, Own: new(window.Own)}, 0
	}
	e.now.Events = max(e.now.Events, uint32(1+min(max(far*parts, 0), 1<<20)))
	note(&e.now.Axes[feature.Action], s.hash.Uint64(uint64(int64(math.Floor(far*levels)))))
	subject := detect.Subject{
		Entity: tokenwatch.Entity{Kind: kind}, Now: e.now,
		Usual: baseline.View{
			Kind: kind, Usual: &e.usual, Peers: &s.epoch.Kinds[kind], Group: &s.epoch.Groups[e.usual.Group(kind)],
		},
	}
	var signals []tokenwatch.Signal
	for _, d := range s.detectors {
		signals = d.Score(0, &subject, signals)
	}
	sum := finding.Combine(signals).Sum
	if sum <= e.sum {
		return 0
	}
	e.sum = sum
	return score(s.rate(e))
}

// note counts a value of an axis, in order of their hashes.
func note(values *[]window.Value, hash uint64) {
	at, ok := slices.BinarySearchFunc(*values, hash, func(v window.Value, h uint64) int { return cmp.Compare(v.Hash, h) })
	if !ok {
		*values = slices.Insert(*values, at, window.Value{Hash: hash})
	}
	(*values)[at].Count++
}

func (s *series) rate(e *side) tokenwatch.Bans {
	return s.epoch.Groups[e.usual.Group(kind)].Tails.Rate(&e.usual, e.now.Hour, e.sum) + s.epoch.Reserve(e.now.Hour)
}

// settle learns the hour at hand, once a later one has begun.
func (s *series) settle(next int32) {
	if s.sides[0].now == nil || s.sides[0].now.Hour >= next {
		return
	}
	hour, delta := s.sides[0].now.Hour, new(baseline.Epoch)
	for i := range s.sides {
		e := &s.sides[i]
		told := finding.Score(s.rate(e))
		e.usual.Learn(e.now, baseline.Lesson{
			Odd: told >= odd, Sure: told >= sure, Sum: e.sum, Peers: &s.epoch.Kinds[kind],
			Delta: &delta.Kinds[kind], Group: &delta.Groups[e.usual.Group(kind)],
		})
		e.now = nil
	}
	s.epoch.Settle(hour, []baseline.Epoch{*delta})
}

// tell holds back what is no odder than what was told within a day.
func (s *series) tell(at time.Time, score float64) float64 {
	if at.After(s.until) {
		s.told = 0
	}
	if score <= s.told {
		return 0
	}
	s.told, s.until = score, at.Add(lasts)
	return score
}

// score is finding.Score before it is rounded.
func score(rate tokenwatch.Bans) float64 { return min(max(30-0.02*float64(rate), 0), 100) }
