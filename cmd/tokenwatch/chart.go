package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// chartHeight is how many lines of a terminal a chart's bars take.
const chartHeight = 8

// printSeries draws what an entity did as bars over the band of what was expected,
// an hour a column, and marks a window. Below it the window's hours are told in
// numbers.
func printSeries(b *strings.Builder, c *console, s *tokenwatch.Series, window tokenwatch.Window) {
	if s == nil || len(s.Observed) == 0 {
		return
	}
	most := uint32(1)
	for i, n := range s.Observed {
		most = max(most, n)
		if i < len(s.High) {
			most = max(most, s.High[i])
		}
	}
	fmt.Fprintf(b, "\nRequests an hour from %s to %s, UTC\n", when(s.Start), when(s.Start.Add(time.Duration(len(s.Observed))*s.Hours())))
	for line := chartHeight - 1; line >= 0; line-- {
		label := ""
		if line == chartHeight-1 {
			label = fmt.Sprint(most)
		} else if line == 0 {
			label = "0"
		}
		fmt.Fprintf(b, "  %9s ┤", label)
		for i := range s.Observed {
			b.WriteString(chartCell(c, s, i, line, most, marked(s, i, window)))
		}
		b.WriteByte('\n')
	}
	b.WriteString("  " + strings.Repeat(" ", 10))
	for i := range s.Observed {
		mark := "  "
		if marked(s, i, window) {
			mark = "▲▲"
		}
		b.WriteString(mark)
	}
	b.WriteString("\n  " + strings.Repeat(" ", 10))
	for i := 0; i < len(s.Observed); i++ {
		if hour := s.Start.Add(time.Duration(i) * s.Hours()); hour.Hour()%6 == 0 && i+1 < len(s.Observed) {
			b.WriteString(hour.Format("15h "))
			i++
			continue
		}
		b.WriteString("  ")
	}
	b.WriteString("\n  █ seen  ░ nine of ten such hours  ▲ the finding's window\n")
	for i, n := range s.Observed {
		if !marked(s, i, window) || n == 0 {
			continue
		}
		fmt.Fprintf(b, "  %s  %s, %d refused or failed", s.Start.Add(time.Duration(i)*s.Hours()).Format("2006-01-02 15:04Z"), count(int(n), "request"), s.Failed[i])
		if i < len(s.High) {
			fmt.Fprintf(b, "; expected %d to %d, middle %d", s.Low[i], s.High[i], s.Median[i])
		}
		b.WriteByte('\n')
	}
	if s.Peers > 0 {
		fmt.Fprintf(b, "  An active hour of its peers, of %d of its kind, has %d.\n", s.Peers, s.PeerMean)
	}
	switch {
	case len(s.High) == 0:
		b.WriteString("  There is no baseline of it.\n")
	case s.AsOf.IsZero() && s.Peers == 0:
		b.WriteString("  Neither it nor its peers had a past: what is expected of an active hour is built in.\n")
	case s.AsOf.IsZero():
		b.WriteString("  It had no past of its own: what is expected is its peers' in hours in which they are active.\n")
	default:
		fmt.Fprintf(b, "  Its baseline had learned up to %s.\n", when(s.AsOf))
	}
}

// marked tells whether an element of a series lies in a window.
func marked(s *tokenwatch.Series, i int, w tokenwatch.Window) bool {
	at := s.Start.Add(time.Duration(i) * s.Hours())
	return !at.Before(w.Start) && at.Before(w.End)
}

// chartCell is what an hour shows on a line of the chart: a bar, the band behind it,
// or nothing.
func chartCell(c *console, s *tokenwatch.Series, i, line int, most uint32, mark bool) string {
	eighths := func(n uint32) int {
		h := int((uint64(n)*chartHeight*8 + uint64(most) - 1) / uint64(most))
		return min(max(h-8*line, 0), 8)
	}
	if full := eighths(s.Observed[i]); full > 0 {
		bar := strings.Repeat(string(sparks[full]), 2)
		if mark && c.colour {
			return severityColour(tokenwatch.SeverityCritical) + bar + reset
		}
		return bar
	}
	if i < len(s.High) && eighths(s.High[i]) > 0 && (s.Low[i] == 0 || eighths(s.Low[i]) < 8) {
		return "░░"
	}
	return "  "
}
