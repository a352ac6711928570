package source

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
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

// HTTP is what all endpoints over HTTP share: limits, the way into the pipeline,
// and what becomes of faults. [Endpoints] lists them; it answers them all.
type HTTP struct {
	mux     *http.ServeMux
	to      Pipeline
	limits  Limits
	refused func(tenant, reason string)
	log     *slog.Logger
	now     func() time.Time
	acks    atomic.Uint64 // numbers given to requests of Splunk's collector
}

// HTTPConfig is what HTTP needs besides a pipeline.
type HTTPConfig struct {
	Limits  Limits
	Refused func(tenant, reason string) // counts requests refused before the pipeline saw them; may be nil
	Logger  *slog.Logger                // of faults of ours; nil: none are logged
	Now     func() time.Time            // default time.Now
}

// NewHTTP returns what hands on to a pipeline.
func NewHTTP(to Pipeline, c HTTPConfig) *HTTP {
	h := &HTTP{mux: http.NewServeMux(), to: to, limits: c.Limits.withDefaults(), refused: c.Refused, log: c.Logger, now: c.Now}
	for _, e := range Endpoints {
		for _, route := range e.Routes {
			h.mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
				who, _ := tokenwatch.PrincipalFrom(r.Context()) // ServeHTTP has looked
				defer h.admit(r, who, e.held)()
				e.serve(h, w, r, who)
			})
		}
	}
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

// ServeHTTP answers a request of one of the Endpoints. It expects a principal in
// the request's context and answers 401 without one.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, ok := tokenwatch.PrincipalFrom(r.Context()); !ok {
		unauthenticated(w)
		return
	}
	if _, pattern := h.mux.Handler(r); pattern == "" {
		w.Header().Set("Allow", http.MethodPost)
		write(w, http.StatusMethodNotAllowed, failure{
			Code:    12,
			Message: "only POST is answered here",
			Details: []detail{{Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: "method_not_allowed", Domain: errorDomain}},
		})
		return
	}
	h.mux.ServeHTTP(w, r)
}

// ingest hands a delivery on for who, and counts and logs what went wrong before
// or on the way. The error, if any, is a refusal; with RefusedAllRejected the
// answer holds the rejects.
func (h *HTTP) ingest(r *http.Request, who tokenwatch.Principal, d Delivery) (Answer, *tokenwatch.Refusal) {
	d.Tenant, d.Principal = who.Tenant, who.ID
	if d.Format == "" {
		d.Format = FormatAuto
	}
	answer, err := h.to.Ingest(r.Context(), d)
	if err == nil {
		return answer, nil
	}
	refusal := refusalOf(err)
	if refusal.Reason == tokenwatch.RefusedInternal {
		h.log.ErrorContext(r.Context(), "ingest request failed", "tenant", who.Tenant, "error", err)
	}
	return answer, refusal
}

// before counts what was refused before the pipeline saw it.
func (h *HTTP) before(who tokenwatch.Principal, err error) *tokenwatch.Refusal {
	refusal := refusalOf(err)
	h.refused(who.Tenant, refusal.Reason)
	return refusal
}

// open returns the plain bytes of a request's body, within the limits. The
// function it returns is called when the body is no longer read.
func (h *HTTP) open(w http.ResponseWriter, r *http.Request) (io.Reader, func(), error) {
	coding, err := codingOf(r)
	if err != nil {
		return nil, nil, err
	}
	if refused, ok := r.Body.(refusedBody); ok {
		return nil, nil, refused.err
	}
	limits := h.limits
	declared := coding != ""
	if !declared {
		limits.Compressed = limits.Expanded
	}
	if r.ContentLength > limits.Compressed {
		w.Header().Set("Connection", "close") // rather than read what is not wanted
		return nil, nil, tooLarge("the body is longer than a request may be")
	}
	control := http.NewResponseController(w)
	in := &wire{r: r.Body, deadline: control.SetReadDeadline, start: h.now(), limits: &limits}
	buffer := bufio.NewReader(in)
	plain, compressed, err := expand(buffer, coding, limits.allow)
	if err != nil {
		return nil, nil, err
	}
	if compressed {
		limits.Compressed = h.limits.Compressed
	} else if declared && buffer.Buffered() > 0 {
		return nil, nil, broken(nil)
	}
	return &bounded{r: plain, wire: in, limits: &limits}, func() {
		plain.Close()
		control.SetReadDeadline(time.Time{}) // the connection may have more requests to come
	}, nil
}

// codingOf returns the content coding of a body, "" if it has none.
func codingOf(r *http.Request) (string, error) {
	codings := r.Header.Values("Content-Encoding")
	if len(codings) > 1 {
		return "", &tokenwatch.Refusal{Reason: tokenwatch.RefusedEncoding, Detail: "one content encoding at most"}
	}
	for _, c := range codings {
		switch c = strings.ToLower(strings.TrimSpace(c)); c {
		case "", "identity":
		case "gzip", "x-gzip", "zstd", "deflate", "snappy":
			return c, nil
		case "x-snappy-framed":
			return "snappy", nil
		default:
			return "", &tokenwatch.Refusal{Reason: tokenwatch.RefusedEncoding, Detail: "the content encodings are " + codingNames + " and identity"}
		}
	}
	return "", nil
}

// query reads the parameters of a request, of which each may come once and must
// be one of allowed.
func query(r *http.Request, allowed ...string) (map[string]string, error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badArgument("the query cannot be read")
	}
	out := make(map[string]string, len(given))
	for name, values := range given {
		if len(values) != 1 {
			return nil, badArgument("a query parameter is given more than once")
		}
		if !slices.Contains(allowed, name) {
			return nil, badArgument("unknown query parameter; there are " + strings.Join(allowed, ", "))
		}
		out[name] = values[0]
	}
	return out, nil
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
