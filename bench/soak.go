package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// soakKeep is how much of the events the store keeps in a soak, so that retention
// has work all the time.
const soakKeep = "256MiB"

// Soak is what a long run of everything at once showed.
type Soak struct {
	Seconds         float64 `json:"seconds"`
	EventsPerSecond float64 `json:"events_per_second"`
	AtMost          float64 `json:"events_per_second_at_most"` // what was measured first, without questions
	Accepted        int64   `json:"accepted"`                  // by the answers
	Stored          int64   `json:"stored"`                    // rows of all segments at the end
	RanOut          int64   `json:"ran_out"`                   // rows that retention dropped, by the history
	InHistory       int64   `json:"in_history"`                // rows of all segments ever appended, by the history
	Questions       int64   `json:"questions"`
	SlowestQuestion float64 `json:"slowest_question_ms"`
	SlowestAnswer   float64 `json:"slowest_answer_ms"`  // to a request of one record, ten of them a second
	LongestSilence  float64 `json:"longest_silence_ms"` // between two answers to requests of any kind
	Findings        int64   `json:"findings"`           // revisions seen by a client that polls
	RSS             [4]int  `json:"rss_mb"`             // median of each quarter
	Disk            [4]int  `json:"disk_mb"`
}

// lastLines returns the last n lines of a log that are not of findings.
func lastLines(log []byte, n int) []byte {
	lines := slices.DeleteFunc(bytes.SplitAfter(log, []byte("\n")), func(l []byte) bool {
		return len(l) == 0 || bytes.Contains(l, []byte(`"msg":"finding"`))
	})
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}

// wrong names what a run broke: nothing, if all is well.
func (s *Soak) wrong() error {
	var errs []error
	if s.Accepted != s.InHistory {
		errs = append(errs, fmt.Errorf("%d events were acknowledged and %d are in the history", s.Accepted, s.InHistory))
	}
	if s.Accepted != s.Stored+s.RanOut {
		errs = append(errs, fmt.Errorf("%d events were acknowledged, %d are stored and %d ran out", s.Accepted, s.Stored, s.RanOut))
	}
	if s.Seconds < 600 {
		return errors.Join(errs...) // it has not come to its level
	}
	if s.RSS[3] > s.RSS[1]+s.RSS[1]/5 {
		errs = append(errs, fmt.Errorf("memory grew from %d to %d MB", s.RSS[1], s.RSS[3]))
	}
	if s.Disk[3] > s.Disk[1]+s.Disk[1]/5 {
		errs = append(errs, fmt.Errorf("the store grew from %d to %d MB", s.Disk[1], s.Disk[3]))
	}
	return errors.Join(errs...)
}

