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
// tail is not read off but drawn on from the sums u₁ and u₂ that are exceeded √10 and
// 1/√10 times a week, which ordinary hours decide: beyond u₂ it is a generalised
// Pareto tail,
//
//	rate(S) = 1/√10 · (1 + ξ·(S − u₂)/σ)^(−1/ξ),  ξ = 1/3
//
// whose scale σ = 0.62·(u₂ − u₁) follows from the two (Pickands 1975 takes three and
// estimates ξ as well, for which there is too little that is known to be honest).
// The shape is set by judgement: surprises of different detectors are less
// independent than adding them up supposes.
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
	priorOnce   = 1800
	priorDecade = 1200
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
	return rate
}

// prior is the built-in line; far out it falls like the fitted one.
func prior(sum tokenwatch.Bans) tokenwatch.Bans {
	if line := (priorOnce - sum) * 1000 / priorDecade; line > -500 {
		return line
	}
	x := float64(sum-priorOnce-priorDecade/2) / (3 * 0.62 * priorDecade)
	return -500 - tokenwatch.Bans(3*vec.Milli(vec.Log10(1+x)))
}

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
	scale := float64(max(tokenwatch.Bans(tenth-once)*tailStep, 1000)) * 0.62
	for i := tenth; i < tailBins; i++ {
		x := float64(tokenwatch.Bans(i-tenth)*tailStep) / float64(3*scale)
		table[i] = -500 - tokenwatch.Bans(3*vec.Milli(vec.Log10(1+x)))
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
