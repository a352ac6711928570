package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// weights are what a profile of the benchmark gives and takes (config/profiles.json).
type weights struct {
	Hit   float64 `json:"tpWeight"` // for a window found at its very beginning
	False float64 `json:"fpWeight"` // for a false alarm far from any window, as a loss
	Miss  float64 `json:"fnWeight"` // for a window not found, as a loss
}

// span is a labelled anomaly, both ends within it.
type span struct{ from, to time.Time }

// row is what one reading of a series is worth if it is an alarm.
type row struct {
	score  float64
	window int     // number of the window it lies in, −1 outside all
	value  float64 // of weight 1: 0 to 1 in a window, −1 to 1 outside
}

// probation is how many readings at the beginning of a series of n are not
// scored: 15 %, no more than 750.
func probation(n int) int { return min(n*15/100, 750) }

// sigmoid is the benchmark's 2/(1 + e^5y) − 1: 1 well before the end of a
// window, 0 at it, and −1 once that is long past.
func sigmoid(y float64) float64 {
	if y > 3 {
		return -1
	}
	return 2/(1+math.Exp(5*y)) - 1
}

// judge tells what an alarm at each reading that is scored would be worth
// (Lavin and Ahmad 2015, Evaluating Real-time Anomaly Detection Algorithms). In a
// window of w readings of which the last has number r, reading i is worth
// sigmoid(−(r−i+1)/w) by sigmoid(−1). Outside, it costs most where no window came
// before, and little soon after one: sigmoid((i−r)/(w−1)). Windows are numbered
// from first on, in order of time.
func judge(times []time.Time, scores []float64, windows []span, first int) []row {
	var rows []row
	skip := probation(len(times))
	next, last, width := 0, -1, 0
	for i := 0; i < len(times); i++ {
		if next < len(windows) && times[i].Equal(windows[next].from) {
			left := i
			for last = i; last+1 < len(times) && !times[last].Equal(windows[next].to); last++ {
			}
			width = last - left + 1
			for ; i <= last; i++ {
				if i >= skip {
					y := -float64(last-i+1) / float64(width)
					rows = append(rows, row{scores[i], first + next, sigmoid(y) / sigmoid(-1)})
				}
			}
			i--
			next++
			continue
		}
		worth := -1.0
		if last >= 0 {
			worth = sigmoid(float64(i-last) / max(float64(width-1), 1e-9))
		}
		if i >= skip {
			rows = append(rows, row{scores[i], -1, worth})
		}
	}
	return rows
}

// result is the score of one detector over a corpus in one profile.
type result struct {
	Score     float64 `json:"score"`     // 0 a detector that never alarms, 100 a perfect one
	Threshold float64 `json:"threshold"` // from which on readings alarm
	Windows   int     `json:"windows"`   // found
	False     int     `json:"false"`     // readings that alarm outside windows
}

// never is a threshold above all scores.
const never = 101

// sweep scores a corpus at every threshold that makes a difference, the highest
// first. Of the alarms in a window the best counts, the others for nothing.
func sweep(rows []row, windows int, w weights) []result {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b row) int { return -cmp.Compare(a.score, b.score) })
	best := map[int]float64{}
	total, alarms := -float64(windows)*w.Miss, 0
	at := func(threshold float64) result {
		return result{normalised(total, windows, w), threshold, len(best), alarms}
	}
	out := []result{at(never)}
	for i, r := range rows {
		if r.window < 0 {
			alarms++
			total += w.False * r.value
		} else if before, ok := best[r.window]; !ok || r.value > before {
			if !ok {
				before = -w.Miss / w.Hit
			}
			total += w.Hit * (r.value - before)
			best[r.window] = r.value
		}
		if i+1 == len(rows) || rows[i+1].score != r.score {
			out = append(out, at(r.score))
		}
	}
	return out
}

// normalised puts a sum between that of a detector that never alarms, 0, and that
// of a perfect one, 100.
func normalised(sum float64, windows int, w weights) float64 {
	null, perfect := -float64(windows)*w.Miss, float64(windows)*w.Hit
	return 100 * (sum - null) / (perfect - null)
}

// hindsight is the best result of a sweep, which is what the benchmark reports.
func hindsight(results []result) result {
	return slices.MaxFunc(results, func(a, b result) int { return cmp.Compare(a.Score, b.Score) })
}

// fixed is the result at a threshold given beforehand.
func fixed(results []result, threshold float64) result {
	i := len(results) - 1
	for results[i].Threshold < threshold {
		i--
	}
	r := results[i]
	r.Threshold = threshold
	return r
}
