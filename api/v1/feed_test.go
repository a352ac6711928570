package v1

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is findings in memory, in the order of their updates.
type memory struct {
	mu      sync.Mutex
	all     []tokenwatch.Finding
	changed chan struct{}
}

func newMemory() *memory { return &memory{changed: make(chan struct{})} }

func (m *memory) put(tenant, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	update := uint64(1)
	if n := len(m.all); n > 0 {
		update = m.all[n-1].Update + 1
	}
	m.all = slices.DeleteFunc(m.all, func(f tokenwatch.Finding) bool { return f.Tenant == tenant && f.ID == id })
	m.all = append(m.all, tokenwatch.Finding{ID: id, Tenant: tenant, Update: update})
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Finding(context.Context, string, string) (tokenwatch.Finding, error) {
	return tokenwatch.Finding{}, storage.ErrNotFound
}

func (m *memory) Findings(ctx context.Context, tenant string) iter.Seq2[tokenwatch.Finding, error] {
	return func(yield func(tokenwatch.Finding, error) bool) {
		var all []tokenwatch.Finding
		for f := range m.Updates(ctx, tenant, 0) {
			all = append(all, f)
		}
		for _, f := range slices.Backward(all) {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (m *memory) Updates(_ context.Context, tenant string, after uint64) iter.Seq2[tokenwatch.Finding, error] {
	m.mu.Lock()
	all := slices.Clone(m.all)
	m.mu.Unlock()
	return func(yield func(tokenwatch.Finding, error) bool) {
		for _, f := range all {
			if f.Tenant == tenant && f.Update > after && !yield(f, nil) {
				return
			}
		}
	}
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// unsuppressed is a store without suppressions.
type unsuppressed struct{ storage.Triage }

func (unsuppressed) Suppressions(context.Context, string) iter.Seq2[tokenwatch.Suppression, error] {
	return func(func(tokenwatch.Suppression, error) bool) {}
}

// served is a service Findings on a store in memory.
func served(m *memory, draining chan struct{}, waiting int) *findings {
	c := Config{Findings: m, Triage: unsuppressed{}, Draining: draining, Waiting: waiting}.withDefaults()
	return newFindings(c, sealer{[]byte("a key for tests")})
}

func as(ctx context.Context, tenant string) context.Context {
	return tokenwatch.WithPrincipal(ctx, tokenwatch.Principal{ID: "k", Tenant: tenant, Role: tokenwatch.RoleAnalyst})
}

func ids(page []*pb.Finding) string {
	var out []string
	for _, f := range page {
		out = append(out, f.GetId())
	}
	return fmt.Sprint(out)
}

// polled is what became of a Poll, and when.
type polled struct {
	*pb.PollFindingsResponse
	err   error
	after time.Duration
}

func poll(ctx context.Context, s *findings, req *pb.PollFindingsRequest) <-chan polled {
	out := make(chan polled, 1)
	start := time.Now()
	go func() {
		resp, err := s.Poll(ctx, req)
		out <- polled{resp, err, time.Since(start)}
	}()
	return out
}

// TestLongPoll: a change ends the wait, so do its end, the caller's and the
// server's.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, draining := newMemory(), make(chan struct{})
		s := served(m, draining, 1)
		minute := durationpb.New(time.Hour) // cut to a minute

		first := poll(as(t.Context(), "a"), s, &pb.PollFindingsRequest{Wait: minute})
		synctest.Wait()
		m.put("b", "theirs") // wakes, and is not for a
		synctest.Wait()
		if _, err := s.Poll(as(t.Context(), "a"), &pb.PollFindingsRequest{Wait: minute}); Reason(err) != ReasonRateLimited || Retry(err) == 0 {
			t.Errorf("one too many: %v", err)
		}
		time.Sleep(7 * time.Second)
		m.put("a", "one")
		got := <-first
		if got.err != nil || ids(got.Findings) != "[one]" || got.after != 7*time.Second {
			t.Errorf("a change: %v after %v, %v", ids(got.GetFindings()), got.after, got.err)
		}

		cursor := got.Cursor
		got = <-poll(as(t.Context(), "a"), s, &pb.PollFindingsRequest{Cursor: cursor, Wait: minute})
		if got.err != nil || len(got.Findings) != 0 || got.Cursor != cursor || got.after != maxWait {
			t.Errorf("no change: %v after %v, %v", got.Findings, got.after, got.err)
		}
		got = <-poll(as(t.Context(), "a"), s, &pb.PollFindingsRequest{Cursor: cursor})
		if got.err != nil || len(got.Findings) != 0 || got.after != 0 {
			t.Errorf("no wait: %v after %v, %v", got.Findings, got.after, got.err)
		}

		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		gone := poll(ctx, s, &pb.PollFindingsRequest{Cursor: cursor, Wait: minute})
		synctest.Wait()
		cancel()
		if got := <-gone; !errors.Is(got.err, context.Canceled) {
			t.Errorf("the caller went: %v", got.err)
		}

		last := poll(as(t.Context(), "a"), s, &pb.PollFindingsRequest{Cursor: cursor, Wait: minute})
		synctest.Wait()
		close(draining)
		if got := <-last; got.err != nil || got.Cursor != cursor {
			t.Errorf("the server stops: %v", got.err)
		}
		if len(s.feed.waiting) != 0 {
			t.Errorf("still counted as waiting: %v", s.feed.waiting)
		}
	})
}

// pipe is a server stream into a channel.
type pipe struct {
	grpc.ServerStream
	ctx context.Context
	out chan *pb.WatchFindingsResponse
}

func (p *pipe) Context() context.Context { return p.ctx }

func (p *pipe) Send(m *pb.WatchFindingsResponse) error {
	select {
	case p.out <- m:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// TestWatch: it says at once that it is there, then what is there, then what
// comes; when nothing comes it says that it lives.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, draining := newMemory(), make(chan struct{})
		for i := range 2*watchPage + 3 {
			m.put("a", fmt.Sprint(i))
		}
		s := served(m, draining, 1)
		p := &pipe{ctx: as(t.Context(), "a"), out: make(chan *pb.WatchFindingsResponse)}
		ended := make(chan error, 1)
		go func() { ended <- s.Watch(&pb.WatchFindingsRequest{}, p) }()
		if got := <-p.out; got.GetFinding() != nil || got.GetCursor() == "" {
			t.Errorf("at first: %v", got)
		}
		for i := range 2*watchPage + 3 {
			if got := <-p.out; got.GetFinding().GetId() != fmt.Sprint(i) {
				t.Fatalf("%d: %v", i, got)
			}
		}
		start := time.Now()
		beat := <-p.out
		if beat.GetFinding() != nil || time.Since(start) != 15*time.Second {
			t.Errorf("idle: %v after %v", beat, time.Since(start))
		}
		m.put("b", "theirs")
		m.put("a", "new")
		got := <-p.out
		if got.GetFinding().GetId() != "new" {
			t.Errorf("%v", got)
		}
		close(draining)
		if err := <-ended; Reason(err) != tokenwatch.RefusedUnavailable || Retry(err) == 0 {
			t.Errorf("the server stops: %v", err)
		}
		// Poll goes on with a cursor of Watch.
		if got, err := s.Poll(p.ctx, &pb.PollFindingsRequest{Cursor: beat.GetCursor()}); err != nil || ids(got.GetFindings()) != "[new]" {
			t.Errorf("%v %v", got, err)
		}
	})
}

// TestNobody: a handler without a principal refuses, whatever stands before it.
func TestNobody(t *testing.T) {
	ctx := t.Context()
	s := served(newMemory(), nil, 1)
	k, h, r, i := &keys{}, &history{}, &rejects{}, &ingest{}
	calls := map[string]func() error{
		"list":   func() error { _, err := s.List(ctx, &pb.ListFindingsRequest{}); return err },
		"get":    func() error { _, err := s.Get(ctx, &pb.GetFindingRequest{}); return err },
		"poll":   func() error { _, err := s.Poll(ctx, &pb.PollFindingsRequest{}); return err },
		"watch":  func() error { return s.Watch(&pb.WatchFindingsRequest{}, &pipe{ctx: ctx}) },
		"create": func() error { _, err := k.Create(ctx, &pb.CreateKeyRequest{}); return err },
		"keys":   func() error { _, err := k.List(ctx, &pb.ListKeysRequest{}); return err },
		"revoke": func() error { _, err := k.Revoke(ctx, &pb.RevokeKeyRequest{}); return err },
		"leaves": func() error { _, err := h.ListLeaves(ctx, &pb.ListLeavesRequest{}); return err },
		"check":  func() error { _, err := h.GetCheckpoint(ctx, &pb.GetCheckpointRequest{}); return err },
		"reject": func() error { _, err := r.List(ctx, &pb.ListRejectsRequest{}); return err },
		"ingest": func() error { _, err := i.Ingest(ctx, &pb.IngestRequest{}); return err },
		"system": func() error { _, err := (&system{}).GetVersion(ctx, &pb.GetVersionRequest{}); return err },
	}
	for name, call := range calls {
		if err := call(); Reason(err) != ReasonUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}
