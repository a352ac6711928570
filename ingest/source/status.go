package source

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// errorDomain is the domain of the reason codes in error details.
const errorDomain = "tokenwatch"

// statuses gives each reason of a refusal its HTTP status and the gRPC code that
// goes with it (google/rpc/code.proto).
var statuses = map[string]struct{ http, code int }{
	tokenwatch.RefusedArgument:    {http.StatusBadRequest, 3},
	tokenwatch.RefusedBody:        {http.StatusBadRequest, 3},
	tokenwatch.RefusedAllRejected: {http.StatusBadRequest, 3},
	tokenwatch.RefusedSome:        {http.StatusBadRequest, 3},
	tokenwatch.RefusedEncoding:    {http.StatusUnsupportedMediaType, 3},
	tokenwatch.RefusedTooLarge:    {http.StatusRequestEntityTooLarge, 3},
	tokenwatch.RefusedTooSlow:     {http.StatusRequestTimeout, 4},
	tokenwatch.RefusedConflict:    {http.StatusConflict, 6},
	tokenwatch.RefusedOverload:    {http.StatusTooManyRequests, 8},
	tokenwatch.RefusedUnavailable: {http.StatusServiceUnavailable, 14},
	tokenwatch.RefusedInternal:    {http.StatusInternalServerError, 13},
}

// sortedReasons lists the reasons of an answer by name.
func sortedReasons(reasons map[string]int) []string { return slices.Sorted(maps.Keys(reasons)) }

// failure is an error as JSON: google.rpc.Status (AIP-193), and of a request
// whose every record was refused also the rejects.
type failure struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Details []detail `json:"details"`

	*Answer
}

type detail struct {
	Type       string `json:"@type"`
	Reason     string `json:"reason,omitempty"`
	Domain     string `json:"domain,omitempty"`
	RetryDelay string `json:"retryDelay,omitempty"`
}

// refusalOf returns err as a refusal; what is none is a fault of ours, of which
// the sender learns nothing more.
func refusalOf(err error) *tokenwatch.Refusal {
	refusal := (*tokenwatch.Refusal)(nil)
	if errors.As(err, &refusal) {
		if _, ok := statuses[refusal.Reason]; ok {
			return refusal
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedUnavailable, Detail: "the request was given up before it was answered",
			RetryAfter: time.Second, Err: err,
		}
	}
	return &tokenwatch.Refusal{Reason: tokenwatch.RefusedInternal, Detail: "the request failed", Err: err}
}

// refuse writes the answer to a refused request.
func refuse(w http.ResponseWriter, r *tokenwatch.Refusal, answer *Answer) {
	s := statuses[r.Reason]
	body := failure{
		Code:    s.code,
		Message: r.Detail,
		Details: []detail{{Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: r.Reason, Domain: errorDomain}},
		Answer:  answer,
	}
	if body.Message == "" {
		body.Message = r.Reason
	}
	if seconds := advise(w, r); seconds != "" {
		body.Details = append(body.Details, detail{Type: "type.googleapis.com/google.rpc.RetryInfo", RetryDelay: seconds + "s"})
	}
	write(w, s.http, body)
}

// advise sets the headers that tell a sender what to do about a refusal, and
// returns the seconds after which to come again, "" if it should not.
func advise(w http.ResponseWriter, r *tokenwatch.Refusal) (seconds string) {
	switch r.Reason {
	case tokenwatch.RefusedEncoding:
		w.Header().Set("Accept-Encoding", codingNames)
	case tokenwatch.RefusedTooSlow:
		w.Header().Set("Connection", "close")
	}
	if r.RetryAfter > 0 {
		seconds = strconv.FormatInt(int64((r.RetryAfter+time.Second-1)/time.Second), 10)
		w.Header().Set("Retry-After", seconds)
	}
	return seconds
}

// write sends v as JSON. That the sender has gone is no news to anyone.
func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}
