package ingest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// gatedSink notes what it is given, and lets each append go when it is told.
type gatedSink struct {
	appends [][]tokenwatch.Entry
	gate    chan error
}

func (g *gatedSink) Append(_ context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	g.appends = append(g.appends, entries)
	if err := <-g.gate; err != nil {
		return nil, err
	}
	var receipts []tokenwatch.Receipt
	for i, e := range entries {
		at := 0
		for _, r := range e.Requests {
			at += r.Rows
			receipts = append(receipts, tokenwatch.Receipt{Offset: tokenwatch.Offset(100*len(g.appends) + i), Rows: r.Rows, Rejects: r.Rejects})
		}
		if at != e.Batch.Rows() {
			return nil, fmt.Errorf("requests of %d rows in a batch of %d", at, e.Batch.Rows())
		}
	}
	return receipts, nil
}

// submission makes a request of n rows whose times begin at first.
func submission(tenant string, first, n int) Submission {
	var b tokenwatch.Builder
	for i := range n {
		var row tokenwatch.Row
		row.SetInt(tokenwatch.ColTime, int64(first+i))
		b.Append(&row)
	}
	return Submission{Tenant: tenant, Batch: b.Batch(), Request: tokenwatch.Request{Rows: n}, Bytes: 100}
}

type outcome struct {
	receipt tokenwatch.Receipt
	err     error
}

func submit(ctx context.Context, b *Batcher, s Submission) chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := b.Submit(ctx, s)
		done <- outcome{r, err}
	}()
	synctest.Wait() // it is queued, so that the order is known
	return done
}

// running starts a Batcher and returns a function that stops it and waits.
func running(t *testing.T, b *Batcher) (stop context.CancelFunc, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	return cancel, ended
}

func reason(err error) string {
	var r *tokenwatch.Refusal
	if !errors.As(err, &r) {
		return ""
	}
	return r.Reason
}

// TestBatcherGroups: while one commit is under way others gather; a commit has
// one entry a tenant, whole requests in order, and everyone gets its own receipt.
func TestBatcherGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gatedSink{gate: make(chan error)}
		b := NewBatcher(sink, BatcherConfig{})
		stop, ended := running(t, b)
		first := submit(t.Context(), b, submission("a", 0, 1))
		var later []chan outcome
		for i, tenant := range []string{"b", "a", "b", "a"} {
			later = append(later, submit(t.Context(), b, submission(tenant, 10*(i+1), i+2)))
		}
		if len(sink.appends) != 1 {
			t.Fatalf("%d commits at once", len(sink.appends))
		}
		sink.gate <- nil
		sink.gate <- nil
		if r := <-first; r.err != nil || r.receipt.Offset != 100 || r.receipt.Rows != 1 {
			t.Errorf("first: %+v", r)
		}
		for i, done := range later {
			want := tokenwatch.Offset(200 + i%2)
			if r := <-done; r.err != nil || r.receipt.Offset != want || r.receipt.Rows != i+2 {
				t.Errorf("request %d: %+v", i, r)
			}
		}
		group := sink.appends[1]
		if len(group) != 2 || group[0].Tenant != "b" || group[1].Tenant != "a" {
			t.Fatalf("%d entries in the second commit", len(group))
		}
		times := group[0].Batch.Column(tokenwatch.ColTime).Ints
		if fmt.Sprint(times) != "[10 11 30 31 32 33]" {
			t.Errorf("rows of tenant b: %v", times)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestBatcherFull: beyond its bounds the queue refuses at once, with advice, and
// what it refused is not stored.
func TestBatcherFull(t *testing.T) {
	for _, c := range []BatcherConfig{{QueueRequests: 3}, {QueueBytes: 300}} {
		synctest.Test(t, func(t *testing.T) {
			sink := &gatedSink{gate: make(chan error)}
			b := NewBatcher(sink, c)
			stop, ended := running(t, b)
			var taken []chan outcome
			for i := range 4 { // one is being committed, three wait
				taken = append(taken, submit(t.Context(), b, submission("a", i, 1)))
			}
			var refusal *tokenwatch.Refusal
			if r := <-submit(t.Context(), b, submission("a", 9, 1)); !errors.As(r.err, &refusal) ||
				refusal.Reason != tokenwatch.RefusedOverload || refusal.RetryAfter <= 0 {
				t.Errorf("%+v: %+v", c, r)
			}
			close(sink.gate)
			for _, done := range taken {
				if r := <-done; r.err != nil {
					t.Error(r.err)
				}
			}
			if r := <-submit(t.Context(), b, submission("a", 5, 1)); r.err != nil {
				t.Errorf("with room again: %v", r.err)
			}
			stop()
			<-ended
			rows := 0
			for _, entries := range sink.appends {
				for _, e := range entries {
					rows += e.Batch.Rows()
				}
			}
			if rows != 5 {
				t.Errorf("%d rows stored, 5 accepted", rows)
			}
		})
	}
}

// TestBatcherDrains: stopping commits what was accepted and takes nothing more.
func TestBatcherDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gatedSink{gate: make(chan error)}
		b := NewBatcher(sink, BatcherConfig{GroupBytes: 150}) // a request a group
		stop, ended := running(t, b)
		var taken []chan outcome
		for i := range 5 {
			taken = append(taken, submit(t.Context(), b, submission("a", i, 1)))
		}
		stop()
		synctest.Wait()
		if r := <-submit(t.Context(), b, submission("a", 9, 1)); reason(r.err) != tokenwatch.RefusedUnavailable {
			t.Errorf("while it drains: %+v", r)
		}
		select {
		case err := <-ended:
			t.Fatalf("ended before all was committed: %v", err)
		default:
		}
		for range 5 {
			sink.gate <- nil
		}
		for i, done := range taken {
			if r := <-done; r.err != nil {
				t.Errorf("request %d: %v", i, r.err)
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(sink.appends) != 5 {
			t.Errorf("%d commits, want one for each request", len(sink.appends))
		}
	})
}

