package v1

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Domain is the domain of the reason codes in google.rpc.ErrorInfo.
const Domain = "tokenwatch"

// The reason codes of the API besides those of tokenwatch.Refusal.
const (
	ReasonUnauthenticated  = "unauthenticated"     // no identity, or not a good one
	ReasonForbidden        = "permission_denied"   // the role does not allow it
	ReasonNotFound         = "not_found"           // absent, or another tenant's
	ReasonBadCursor        = "bad_cursor"          // a cursor or page token that was not made for this request
	ReasonBadFilter        = "bad_filter"          // a filter outside the documented subset
	ReasonPrecondition     = "failed_precondition" // it is in a state in which that cannot be done
	ReasonBadQuery         = "bad_query"           // a statement that cannot be read or does not fit the tables
	ReasonQueryLimit       = "query_limit"         // a statement that asks for more than the limits allow
	ReasonNotAcceptable    = "not_acceptable"      // the caller takes no format that there is
	ReasonRateLimited      = "rate_limited"        // too many failed attempts, or too many waiting
	ReasonMethodNotAllowed = "method_not_allowed"  // the path exists, not for this HTTP method
	ReasonNotImplemented   = "not_implemented"     // no such gRPC method
	ReasonCorrupt          = "data_corrupt"        // stored data is damaged; nothing is answered from it
	ReasonCanceled         = "canceled"            // the caller gave up
	ReasonDeadline         = "deadline_exceeded"   // the caller's time ran out
)

// kind is what a reason means on gRPC and on REST.
type kind struct {
	code codes.Code
	http int
}

// kinds is the one table of what reasons mean; it follows AIP-193.
var kinds = map[string]kind{
	tokenwatch.RefusedArgument:    {codes.InvalidArgument, http.StatusBadRequest},
	tokenwatch.RefusedBody:        {codes.InvalidArgument, http.StatusBadRequest},
	tokenwatch.RefusedAllRejected: {codes.InvalidArgument, http.StatusBadRequest},
	tokenwatch.RefusedEncoding:    {codes.InvalidArgument, http.StatusUnsupportedMediaType},
	tokenwatch.RefusedTooLarge:    {codes.InvalidArgument, http.StatusRequestEntityTooLarge},
	tokenwatch.RefusedTooSlow:     {codes.DeadlineExceeded, http.StatusRequestTimeout},
	tokenwatch.RefusedConflict:    {codes.AlreadyExists, http.StatusConflict},
	tokenwatch.RefusedOverload:    {codes.ResourceExhausted, http.StatusTooManyRequests},
	tokenwatch.RefusedUnavailable: {codes.Unavailable, http.StatusServiceUnavailable},
	tokenwatch.RefusedInternal:    {codes.Internal, http.StatusInternalServerError},

	ReasonBadCursor:        {codes.InvalidArgument, http.StatusBadRequest},
	ReasonBadFilter:        {codes.InvalidArgument, http.StatusBadRequest},
	ReasonBadQuery:         {codes.InvalidArgument, http.StatusBadRequest},
	ReasonQueryLimit:       {codes.InvalidArgument, http.StatusRequestEntityTooLarge},
	ReasonNotAcceptable:    {codes.InvalidArgument, http.StatusNotAcceptable},
	ReasonUnauthenticated:  {codes.Unauthenticated, http.StatusUnauthorized},
	ReasonForbidden:        {codes.PermissionDenied, http.StatusForbidden},
	ReasonNotFound:         {codes.NotFound, http.StatusNotFound},
	ReasonPrecondition:     {codes.FailedPrecondition, http.StatusBadRequest},
	ReasonRateLimited:      {codes.ResourceExhausted, http.StatusTooManyRequests},
	ReasonMethodNotAllowed: {codes.Unimplemented, http.StatusMethodNotAllowed},
	ReasonNotImplemented:   {codes.Unimplemented, http.StatusNotImplemented},
	ReasonCorrupt:          {codes.DataLoss, http.StatusInternalServerError},
	ReasonCanceled:         {codes.Canceled, 499}, // as nginx has it
	ReasonDeadline:         {codes.DeadlineExceeded, http.StatusGatewayTimeout},
}

// ReasonsByStatus lists the reason codes by the REST status they have.
func ReasonsByStatus() map[int][]string {
	out := make(map[int][]string)
	for _, reason := range slices.Sorted(maps.Keys(kinds)) {
		out[kinds[reason].http] = append(out[kinds[reason].http], reason)
	}
	return out
}

// readOnlyRetry is when to come back to a store that takes nothing at present.
const readOnlyRetry = 5 * time.Second

