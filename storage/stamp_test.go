package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/storagetest"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestWatermark(t *testing.T) {
	w := storage.NewWatermark(time.Hour)
	if _, ok := w.Value(); ok || w.Tick(noon) {
		t.Fatal("a watermark that has seen nothing has a value, or is moved by a tick")
	}
	b := storagetest.Batch(storagetest.Event{Time: noon}, storagetest.Event{}, storagetest.Event{Time: noon.Add(time.Minute)})
	w.Observe(b.WithFlags(nil, []bool{false, false, true}, nil))
	for _, step := range []struct {
		tick  time.Duration // after noon
		moves bool
		value time.Duration
	}{
		{0, false, -time.Hour},
		{-time.Minute, false, -time.Hour},
		{time.Hour, false, -time.Hour}, // lateness or more behind: not quiet, but old logs
		{time.Hour - 1, true, -1},
		{2*time.Hour - 2, true, time.Hour - 2},
	} {
		moved := w.Tick(noon.Add(step.tick))
		if v, ok := w.Value(); moved != step.moves || !ok || !v.Equal(noon.Add(step.value)) {
			t.Fatalf("tick %v after noon: moved %v, watermark %v", step.tick, moved, v)
		}
	}
	if again := storage.WatermarkAt(time.Hour, w.Greatest()); again != w {
		t.Fatalf("got %v, want %v", again, w)
	}
}

// TestStamperForgets holds the bound of ids against a plain list.
func TestStamperForgets(t *testing.T) {
	const limit = 10
	s := storage.NewStamper(storage.NewWatermark(time.Hour), limit)
	var known []string // newest last
	for i := range 500 {
		id := fmt.Sprint(i * i % 37)
		b := storagetest.Batch(storagetest.Event{Time: noon, Source: "web", ID: id})
		want := false
		for _, k := range known {
			want = want || k == id
		}
		if !want {
			if known = append(known, id); len(known) > limit {
				known = known[1:]
			}
		}
		if got := s.Stamp(b, noon).Bool(tokenwatch.ColDuplicate, 0); got != want {
			t.Fatalf("event %d, id %s: duplicate %v, want %v", i, id, got, want)
		}
		if s.IDs() != len(known) {
			t.Fatalf("event %d: %d ids, want %d", i, s.IDs(), len(known))
		}
	}
	if s.Overflow() == 0 {
		t.Fatal("no id ran over: the test tests nothing")
	}
}

func BenchmarkStamp(b *testing.B) {
	batch := storagetest.Batch(storagetest.Events(10_000, noon, "web", "x")...)
	b.ReportAllocs()
	for b.Loop() {
		s := storage.NewStamper(storage.NewWatermark(time.Hour), 0)
		s.Stamp(batch, noon)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/row")
}
