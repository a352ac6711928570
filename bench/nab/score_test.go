package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// hundred is a series of 100 readings, the first 15 in probation, with windows over
// readings 40–49 and 70–79, and the given alarms.
func hundred(alarms ...int) []row {
	times, scores := make([]time.Time, 100), make([]float64, 100)
	for i := range times {
		times[i] = time.Unix(int64(i)*300, 0).UTC()
	}
	for _, i := range alarms {
		scores[i] = 1
	}
	windows := []span{{times[40], times[49]}, {times[70], times[79]}}
	return judge(times, scores, windows, 0)
}

func TestKnownScores(t *testing.T) {
	standard := weights{Hit: 1, False: 0.11, Miss: 1}
	lowFP, lowFN := weights{Hit: 1, False: 0.22, Miss: 1}, weights{Hit: 1, False: 0.11, Miss: 2}
	// Of a sum of 2 for a perfect detector and −2 for a silent one.
	points := func(sum float64) float64 { return 100 * (sum + 2) / 4 }
	last := sigmoid(-0.1) / sigmoid(-1) // at the last reading of a window
	for _, c := range []struct {
		name   string
		alarms []int
		w      weights
		want   float64
	}{
		{"perfect", []int{40, 70}, standard, 100},
		{"perfect, told all along", []int{40, 41, 45, 70, 79}, standard, 100},
		{"silent", nil, standard, 0},
		{"silent, misses dear", nil, lowFN, 0},
		{"in probation only", []int{3, 14}, standard, 0},
		{"one of two", []int{40}, standard, 50},
		{"one of two, misses dear", []int{40}, lowFN, 50},
		{"late", []int{49, 70}, standard, points(1 + last)},
		{"late, then again later", []int{48, 49, 70}, standard, points(1 + sigmoid(-0.2)/sigmoid(-1))},
		{"false before any window", []int{20, 40, 70}, standard, points(2 - 0.11)},
		{"the same, false ones dear", []int{20, 40, 70}, lowFP, points(2 - 0.22)},
		{"just after a window", []int{40, 50, 70}, standard, points(2 + 0.11*sigmoid(1.0/9))},
		{"long after the last", []int{40, 70, 99}, standard, points(2 + 0.11*sigmoid(20.0/9))},
		{"false only", []int{20}, standard, points(-2 - 0.11)},
	} {
		got := fixed(sweep(hundred(c.alarms...), 2, c.w), 1)
		if math.Abs(got.Score-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.name, got.Score, c.want)
		}
	}
	if sigmoid(3.1) != -1 || math.Abs(sigmoid(0)) > 1e-12 || sigmoid(-1) < 0.98 {
		t.Error("the sigmoid has another shape")
	}
}

func TestHindsightPicksTheBestThreshold(t *testing.T) {
	rows := hundred()
	for i := range rows {
		switch at := i + 15; at {
		case 40:
			rows[i].score = 9
		case 70:
			rows[i].score = 5
		case 20, 21, 22:
			rows[i].score = 3
		}
	}
	results := sweep(rows, 2, weights{Hit: 1, False: 0.11, Miss: 1})
	if best := hindsight(results); best.Threshold != 5 || best.Score != 100 || best.Windows != 2 || best.False != 0 {
		t.Errorf("best is %+v", best)
	}
	if r := fixed(results, 6); r.Threshold != 6 || r.Score != 50 || r.Windows != 1 {
		t.Errorf("at 6: %+v", r)
	}
	if r := fixed(results, 10); r.Score != 0 {
		t.Errorf("above all scores: %+v", r)
	}
	if r := fixed(results, 3); r.False != 3 {
		t.Errorf("at 3: %+v", r)
	}
}

// A daily wave with one reading far above all others: that reading is what is told
// loudest, and nothing that comes after it changes its score.
func TestReadsForwardOnly(t *testing.T) {
	const n, spike = 2400, 1900
	times, values := make([]time.Time, n), make([]float64, n)
	for i := range times {
		times[i] = time.Unix(1_400_000_000+int64(i)*600, 0).UTC()
		values[i] = 20 + 10*math.Sin(float64(i)*2*math.Pi/144) + float64(i*7919%13)/5
	}
	values[spike] = 400
	all := run(times, values)
	for i, s := range all {
		if i != spike && s >= all[spike] {
			t.Errorf("reading %d has %.2f, the spike %.2f", i, s, all[spike])
		}
	}
	if all[spike] < 44 {
		t.Errorf("the spike has %.2f only", all[spike])
	}
	changed := append([]float64(nil), values...)
	for i := spike + 1; i < n; i++ {
		changed[i] = -1000
	}
	for i, s := range run(times, changed)[:spike+1] {
		if s != all[i] {
			t.Fatalf("reading %d is judged by what came after it: %v, %v", i, all[i], s)
		}
	}
}

// A corpus without the labelled data says where it looked; one whose window has no
// such readings is refused rather than scored.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := load(dir); err == nil {
		t.Error("there is nothing there")
	}
	write("labels/combined_windows.json", `{"a/b.csv": [["2014-04-10 00:05:00.000000", "2014-04-10 00:10:00.000000"]]}`)
	write("data/a/b.csv", "timestamp,value\n2014-04-10 00:00:00,1\n2014-04-10 00:05:00,-2.5\n2014-04-10 00:10:00,3\n")
	files, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f := files[0]; len(f.values) != 3 || f.values[1] != -2.5 || !f.windows[0].from.Equal(f.times[1]) {
		t.Errorf("%+v", f)
	}
	write("data/a/b.csv", "timestamp,value\n2014-04-10 00:00:00,1\n2014-04-10 00:05:00,2\n")
	if _, err := load(dir); err == nil {
		t.Error("the window ends at a reading that is not there")
	}
}
