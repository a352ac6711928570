package main

import (
	"context"
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// progress is how far the engine has got.
type progress struct {
	mu      sync.Mutex
	cursor  tokenwatch.Offset
	changed chan struct{} // closed at the next Step
}

func newProgress(from tokenwatch.Offset) *progress {
	return &progress{cursor: from, changed: make(chan struct{})}
}

// reached is told of every Step.
func (p *progress) reached(cursor tokenwatch.Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cursor = cursor
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait returns when a Step has covered offset, or ctx ends.
func (p *progress) wait(ctx context.Context, offset tokenwatch.Offset) error {
	for {
		p.mu.Lock()
		cursor, changed := p.cursor, p.changed
		p.mu.Unlock()
		if cursor >= offset {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
