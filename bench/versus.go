package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// contest is one workload for tokenwatch and for the other systems at hand, one
// after the other on the same machine. Each prints a JSON line, and a table of all
// comes last. The others are called by their drivers in the folder perf, and by
// peer.mjs for the questions with a further filter.
type contest struct {
	n, conns, chunk, runs        int
	dir, perf, modules, victoria string

	facts facts
	right *answers
	out   io.Writer
	lines []line
}

// line is what is said of one system. Ingest is of the system's own shape.
type line struct {
	System  string           `json:"system"`
	Version string           `json:"version"`
	Events  int              `json:"events"`
	Durable string           `json:"durable"` // what is safe on disk when
	Ingest  *ingested        `json:"ingest,omitempty"`
	Queries map[string]Asked `json:"queries"`
	RSS     float64          `json:"rss_mb_after_queries,omitempty"`
}

// ingested is what it took to take the events in. Times are the client's, CPU is
// the server's user and system time.
type ingested struct {
	Connections      int                `json:"conns,omitempty"`
	ChunkBytes       int                `json:"chunk_bytes,omitempty"`
	AcceptedSeconds  float64            `json:"accepted_s,omitempty"`
	QueryableSeconds float64            `json:"queryable_s"` // until count(*) shows all
	EventsPerSecond  float64            `json:"events_per_s"`
	CPU              float64            `json:"cpu_s_per_m"`         // at queryable
	CPUSettled       float64            `json:"cpu_s_per_m_settled"` // scored, merged and quiet
	SettleSeconds    float64            `json:"settle_s,omitempty"`
	Stages           map[string]float64 `json:"stage_s_per_m,omitempty"` // wall clock of the goroutines that do it
	PostMedian       float64            `json:"post_p50_ms,omitempty"`
	PostMax          float64            `json:"post_max_ms,omitempty"`
	PeakRSS          float64            `json:"peak_rss_mb"`
	BytesPerEvent    float64            `json:"bytes_per_event"`
}

func (c *contest) run(ctx context.Context, out io.Writer) error {
	day, err := workload(ctx, c.dir, c.n, 1, "2026-03-02T00:00:00Z")
	if err != nil {
		return err
	}
	if c.facts, err = readFacts(day); err != nil {
		return err
	}
	if c.right, err = rightAnswers(day, c.facts); err != nil {
		return err
	}
	c.out = out
	own, err := c.tokenwatch(ctx, day)
	if err != nil {
		return err
	}
	c.say(own)
	for _, peer := range []func(context.Context, string) ([]line, error){c.duckdb, c.clickhouse, c.victoriaLogs} {
		lines, err := peer(ctx, day)
		if err != nil {
			var without *absent
			if !errors.As(err, &without) {
				return err
			}
			fmt.Fprintln(os.Stderr, "bench:", err)
			continue
		}
		for _, l := range lines {
			c.say(l)
		}
	}
	fmt.Fprintln(out, c.table())
	for _, l := range c.lines[:1] {
		for name, a := range l.Queries {
			if a.OK != nil && !*a.OK {
				err = errors.Join(err, fmt.Errorf("%s: the answer to %s is wrong", l.System, name))
			}
		}
	}
	return err
}

// absent is a system that is not at hand.
type absent struct{ what, why string }

func (a *absent) Error() string { return a.what + " is left out: " + a.why }

func (c *contest) say(l line) {
	c.lines = append(c.lines, l)
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // made of texts and numbers
	}
	fmt.Fprintln(c.out, string(b))
}

func (c *contest) tokenwatch(ctx context.Context, day string) (l line, err error) {
	store, err := os.MkdirTemp(c.dir, "store-")
	if err != nil {
		return l, err
	}
	defer os.RemoveAll(store)
	server, err := Start(ctx, filepath.Join("bin", "tokenwatch"), store)
	if err != nil {
		return l, err
	}
	defer server.Kill()
	l = line{System: "tokenwatch", Version: "this", Events: c.n, Durable: "log and watermark fsynced before each answer"}
	l.Ingest, err = c.ingest(ctx, server, day)
	if err != nil {
		return l, err
	}
	disk, err := size(filepath.Join(store, "data"))
	if err != nil {
		return l, err
	}
	l.Ingest.BytesPerEvent = float64(disk) / float64(c.n)
	l.Queries, err = ask(ctx, server, c.facts, c.right, c.runs)
	l.RSS = server.RSS()
	return l, err
}

