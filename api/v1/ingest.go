package v1

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// Delivery is a batch of records on its way into the log.
type Delivery struct {
	Tenant    string
	Principal string // id of the API key that sent it
	Source    string
	Format    string // a format's name, or "auto"
	Key       string // idempotency key; "": repeats are not recognised
	Records   []byte
}

// Outcome says what became of a delivery; what it calls accepted is durable.
type Outcome struct {
	Accepted  int
	Duplicate bool
	Format    string
	Rejected  []tokenwatch.Reject
	Total     int // of all rejects, of which Rejected are the first
}

// Pipeline takes deliveries to the log. Its errors are *tokenwatch.Refusal
// where the sender can act on them.
type Pipeline interface {
	Ingest(ctx context.Context, d Delivery) (Outcome, error)
}

// ingest answers the service Ingest.
type ingest struct {
	pb.UnimplementedIngestServer
	to       Pipeline
	draining <-chan struct{}
}

// MaxRecords is how many bytes of records one call of Ingest may carry.
const MaxRecords = 16 << 20

const (
	maxFormat = 64  // characters of a format's name
	maxSource = 256 // characters of a source's name
	maxKey    = 256 // characters of an idempotency key
	maxLists  = 1000
)

func (s *ingest) Ingest(ctx context.Context, req *pb.IngestRequest) (*pb.IngestResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	out, err := s.take(ctx, who, req)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Stream answers batches one by one. It ends with the stream, or when the server
// begins to stop, and never between a batch and its answer.
func (s *ingest) Stream(stream grpc.BidiStreamingServer[pb.StreamIngestRequest, pb.StreamIngestResponse]) error {
	ctx := stream.Context()
	who, err := caller(ctx)
	if err != nil {
		return err
	}
	type received struct {
		m   *pb.StreamIngestRequest
		err error
	}
	in := make(chan received) // without room: what is not asked for stays in the stream
	go func() {
		for {
			m, err := stream.Recv()
			select {
			case in <- received{m, err}:
			case <-ctx.Done(): // also when this handler has returned
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-s.draining:
			return Fail(tokenwatch.RefusedUnavailable, "the server is stopping", streamRetry)
		case r := <-in:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			out := &pb.StreamIngestResponse{Sequence: r.m.GetSequence()}
			// What was received is stored whether or not its sender waits for it.
			if out.Result, err = s.take(context.WithoutCancel(ctx), who, r.m.GetBatch()); err != nil {
				if out.Failure = failureOf(err); out.Failure == nil {
					return err
				}
			}
			if err := stream.Send(out); err != nil {
				return err
			}
		}
	}
}

const streamRetry = 5 * time.Second // until another server may be there

// failureOf is a refusal as a stream tells it; nil if err is a fault of ours.
func failureOf(err error) *pb.IngestFailure {
	answer, fault := Status(err)
	if fault {
		return nil
	}
	st := status.Convert(answer)
	out := &pb.IngestFailure{Code: int32(st.Code()), Reason: Reason(answer), Message: text(st.Message())}
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			out.RetryDelay = retry.GetRetryDelay()
		}
	}
	return out
}

// take takes one batch in. The answer is there beside the error where every record
// was refused.
func (s *ingest) take(ctx context.Context, who tokenwatch.Principal, req *pb.IngestRequest) (*pb.IngestResponse, error) {
	if s.to == nil {
		return nil, Fail(tokenwatch.RefusedUnavailable, "this server takes no logs in", 0)
	}
	switch {
	case len(req.GetRecords()) > MaxRecords:
		return nil, Fail(tokenwatch.RefusedTooLarge, "the records are larger than 16 MiB", 0)
	case len(req.GetFormat()) > maxFormat || !printable(req.GetFormat()):
		return nil, Fail(tokenwatch.RefusedArgument, "format is not a name", 0)
	case len(req.GetSource()) > maxSource || !printable(req.GetSource()):
		return nil, Fail(tokenwatch.RefusedArgument, "source is not at most 256 printable ASCII characters", 0)
	case len(req.GetIdempotencyKey()) > maxKey || !printable(req.GetIdempotencyKey()):
		return nil, Fail(tokenwatch.RefusedArgument, "idempotency_key is not at most 256 printable ASCII characters", 0)
	}
	d := Delivery{
		Tenant: who.Tenant, Principal: who.ID,
		Source: req.GetSource(), Format: req.GetFormat(), Key: req.GetIdempotencyKey(),
		Records: req.GetRecords(),
	}
	if d.Format == "" {
		d.Format = "auto"
	}
	if d.Source == "" {
		d.Source = "default" // as over REST
	}
	done, err := s.to.Ingest(ctx, d)
	if refusal := (*tokenwatch.Refusal)(nil); err != nil && (!errors.As(err, &refusal) || refusal.Reason != tokenwatch.RefusedAllRejected) {
		return nil, err
	}
	out := &pb.IngestResponse{
		Accepted: int32(done.Accepted), Duplicate: done.Duplicate, Format: text(done.Format),
		RejectedTotal: int32(done.Total),
	}
	for _, r := range done.Rejected[:min(len(done.Rejected), maxLists)] {
		out.Rejected = append(out.Rejected, fromReject(r))
	}
	return out, err
}

// printable tells whether s is ASCII without control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
