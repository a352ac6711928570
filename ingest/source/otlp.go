package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenwatch/tokenwatch"
)

// serveOTLP answers OTLP/HTTP (opentelemetry.io, "OTLP specification"): export
// requests of logs as protobuf or JSON, answered in the same encoding.
func serveOTLP(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asJSON := kind == "application/json"
	if !asJSON && kind != "application/x-protobuf" {
		refuse(w, h.before(who, &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedEncoding, Detail: "the content types are application/x-protobuf and application/json",
		}), nil)
		return
	}
	body, done, err := h.open(w, r)
	if err != nil {
		refuse(w, h.before(who, err), nil)
		return
	}
	b, err := io.ReadAll(body)
	done()
	var request collector.ExportLogsServiceRequest
	if err == nil {
		if asJSON {
			err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, &request)
		} else {
			err = proto.Unmarshal(b, &request)
		}
		if refusal := (*tokenwatch.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
			err = &tokenwatch.Refusal{Reason: tokenwatch.RefusedBody, Detail: "the body is not an export request of logs", Err: err}
		}
	}
	if err != nil {
		refuse(w, h.before(who, err), nil)
		return
	}
	name, lines, err := otlpLines(&request, asJSON, h.limits.Expanded)
	if err != nil {
		refuse(w, h.before(who, err), nil)
		return
	}
	answer, refusal := h.ingest(r, who, Delivery{Source: name, Body: bytes.NewReader(lines)})
	if refusal != nil && refusal.Reason != tokenwatch.RefusedAllRejected {
		refuse(w, refusal, nil)
		return
	}
	response := otlpResponse(answer)
	if asJSON {
		b, err = protojson.Marshal(response)
	} else {
		b, err = proto.Marshal(response)
	}
	if err != nil {
		refuse(w, refusalOf(err), nil)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Write(b) // that the sender has gone is no news
}

// otlp answers OTLP over gRPC.
type otlp struct {
	collector.UnimplementedLogsServiceServer
	to Pipeline
}

// RegisterOTLP lets a gRPC server answer OTLP, that is, the service
// opentelemetry.proto.collector.logs.v1.LogsService, for the principals in the
// contexts of its calls.
func RegisterOTLP(r grpc.ServiceRegistrar, to Pipeline) {
	collector.RegisterLogsServiceServer(r, &otlp{to: to})
}

// Export takes in the records of one request for the principal of ctx. Records
// that could not be stored are counted in its partial success; a refusal of the
// whole says with RetryInfo when to come again.
func (o *otlp) Export(ctx context.Context, request *collector.ExportLogsServiceRequest) (*collector.ExportLogsServiceResponse, error) {
	who, ok := tokenwatch.PrincipalFrom(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "unauthenticated")
	}
	name, lines, err := otlpLines(request, false, Limits{}.withDefaults().Expanded)
	if err != nil {
		return nil, grpcError(refusalOf(err))
	}
	answer, err := o.to.Ingest(ctx, Delivery{
		Tenant: who.Tenant, Principal: who.ID, Source: name, Format: FormatAuto, Body: bytes.NewReader(lines),
	})
	if err != nil {
		refusal := refusalOf(err)
		if refusal.Reason != tokenwatch.RefusedAllRejected {
			return nil, grpcError(refusal)
		}
	}
	return otlpResponse(answer), nil
}

// grpcError is a refusal as a gRPC status with its reason, and when to come again.
func grpcError(r *tokenwatch.Refusal) error {
	message := r.Detail
	if message == "" {
		message = r.Reason
	}
	s := status.New(codes.Code(statuses[r.Reason].code), message)
	if with, err := s.WithDetails(&errdetails.ErrorInfo{Reason: r.Reason, Domain: errorDomain}); err == nil {
		s = with
	}
	if r.RetryAfter > 0 {
		if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.RetryAfter)}); err == nil {
			s = with
		}
	}
	return s.Err()
}

func otlpResponse(a Answer) *collector.ExportLogsServiceResponse {
	out := &collector.ExportLogsServiceResponse{}
	if a.RejectedTotal > 0 {
		out.PartialSuccess = &collector.ExportLogsPartialSuccess{RejectedLogRecords: int64(a.RejectedTotal)}
		for _, reason := range sortedReasons(a.Reasons) {
			if out.PartialSuccess.ErrorMessage != "" {
				out.PartialSuccess.ErrorMessage += ", "
			}
			out.PartialSuccess.ErrorMessage += reason + " " + strconv.Itoa(a.Reasons[reason])
		}
	}
	return out
}

