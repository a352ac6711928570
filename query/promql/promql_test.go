package promql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/prometheus/prometheus/model/labels"
	prom "github.com/prometheus/prometheus/promql"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/query/promql"
	"github.com/tokenwatch/tokenwatch/query/querytest"
)

var day = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// at reads a time of the day, or of a later one as +1d06:00:00.
func at(t *testing.T, s string) time.Time {
	t.Helper()
	begin := day
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			t.Fatal(err)
		}
		begin, s = day.AddDate(0, 0, n), rest
	}
	c, err := time.Parse("15:04:05", s)
	if err != nil {
		t.Fatal(err)
	}
	return begin.Add(c.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// TestGolden runs testdata/promql: events makes a segment of lines of a time and
// column=value pairs; eval evaluates at a time, range from, to and step; now sets
// the clock; series lists labels.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, filepath.Join("..", "..", "testdata", "promql"), func(t *testing.T, path string) {
		s := &querytest.Store{Tenant: "t"}
		now := day.AddDate(0, 0, 2)
		e := promql.New(promql.Config{Events: s, Now: func() time.Time { return now }})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			arg := func(name string) string {
				var v string
				d.ScanArgs(t, name, &v)
				return v
			}
			switch d.Cmd {
			case "events":
				s.Add(events(t, d.Input), d.HasArg("merged"))
				return ""
			case "now":
				now = at(t, arg("at"))
				return ""
			case "eval":
				return show(e.Instant(t.Context(), "t", d.Input, at(t, arg("at"))))
			case "range":
				step, err := time.ParseDuration(arg("step"))
				if err != nil {
					t.Fatal(err)
				}
				return show(e.Range(t.Context(), "t", d.Input, at(t, arg("from")), at(t, arg("to")), step))
			case "series":
				ms, err := e.Selectors(strings.Fields(d.Input))
				if err != nil {
					return err.Error() + "\n"
				}
				var out []string
				err = e.Series(t.Context(), "t", ms, at(t, arg("from")), at(t, arg("to")), func(l labels.Labels) { out = append(out, l.String()+"\n") })
				if err != nil {
					return err.Error() + "\n"
				}
				slices.Sort(out)
				return strings.Join(out, "")
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

func show(r *prom.Result, closed func(), err error) string {
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	defer closed()
	return r.Value.String() + "\n"
}

func events(t *testing.T, text string) *tokenwatch.Batch {
	t.Helper()
	var b tokenwatch.Builder
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		var row tokenwatch.Row
		row.SetInt(tokenwatch.ColTime, at(t, words[0]).UnixNano())
		for _, pair := range words[1:] {
			name, value, _ := strings.Cut(pair, "=")
			c, ok := tokenwatch.ColumnByName(name)
			if !ok {
				t.Fatalf("no column %s", name)
			}
			if c.Kind() == tokenwatch.KindInt {
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				row.SetInt(c, n)
				continue
			}
			row.SetString(c, value)
		}
		b.Append(&row)
	}
	return b.Batch()
}

// TestCounts holds increases over random events against plain counts: exact at
// every minute, across midnight and the month too.
func TestCounts(t *testing.T) {
	s := &querytest.Store{Tenant: "t"}
	rng := querytest.Rand(5)
	var all []*tokenwatch.Batch
	for i := range 4 {
		b := querytest.Random(rng, 300, i%2 == 0)
		all = append(all, b)
		s.Add(b, i%2 == 0)
	}
	start := time.Unix(0, querytest.Start).UTC()
	end := start.Add(26 * time.Hour)
	e := promql.New(promql.Config{Events: s, Now: func() time.Time { return end.Add(time.Hour) }})
	count := func(from, to time.Time, ok func(b *tokenwatch.Batch, i int) bool) (n float64) {
		for _, b := range all {
			for i := range b.Rows() {
				if x := b.Int(tokenwatch.ColTime, i); !b.Bool(tokenwatch.ColDuplicate, i) && x >= from.UnixNano() && x < to.UnixNano() && ok(b, i) {
					n++
				}
			}
		}
		return n
	}
	value := func(expression string, at time.Time) float64 {
		r, closed, err := e.Instant(t.Context(), "t", expression, at)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		defer closed()
		v, err := r.Vector()
		if err != nil || len(v) > 1 {
			t.Fatalf("%s: %v, %v", expression, v, err)
		}
		if len(v) == 0 {
			return 0
		}
		return v[0].F
	}
	for range 40 {
		to := start.Add(time.Duration(1+rng.IntN(26*60)) * time.Minute)
		midnight := to.Add(-time.Nanosecond).Truncate(24 * time.Hour)
		got := value(`sum(tokenwatch_events_total{host="api.example"})`, to)
		if want := count(midnight, to, func(b *tokenwatch.Batch, i int) bool { return b.Text(tokenwatch.ColHost, i) == "api.example" }); got != want {
			t.Fatalf("%v since midnight at %v, want %v", got, to, want)
		}
		hour := to.Truncate(time.Hour)
		got = value(`sum(tokenwatch_token_events_total{token="`+querytest.Token(3)+`"})`, hour)
		if want := count(start, hour, func(b *tokenwatch.Batch, i int) bool { return b.Text(tokenwatch.ColToken, i) == querytest.Token(3) }); got != want {
			t.Fatalf("%v of a token at %v, want %v", got, hour, want)
		}
	}
}

// TestLimits: what asks for too much ends with an error that says so.
func TestLimits(t *testing.T) {
	s := &querytest.Store{Tenant: "t"}
	s.Add(querytest.Random(querytest.Rand(1), 2000, true), true)
	ask := func(ctx context.Context, c promql.Config, tenant string) (string, error) {
		c.Events = s
		from := time.Unix(0, querytest.Start)
		r, closed, err := promql.New(c).Range(ctx, tenant, "tokenwatch_events_total", from, from.Add(24*time.Hour), time.Minute)
		if err != nil {
			return "", err
		}
		defer closed()
		return r.Value.String(), nil
	}
	if got, err := ask(t.Context(), promql.Config{}, "t"); err != nil || got == "" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := ask(t.Context(), promql.Config{}, "other"); err != nil || got != "" {
		t.Errorf("another tenant is answered %q, %v", got, err)
	}
	if _, err := ask(t.Context(), promql.Config{Samples: 1000}, "t"); !errors.As(err, new(prom.ErrTooManySamples)) {
		t.Errorf("too many samples: %v", err)
	}
	if _, err := ask(t.Context(), promql.Config{Memory: 1000}, "t"); !errors.Is(err, promql.ErrMemory) {
		t.Errorf("too much memory: %v", err)
	}
	if _, err := ask(t.Context(), promql.Config{Time: 1}, "t"); !errors.As(err, new(prom.ErrQueryTimeout)) {
		t.Errorf("too much time: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(gone, promql.Config{}, "t"); err == nil {
		t.Error("an answer for nobody")
	}
	const secret = "hunter2"
	if _, err := promql.New(promql.Config{Events: s}).Selectors([]string{`{token="` + secret}); !errors.Is(err, promql.ErrExpression) || strings.Contains(fmt.Sprint(err), secret) {
		t.Errorf("a selector that does not end: %v", err)
	}
}

// TestDocumented: METRICS.md has every metric.
func TestDocumented(t *testing.T) {
	b, err := os.ReadFile("METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range promql.Documentation() {
		if !strings.Contains(string(b), line+"\n") {
			t.Errorf("METRICS.md lacks the line\n%s", line)
		}
	}
}