// soak sends day after day, the same one with other dates, at a share of what the
// server can take, asks questions, polls the findings, and has retention drop what is
// old. It tells what the server holds once a minute. Whether memory and disk stay level is
// judged in runs of ten minutes and more.
func soak(ctx context.Context, dir string, n int, length time.Duration, share float64) (_ *Soak, err error) {
	day, err := workload(ctx, dir, n, 1, "2026-03-02T00:00:00Z")
	if err != nil {
		return nil, err
	}
	store, err := os.MkdirTemp(dir, "soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(store)
	config := filepath.Join(store, "tokenwatch.yaml")
	if err := os.WriteFile(config, []byte("store:\n  keep_bytes: "+soakKeep+"\n"), 0o600); err != nil {
		return nil, err
	}
	server, err := Start(ctx, filepath.Join("bin", "tokenwatch"), store, "--config", config)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	defer func() {
		if err != nil && ctx.Err() == nil {
			server.Kill()
			err = fmt.Errorf("%w\nthe server wrote last:\n%s", err, lastLines(server.Stderr(), 10))
		}
	}()

	file, err := os.Open(day)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := &days{file: file, first: "2026-03-02"}
	run := &soaking{server: server, dir: filepath.Join(store, "data")}
	if run.asked, err = readFacts(day); err != nil {
		return nil, err
	}

	begin := time.Now()
	if err := run.send(ctx, lines, length/10, 0); err != nil {
		return nil, err
	}
	s := &Soak{AtMost: float64(run.accepted.Load()) / time.Since(begin).Seconds()}
	if err := server.AwaitEngine(ctx); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(ctx)
	defer stop()
	var others sync.WaitGroup
	for _, do := range []func(context.Context) error{run.ask, run.poll, run.drip, run.sample} {
		others.Go(func() {
			if err := do(background); err != nil && background.Err() == nil {
				run.fail(err)
			}
		})
	}
	before, begin := run.accepted.Load(), time.Now()
	run.last.Store(time.Now().UnixNano())
	run.silence.Store(0)
	lines.rest = nil // the last line was not sent whole
	if err := run.send(ctx, lines, length, share*s.AtMost); err != nil {
		return nil, err
	}
	s.Seconds = time.Since(begin).Seconds()
	s.EventsPerSecond = float64(run.accepted.Load()-before) / s.Seconds
	stop()
	others.Wait()
	if err := errors.Join(run.failed, server.AwaitEngine(ctx)); err != nil {
		return nil, err
	}
	s.Accepted, s.Questions, s.Findings = run.accepted.Load(), run.questions, run.findings
	s.SlowestQuestion, s.SlowestAnswer = milliseconds(run.slowQuestion), milliseconds(run.slowDrip)
	s.LongestSilence = milliseconds(time.Duration(run.silence.Load()))
	for i := range 4 {
		s.RSS[i], s.Disk[i] = median(quarter(run.rss, i)), median(quarter(run.disk, i))
	}
	// The history is asked before the events: between the two nothing is appended, and
	// what runs out in between would show as a difference, so it is asked again then.
	for range 10 {
		gone, err := server.number(ctx, "select coalesce(sum(rows), 0) from history where kind = 'retention'")
		if err != nil {
			return nil, err
		}
		if s.Stored, err = server.number(ctx, "select count(*) from events where duplicate or not duplicate"); err != nil {
			return nil, err
		}
		if s.RanOut, err = server.number(ctx, "select coalesce(sum(rows), 0) from history where kind = 'retention'"); err != nil {
			return nil, err
		}
		if gone == s.RanOut {
			break
		}
	}
	s.InHistory, err = server.number(ctx, "select sum(rows) from history where kind = 'segment'")
	return s, errors.Join(err, server.Stop())
}

// soaking is a run that is going on.
type soaking struct {
	server *Server
	dir    string
	asked  facts

	accepted      atomic.Int64
	last, silence atomic.Int64 // time of the last answer, and the longest between two, in nanoseconds

	// Each of one goroutine, read when it has ended.
	questions, findings    int64
	slowQuestion, slowDrip time.Duration
	rss, disk              []int

	mu     sync.Mutex
	failed error
}

func (r *soaking) fail(err error) {
	r.mu.Lock()
	r.failed = errors.Join(r.failed, err)
	r.mu.Unlock()
}

// answered counts the events of an answer and the time since the one before.
func (r *soaking) answered(events int64) {
	r.accepted.Add(events)
	now := time.Now().UnixNano()
	gap := now - r.last.Swap(now)
	for old := r.silence.Load(); gap > old && !r.silence.CompareAndSwap(old, gap); old = r.silence.Load() {
	}
}

// send posts lines over four connections for a while, at a rate if that is above 0.
func (r *soaking) send(ctx context.Context, lines io.Reader, length time.Duration, rate float64) error {
	until := time.Now().Add(length)
	return sendLines(ctx, r.server, readUntil{lines, until}, 4, 1<<20, rate, func(body []byte, _ time.Duration) {
		r.answered(int64(bytes.Count(body, []byte{'\n'})))
	})
}

// ask asks Q1 to Q8 and their filtered twins in turn, one a second.
func (r *soaking) ask(ctx context.Context) error {
	list := questions(r.asked, tokenwatchSQL)
	for i := 0; sleep(ctx, time.Second); i++ {
		begin := time.Now()
		if _, err := r.server.query(ctx, list[i%len(list)].sql); err != nil {
			return err
		}
		r.questions++
		r.slowQuestion = max(r.slowQuestion, time.Since(begin))
	}
	return nil
}

// poll follows the findings.
func (r *soaking) poll(ctx context.Context) error {
	cursor := ""
	for ctx.Err() == nil {
		body, err := r.server.get(ctx, "/v1/findings:poll?wait=10s&cursor="+url.QueryEscape(cursor))
		if err != nil {
			return err
		}
		var page struct {
			Findings []json.RawMessage
			Cursor   string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		r.findings += int64(len(page.Findings))
		cursor = page.Cursor
	}
	return nil
}

// drip sends requests of one record of now, and takes their time.
func (r *soaking) drip(ctx context.Context) error {
	for i := 0; sleep(ctx, 100*time.Millisecond); i++ {
		begin := time.Now()
		line := fmt.Appendf(nil, `{"time":%q,"user":"drip","action":"tick","request_id":"drip-%d"}`+"\n", begin.UTC().Format(time.RFC3339Nano), i)
		if err := post(context.WithoutCancel(ctx), r.server, line); err != nil {
			return err
		}
		r.answered(1)
		r.slowDrip = max(r.slowDrip, time.Since(begin))
	}
	return nil
}

// sample takes memory and disk every five seconds, and tells them once a minute.
func (r *soaking) sample(ctx context.Context) error {
	for i := 1; sleep(ctx, 5*time.Second); i++ {
		disk, err := size(r.dir)
		if err != nil {
			return err
		}
		r.rss, r.disk = append(r.rss, int(r.server.RSS())), append(r.disk, int(disk>>20))
		if i%12 == 0 {
			fmt.Fprintf(os.Stderr, "%3d min: %d events, %d MB of memory, %d MB on disk\n", i/12, r.accepted.Load(), r.rss[len(r.rss)-1], disk>>20)
		}
	}
	return nil
}

// days reads a file of one day's lines again and again, each time a day later.
type days struct {
	file  *os.File
	lines *bufio.Reader
	first string // the date in the file
	date  string // the date it has now
	rest  []byte
}

func (d *days) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		if d.lines == nil {
			day, _ := time.Parse(time.DateOnly, d.first)
			if d.date != "" {
				day, _ = time.Parse(time.DateOnly, d.date)
				day = day.AddDate(0, 0, 1)
			}
			d.date = day.Format(time.DateOnly)
			if _, err := d.file.Seek(0, io.SeekStart); err != nil {
				return 0, err
			}
			d.lines = bufio.NewReaderSize(d.file, 1<<20)
		}
		line, err := d.lines.ReadBytes('\n')
		if err == io.EOF {
			d.lines = nil
			continue
		}
		if err != nil {
			return 0, err
		}
		if at := bytes.Index(line, []byte(d.first)); at >= 0 {
			copy(line[at:], d.date)
		}
		d.rest = line
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// readUntil reads until a time has come, to the end of what was asked for then.
type readUntil struct {
	r     io.Reader
	until time.Time
}

func (r readUntil) Read(p []byte) (int, error) {
	if time.Now().After(r.until) {
		return 0, io.EOF
	}
	return r.r.Read(p)
}

// number asks for one whole number.
func (s *Server) number(ctx context.Context, sql string) (int64, error) {
	body, err := s.query(ctx, sql)
	if err != nil {
		return 0, err
	}
	rows, err := rowsOf(body)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("%s: no single value in the answer", sql)
	}
	v, ok := rows[0][0].(float64)
	if !ok {
		return 0, fmt.Errorf("%s: %v is no number", sql, rows[0][0])
	}
	return int64(v), nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func quarter(v []int, i int) []int { return v[len(v)*i/4 : len(v)*(i+1)/4] }

func median(v []int) int {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