// Fail returns the error of a reason. The message is for people and holds
// nothing that was sent; retry is 0 where repeating is of no use.
func Fail(reason, message string, retry time.Duration) error {
	k, ok := kinds[reason]
	if !ok {
		k, reason = kinds[tokenwatch.RefusedInternal], tokenwatch.RefusedInternal
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: Domain}}
	if retry > 0 {
		// Whole seconds, as in Retry-After.
		retry = (retry + time.Second - 1).Truncate(time.Second)
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	}
	st, err := status.New(k.code, message).WithDetails(details...)
	if err != nil {
		panic("api/v1: error details: " + err.Error()) // both are messages of ours
	}
	return st.Err()
}

// Unauthenticated is the one error of a missing or bad identity, whatever was
// wrong with it.
func Unauthenticated() error {
	return Fail(ReasonUnauthenticated, "a valid API key is required: Authorization: Bearer KEY", 0)
}

// NotFound is the one error of what is absent and of what is another tenant's.
func NotFound() error { return Fail(ReasonNotFound, "no such object", 0) }

// Status turns any error of a handler into one with code and reason. Of a fault
// of ours the caller learns only that it is one: fault is true, and err is to be
// logged.
func Status(err error) (answer error, fault bool) {
	var (
		refusal    *tokenwatch.Refusal
		corruption *storage.Corruption
		loss       *storage.Loss
	)
	switch {
	case err == nil:
		return nil, false
	case Reason(err) != "":
		return err, false
	case errors.As(err, &refusal):
		message := refusal.Detail
		if message == "" {
			message = refusal.Reason
		}
		answer := Fail(refusal.Reason, message, refusal.RetryAfter)
		return answer, status.Code(answer) == codes.Internal
	case errors.Is(err, storage.ErrNotFound):
		return NotFound(), false
	case errors.Is(err, storage.ErrReadOnly):
		return Fail(tokenwatch.RefusedUnavailable, "the store takes no writes at present", readOnlyRetry), false
	case errors.As(err, &corruption):
		return Fail(ReasonCorrupt, fmt.Sprintf("stored data is damaged: %s, log offsets %d to %d",
			corruption.What, corruption.First, corruption.Last), 0), true
	case errors.As(err, &loss):
		return Fail(ReasonCorrupt, fmt.Sprintf("acknowledged log offsets %d to %d are missing", loss.First, loss.Last), 0), true
	case errors.Is(err, context.Canceled):
		return Fail(ReasonCanceled, "the request was given up", 0), false
	case errors.Is(err, context.DeadlineExceeded):
		return Fail(ReasonDeadline, "the request ran out of time", 0), false
	}
	if st, ok := status.FromError(err); ok {
		if f, ok := foreign[st.Code()]; ok {
			return Fail(f.reason, f.message, retryOf(st.Code())), false
		}
	}
	return Fail(tokenwatch.RefusedInternal, "internal error", 0), true
}

// retryOf says when to repeat what ended with a code of the machinery.
func retryOf(c codes.Code) time.Duration {
	if c == codes.Unavailable {
		return time.Second
	}
	return 0
}

// foreign is what errors of the machinery between become. Their texts may quote
// the request, so only what their code says is kept.
var foreign = map[codes.Code]struct{ reason, message string }{
	codes.InvalidArgument:    {tokenwatch.RefusedArgument, "a parameter or the body cannot be read"},
	codes.OutOfRange:         {tokenwatch.RefusedArgument, "a parameter is out of range"},
	codes.FailedPrecondition: {tokenwatch.RefusedArgument, "the request does not fit"},
	codes.NotFound:           {ReasonNotFound, "no such object"},
	codes.Unauthenticated:    {ReasonUnauthenticated, "a valid API key is required: Authorization: Bearer KEY"},
	codes.PermissionDenied:   {ReasonForbidden, "the role of this API key does not allow it"},
	codes.ResourceExhausted:  {tokenwatch.RefusedTooLarge, "the message is larger than a message may be"},
	codes.Unavailable:        {tokenwatch.RefusedUnavailable, "the server is starting or stopping"},
	codes.DeadlineExceeded:   {ReasonDeadline, "the request ran out of time"},
	codes.Canceled:           {ReasonCanceled, "the request was given up"},
	codes.Unimplemented:      {ReasonNotImplemented, "no such method"},
}

// Reason returns the reason code of an error made by Fail, "" of any other.
func Reason(err error) string {
	st, ok := status.FromError(err)
	if !ok {
		return ""
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return info.GetReason()
		}
	}
	return ""
}

// Retry returns when to repeat what failed with err, 0 if that is of no use.
func Retry(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// HTTPStatus returns the REST status of an error made by Fail.
func HTTPStatus(err error) int {
	if k, ok := kinds[Reason(err)]; ok {
		return k.http
	}
	return http.StatusInternalServerError
}
