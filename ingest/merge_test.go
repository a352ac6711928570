package ingest

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

var mergeNow = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// lineAt is record n of file f at a time.
func lineAt(f, n int, t time.Time) string {
	return fmt.Sprintf("192.0.2.1 - - [%s] \"GET /file/%d/record/%d HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n", t.Format("02/Jan/2006:15:04:05 -0700"), f, n)
}

type place struct{ file, record int }

// merged is what a merge gave, and where.
type merged struct {
	rows    []place
	times   []int64
	ticks   []int64
	rejects int
	entries []tokenwatch.Entry
}

func merge(t *testing.T, files []string, c MergeConfig) merged {
	t.Helper()
	p := New(nil, Config{Keys: testKeys(t), Now: func() time.Time { return mergeNow }})
	var inputs []Input
	for i, f := range files {
		inputs = append(inputs, Input{Name: fmt.Sprint("file ", i), Body: strings.NewReader(f)})
	}
	var out merged
	c.Tenant, c.Source, c.Format = "t", "s", "combined"
	for e, err := range p.Merge(t.Context(), inputs, c) {
		if err != nil {
			t.Fatal(err)
		}
		out.entries = append(out.entries, e)
		if e.Control != nil {
			out.ticks = append(out.ticks, e.Time.UnixNano())
			continue
		}
		out.rejects += len(e.Requests[0].Rejects)
		if e.Requests[0].Rows != e.Batch.Rows() || e.Requests[0].Source != "s" || e.Tenant != "t" {
			t.Errorf("entry of %d rows: %+v", e.Batch.Rows(), e.Requests[0])
		}
		for i := range e.Batch.Rows() {
			var at place
			path := e.Batch.Text(tokenwatch.ColPath, i)
			if _, err := fmt.Sscanf(path[strings.Index(path, "/file/"):], "/file/%d/record/%d", &at.file, &at.record); err != nil {
				t.Fatal(err)
			}
			out.rows = append(out.rows, at)
			out.times = append(out.times, e.Batch.Int(tokenwatch.ColTime, i))
		}
	}
	return out
}

// reference merges by looking at all heads for each record.
func reference(files [][]time.Time) []place {
	var out []place
	next := make([]int, len(files))
	at := make([]int64, len(files))
	for f := range at {
		at[f] = math.MinInt64
	}
	believe := func(f int) {
		if next[f] < len(files[f]) && !files[f][next[f]].After(mergeNow.Add(futureAfter)) {
			at[f] = files[f][next[f]].UnixNano()
		}
	}
	for f := range files {
		believe(f)
	}
	for {
		best := -1
		for f := range files {
			if next[f] < len(files[f]) && (best < 0 || at[f] < at[best]) {
				best = f
			}
		}
		if best < 0 {
			return out
		}
		out = append(out, place{best, next[best]})
		next[best]++
		believe(best)
	}
}

// TestMergeOrder: random files, with late and future lines among theirs, merge
// as the reference does; batches and ticks keep to their rules.
func TestMergeOrder(t *testing.T) {
	for seed := range int64(40) {
		random := rand.New(rand.NewSource(seed))
		times := make([][]time.Time, 1+random.Intn(5))
		files := make([]string, len(times))
		for f := range times {
			at := mergeNow.Add(-time.Hour + time.Duration(random.Intn(600))*time.Second)
			for n := range random.Intn(200) {
				at = at.Add(time.Duration(random.Intn(20)) * time.Second)
				shown := at
				switch random.Intn(20) {
				case 0:
					shown = at.Add(-time.Duration(random.Intn(7200)) * time.Second) // late
				case 1:
					shown = mergeNow.AddDate(10, 0, 0) // by a wrong clock
				}
				times[f] = append(times[f], shown)
				files[f] += lineAt(f, n, shown)
			}
		}
		rows := 1 + random.Intn(20)
		got := merge(t, files, MergeConfig{Rows: rows})
		if want := reference(times); !slices.Equal(got.rows, want) {
			t.Fatalf("seed %d: %d rows in another order than the %d of the reference", seed, len(got.rows), len(want))
		}
		checkEntries(t, seed, got, rows)
	}
}

// checkEntries looks at the sizes of batches and the places of ticks.
func checkEntries(t *testing.T, seed int64, got merged, rows int) {
	t.Helper()
	last, latest, row := int64(math.MinInt64), int64(math.MinInt64), 0
	for i, e := range got.entries {
		if e.Control == nil {
			if e.Batch.Rows() > rows || e.Batch.Rows() == 0 {
				t.Errorf("seed %d: a batch of %d rows", seed, e.Batch.Rows())
			}
			for range e.Batch.Rows() {
				if at := got.times[row]; at <= mergeNow.UnixNano() {
					latest = max(latest, at)
				}
				row++
			}
			if last != math.MinInt64 && latest >= last+int64(time.Minute) {
				t.Errorf("seed %d: a row a minute after the last tick", seed)
			}
			continue
		}
		end := i == len(got.entries)-1
		if end != (e.Control.Kind == tokenwatch.ControlEnd) {
			t.Errorf("seed %d: control %s at place %d of %d", seed, e.Control.Kind, i, len(got.entries))
		}
		if !end {
			if at := e.Time.UnixNano(); at <= last || at%int64(time.Minute) != 0 || at <= latest {
				t.Errorf("seed %d: tick out of place", seed)
			} else {
				last = at
			}
		}
	}
}

// TestMergeRejects: what cannot be read is handed on with its place, and comes
// into the log with the rows around it.
func TestMergeRejects(t *testing.T) {
	at := mergeNow.Add(-time.Hour)
	var told []string
	got := merge(t, []string{"garbage\n" + lineAt(0, 0, at) + "more\n", "nothing but\n"}, MergeConfig{
		Reject: func(input string, r tokenwatch.Reject) {
			told = append(told, fmt.Sprint(input, " ", r.Index, " ", r.Offset, " ", r.Reason))
		},
	})
	slices.Sort(told)
	second := len("garbage\n" + lineAt(0, 0, at))
	want := []string{"file 0 0 0 malformed", fmt.Sprintf("file 0 2 %d malformed", second), "file 1 0 0 malformed"}
	if !slices.Equal(told, want) || got.rejects != 3 || len(got.rows) != 1 {
		t.Errorf("told %q, %d in the log, %d rows", told, got.rejects, len(got.rows))
	}
}

// TestMergeNothing: no input gives an end and nothing else.
func TestMergeNothing(t *testing.T) {
	for _, files := range [][]string{nil, {"", "\n\n"}} {
		got := merge(t, files, MergeConfig{})
		if len(got.entries) != 1 || got.entries[0].Control.Kind != tokenwatch.ControlEnd {
			t.Errorf("%d entries", len(got.entries))
		}
	}
}

// TestMergeStops: an input that breaks ends the merge with its error, and a
// consumer may leave at any time.
func TestMergeStops(t *testing.T) {
	p := New(nil, Config{Keys: testKeys(t)})
	broken := []Input{{Name: "a", Body: strings.NewReader(goodLine)}, {Name: "b", Body: errorReader{}}}
	var last error
	for _, err := range p.Merge(t.Context(), broken, MergeConfig{Format: "auto"}) {
		last = err
	}
	var refusal *tokenwatch.Refusal
	if !errors.As(last, &refusal) {
		t.Errorf("ended with %v", last)
	}
	for range p.Merge(t.Context(), []Input{{Name: "a", Body: strings.NewReader(strings.Repeat(goodLine, 10))}}, MergeConfig{Format: "auto", Rows: 1}) {
		break
	}
}