// TestBatcherFailedAppend: nobody is told that it is durable, and the next
// commit is tried again.
func TestBatcherFailedAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gatedSink{gate: make(chan error)}
		b := NewBatcher(sink, BatcherConfig{})
		stop, ended := running(t, b)
		full := errors.New("disk full")
		done := submit(t.Context(), b, submission("a", 0, 1))
		sink.gate <- full
		if r := <-done; reason(r.err) != tokenwatch.RefusedUnavailable || !errors.Is(r.err, full) {
			t.Errorf("%+v", r)
		}
		done = submit(t.Context(), b, submission("a", 0, 1))
		sink.gate <- nil
		if r := <-done; r.err != nil {
			t.Errorf("after it recovered: %v", r.err)
		}
		stop()
		<-ended
	})
}

// TestBatcherImpatient: a sender that goes away takes nothing with it.
func TestBatcherImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gatedSink{gate: make(chan error)}
		b := NewBatcher(sink, BatcherConfig{})
		stop, ended := running(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := <-submit(ctx, b, submission("a", 0, 1)); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("%+v", r)
		}
		sink.gate <- nil
		stop()
		if err := <-ended; err != nil || len(sink.appends) != 1 {
			t.Errorf("%d commits, %v", len(sink.appends), err)
		}
	})
}

// TestBudget: the whole is bounded, no tenant gets all of it, and what is given
// back can be taken again.
func TestBudget(t *testing.T) {
	b := newBudget(100, time.Second)
	for _, step := range []struct {
		tenant string
		n      int64
		ok     bool
	}{{"a", 75, true}, {"a", 1, false}, {"b", 25, true}, {"b", 1, false}, {"c", 1, false}} {
		if err := b.take(step.tenant, step.n); (err == nil) != step.ok {
			t.Errorf("%+v: %v", step, err)
		}
	}
	b.give("a", 75)
	if err := b.take("c", 75); err != nil {
		t.Error(err)
	}
	b.give("b", 25)
	b.give("c", 75)
	if b.used != 0 || len(b.by) != 0 {
		t.Errorf("%d bytes of %d tenants are left", b.used, len(b.by))
	}
}

// TestGather: small requests of a tenant share an entry, a large one has its own,
// and receipts come in the order that gather says.
func TestGather(t *testing.T) {
	var group []*waiting
	for i, r := range []struct {
		tenant string
		rows   int
	}{{"a", 2}, {"b", 1}, {"a", 3}, {"a", alone}, {"a", alone + 1}, {"b", 2}, {"a", 1}, {"a", 4}} {
		group = append(group, &waiting{Submission: submission(r.tenant, 1000*i, r.rows)})
	}
	entries, order := gather(group)
	got, at := "", 0
	for _, e := range entries {
		rows := 0
		got += e.Tenant
		for _, q := range e.Requests {
			if order[at].Tenant != e.Tenant || order[at].Request.Rows != q.Rows || order[at].Batch.Rows() != q.Rows ||
				e.Batch.Int(tokenwatch.ColTime, rows) != order[at].Batch.Int(tokenwatch.ColTime, 0) {
				t.Errorf("receipt %d would go to another request", at)
			}
			got += fmt.Sprint(" ", q.Rows)
			rows += q.Rows
			at++
		}
		if rows != e.Batch.Rows() {
			t.Errorf("%d rows of requests in a batch of %d", rows, e.Batch.Rows())
		}
		got += "\n"
	}
	if want := fmt.Sprintf("a 2 3\na %d\na %d\na 1 4\nb 1 2\n", alone, alone+1); got != want || at != len(group) {
		t.Errorf("entries\n%swant\n%s", got, want)
	}
}
