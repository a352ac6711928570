package api

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// writeError answers over HTTP with an error: google.rpc.Status as JSON
// (AIP-193), and the headers that go with it.
func writeError(w http.ResponseWriter, err error) {
	err, _ = v1.Status(err)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if retry := v1.Retry(err); retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(retry)/float64(time.Second)))))
	}
	if v1.Reason(err) == v1.ReasonUnauthenticated && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", "Bearer")
	}
	body, merr := newMarshaler().Marshal(status.Convert(err).Proto())
	if merr != nil {
		body = []byte(`{"code":13,"message":"internal error","details":[]}`)
	}
	w.WriteHeader(v1.HTTPStatus(err))
	w.Write(body) // that the caller has gone is no news to anyone
}

// routingError answers where the gateway has no route.
func routingError(w http.ResponseWriter, code int) {
	switch code {
	case http.StatusMethodNotAllowed:
		writeError(w, v1.Fail(v1.ReasonMethodNotAllowed, "this path does not take that HTTP method", 0))
	case http.StatusNotFound:
		writeError(w, v1.NotFound())
	default:
		writeError(w, v1.Fail(tokenwatch.RefusedArgument, "the request cannot be read", 0))
	}
}
