package baseline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

func TestNormalQuantile(t *testing.T) {
	for q, want := range map[float64]float64{0.05: -1.64485, 0.25: -0.67449, 0.5: 0, 0.95: 1.64485, 0.999: 3.09023} {
		if got := normalQuantile(q); math.Abs(got-want) > 5e-4 {
			t.Errorf("normalQuantile(%v) = %v, want %v", q, got, want)
		}
	}
}

// The quantiles against those of a sum of exponentials, which is what a gamma
// distribution of a whole shape is.
func TestGammaQuantile(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []int{1, 3, 12} {
		mean := 40.0
		samples := make([]float64, 200_000)
		for i := range samples {
			for range shape {
				samples[i] += rng.ExpFloat64() * mean / float64(shape)
			}
		}
		slices.Sort(samples)
		for _, q := range []float64{0.05, 0.5, 0.95} {
			want := samples[int(q*float64(len(samples)))]
			if got := gammaQuantile(mean, mean*mean/float64(shape), q); math.Abs(got-want) > 0.03*mean {
				t.Errorf("shape %d: quantile %v is %.2f, want about %.2f", shape, q, got, want)
			}
		}
	}
}

// Of an entity that works from 8 to 18 at about 100 an hour, about nine of ten
// further hours lie within the band, and the night is empty.
func TestBandHoldsNineOfTenHours(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	u := New()
	const monday = 20003
	draw := func() uint32 { // negative binomial of mean 100, shape 10
		m := 0.0
		for range 10 {
			m += rng.ExpFloat64() * 10
		}
		n, p := uint32(0), math.Exp(-m)
		for x := rng.Float64(); x > p && n < 1000; n++ {
			x -= p
			p *= m / float64(n+1)
		}
		return max(1, n)
	}
	work := func(day int32, each func(hour int32, n uint32)) {
		if Weekend(day) {
			return
		}
		for h := int32(8); h < 18; h++ {
			each(day*24+h, draw())
		}
	}
	for day := int32(monday); day < monday+28; day++ {
		work(day, func(hour int32, n uint32) {
			w := &window.Window{Hour: hour, Own: &window.Own{Events: n}}
			u.Learn(w, Lesson{Delta: new(Peers), Group: new(Peers)})
		})
	}
	v := View{Kind: tokenwatch.EntityToken, Usual: &u}
	inside, all := 0, 0
	for day := int32(monday + 28); day < monday+56; day++ {
		work(day, func(hour int32, n uint32) {
			low, median, high := v.Band(hour, 1)
			if low > median || median > high {
				t.Fatalf("hour %d: %d, %d, %d", hour, low, median, high)
			}
			if all++; low <= n && n <= high {
				inside++
			}
		})
	}
	if share := float64(inside) / float64(all); share < 0.82 || share > 0.98 {
		t.Errorf("%.2f of %d hours lie in the band", share, all)
	}
	if _, median, high := v.Band((monday+28)*24+2, 1); median != 0 || high != 0 {
		t.Errorf("at night: median %d, high %d", median, high)
	}
	if low, median, high := v.Band((monday+28)*24, 24); low < 500 || median < 800 || median > 1200 || high > 1800 {
		t.Errorf("a day: %d, %d, %d, want about 1000", low, median, high)
	}
}
