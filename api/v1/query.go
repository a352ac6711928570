package v1

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/query"
	"github.com/tokenwatch/tokenwatch/query/encode"
	"github.com/tokenwatch/tokenwatch/query/sql"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Queries answers the service Query, over gRPC and over HTTP.
type Queries struct {
	pb.UnimplementedQueryServer
	Engine *query.Engine
	// History notes who asked for a table that is not open to them.
	History storage.History
	// Write bounds how long one piece of an answer over HTTP may take to be written.
	Write time.Duration
	// Fail answers over HTTP with an error.
	Fail func(http.ResponseWriter, error)
}

// pieceBytes is about how much of an answer goes out at once.
const pieceBytes = 64 << 10

// failed gives an error of a query its reason. Who may not read what was asked
// for is in the history before it is answered.
func (q *Queries) failed(ctx context.Context, err error) error {
	if !errors.Is(err, query.ErrForbidden) || q.History == nil {
		return queryFailed(err)
	}
	who, _ := tokenwatch.PrincipalFrom(ctx)
	if _, err := q.History.Record(ctx, storage.Action{
		Tenant: who.Tenant, Actor: who.ID, Verb: "access.denied", Object: "query history", Detail: "role " + string(who.Role),
	}); err != nil {
		return err
	}
	return queryFailed(err)
}

func queryFailed(err error) error {
	var parse *sql.Error
	var limit *query.LimitError
	var typ *expr.TypeError
	switch {
	case errors.As(err, &parse):
		return Fail(ReasonBadQuery, parse.Error(), 0)
	case errors.As(err, &limit):
		return Fail(ReasonQueryLimit, limit.Error(), 0)
	case errors.As(err, &typ):
		return Fail(ReasonBadQuery, typ.Message, 0)
	case errors.Is(err, expr.ErrOverflow):
		return Fail(ReasonBadQuery, expr.ErrOverflow.Error(), 0)
	case errors.Is(err, query.ErrForbidden):
		return Fail(ReasonForbidden, "the table history is open to auditors and admins only", 0)
	}
	return err
}

// request is a question of who asks.
func (q *Queries) request(ctx context.Context, text string) (query.Request, error) {
	who, err := caller(ctx)
	if err != nil {
		return query.Request{}, err
	}
	if q.Engine == nil {
		return query.Request{}, Fail(ReasonNotImplemented, "there is nothing to query here", 0)
	}
	if strings.TrimSpace(text) == "" {
		return query.Request{}, Fail(tokenwatch.RefusedArgument, "sql is empty", 0)
	}
	return query.Request{
		Tenant: who.Tenant, SQL: text,
		Auditor: who.Role == tokenwatch.RoleAuditor || who.Role == tokenwatch.RoleAdmin,
	}, nil
}

// Query streams the answer in pieces.
func (q *Queries) Query(req *pb.QueryRequest, to grpc.ServerStreamingServer[pb.QueryResponse]) error {
	r, err := q.request(to.Context(), req.GetSql())
	if err != nil {
		return err
	}
	name := req.GetFormat()
	if name == "" {
		name = "arrow"
	}
	format, err := encode.ByName(name)
	if err != nil {
		return Fail(tokenwatch.RefusedArgument, err.Error(), 0)
	}
	w := bufio.NewWriterSize(pieces(func(b []byte) error { return to.Send(&pb.QueryResponse{Chunk: b}) }), pieceBytes)
	enc := format.New(w)
	s, err := q.Engine.Run(to.Context(), r, enc)
	if err != nil {
		return q.failed(to.Context(), err)
	}
	if err := errors.Join(enc.End(s, nil), w.Flush()); err != nil {
		return err
	}
	return to.Send(&pb.QueryResponse{Statistics: &pb.QueryStatistics{
		Segments: int64(s.Segments), SegmentsPruned: int64(s.Pruned), SegmentsByCounts: int64(s.ByCounts), SegmentsBySeries: int64(s.BySeries), RowsTotal: s.RowsTotal,
		RowsRead: s.RowsRead, BytesRead: s.BytesRead, BytesDecoded: s.Decoded, Rows: s.Rows, MemoryBytes: s.Memory, ElapsedNs: int64(s.Elapsed),
	}})
}

