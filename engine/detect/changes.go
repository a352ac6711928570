package detect

import (
	"fmt"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// maxShown is how many new values of an axis count at most, those of the smallest
// hashes.
const maxShown = 64

// Changes lists in what a window differs from what is usual for its entity, as far
// as others may differ in the same, given the signals about it. Calm tells that
// nothing but where it comes from is odd. Of an entity without a past there are none.
func Changes(s *Subject, signals []tokenwatch.Signal) (shown []window.Shown, calm bool) {
	if s.Now.Events == 0 || s.Usual.Learning() {
		return nil, false
	}
	for a := range feature.NumAxes {
		if s.Usual.Kind == tokenwatch.EntityAddress && axisGroups[a] == groupWhere {
			continue
		}
		n := len(shown)
		for _, v := range s.Now.Axes[a] {
			if len(shown)-n < maxShown && !s.Usual.Knows(a, v.Hash) {
				shown = append(shown, window.Shown{Change: uint64(baseline.NewValue(a, v.Hash)), First: v.First})
			}
		}
	}
	calm = true
	for i := range signals {
		if c, ok := changeOf(&signals[i], s.Now.Hour); ok {
			shown = append(shown, window.Shown{Change: uint64(c), First: signals[i].Evidence[0]})
		}
		calm = calm && local(&signals[i])
	}
	return shown, calm
}

// changeOf is the change that a signal tells of, if others may share it and it is
// no new value.
func changeOf(s *tokenwatch.Signal, hour int32) (baseline.Change, bool) {
	switch s.Detector {
	case "faults":
		for f := range feature.NumFaults {
			if f.String() == s.Axis {
				return baseline.FaultsChanged(f, hour), true
			}
		}
	case "volume":
		return baseline.AmountChanged(hour), true
	case "odd_hours":
		return baseline.HoursChanged(hour), true
	}
	return 0, false
}

// local tells whether a signal is about where an entity comes from, and that only.
func local(s *tokenwatch.Signal) bool {
	return s.Group == groupWhere || s.Detector == "concurrent_origins" || s.Detector == "travel" || s.Detector == "allow_list"
}

// Individual drops the signals about what came to many at once. Addresses and
// countries are part of the networks they are in: where many moved to one of a
// window's networks, and it shows no other new one, they are not news either; nor is
// that both are in use while the move lasts.
func Individual(signals []tokenwatch.Signal, w *window.Window, common *baseline.Common) []tokenwatch.Signal {
	moved := slices.ContainsFunc(w.Axes[feature.Network], func(v window.Value) bool {
		return common.Has(baseline.NewValue(feature.Network, v.Hash))
	})
	moved = moved && !slices.ContainsFunc(signals, func(s tokenwatch.Signal) bool {
		return s.Group == groupWhere && s.Axis == feature.Network.String()
	})
	return slices.DeleteFunc(signals, func(s tokenwatch.Signal) bool {
		c, ok := changeOf(&s, w.Hour)
		return ok && common.Has(c) || moved && local(&s) && s.Detector != "allow_list"
	})
}

// Together is the reason that a change is of a group: it came to n entities at
// once where so many would be expected by chance. value is the new one, where the
// change is one.
func Together(c baseline.Change, n int, expected float64, value string) tokenwatch.Reason {
	r := tokenwatch.Reason{Detector: "novelty", Observed: float64(n), Expected: float64(vec.Milli(expected)) / 1000}
	what := ""
	switch a, ok := c.Axis(); {
	case ok:
		if what = "began to use the same new " + axisNouns[a][0]; value != "" {
			what, r.Values = what+", "+value, []string{value}
		}
		r.Axis = a.String()
	case c.Amount():
		r.Detector, what = "volume", "did much more than is usual for them"
	default:
		r.Detector, what = "odd_hours", "were active at hours at which they never are"
		if f, ok := c.Fault(); ok {
			r.Detector, r.Axis, what = "faults", f.String(), "got too many "+faultNouns[f.String()]
		}
	}
	r.Text = fmt.Sprintf("%d %s within one hour, where %s would be expected by chance", n, what, decimal(vec.Milli(expected)))
	return r
}
