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
	Days  int64    // of entities, in 1/tailUnit like the sums
	Sums  [tailBins]int32
	table *[tailBins]tokenwatch.Bans
}

// Tails are a group's: of entities known for less than a week, which surprise more
// often, and of the others.
type Tails [2]Tail

const newDays = 7

func (t *Tails) of(u *Usual, hour int32) *Tail {
	if u.First != 0 && hour-u.First < newDays*24 {
		return &t[0]
	}
	return &t[1]
}

// Rate is log₁₀ of the number of false findings per entity and week that a
// threshold at the sum is expected to cost, for an entity in an hour.
func (t *Tails) Rate(u *Usual, hour int32, sum tokenwatch.Bans) tokenwatch.Bans {
	if t == nil {
		return prior(sum)
	}
	return t.of(u, hour).rate(sum)
}

func (t *Tails) add(delta *Tails) {
	for i := range t {
		t[i].add(&delta[i])
	}
}

func (t *Tails) fit() {
	t[0].fit(settling)
	t[1].fit(-lasting)
}

// pass takes a twentieth away, once a day: half of it in two weeks.
func (t *Tails) pass() {
	for i := range t {
		t[i].Days -= t[i].Days / 20
		for j := range t[i].Sums {
			t[i].Sums[j] -= t[i].Sums[j] / 20
		}
	}
}

const (
	tailUnit = 256
	tailBins = 128
	// Built in, as if seen for priorWeeks: the sum that is exceeded once a week,
	// and the sum after which the rate is a tenth of that. Set by judgement.
	priorWeeks  = 30
	priorOnce   = 1800
	priorDecade = 1200
)

const (
	// lasting is log₁₀ of how many days of a tail one incident makes up, on average:
	// what it is about goes on, with a calmer day between. Measured on simulated
	// companies.
	lasting tokenwatch.Bans = 250
	// settling is by how much entities known for less than a week are likelier to
	// surprise than their group's last days tell: its baselines are young as well.
	// Measured likewise.
	settling tokenwatch.Bans = 350
	// tailStep is the width of a bin.
	tailStep tokenwatch.Bans = 250
)

func bin(sum tokenwatch.Bans) int { return int(min(sum/tailStep, tailBins-1)) }

// raise notes that the greatest sum of an entity's day rose.
func (t *Tail) raise(from, to tokenwatch.Bans) {
	if bin(from) == bin(to) {
		return
	}
	if from >= tailStep {
		t.Sums[bin(from)] -= tailUnit
	}
	t.Sums[bin(to)] += tailUnit
}

func (t *Tail) add(delta *Tail) {
	t.Days += delta.Days
	for i := range t.Sums {
		t.Sums[i] += delta.Sums[i] // which may be below 0
	}
	t.table = nil
}

func (t *Tail) rate(sum tokenwatch.Bans) tokenwatch.Bans {
	if t.table == nil {
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

// fit works the table out, and shifts it.
func (t *Tail) fit(shift tokenwatch.Bans) {
	weeks := float64(t.Days) / (7 * tailUnit)
	var table [tailBins]tokenwatch.Bans
	above := 0.0
	for i := tailBins - 1; i >= 0; i-- {
		above += float64(t.Sums[i]) / tailUnit
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
	for i := range table {
		table[i] += shift
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

const (
	// firstWeek is log₁₀ of how much likelier a tenant's first week is to surprise than
	// the tails tell that were fitted in it: nobody has seen yet what comes once a week.
	firstWeek tokenwatch.Bans = 300
	// unseen is the same of a tenant of which next to nothing was seen, and becomes
	// half of that after unseenWeeks of its tokens. All measured on simulated companies.
	unseen tokenwatch.Bans = 700
)

const (
	unseenWeeks = 35 // see unseen
	// fewTokens have one finding a week at the usual promise of one in twenty weeks.
	fewTokens = 20
)

// Reserve is by how much the rate of what surprises is taken for greater than the
// tails of a tenant tell, as log₁₀, while little of the tenant has been seen: in its
// first week, and, where there are few tokens, for longer; where it is both, more. Of fewer than twenty it is
// less: nobody minds one finding a week, however few tokens share it.
func (e *Epoch) Reserve(hour int32) tokenwatch.Bans {
	reserve := tokenwatch.Bans(int64(unseen) * unseenWeeks * 7 * tailUnit / (unseenWeeks*7*tailUnit + e.days))
	if hour-e.Begun < 7*24 {
		reserve = max(reserve+firstWeek/2, firstWeek)
	}
	if n := e.Kinds[tokenwatch.EntityToken].Entities; n < fewTokens {
		reserve -= tokenwatch.Bans(vec.Milli(vec.Log10(fewTokens / float64(max(n, 1)))))
	}
	return max(reserve, 0)
}

// count adds up how many days of tokens the tails have seen.
func (e *Epoch) count() {
	e.days = 0
	for g := range e.Groups[:NumGroups/int(tokenwatch.NumEntityKinds)] {
		for i := range e.Groups[g].Tails {
			e.days += e.Groups[g].Tails[i].Days
		}
	}
}
