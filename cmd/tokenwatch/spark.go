package main

import (
	"math"
	"strings"
)

// sparks are the heights of a sparkline; nothing is the lowest.
var sparks = []rune(" ▁▂▃▄▅▆▇█")

// spark draws values as a line of bars, of which the highest is most.
func spark(values []float64, most float64) string {
	var b strings.Builder
	for _, v := range values {
		h := 0
		if v > 0 && most > 0 {
			h = max(1, int(math.Round(min(1, v/most)*float64(len(sparks)-1))))
		}
		b.WriteRune(sparks[h])
	}
	return b.String()
}

// squeeze adds values up so that there are at most n, each of as many.
func squeeze(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	each := (len(values) + n - 1) / n
	var out []float64
	for i := 0; i < len(values); i += each {
		sum := 0.0
		for _, v := range values[i:min(i+each, len(values))] {
			sum += v
		}
		out = append(out, sum)
	}
	return out
}
