package main

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/storage"
)

// How far the log may run ahead of the engine before requests wait for it, and
// how long one group of them waits at most: an engine that has stopped does not
// stop the log.
const (
	maxAhead  = 1 << 16 // rows
	maxPaused = 250 * time.Millisecond
)

// pace stands on both sides of the log, before its sink and before its follower,
// so that what is found is found soon also under full load: else the senders take
// the processors, and the engine falls behind without end. It also times the
// follower, since the engine itself reads no clock.
type pace struct {
	storage.Events
	from tokenwatch.Offset   // entries before it were there at the start
	took func(time.Duration) // what the follower took for an entry; may be nil

	mu    sync.Mutex
	ahead int           // rows that were appended and not read
	moved chan struct{} // closed when the follower has read an entry
}

func newPace(events storage.Events, took func(time.Duration)) *pace {
	return &pace{Events: events, from: events.Last() + 1, took: took, moved: make(chan struct{})}
}

// over returns a sink that waits while the engine is too far behind.
func (p *pace) over(sink ingest.Sink) ingest.Sink { return paced{p, sink} }

type paced struct {
	pace *pace
	to   ingest.Sink
}

// Append waits if need be, then hands the entries on.
func (s paced) Append(ctx context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	s.pace.wait(ctx)
	receipts, err := s.to.Append(ctx, entries...)
	if err == nil {
		rows := 0
		for _, r := range receipts {
			if !r.Duplicate && !r.Conflict {
				rows += r.Rows
			}
		}
		s.pace.move(rows)
	}
	return receipts, err
}

// wait returns when the engine is near enough, or has had its time.
func (p *pace) wait(ctx context.Context) {
	var timer *time.Timer
	for {
		p.mu.Lock()
		near, moved := p.ahead <= maxAhead, p.moved
		p.mu.Unlock()
		if near {
			return
		}
		if timer == nil {
			timer = time.NewTimer(maxPaused)
			defer timer.Stop()
		}
		select {
		case <-moved:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// move notes that the log grew by rows, or, below zero, that rows were read.
func (p *pace) move(rows int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ahead += rows
	if rows < 0 {
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

// Follow yields what the log does, and notes what the follower has read and how
// long each entry kept it busy.
func (p *pace) Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		for entry, err := range p.Events.Follow(ctx, from) {
			begin := time.Now()
			more := yield(entry, err)
			if p.took != nil {
				p.took(time.Since(begin))
			}
			if entry.Batch != nil && entry.Offset >= p.from {
				p.move(-entry.Batch.Rows())
			}
			if !more {
				return
			}
		}
	}
}
