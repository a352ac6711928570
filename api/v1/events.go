package v1

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// events answers the service Events from the log.
type events struct {
	pb.UnimplementedEventsServer
	log      Log
	segments storage.Segments // count what was skipped; nil: it is not counted
	tokens   storage.Tokens
	names    Names
	seal     sealer
	feed     feed
}

// tailBehind is how many entries of the log whoever reads live may be behind its end.
const tailBehind = 256

// place is where a tail goes on: a row of an entry.
type place struct{ offset, row uint64 }

func eventsScope(tenant string) scope { return scope{kind: "events.tail", tenant: tenant} }

// Tail follows the log by itself: a caller who does not read holds up this goroutine
// and the one entry in its hands, and nobody else.
func (s *events) Tail(req *pb.TailEventsRequest, stream grpc.ServerStreamingServer[pb.TailEventsResponse]) error {
	ctx := stream.Context()
	who, err := caller(ctx)
	if err != nil {
		return err
	}
	wanted, err := EventFilter(req.GetFilter(), s.idsOf(ctx, who.Tenant))
	if err != nil {
		return err
	}
	end := s.log.Last()
	at := place{offset: uint64(end) + 1}
	if req.GetOffset() > 0 {
		at.offset = min(req.GetOffset(), at.offset)
	}
	if err := s.seal.openPlace(eventsScope(who.Tenant), req.GetCursor(), &at.offset, &at.row); err != nil {
		return err
	}
	leave, err := s.feed.enter(who.Tenant)
	if err != nil {
		return err
	}
	defer leave()
	t := &tailer{events: s, stream: stream, tenant: who.Tenant, wanted: wanted, at: at}
	if err := t.beat(); err != nil {
		return err
	}
	for {
		behind, err := t.follow(ctx, end)
		if err != nil || !behind {
			return err
		}
		if err := t.skip(ctx); err != nil {
			return err
		}
	}
}

// idsOf returns what turns a name of a token into all ids that events may have of it.
func (s *events) idsOf(ctx context.Context, tenant string) func(string) []string {
	named := s.names.of(tenant)
	return func(text string) []string {
		ids := []string{text}
		if named != nil {
			ids = named(text)
		}
		for _, id := range ids {
			if s.tokens == nil {
				break
			}
			if t, err := s.tokens.Token(ctx, tenant, id); err == nil {
				for id := range idsOf(&t) {
					ids = append(ids, id)
				}
				break
			}
		}
		return ids
	}
}

// tailer is one tail under way.
type tailer struct {
	*events
	stream grpc.ServerStreamingServer[pb.TailEventsResponse]
	tenant string
	wanted filter.Filter[Event]
	at     place
}

// follow shows the log from where the tail is, until something ends it or, beyond an
// offset, it falls behind.
func (t *tailer) follow(ctx context.Context, patient tokenwatch.Offset) (behind bool, err error) {
	entries, stop := t.entries(ctx)
	defer stop()
	timer := time.NewTimer(t.feed.heartbeat)
	defer timer.Stop()
	for {
		select {
		case e, open := <-entries:
			switch {
			case !open:
				return false, ctx.Err()
			case e.err != nil:
				return false, e.err
			case e.Offset > patient && t.log.Last() > e.Offset+tailBehind:
				return true, nil
			}
			if err := t.show(&e.Entry); err != nil {
				return false, err
			}
		case <-timer.C:
			if err := t.beat(); err != nil {
				return false, err
			}
			timer.Reset(t.feed.heartbeat)
		case <-t.feed.draining:
			return false, Fail(tokenwatch.RefusedUnavailable, "the server is stopping", time.Second)
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// logged is an entry, or why there are no more.
type logged struct {
	tokenwatch.Entry
	err error
}

// entries yields the log from where the tail is; stop ends it, and returns when it has.
func (t *tailer) entries(ctx context.Context) (_ <-chan logged, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	out, ended := make(chan logged), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(out)
		for entry, err := range t.log.Follow(ctx, tokenwatch.Offset(t.at.offset)) {
			select {
			case out <- logged{entry, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func() {
		cancel()
		<-ended
	}
}

// show sends the events of an entry that are wanted, and moves on behind it.
func (t *tailer) show(entry *tokenwatch.Entry) error {
	first := uint64(0)
	if uint64(entry.Offset) == t.at.offset {
		first = t.at.row
	}
	if b := entry.Batch; b != nil && entry.Tenant == t.tenant {
		for i := int(min(first, uint64(b.Rows()))); i < b.Rows(); i++ {
			if b.Bool(tokenwatch.ColDuplicate, i) || !t.wanted.Match(&Event{b, i}) {
				continue
			}
			t.at = place{uint64(entry.Offset), uint64(i) + 1}
			m := &pb.TailEventsResponse{Event: eventStruct(b, i), Offset: uint64(entry.Offset), Row: uint32(i), Cursor: t.cursor()}
			if err := t.stream.Send(m); err != nil {
				return err
			}
		}
	}
	t.at = place{offset: uint64(entry.Offset) + 1}
	return nil
}

// skip goes on at the end of the log, and says what lies between.
func (t *tailer) skip(ctx context.Context) error {
	m := &pb.Skipped{First: t.at.offset, Last: uint64(t.log.Last())}
	for seg, err := range t.between(ctx, m) {
		if err != nil {
			return err
		}
		m.Events += uint64(seg.Rows())
	}
	t.at = place{offset: m.GetLast() + 1}
	return t.stream.Send(&pb.TailEventsResponse{Skipped: m, Cursor: t.cursor()})
}

func (t *tailer) between(ctx context.Context, m *pb.Skipped) iter.Seq2[storage.Segment, error] {
	if t.segments == nil {
		return func(func(storage.Segment, error) bool) {}
	}
	return t.segments.Segments(ctx, storage.Range{Tenant: t.tenant, First: tokenwatch.Offset(m.GetFirst()), Last: tokenwatch.Offset(m.GetLast())})
}

// beat says that the stream is alive.
func (t *tailer) beat() error { return t.stream.Send(&pb.TailEventsResponse{Cursor: t.cursor()}) }

func (t *tailer) cursor() string {
	return t.seal.sealPlace(eventsScope(t.tenant), t.at.offset, t.at.row)
}
