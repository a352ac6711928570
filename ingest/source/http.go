package source

import (
	"bufio"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Limits bound one request. A zero field takes its default.
type Limits struct {
	Compressed int64         // bytes as sent, when compressed; default 16 MiB
	Expanded   int64         // bytes when expanded, or as sent when not compressed; default 64 MiB
	Ratio      int64         // how many times its size a body may expand to; default 100
	Floor      int64         // what any body may expand to, whatever the ratio; default 1 MiB
	MinRate    int64         // bytes a second that a sender must reach; default 1 KiB
	Grace      time.Duration // before MinRate holds; default 10 s
	Longest    time.Duration // a body may take, at any rate; default 5 min
}

func (l Limits) withDefaults() Limits {
	set := func(v *int64, to int64) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&l.Compressed, 16<<20)
	set(&l.Expanded, 64<<20)
	set(&l.Ratio, 100)
	set(&l.Floor, 1<<20)
	set(&l.MinRate, 1<<10)
	set((*int64)(&l.Grace), int64(10*time.Second))
	set((*int64)(&l.Longest), int64(5*time.Minute))
	return l
}

// HTTP answers POST /v1/ingest. It expects a principal in the request's context
// and answers 401 without one.
type HTTP struct {
	to      Pipeline
	limits  Limits
	refused func(tenant, reason string)
	log     *slog.Logger
	now     func() time.Time
}

// HTTPConfig is what an HTTP source needs besides a pipeline.
type HTTPConfig struct {
	Limits  Limits
	Refused func(tenant, reason string) // counts requests refused before the pipeline saw them; may be nil
	Logger  *slog.Logger                // of faults of ours; nil: none are logged
	Now     func() time.Time            // default time.Now
}

// NewHTTP returns the handler that hands what is posted to it to a pipeline.
func NewHTTP(to Pipeline, c HTTPConfig) *HTTP {
	h := &HTTP{to: to, limits: c.Limits.withDefaults(), refused: c.Refused, log: c.Logger, now: c.Now}
	if h.refused == nil {
		h.refused = func(string, string) {}
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	return h
}

// ServeHTTP takes in one request and answers when it is durable.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, ok := tokenwatch.PrincipalFrom(r.Context())
	if !ok {
		write(w, http.StatusUnauthorized, failure{
			Code:    16,
			Message: "unauthenticated",
			Details: []detail{{Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: "unauthenticated", Domain: errorDomain}},
		})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		write(w, http.StatusMethodNotAllowed, failure{
			Code:    12,
			Message: "only POST is answered here",
			Details: []detail{{Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: "method_not_allowed", Domain: errorDomain}},
		})
		return
	}
	var answer Answer
	d, done, err := h.open(w, r)
	if err == nil {
		d.Tenant, d.Principal = who.Tenant, who.ID
		answer, err = h.to.Ingest(r.Context(), d)
		done()
	} else {
		h.refused(who.Tenant, refusalOf(err).Reason)
	}
	if answer.Rejected == nil {
		answer.Rejected = []tokenwatch.Reject{} // an empty list, not null
	}
	if err == nil {
		write(w, http.StatusOK, answer)
		return
	}
	refusal := refusalOf(err)
	if refusal.Reason == tokenwatch.RefusedInternal {
		h.log.ErrorContext(r.Context(), "ingest request failed", "tenant", who.Tenant, "error", err)
	}
	if refusal.Reason == tokenwatch.RefusedAllRejected {
		refuse(w, refusal, &answer)
		return
	}
	refuse(w, refusal, nil)
}

// open makes a delivery of a request. The function it returns is called when
// the body is no longer read.
func (h *HTTP) open(w http.ResponseWriter, r *http.Request) (Delivery, func(), error) {
	d, err := delivery(r)
	if err != nil {
		return d, nil, err
	}
	limits := h.limits
	coding := strings.TrimSpace(r.Header.Get("Content-Encoding"))
	declared := coding != "" && !strings.EqualFold(coding, "identity")
	if !declared {
		limits.Compressed = limits.Expanded
	}
	if r.ContentLength > limits.Compressed {
		w.Header().Set("Connection", "close") // rather than read what is not wanted
		return d, nil, tooLarge("the body is longer than a request may be")
	}
	control := http.NewResponseController(w)
	in := &wire{r: r.Body, deadline: control.SetReadDeadline, start: h.now(), limits: &limits}
	buffer := bufio.NewReader(in)
	plain, compressed, err := expand(buffer)
	if err != nil {
		return d, nil, err
	}
	if compressed {
		limits.Compressed = h.limits.Compressed
	} else if declared && buffer.Buffered() > 0 {
		return d, nil, broken(nil)
	}
	d.Body = &bounded{r: plain, wire: in, limits: &limits}
	return d, func() {
		plain.Close()
		control.SetReadDeadline(time.Time{}) // the connection may have more requests to come
	}, nil
}

// delivery reads what a request says of itself in its parameters and headers.
func delivery(r *http.Request) (Delivery, error) {
	d := Delivery{Format: FormatAuto, Source: "default"}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return d, badArgument("the query cannot be read")
	}
	for name, values := range query {
		if len(values) != 1 {
			return d, badArgument("a query parameter is given more than once")
		}
		switch name {
		case "format":
			d.Format = values[0]
		case "source":
			d.Source = values[0]
		default:
			return d, badArgument("unknown query parameter; there are format and source")
		}
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
	codings := r.Header.Values("Content-Encoding")
	if len(codings) > 1 {
		return d, &tokenwatch.Refusal{Reason: tokenwatch.RefusedEncoding, Detail: "one content encoding at most"}
	}
	for _, c := range codings {
		switch strings.ToLower(strings.TrimSpace(c)) {
		case "", "identity", "gzip", "x-gzip", "zstd":
		default:
			return d, &tokenwatch.Refusal{Reason: tokenwatch.RefusedEncoding, Detail: "the content encodings are gzip, zstd and identity"}
		}
	}
	return d, nil
}

func badArgument(detail string) error {
	return &tokenwatch.Refusal{Reason: tokenwatch.RefusedArgument, Detail: detail}
}

// printable tells whether s has 1 to limit characters, all printable ASCII.
func printable(s string, limit int) bool {
	if len(s) == 0 || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
