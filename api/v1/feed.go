package v1

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// feed is what Poll and Watch need to wait: when to stop and how many may.
type feed struct {
	draining  <-chan struct{}
	heartbeat time.Duration
	most      int

	mu      *sync.Mutex
	waiting map[string]int // by tenant
}

const (
	maxWait   = 60 * time.Second
	watchPage = 100
)

func newFeed(c Config) feed {
	return feed{
		draining: c.Draining, heartbeat: c.Heartbeat, most: c.Waiting,
		mu: new(sync.Mutex), waiting: make(map[string]int),
	}
}

// enter counts one more waiting caller of a tenant; leave takes it off again.
func (f *feed) enter(tenant string) (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting[tenant] >= f.most {
		return nil, Fail(ReasonRateLimited, "too many callers of this tenant wait for something to happen", 5*time.Second)
	}
	f.waiting[tenant]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.waiting[tenant]--; f.waiting[tenant] == 0 {
			delete(f.waiting, tenant)
		}
	}, nil
}

// feedScope binds the cursor of the feed, which Poll and Watch share.
func feedScope(tenant string) scope { return scope{kind: "findings.feed", tenant: tenant} }

// Poll takes the channel of changes before it looks, so that no change falls
// between the look and the wait.
func (s *findings) Poll(ctx context.Context, req *pb.PollFindingsRequest) (*pb.PollFindingsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	wait := req.GetWait().AsDuration()
	if wait < 0 || req.GetWait() != nil && !req.GetWait().IsValid() {
		return nil, Fail(tokenwatch.RefusedArgument, "wait is negative or out of range", 0)
	}
	var after uint64
	if err := s.seal.openPlace(feedScope(who.Tenant), req.GetCursor(), &after); err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	if wait > 0 {
		leave, err := s.feed.enter(who.Tenant)
		if err != nil {
			return nil, err
		}
		defer leave()
		timer := time.NewTimer(min(wait, maxWait))
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		changed := s.store.Changed()
		page, err := s.since(ctx, who.Tenant, after, size)
		if err != nil {
			return nil, err
		}
		if len(page) > 0 || timeout == nil {
			return s.pollAnswer(who.Tenant, after, page), nil
		}
		select {
		case <-changed:
		case <-timeout:
			return s.pollAnswer(who.Tenant, after, nil), nil
		case <-s.feed.draining:
			return s.pollAnswer(who.Tenant, after, nil), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *findings) pollAnswer(tenant string, after uint64, page []tokenwatch.Finding) *pb.PollFindingsResponse {
	out := &pb.PollFindingsResponse{}
	for i := range page {
		out.Findings = append(out.Findings, FromFinding(&page[i]))
		after = page[i].Update
	}
	out.Cursor = s.seal.sealPlace(feedScope(tenant), after)
	return out
}

// Watch ends with UNAVAILABLE when the server stops; the caller goes on with
// its last cursor.
func (s *findings) Watch(req *pb.WatchFindingsRequest, stream grpc.ServerStreamingServer[pb.WatchFindingsResponse]) error {
	ctx := stream.Context()
	who, err := caller(ctx)
	if err != nil {
		return err
	}
	var after uint64
	if err := s.seal.openPlace(feedScope(who.Tenant), req.GetCursor(), &after); err != nil {
		return err
	}
	leave, err := s.feed.enter(who.Tenant)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.beat(stream, who.Tenant, after); err != nil {
		return err
	}
	timer := time.NewTimer(s.feed.heartbeat)
	defer timer.Stop()
	for {
		changed := s.store.Changed()
		page, err := s.since(ctx, who.Tenant, after, watchPage)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Update
			if err := stream.Send(&pb.WatchFindingsResponse{
				Finding: FromFinding(&page[i]),
				Cursor:  s.seal.sealPlace(feedScope(who.Tenant), after),
			}); err != nil {
				return err
			}
		}
		if len(page) == watchPage {
			continue
		}
		select {
		case <-changed:
		case <-timer.C:
			if err := s.beat(stream, who.Tenant, after); err != nil {
				return err
			}
			timer.Reset(s.feed.heartbeat)
		case <-s.feed.draining:
			return Fail(tokenwatch.RefusedUnavailable, "the server is stopping", time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beat says that the stream is alive.
func (s *findings) beat(stream grpc.ServerStreamingServer[pb.WatchFindingsResponse], tenant string, after uint64) error {
	return stream.Send(&pb.WatchFindingsResponse{Cursor: s.seal.sealPlace(feedScope(tenant), after)})
}
