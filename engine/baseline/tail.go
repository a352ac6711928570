package baseline

import (
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// Tail is how far the combined surprises of ordinary entities reach: for every day
// of an entity, the greatest sum of one of its hours. It turns a sum into the
// number of false findings that a threshold there would cost.
//
// The counts hold attacks as well, and these are what reaches furthest. So the far
// tail is not read off but drawn on: log₁₀ of the rate falls with the sum as a
// straight line through the sums that are exceeded three times and three tenths of
// a time a week, which ordinary hours decide. It is an exponential tail (a generalised
// Pareto of shape 0), with the rate of falling limited to what the detectors'
// models promise, one ban a decade.
type Tail struct {
	_     struct{} `cbor:",toarray"`
	Days  uint64   // of entities
	Sums  [tailBins]uint32
	table *[tailBins]tokenwatch.Bans
}

const (
	tailBins = 128
	// tailStep is the width of a bin.
	tailStep tokenwatch.Bans = 250
	// Built in, as if seen for priorWeeks: the sum that is exceeded once a week,
	// and the sum after which the rate is a tenth of that. Set by judgement.
	priorWeeks  = 30
	priorOnce   = 2000
	priorDecade = 1500
)

func bin(sum tokenwatch.Bans) int { return int(min(sum/tailStep, tailBins-1)) }

// raise notes that the greatest sum of an entity's day rose.
func (t *Tail) raise(from, to tokenwatch.Bans) {
	if bin(from) == bin(to) {
		return
	}
	if from >= tailStep {
		t.Sums[bin(from)]--
	}
	t.Sums[bin(to)]++
}

func (t *Tail) add(delta *Tail) {
	t.Days += delta.Days
	for i := range t.Sums {
		t.Sums[i] += delta.Sums[i] // modulo 2³²: a delta may take away
	}
	t.table = nil
}

// Rate is log₁₀ of the number of false findings per entity and week that a
// threshold at the sum is expected to cost.
func (t *Tail) Rate(sum tokenwatch.Bans) tokenwatch.Bans {
	if t == nil || t.table == nil {
		return prior(sum)
	}
	at := bin(sum)
	rate := t.table[at]
	if at+1 < tailBins {
		return rate + (t.table[at+1]-rate)*(sum-tailStep*tokenwatch.Bans(at))/tailStep
	}
	return rate - (sum - tailStep*tokenwatch.Bans(at))
}

func prior(sum tokenwatch.Bans) tokenwatch.Bans { return (priorOnce - sum) * 1000 / priorDecade }

// fit works the table out.
func (t *Tail) fit() {
	weeks := float64(t.Days) / 7
	var table [tailBins]tokenwatch.Bans
	above := 0.0
	for i := tailBins - 1; i >= 0; i-- {
		above += float64(t.Sums[i])
		// As if the built-in line had been seen for priorWeeks.
		p := pow10(prior(tailStep * tokenwatch.Bans(i)))
		table[i] = tokenwatch.Bans(vec.Milli(vec.Log10((above + float64(priorWeeks*p)) / (weeks + priorWeeks))))
	}
	once, tenth := tailBins-1, tailBins-1
	for i := tailBins - 1; i >= 0; i-- {
		if table[i] <= 500 {
			once = i
		}
		if table[i] <= -500 {
			tenth = i
		}
	}
	decade := max(tokenwatch.Bans(tenth-once)*tailStep, 1000)
	for i := tenth; i < tailBins; i++ {
		table[i] = -500 - tokenwatch.Bans(i-tenth)*tailStep*1000/decade
	}
	t.table = &table
}

// pow10 is 10^(x/1000), within a few per cent: by halving and squaring of the
// table of tenths, with the same bits on every machine.
func pow10(x tokenwatch.Bans) float64 {
	tenths := [10]float64{1, 1.2589254117941673, 1.5848931924611136, 1.9952623149688795, 2.5118864315095806,
		3.1622776601683795, 3.9810717055349722, 5.011872336272722, 6.309573444801933, 7.943282347242816}
	whole, rest := int(x)/1000, int(x)%1000
	if rest < 0 {
		whole, rest = whole-1, rest+1000
	}
	p := tenths[rest/100]
	p = float64(p * (1 + float64(float64(rest%100)/100*0.2589)))
	for ; whole > 0; whole-- {
		p = float64(p * 10)
	}
	for ; whole < 0 && p > 1e-30; whole++ {
		p = float64(p / 10)
	}
	return p
}