func (c *contest) ingest(ctx context.Context, s *Server, day string) (*ingested, error) {
	in := &ingested{Connections: c.conns, ChunkBytes: c.chunk}
	perMillion := func(cpu float64) float64 { return cpu / float64(c.n) * 1e6 }
	var mu sync.Mutex
	var posts []float64
	timed := func(_ []byte, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		posts = append(posts, float64(took.Microseconds())/1e3)
	}
	before, begin := s.CPU(), time.Now()
	if err := Send(ctx, s, day, c.conns, c.chunk, 0, timed); err != nil {
		return nil, err
	}
	in.AcceptedSeconds = time.Since(begin).Seconds()
	for n := 0; n < c.n; {
		body, err := s.query(ctx, "select count(*) from events")
		if err != nil {
			return nil, err
		}
		rows, err := rowsOf(body)
		if err != nil {
			return nil, err
		}
		n = int(rows[0][0].(float64))
	}
	in.QueryableSeconds = time.Since(begin).Seconds()
	in.EventsPerSecond = float64(c.n) / in.QueryableSeconds
	in.CPU = perMillion(s.CPU() - before)
	queryable := time.Now()
	if err := s.AwaitEngine(ctx); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	in.SettleSeconds = time.Since(queryable).Seconds()
	in.CPUSettled = perMillion(s.CPU() - before)
	var err error
	if in.Stages, err = s.Stages(ctx, c.n); err != nil {
		return nil, err
	}
	slices.Sort(posts)
	in.PostMedian, in.PostMax = posts[len(posts)/2], posts[len(posts)-1]
	in.PeakRSS = s.PeakRSS()
	return in, nil
}

// settle returns once nothing of the store waits to be merged: its segments have
// been the same for longer than it takes until what came last is merged.
func (s *Server) settle(ctx context.Context) error {
	last, since := -1, time.Now()
	for {
		body, err := s.query(ctx, "select count(*) from events where time < '1980-01-01'")
		if err != nil {
			return err
		}
		var answer struct {
			Statistics struct {
				Segments int `json:"segments"`
			} `json:"statistics"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		if answer.Statistics.Segments != last {
			last, since = answer.Statistics.Segments, time.Now()
		}
		// A tick comes every minute; ten seconds after it what waits is merged.
		if time.Since(since) > 80*time.Second {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// table is what was measured, a column a system: medians, and how many times
// tokenwatch's they are.
func (c *contest) table() string {
	var b bytes.Buffer
	row := func(name string, cell func(l *line) (float64, bool)) {
		own, known := cell(&c.lines[0])
		fmt.Fprintf(&b, "| %s |", name)
		for i := range c.lines {
			v, ok := cell(&c.lines[i])
			switch {
			case !ok:
				b.WriteString(" – |")
			case i == 0 || !known || own == 0:
				fmt.Fprintf(&b, " %s |", three(v))
			default:
				fmt.Fprintf(&b, " %s (%s×) |", three(v), three(v/own))
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n| |")
	for _, l := range c.lines {
		fmt.Fprintf(&b, " %s %s |", l.System, l.Version)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(c.lines)) + "\n")
	of := func(get func(*ingested) float64) func(l *line) (float64, bool) {
		return func(l *line) (float64, bool) {
			if l.Ingest == nil {
				return 0, false
			}
			return get(l.Ingest), true
		}
	}
	row("events per second", of(func(i *ingested) float64 { return i.EventsPerSecond }))
	row("CPU-seconds per million, queryable", of(func(i *ingested) float64 { return i.CPU }))
	row("CPU-seconds per million, settled", of(func(i *ingested) float64 { return i.CPUSettled }))
	row("peak memory, MB", of(func(i *ingested) float64 { return i.PeakRSS }))
	row("bytes per event", of(func(i *ingested) float64 { return i.BytesPerEvent }))
	for _, q := range questions(c.facts, tokenwatchSQL) {
		row(q.name+", ms", func(l *line) (float64, bool) { a, ok := l.Queries[q.name]; return a.Median, ok })
	}
	for _, q := range questions(c.facts, tokenwatchSQL) {
		row(q.name+", CPU ms", func(l *line) (float64, bool) { a, ok := l.Queries[q.name]; return a.CPU, ok })
	}
	return b.String()
}

// three writes a number with about three digits.
func three(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.3g", v)
	default:
		return fmt.Sprintf("%.2g", v)
	}
}
