package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// gatedPipeline stores a batch when it is let through, and refuses by what it says.
type gatedPipeline struct {
	begun chan v1.Delivery // one for each batch that was handed over
	pass  chan struct{}
}

func (p *gatedPipeline) Ingest(_ context.Context, d v1.Delivery) (v1.Outcome, error) {
	p.begun <- d
	<-p.pass
	switch string(d.Records) {
	case "busy":
		return v1.Outcome{}, &tokenwatch.Refusal{Reason: tokenwatch.RefusedOverload, Detail: "more than can be taken", RetryAfter: 2 * time.Second}
	case "bad":
		return v1.Outcome{Total: 1, Rejected: []tokenwatch.Reject{{Reason: tokenwatch.ReasonMalformed}}}, &tokenwatch.Refusal{Reason: tokenwatch.RefusedAllRejected}
	case "broken":
		return v1.Outcome{}, errors.New("s3cr3t")
	}
	return v1.Outcome{Accepted: 1, Format: "combined"}, nil
}

// TestIngestStream: each batch is answered in its turn when it is durable, a
// refused one by its reason; the next one is not taken before.
func TestIngestStream(t *testing.T) {
	store, random := newFake(), new(counting)
	sender := store.key(t, random, "shop", tokenwatch.RoleIngest)
	pipe := &gatedPipeline{begun: make(chan v1.Delivery, 16), pass: make(chan struct{}, 16)}
	r := start(t, store, func(c *Config) { c.Pipeline = pipe })
	for _, coding := range []string{"", gzip.Name, "zstd", "snappy"} {
		var options []grpc.CallOption
		if coding != "" {
			options = append(options, grpc.UseCompressor(coding))
		}
		stream, err := pb.NewIngestClient(r.dial()).Stream(with(t.Context(), sender), options...)
		if err != nil {
			t.Fatal(err)
		}
		batches := []string{"one", "busy", "bad", "two"}
		for i, b := range batches {
			if err := stream.Send(&pb.StreamIngestRequest{Sequence: int64(7 + i), Batch: &pb.IngestRequest{
				Source: "s", IdempotencyKey: b, Records: []byte(b),
			}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Send(&pb.StreamIngestRequest{Sequence: 99, Batch: &pb.IngestRequest{Source: "a\nb"}}); err != nil {
			t.Fatal(err)
		}
		for i, b := range batches {
			d := <-pipe.begun
			if string(d.Records) != b || d.Tenant != "shop" || d.Key != b || len(pipe.begun) > 0 {
				t.Errorf("%s: taken %+v, and %d more", coding, d, len(pipe.begun))
			}
			pipe.pass <- struct{}{}
			got, err := stream.Recv()
			if err != nil || got.GetSequence() != int64(7+i) {
				t.Fatalf("%v %v", got, err)
			}
			f := got.GetFailure()
			switch b {
			case "busy":
				if f.GetReason() != tokenwatch.RefusedOverload || codes.Code(f.GetCode()) != codes.ResourceExhausted || f.GetRetryDelay().AsDuration() != 2*time.Second || got.GetResult() != nil {
					t.Errorf("%s: %v", b, got)
				}
			case "bad":
				if f.GetReason() != tokenwatch.RefusedAllRejected || f.GetRetryDelay() != nil || got.GetResult().GetRejectedTotal() != 1 {
					t.Errorf("%s: %v", b, got)
				}
			default:
				if f != nil || got.GetResult().GetAccepted() != 1 {
					t.Errorf("%s: %v", b, got)
				}
			}
		}
		if got, err := stream.Recv(); err != nil || got.GetSequence() != 99 || got.GetFailure().GetReason() != tokenwatch.RefusedArgument {
			t.Errorf("a bad name: %v %v", got, err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
}

// TestIngestStreamEnds: a fault of ours ends a stream without telling of itself, a
// revoked key before anything more is taken, and so does the end of the server.
func TestIngestStreamEnds(t *testing.T) {
	store, random := newFake(), new(counting)
	pipe := &gatedPipeline{begun: make(chan v1.Delivery, 16), pass: make(chan struct{}, 16)}
	sender, admin := store.key(t, random, "default", tokenwatch.RoleIngest), store.key(t, random, "default", tokenwatch.RoleAdmin)
	other := store.key(t, random, "default", tokenwatch.RoleIngest)
	r := start(t, store, func(c *Config) { c.Pipeline = pipe })
	open := func(key string) grpc.BidiStreamingClient[pb.StreamIngestRequest, pb.StreamIngestResponse] {
		stream, err := pb.NewIngestClient(r.dial()).Stream(with(t.Context(), key))
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	send := func(stream grpc.BidiStreamingClient[pb.StreamIngestRequest, pb.StreamIngestResponse], records string) {
		pipe.pass <- struct{}{}
		if err := stream.Send(&pb.StreamIngestRequest{Batch: &pb.IngestRequest{Records: []byte(records)}}); err != nil {
			t.Fatal(err)
		}
	}
	broken := open(sender)
	send(broken, "broken")
	if _, err := broken.Recv(); v1.Reason(err) != tokenwatch.RefusedInternal {
		t.Errorf("a fault: %v", err)
	}
	<-pipe.begun

	revoked := open(other)
	send(revoked, "one")
	if _, err := revoked.Recv(); err != nil {
		t.Fatal(err)
	}
	<-pipe.begun
	if got := r.do("POST", "/v1/keys/"+keyID(other)+":revoke", admin, ""); got.code != 200 {
		t.Fatalf("revoke: %d %s", got.code, got.body)
	}
	if err := revoked.Send(&pb.StreamIngestRequest{Batch: &pb.IngestRequest{Records: []byte("two")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := revoked.Recv(); v1.Reason(err) != v1.ReasonUnauthenticated || len(pipe.begun) > 0 {
		t.Errorf("with a revoked key: %v, %d taken", err, len(pipe.begun))
	}

	idle := open(sender)
	send(idle, "one")
	if _, err := idle.Recv(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	if _, err := idle.Recv(); v1.Reason(err) != tokenwatch.RefusedUnavailable {
		t.Errorf("the server stops: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestSignedSenders: a path whose handler knows callers by what they sign wants no
// API key, and an address that it takes for a stranger too often has to wait.
func TestSignedSenders(t *testing.T) {
	r := start(t, newFake(), func(c *Config) {
		c.Limits.Failures = 3
		c.Ingest.SignedRoute = "POST /v1/webhooks/github/{name}"
		c.Ingest.Signed = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.PathValue("name") != "known" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
	})
	var codes []int
	for _, name := range []string{"known", "a", "b", "c", "d", "known"} {
		codes = append(codes, r.do("POST", "/v1/webhooks/github/"+name, "", "x").code)
	}
	if want := []int{200, 401, 401, 401, 429, 429}; !slices.Equal(codes, want) {
		t.Errorf("answers %v, want %v", codes, want)
	}
}
