package source

import (
	"net/http"

	"github.com/tokenwatch/tokenwatch"
)

// serveNative answers POST /v1/ingest: records as they are, the format and the
// source as parameters, the idempotency key as a header.
func serveNative(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	d, err := delivery(r)
	if err != nil {
		refuse(w, h.before(who, err), nil)
		return
	}
	body, done, err := h.open(w, r)
	if err != nil {
		refuse(w, h.before(who, err), nil)
		return
	}
	d.Body = body
	answer, refusal := h.ingest(r, who, d)
	done()
	answer.Rejected = append([]tokenwatch.Reject{}, answer.Rejected[:min(len(answer.Rejected), MaxListed)]...) // an empty list, not null
	switch {
	case refusal == nil:
		write(w, http.StatusOK, answer)
	case refusal.Reason == tokenwatch.RefusedAllRejected:
		refuse(w, refusal, &answer)
	default:
		refuse(w, refusal, nil)
	}
}

// delivery reads what a request says of itself in its parameters and headers.
func delivery(r *http.Request) (Delivery, error) {
	d := Delivery{Format: FormatAuto, Source: "default"}
	given, err := query(r, "format", "source")
	if err != nil {
		return d, err
	}
	if v, ok := given["format"]; ok {
		d.Format = v
	}
	if v, ok := given["source"]; ok {
		d.Source = v
	}
	if !printable(d.Format, 64) {
		return d, badArgument("format is not a name")
	}
	if !printable(d.Source, 256) {
		return d, badArgument("source is not 1 to 256 printable ASCII characters")
	}
	if keys := r.Header.Values("Idempotency-Key"); len(keys) > 0 {
		if len(keys) != 1 || !printable(keys[0], 256) {
			return d, badArgument("Idempotency-Key is not 1 to 256 printable ASCII characters")
		}
		d.Key = keys[0]
	}
	return d, nil
}
