package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// sink stores nothing and says that it took so many rows.
type sink struct{ rows int }

func (s sink) Append(context.Context, ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	return []tokenwatch.Receipt{{Rows: s.rows}}, nil
}

// TestPace: requests wait while the engine is far behind, go on when it has read,
// and do not wait for one that has stopped.
func TestPace(t *testing.T) {
	store, err := local.Open(local.Memory())
	must(t, err)
	defer store.Close()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(store, nil)
		to := p.over(sink{maxAhead + 1})
		begin := time.Now()
		appendOne := func() time.Duration {
			from := time.Now()
			_, err := to.Append(t.Context(), tokenwatch.Entry{})
			must(t, err)
			return time.Since(from)
		}
		if d := appendOne(); d != 0 {
			t.Errorf("the first request waited %v", d)
		}
		go func() {
			time.Sleep(100 * time.Millisecond) // of the test's own clock
			p.move(-maxAhead - 1)
		}()
		if d := appendOne(); d != 100*time.Millisecond {
			t.Errorf("a request waited %v for an engine that took 100ms", d)
		}
		if d := appendOne(); d != maxPaused {
			t.Errorf("a request waited %v for an engine that has stopped", d)
		}
		if got := time.Since(begin); got != 100*time.Millisecond+maxPaused {
			t.Errorf("took %v in all", got)
		}
	})
}
