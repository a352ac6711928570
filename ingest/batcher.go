package ingest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

// Sink is the part of the log that ingest needs: storage.Events has the
// contract.
type Sink interface {
	Append(context.Context, ...tokenwatch.Entry) ([]tokenwatch.Receipt, error)
}

// BatcherConfig bounds a Batcher. A zero field takes its default.
type BatcherConfig struct {
	QueueBytes    int64         // of decoded bodies waiting; default 128 MiB
	QueueRequests int           // waiting; default 4096
	GroupBytes    int64         // of decoded bodies that one commit takes; default 16 MiB, and one request at least
	RetryAfter    time.Duration // advised when the queue is full; default 1 s
	Metrics       Metrics       // may be nil
	Now           func() time.Time
}

func (c BatcherConfig) withDefaults() BatcherConfig {
	if c.QueueBytes <= 0 {
		c.QueueBytes = 128 << 20
	}
	if c.QueueRequests <= 0 {
		c.QueueRequests = 4096
	}
	if c.GroupBytes <= 0 {
		c.GroupBytes = 16 << 20
	}
	if c.RetryAfter <= 0 {
		c.RetryAfter = time.Second
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Submission is one whole request, sealed.
type Submission struct {
	Tenant  string
	Batch   *tokenwatch.Batch // of Request.Rows rows, none if every record was refused
	Request tokenwatch.Request
	Bytes   int64      // of its decoded body
	Named   seal.Named // what the batch names
}

// Batcher commits requests in groups: while one commit is under way the others
// queue, and the next commit takes what has come by then. So a lone request
// waits for nobody, and many share one sync. Small requests of a tenant share a
// segment too.
type Batcher struct {
	sink  Sink
	c     BatcherConfig
	named named // of the goroutine of Run

	mu       sync.Mutex
	queue    []*waiting
	bytes    int64 // of the queue
	draining bool
	wake     chan struct{} // holds a token when the queue may have something
}

// waiting is a submission in the queue and where its sender waits.
type waiting struct {
	Submission
	since time.Time
	done  chan result // takes one result without a receiver
}

type result struct {
	receipt tokenwatch.Receipt
	err     error
}

// NewBatcher returns a Batcher that commits to sink once Run is called.
func NewBatcher(sink Sink, c BatcherConfig) *Batcher {
	return &Batcher{sink: sink, c: c.withDefaults(), named: named{}, wake: make(chan struct{}, 1)}
}

// Submit queues a request and returns its receipt when it is durable. When the
// queue is full, or Run is ending, it returns a *tokenwatch.Refusal at once and
// nothing is stored. When ctx ends first, the request may be stored all the same.
func (b *Batcher) Submit(ctx context.Context, s Submission) (tokenwatch.Receipt, error) {
	w := &waiting{Submission: s, since: b.c.Now(), done: make(chan result, 1)}
	if err := b.enqueue(w); err != nil {
		return tokenwatch.Receipt{}, err
	}
	select {
	case r := <-w.done:
		return r.receipt, r.err
	case <-ctx.Done():
		return tokenwatch.Receipt{}, ctx.Err()
	}
}

func (b *Batcher) enqueue(w *waiting) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.draining {
		return &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedUnavailable, Detail: "the server is stopping", RetryAfter: 5 * time.Second,
		}
	}
	if len(b.queue) >= b.c.QueueRequests || len(b.queue) > 0 && b.bytes+w.Bytes > b.c.QueueBytes {
		return overloaded(b.c.RetryAfter)
	}
	b.queue = append(b.queue, w)
	b.bytes += w.Bytes
	b.signal()
	return nil
}

func overloaded(after time.Duration) error {
	return &tokenwatch.Refusal{
		Reason: tokenwatch.RefusedOverload, Detail: "more than can be taken at present", RetryAfter: after,
	}
}

// Run commits what is submitted until ctx ends, then what is queued, and
// returns. A failed append is the answer to the requests in it and does not end
// Run: the store may recover.
func (b *Batcher) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, b.drain)()
	for range b.wake {
		for group := b.take(); len(group) > 0; group = b.take() {
			// What was accepted is committed even when ctx has ended.
			b.commit(context.WithoutCancel(ctx), group)
		}
		if b.drained() {
			break
		}
	}
	return nil
}

// drain lets nothing more into the queue.
func (b *Batcher) drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = true
	b.signal()
}

// signal wakes Run.
func (b *Batcher) signal() {
	select {
	case b.wake <- struct{}{}:
	default: // it will wake anyway
	}
}

