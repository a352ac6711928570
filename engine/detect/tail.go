package detect

import (
	"math"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// bans turns a probability into a surprise, cut at MaxBans.
func bans(p float64) tokenwatch.Bans {
	if p >= 1 {
		return 0
	}
	if p <= 1e-9 {
		return tokenwatch.MaxBans
	}
	return tokenwatch.Bans(vec.Milli(-vec.Log10(p)))
}

// atLeast is the surprise of a count of k or more where mean are expected, under
// the negative binomial distribution of that mean and shape n (variance
// mean + mean²/n), by the Chernoff bound
//
//	log P(K ≥ k) ≤ k·log(mean/k) + (n + k)·log((n + k)/(n + mean)),  k > mean
func atLeast(k, mean, n float64) tokenwatch.Bans {
	if k <= mean || k <= 0 {
		return 0
	}
	mean = max(mean, 1e-9)
	log := float64(k*vec.Log10(mean/k)) + float64((n+k)*vec.Log10((n+k)/(n+mean)))
	if log >= 0 {
		return 0
	}
	return min(tokenwatch.Bans(vec.Milli(-log)), farthest)
}

// farthest is where surprises of amounts are cut before they are held.
const farthest = 3 * tokenwatch.MaxBans

// held keeps a surprise near a limit: beyond it models say less than what is known of
// honest bursts, but more is still more. Of what lies beyond, a fortieth counts.
func held(s, limit tokenwatch.Bans) tokenwatch.Bans {
	if s <= limit {
		return s
	}
	return limit + (s-limit)/40
}

// beyond is the surprise of a value z standard deviations above its mean, by
// Student's distribution with ν degrees of freedom, whose tail falls like
//
//	(1 + z²/ν)^(−(ν+1)/2)
func beyond(z, nu float64) tokenwatch.Bans {
	if z <= 0 {
		return 0
	}
	log := float64((nu + 1) / 2 * vec.Log10(1+float64(z*z)/nu))
	return min(tokenwatch.Bans(vec.Milli(log)), tokenwatch.MaxBans)
}

// What a detector's surprise is cut at: beyond, its model says less than what
// is known of honest bursts, reruns and migrations.
const (
	amountLimit tokenwatch.Bans = 5000
	newsLimit   tokenwatch.Bans = 6000
	whenLimit   tokenwatch.Bans = 4000
)

func sqrt(x float64) float64 { return math.Sqrt(x) } // exact by IEEE 754
