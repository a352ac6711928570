package v1

import (
	"context"

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
	to Pipeline
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
	if err != nil {
		return nil, err
	}
	out := &pb.IngestResponse{
		Accepted: int32(done.Accepted), Duplicate: done.Duplicate, Format: text(done.Format),
		RejectedTotal: int32(done.Total),
	}
	for _, r := range done.Rejected[:min(len(done.Rejected), maxLists)] {
		out.Rejected = append(out.Rejected, fromReject(r))
	}
	return out, nil
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
