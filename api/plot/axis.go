package plot

import (
	"math"
	"strconv"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// axis is the axis of time.
type axis struct{ from, to time.Time }

// at is where a time lies, in pixels from the left.
func (x axis) at(t time.Time) float64 {
	share := float64(t.Sub(x.from)) / float64(x.to.Sub(x.from))
	return min(max(left+share*(right-left), left-1), right+1)
}

// element is from where to where an element of a series lies.
func (x axis) element(s *tokenwatch.Series, i int) (a, b float64) {
	at := s.Start.Add(time.Duration(i) * s.Hours())
	return x.at(at), x.at(at.Add(s.Hours()))
}

// draw draws the axis with its times: so many hours apart that they have room.
func (x axis) draw(d *document) {
	d.add(`<path class="axis" d="M%d %dH%d"/>`, left, floor, right)
	hours := int(x.to.Sub(x.from) / time.Hour)
	every := 24 * ((hours + 24*12 - 1) / (24 * 12))
	for _, step := range []int{1, 2, 3, 6, 12} {
		if hours/step <= 14 {
			every = step
			break
		}
	}
	at := x.from.UTC().Truncate(24 * time.Hour)
	dated := false
	for ; !at.After(x.to); at = at.Add(time.Duration(every) * time.Hour) {
		if at.Before(x.from) {
			continue
		}
		p := x.at(at)
		d.add(`<path class="axis" d="M%.1f %dv4"/>`, p, floor)
		day := at.Hour() == 0
		if every < 24 {
			d.textAt(int(p), floor+24, "mid dim", "%s", at.Format("15:04"))
		}
		if day && p < right-30 || !dated {
			d.textAt(int(p), floor+40, "mid ink", "%s", at.Format("Mon 2 Jan 2006"))
			dated = true
		}
	}
	d.textAt(right, floor+58, "end dim", "time, UTC")
}

// scale is the axis of numbers, linear or by square roots.
type scale struct {
	most  float64
	root  bool
	name  string
	ticks []float64
}

func newScale(most float64, root bool, name string) scale {
	s := scale{root: root, name: name}
	step := math.Pow(10, math.Floor(math.Log10(max(most, 1))))
	for _, f := range []float64{0.1, 0.2, 0.25, 0.5, 1, 2} {
		if most/(step*f) <= 5 {
			step *= f
			break
		}
	}
	step = max(step, 1)
	s.most = step * math.Ceil(max(most, 1)/step)
	for v := 0.0; v <= s.most; v += step {
		s.ticks = append(s.ticks, v)
	}
	if root {
		s.name += " (square-root scale)"
		s.ticks = []float64{0}
		for share := 1.0; share > 0.01; share /= 4 {
			if v := math.Round(s.most * share); v >= 1 {
				s.ticks = append(s.ticks, v)
			}
		}
	}
	return s
}

// at is where a number lies, in pixels from the top.
func (s scale) at(n uint32) float64 { return s.of(float64(n)) }

func (s scale) of(v float64) float64 {
	share := v / s.most
	if s.root {
		share = math.Sqrt(share)
	}
	return floor - share*(floor-top)
}

func (s scale) draw(d *document) {
	for _, v := range s.ticks {
		p := s.of(v)
		if v > 0 {
			d.add(`<path class="grid" d="M%d %.1fH%d"/>`, left, p, right)
		}
		d.textAt(left-8, int(p)+4, "end dim", "%s", short(v))
	}
	d.textAt(left-48, top-18, "dim", "%s", s.name)
}

// short prints a number in few characters.
func short(v float64) string {
	for _, unit := range []struct {
		of   float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if v >= unit.of {
			if unit.name == "k" {
				unit.of = 1e3
			}
			return strconv.FormatFloat(v/unit.of, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
