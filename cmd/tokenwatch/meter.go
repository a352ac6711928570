package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// meter shows the progress of a long ingest on a terminal, in one line.
type meter struct {
	c           *console
	start, last time.Time
	shown       bool
}

func newMeter(c *console) *meter { return &meter{c: c, start: c.now()} }

// meterEvery is how often the line is rewritten at most.
const meterEvery = 200 * time.Millisecond

// show rewrites the line; it does nothing where standard error is no terminal.
func (m *meter) show(p source.Progress) {
	now := m.c.now()
	if m.c.errWidth == 0 || now.Sub(m.last) < meterEvery {
		return
	}
	m.last, m.shown = now, true
	fmt.Fprintf(m.c.stderr, "\r\x1b[K%s", cut(meterLine(p, now.Sub(m.start)), m.c.errWidth-1))
}

// meterLine says how far it is, how fast it goes and how long it will take.
func meterLine(p source.Progress, took time.Duration) string {
	records := p.Accepted + p.Duplicate
	rate := float64(records) / max(took.Seconds(), 1e-3)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %.0f/s", count(records, "record"), rate)
	if p.Total > 0 && p.Bytes > 0 {
		done := min(float64(p.Bytes)/float64(p.Total), 1)
		left := time.Duration(float64(took) * (1 - done) / done)
		fmt.Fprintf(&b, ", %.0f %%, %v left", 100*done, left.Round(time.Second))
	}
	if p.Rejected > 0 {
		fmt.Fprintf(&b, ", %d rejected", p.Rejected)
	}
	if p.Files > 1 {
		fmt.Fprintf(&b, ", file %d of %d", min(p.Done+1, p.Files), p.Files)
	}
	return b.String()
}

// clear takes the line away.
func (m *meter) clear() {
	if m.shown {
		fmt.Fprint(m.c.stderr, "\r\x1b[K")
	}
}
