package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder notes the order in which stages end.
type recorder struct {
	mu    sync.Mutex
	ended []string
}

// until is a stage that runs until its context ends.
func (r *recorder) until(name string) stage {
	return stage{name, func(ctx context.Context) error {
		<-ctx.Done()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = append(r.ended, name)
		return nil
	}}
}

func TestFlowEndsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- flow(ctx, r.until("api"), r.until("batcher"), r.until("engine")) }()
		synctest.Wait()
		if len(r.ended) > 0 {
			t.Fatalf("%v ended before the end", r.ended)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if want := []string{"api", "batcher", "engine"}; !slices.Equal(r.ended, want) {
			t.Errorf("ended %v, want %v", r.ended, want)
		}
	})
}

func TestFlowEndsWithAStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		broken := errors.New("it broke")
		err := flow(t.Context(), r.until("api"), stage{"store", func(context.Context) error { return broken }}, r.until("engine"))
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "store: ") {
			t.Errorf("error %v", err)
		}
		if want := []string{"api", "engine"}; !slices.Equal(r.ended, want) {
			t.Errorf("ended %v, want %v", r.ended, want)
		}
	})
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute+time.Second)
		defer cancel()
		calls := 0
		if err := every(ctx, time.Minute, func(context.Context) error { calls++; return nil }); err != nil {
			t.Fatal(err)
		}
		if calls != 5 {
			t.Errorf("%d calls in five minutes", calls)
		}
		broken := errors.New("it broke")
		if err := every(t.Context(), time.Minute, func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgress(3)
		if err := p.wait(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- p.wait(t.Context(), 5) }()
		p.reached(4)
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it did not wait")
		default:
		}
		p.reached(6)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.wait(ctx, 7); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