func (b *Batcher) drained() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.draining && len(b.queue) == 0
}

// take removes the next group from the queue: whole requests in the order they
// came, up to GroupBytes, and one at least.
func (b *Batcher) take() []*waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	var bytes int64
	n := 0
	for n < len(b.queue) && (n == 0 || bytes+b.queue[n].Bytes <= b.c.GroupBytes) {
		bytes += b.queue[n].Bytes
		n++
	}
	group := b.queue[:n:n]
	b.queue = b.queue[n:]
	if len(b.queue) == 0 {
		b.queue = nil
	}
	b.bytes -= bytes
	return group
}

// commit appends a group and answers each request in it.
func (b *Batcher) commit(ctx context.Context, group []*waiting) {
	start := b.c.Now()
	for _, w := range group {
		b.c.Metrics.Took(StageWait, start.Sub(w.since))
	}
	entries, order := gather(group)
	entries = b.named.unwritten(entries)
	receipts, err := b.sink.Append(ctx, entries...)
	if err == nil && len(receipts) != len(order) {
		err = fmt.Errorf("%d receipts for %d requests", len(receipts), len(order))
	}
	b.c.Metrics.Took(StageCommit, b.c.Now().Sub(start))
	if err != nil {
		refusal := &tokenwatch.Refusal{
			Reason:     tokenwatch.RefusedUnavailable,
			Detail:     "the store takes nothing at present",
			RetryAfter: 5 * time.Second,
			Err:        fmt.Errorf("append %d requests to the log: %w", len(group), err),
		}
		for _, w := range group {
			w.done <- result{err: refusal}
		}
		return
	}
	if !slices.ContainsFunc(receipts, func(r tokenwatch.Receipt) bool { return r.Conflict }) {
		b.named.wrote(entries)
	}
	if !slices.ContainsFunc(receipts, func(r tokenwatch.Receipt) bool { return r.Conflict || r.Duplicate }) {
		for _, w := range order {
			w.Named.Stored()
		}
	}
	b.c.Metrics.Committed(len(group))
	for i, w := range order {
		b.count(w, receipts[i])
		w.done <- result{receipt: receipts[i]}
	}
}

// count tells the metrics of what is stored now: not of a repeat, and not of
// what was stored for nobody.
func (b *Batcher) count(w *waiting, r tokenwatch.Receipt) {
	if r.Duplicate || r.Conflict {
		return
	}
	b.c.Metrics.Accepted(w.Tenant, r.Rows, w.Bytes)
	for reason, n := range countReasons(r.Rejects) {
		b.c.Metrics.Rejected(w.Tenant, reason, n)
	}
}

func countReasons(rejects []tokenwatch.Reject) map[string]int {
	if len(rejects) == 0 {
		return nil
	}
	m := make(map[string]int)
	for i := range rejects {
		m[rejects[i].Reason]++
	}
	return m
}

// alone is the number of rows from which on a request has an entry to itself: to
// join it with others would copy it, and save little.
const alone = 8192

// gather makes the entries of a group: for each tenant, in the order in which the
// tenants came first, one for all its requests but the large ones. It returns the
// requests in the order of their receipts.
func gather(group []*waiting) ([]tokenwatch.Entry, []*waiting) {
	place := make(map[string]int)
	var tenants [][]*waiting
	for _, w := range group {
		i, ok := place[w.Tenant]
		if !ok {
			i = len(tenants)
			place[w.Tenant] = i
			tenants = append(tenants, nil)
		}
		tenants[i] = append(tenants[i], w)
	}
	entries := make([]tokenwatch.Entry, 0, len(tenants))
	order := make([]*waiting, 0, len(group))
	for _, requests := range tenants {
		for len(requests) > 0 {
			n := 1
			for rows := requests[0].Request.Rows; n < len(requests); n++ {
				more := requests[n].Request.Rows
				if rows >= alone || more >= alone {
					break
				}
				rows += more
			}
			entries = append(entries, join(requests[:n]))
			order = append(order, requests[:n]...)
			requests = requests[n:]
		}
	}
	return entries, order
}

// join makes one entry of requests of a tenant.
func join(requests []*waiting) tokenwatch.Entry {
	e := tokenwatch.Entry{Tenant: requests[0].Tenant}
	batches := make([]*tokenwatch.Batch, 0, len(requests))
	for _, w := range requests {
		batches = append(batches, w.Batch)
		e.Requests = append(e.Requests, w.Request)
	}
	e.Batch = tokenwatch.Concat(batches...)
	return e
}