// otlpLines makes a line of each record, and names the source by the first
// resource's service.name. Attributes of a resource are sent once and stand in
// each line: what that comes to is bounded by most.
func otlpLines(request *collector.ExportLogsServiceRequest, hexIDs bool, most int64) (name string, lines []byte, err error) {
	name = "otlp"
	for i, resource := range request.GetResourceLogs() {
		about := resource.GetResource().GetAttributes()
		if i == 0 {
			for _, kv := range about {
				if v := kv.GetValue().GetStringValue(); kv.GetKey() == "service.name" && printable(v, 256) {
					name = v
				}
			}
		}
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				if lines = otlpRecord(record, about, hexIDs).appendTo(lines); int64(len(lines)) > most {
					return "", nil, errOpened
				}
			}
		}
	}
	return name, lines, nil
}

// otlpRecord puts a record into an envelope: attributes beside the body, under
// their own names, the record's own before its resource's.
func otlpRecord(r *logs.LogRecord, resource []*common.KeyValue, hexIDs bool) *envelope {
	e := &envelope{message: otlpText(r.GetBody())}
	nanos := r.GetTimeUnixNano()
	if nanos == 0 {
		nanos = r.GetObservedTimeUnixNano()
	}
	if nanos > 0 && nanos <= math.MaxInt64 {
		e.time = time.Unix(0, int64(nanos)).UTC()
	}
	taken := map[string]bool{"@timestamp": true, "message": true, "host": true, "service": true, "labels": true}
	add := func(name string, value []byte) {
		if name != "" && !taken[name] {
			taken[name] = true
			e.fields = append(e.fields, field{name, value})
		}
	}
	for _, kv := range r.GetAttributes() {
		add(kv.GetKey(), otlpJSON(nil, kv.GetValue()))
	}
	for _, kv := range resource {
		add(kv.GetKey(), otlpJSON(nil, kv.GetValue()))
	}
	for _, id := range []struct {
		name string
		b    []byte
	}{{"trace_id", r.GetTraceId()}, {"span_id", r.GetSpanId()}} {
		if len(id.b) == 0 {
			continue
		}
		text := hex.EncodeToString(id.b)
		if hexIDs { // JSON has them in hex, which protojson took for base64
			text = base64.StdEncoding.EncodeToString(id.b)
		}
		add(id.name, appendQuoted(nil, text))
	}
	if s := r.GetSeverityText(); s != "" {
		add("log.level", appendQuoted(nil, s))
	}
	if s := r.GetEventName(); s != "" {
		add("event.name", appendQuoted(nil, s))
	}
	return e
}

// otlpText is a body as a line: text as it is, anything else as JSON.
func otlpText(v *common.AnyValue) string {
	if s, ok := v.GetValue().(*common.AnyValue_StringValue); ok {
		return s.StringValue
	}
	if v.GetValue() == nil {
		return ""
	}
	return string(otlpJSON(nil, v))
}

// otlpJSON appends a value as JSON. How deep values are nested is bounded by the
// decoders of protobuf.
func otlpJSON(dst []byte, v *common.AnyValue) []byte {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return appendQuoted(dst, v.StringValue)
	case *common.AnyValue_BoolValue:
		return strconv.AppendBool(dst, v.BoolValue)
	case *common.AnyValue_IntValue:
		return strconv.AppendInt(dst, v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		if b, err := json.Marshal(v.DoubleValue); err == nil {
			return append(dst, b...)
		}
		return append(dst, "null"...) // not a number
	case *common.AnyValue_BytesValue:
		return appendQuoted(dst, base64.StdEncoding.EncodeToString(v.BytesValue))
	case *common.AnyValue_ArrayValue:
		dst = append(dst, '[')
		for i, one := range v.ArrayValue.GetValues() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = otlpJSON(dst, one)
		}
		return append(dst, ']')
	case *common.AnyValue_KvlistValue:
		dst = append(dst, '{')
		for i, kv := range v.KvlistValue.GetValues() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = otlpJSON(append(appendQuoted(dst, kv.GetKey()), ':'), kv.GetValue())
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}
