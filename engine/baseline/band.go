package baseline

import (
	"math"

	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// Band is between which numbers of events nine of ten runs of hours like the given
// ones lie, and where the middle is.
//
// An hour is active with probability p (Busy); an active one has a negative
// binomial number of events, of the mean m and shape n that detectors judge it by
// (Events). A single hour's quantiles are those of that mixture: below 1−p there is
// nothing. Several hours in a row are taken as independent,
//
//	E = Σ p·m,   V = Σ p·(m + m²/n + m²) − (p·m)²
//
// and both are read off the gamma distribution of the same mean and variance.
func (v *View) Band(from int32, hours int) (low, median, high uint32) {
	if hours == 1 {
		mean, shape := v.Events(from)
		p := v.active(from)
		variance := mean + float64(mean*mean)/shape
		at := func(q float64) uint32 {
			if q = (q - (1 - p)) / p; q <= 0 {
				return 0
			}
			return max(1, whole(gammaQuantile(mean, variance, q)))
		}
		return at(0.05), at(0.5), at(0.95)
	}
	var mean, variance float64
	for h := range hours {
		m, shape := v.Events(from + int32(h))
		p := v.active(from + int32(h))
		square := float64(m * m)
		e := float64(p * m)
		mean += e
		variance += float64(p*(m+square/shape+square)) - float64(e*e)
	}
	at := func(q float64) uint32 { return whole(gammaQuantile(mean, max(variance, mean), q)) }
	return at(0.05), at(0.5), at(0.95)
}

// PeerMean is how many entities the peers are, and how many events an active hour of
// those that work like this one has in the mean; 0 where peers are left out.
func (v *View) PeerMean() (entities, mean uint32) {
	if v.Peers == nil || v.Peers.Entities == 0 {
		return 0, 0
	}
	return v.Peers.Entities, whole(v.Group.meanEvents(v.Peers.meanEvents(20)))
}

// active is the probability that an hour is an active one. Of an entity without a
// past it is not known: the band is that of hours in which it is.
func (v *View) active(hour int32) float64 {
	if v.Usual.Hours < Unit {
		return 1
	}
	p, _ := v.Busy(hour)
	return min(max(p, 0.001), 1)
}

// gammaQuantile approximates the quantile of a gamma distribution by Wilson and
// Hilferty (1931): the cube root of a gamma variable is nearly normal,
//
//	x = m·(1 − 1/9a + z/(3√a))³,  a = m²/variance
func gammaQuantile(mean, variance, q float64) float64 {
	if mean <= 0 {
		return 0
	}
	a := float64(mean*mean) / variance
	root := 1 - 1/float64(9*a) + normalQuantile(q)/float64(3*math.Sqrt(a))
	if root <= 0 {
		return 0
	}
	return float64(mean * float64(root*float64(root*root)))
}

// normalQuantile is the value below which a standard normal variable lies with
// probability q, to 5e−4 (Abramowitz and Stegun 26.2.23).
func normalQuantile(q float64) float64 {
	q = min(max(q, 1e-9), 1-1e-9)
	if q < 0.5 {
		return -normalQuantile(1 - q)
	}
	t := math.Sqrt(float64(-2 * math.Ln10 * vec.Log10(1-q)))
	t2 := float64(t * t)
	above := 2.515517 + float64(0.802853*t) + float64(0.010328*t2)
	below := 1 + float64(1.432788*t) + float64(0.189269*t2) + float64(0.001308*float64(t2*t))
	return t - above/below
}

// whole rounds a number of events.
func whole(x float64) uint32 { return uint32(min(x+0.5, 1<<31)) }