// pieces is a writer that sends.
type pieces func([]byte) error

func (p pieces) Write(b []byte) (int, error) {
	if err := p(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// StatisticsTrailer is the HTTP trailer that says what a query took, as JSON, in
// formats that have no place for it; ErrorTrailer is there if an answer that had
// begun ended early.
const (
	StatisticsTrailer = "Tokenwatch-Statistics"
	ErrorTrailer      = "Tokenwatch-Error"
)

// ServeHTTP answers POST /v1/query.
func (q *Queries) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format, err := accepted(r.Header.Values("Accept"))
	var text string
	if err == nil {
		text, err = readQuery(r)
	}
	var ask query.Request
	if err == nil {
		ask, err = q.request(r.Context(), text)
	}
	if err != nil {
		q.Fail(w, err)
		return
	}
	out := &reply{w: w, format: format, write: q.Write}
	buf := bufio.NewWriterSize(out, pieceBytes)
	enc := format.New(buf)
	s, err := q.Engine.Run(r.Context(), ask, enc)
	if err != nil && !out.begun {
		q.Fail(w, q.failed(r.Context(), err)) // what is buffered is dropped
		return
	}
	var failed error
	if err != nil {
		answer, _ := Status(queryFailed(err))
		failed = errors.New(status.Convert(answer).Message())
		w.Header().Set(ErrorTrailer, failed.Error())
	}
	if errors.Join(enc.End(s, failed), buf.Flush()) != nil {
		return // the caller has gone
	}
	if b, err := json.Marshal(s); err == nil {
		w.Header().Set(StatisticsTrailer, string(b))
	}
	if failed != nil && format.Name != "json" && format.Name != "ndjson" {
		panic(http.ErrAbortHandler) // a shorter answer must not look whole
	}
}

// reply writes the header before the first bytes.
type reply struct {
	w      http.ResponseWriter
	format encode.Format
	write  time.Duration
	begun  bool
}

func (r *reply) Write(b []byte) (int, error) {
	if !r.begun {
		r.begun = true
		r.w.Header().Set("Content-Type", r.format.Type)
		r.w.Header().Set("Trailer", StatisticsTrailer+", "+ErrorTrailer)
	}
	if r.write > 0 {
		if err := http.NewResponseController(r.w).SetWriteDeadline(time.Now().Add(r.write)); err != nil {
			return 0, err
		}
	}
	return r.w.Write(b)
}

// readQuery reads the body {"sql": "…"}.
func readQuery(r *http.Request) (string, error) {
	var body struct {
		SQL string `json:"sql"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&body)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return body.SQL, nil
		}
	}
	return "", Fail(tokenwatch.RefusedArgument, `the body must be one JSON object {"sql": "SELECT …"}`, 0)
}

// otherTypes are other media types of formats.
var otherTypes = map[string]string{
	"application/*": "json", "*/*": "json", "application/ndjson": "ndjson", "application/jsonl": "ndjson", "application/x-jsonlines": "ndjson",
	"text/*": "csv", "application/x-parquet": "parquet", "application/parquet": "parquet",
}

// accepted picks a format: the first that the caller takes and that there is.
func accepted(accept []string) (encode.Format, error) {
	some := false
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			media, _, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			some = true
			for _, f := range encode.All {
				if own, _, _ := mime.ParseMediaType(f.Type); own == media || otherTypes[media] == f.Name {
					return f, nil
				}
			}
		}
	}
	if some {
		return encode.Format{}, Fail(ReasonNotAcceptable,
			"Accept names no format there is: application/json, application/x-ndjson, text/csv, application/vnd.apache.arrow.stream, application/vnd.apache.parquet", 0)
	}
	return encode.All[0], nil
}
