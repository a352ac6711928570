package v1

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// tailed is the client's end of a tail.
type tailed struct {
	grpc.ServerStream
	ctx context.Context
	out chan *pb.TailEventsResponse
}

func (s *tailed) Context() context.Context { return s.ctx }

func (s *tailed) Send(m *pb.TailEventsResponse) error {
	select {
	case s.out <- m:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// tailTest is a log, with events by tenant and number as their request id.
type tailTest struct {
	*testing.T
	store *local.Store
	h     *events
	next  int
}

func newTailTest(t *testing.T) *tailTest {
	s, err := local.Open(local.Config{
		Dir: "store", FS: vfs.NewMem(), Clock: func() time.Time { return monday }, Rand: rand.NewChaCha8([32]byte{}), Ballast: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a := tokenwatch.TokenRecord{Tenant: "default", ID: "tkw_1", SameAs: []tokenwatch.TokenID{"tkw_2"}, Names: []tokenwatch.Alias{{Kind: tokenwatch.NamePrefix, Value: "AKIA/1"}}}
	c := Config{Log: s, Segments: s, Tokens: inventory{a}, CursorKey: []byte("a key for tests.")}.withDefaults()
	return &tailTest{T: t, store: s, h: &events{log: s, segments: s, tokens: c.Tokens, seal: sealer{c.CursorKey}, feed: newFeed(c)}}
}

// append stores one entry of n events.
func (t *tailTest) append(tenant string, n int) {
	var b tokenwatch.Builder
	for range n {
		var r tokenwatch.Row
		r.SetInt(tokenwatch.ColTime, monday.UnixNano())
		r.SetString(tokenwatch.ColToken, fmt.Sprintf("tkw_%d", t.next%4))
		r.SetString(tokenwatch.ColRequestID, fmt.Sprint(t.next))
		r.SetInt(tokenwatch.ColStatus, int64(200+t.next%3*100))
		r.SetAddr(netip.AddrFrom4([4]byte{192, 0, 2, byte(t.next)}))
		b.Append(&r)
		t.next++
	}
	if _, err := t.store.Append(t.Context(), tokenwatch.Entry{Tenant: tenant, Batch: b.Batch()}); err != nil {
		t.Fatal(err)
	}
}

// tail begins one; stop ends it.
func (t *tailTest) tail(req *pb.TailEventsRequest) (out chan *pb.TailEventsResponse, stop func()) {
	ctx, cancel := context.WithCancel(tokenwatch.WithPrincipal(context.Background(), tokenwatch.Principal{ID: "k", Tenant: "default", Role: tokenwatch.RoleAnalyst}))
	s := &tailed{ctx: ctx, out: make(chan *pb.TailEventsResponse)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := t.h.Tail(req, s); err != nil && ctx.Err() == nil {
			t.Errorf("tail: %v", err)
		}
	}()
	return s.out, func() {
		cancel()
		<-ended
	}
}

func idOf(m *pb.TailEventsResponse) string {
	return m.GetEvent().GetFields()["request_id"].GetStringValue()
}

// TestTail: every event of the tenant that the filter lets through comes once and in
// order, wherever it was broken off and taken up again, those of the future too.
func TestTail(t *testing.T) {
	x := newTailTest(t)
	x.append("default", 5)
	x.append("other", 3)
	x.append("default", 1)
	x.append("default", 6)
	for text, wanted := range map[string]func(n int) bool{
		"":                                    func(int) bool { return true },
		"status >= 300 AND token = tkw_3":     func(n int) bool { return n%3 > 0 && n%4 == 3 },
		`token = "AKIA/1"`:                    func(n int) bool { return n%4 == 1 || n%4 == 2 },
		"src_ip : 192.0.2.8/30 OR status=200": func(n int) bool { return n >= 8 && n < 12 || n%3 == 0 },
		"bytes_in < 1":                        func(int) bool { return false },
	} {
		var want []string
		for n := range 15 {
			if wanted(n) && (n < 5 || n >= 8) {
				want = append(want, fmt.Sprint(n))
			}
		}
		for broken := 0; broken <= len(want); broken++ {
			var got []string
			req := &pb.TailEventsRequest{Filter: text, Offset: 1}
			for _, n := range []int{broken, len(want) - broken} {
				out, stop := x.tail(req)
				req.Cursor = (<-out).GetCursor()
				for range n {
					m := <-out
					got, req.Cursor = append(got, idOf(m)), m.GetCursor()
				}
				stop()
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q broken off after %d: %v, want %v", text, broken, got, want)
			}
		}
	}
	out, stop := x.tail(&pb.TailEventsRequest{})
	defer stop()
	<-out
	x.append("default", 1)
	if got := idOf(<-out); got != "15" {
		t.Errorf("from now on: %s", got)
	}
	if _, err := EventFilter("nothing = 1", nil); Reason(err) != ReasonBadFilter {
		t.Errorf("an unknown field: %v", err)
	}
}

// TestTailSkips: who does not read is told what was skipped, and holds up nobody;
// what was there before is not skipped.
func TestTailSkips(t *testing.T) {
	x := newTailTest(t)
	for range tailBehind + 20 {
		x.append("default", 2)
	}
	out, stop := x.tail(&pb.TailEventsRequest{Offset: 1})
	defer stop()
	<-out
	for range 3 * (tailBehind + 20) { // while nobody reads
		x.append("default", 2)
	}
	seen, last := 0, ""
	for {
		m := <-out
		if s := m.GetSkipped(); s != nil {
			if uint64(seen)+s.GetEvents() != uint64(x.next) || s.GetLast() != uint64(x.store.Last()) || s.GetFirst() != uint64(seen/2+1) {
				t.Errorf("%d seen, then %v of %d", seen, s, x.next)
			}
			break
		}
		seen, last = seen+1, idOf(m)
		if last != fmt.Sprint(seen-1) {
			t.Fatalf("%s comes as number %d", last, seen)
		}
	}
	if seen < 2*(tailBehind+20) {
		t.Errorf("only %d before anything was skipped", seen)
	}
	x.append("default", 1)
	if got, want := idOf(<-out), fmt.Sprint(x.next-1); got != want {
		t.Errorf("afterwards %s, want %s", got, want)
	}
}
