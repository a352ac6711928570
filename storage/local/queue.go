package local

import (
	"context"
	"slices"
	"sync"
)

// work is one caller's part of a group commit. plan adds it to the group; it
// may be called again on another group if a plan after it failed, so it keeps
// nothing but its last outcome.
type work struct {
	plan func(*group) error
	rows int           // how much it weighs
	wake chan struct{} // closed when it is its turn: to lead, or to go
	lead bool          // woken to lead, not to go
	err  error
}

// How much one group takes at most; one work alone may be more.
const (
	groupRows  = 1 << 18
	groupWorks = 4096
)

// queue makes group commits of what many goroutines want written: whoever finds
// nobody at work leads, and commits for all who came meanwhile. No goroutine of
// its own is needed.
type queue struct {
	commit func([]*work) // sets err of each

	mu      sync.Mutex
	leading bool
	waiting []*work
}

// do has w committed and returns its error. If ctx ends before anybody took w
// up, it is withdrawn and nothing of it is written.
func (q *queue) do(ctx context.Context, w *work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.wake = make(chan struct{})
	q.mu.Lock()
	if q.leading {
		q.waiting = append(q.waiting, w)
		q.mu.Unlock()
		select {
		case <-w.wake:
		case <-ctx.Done():
			if q.withdraw(w) {
				return ctx.Err()
			}
			<-w.wake
		}
		if !w.lead {
			return w.err
		}
		q.mu.Lock()
	}
	q.leading = true
	works := q.take(w)
	q.mu.Unlock()

	q.commit(works)

	q.mu.Lock()
	if len(q.waiting) > 0 {
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		next.lead = true
		close(next.wake)
	} else {
		q.leading = false
	}
	q.mu.Unlock()
	for _, other := range works[1:] {
		close(other.wake)
	}
	return w.err
}

// take returns w and those waiting that go with it.
func (q *queue) take(w *work) []*work {
	works, rows, n := []*work{w}, w.rows, 0
	for n < len(q.waiting) && len(works) < groupWorks && rows+q.waiting[n].rows <= groupRows {
		rows += q.waiting[n].rows
		works = append(works, q.waiting[n])
		n++
	}
	q.waiting = slices.Delete(q.waiting, 0, n)
	return works
}

// withdraw takes w out of the queue; false if it is in work already.
func (q *queue) withdraw(w *work) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}
