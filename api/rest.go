package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// route is a path that does not come from the protos, or is answered otherwise
// than the gateway would.
type route struct {
	method, path string
	grant        string   // its line in the table of grants
	query        []string // parameters it takes
	ownQuery     bool     // it checks its parameters itself
	stream       bool     // the body is its own business, and it may take long
	signed       bool     // the handler itself sees to who calls
	handler      http.Handler

	summary, produces string   // for the OpenAPI document
	takes             []string // parameters, where it checks them itself
}

// operations are the paths that exist over HTTP only; conn leads to the gRPC
// server, nil where nothing is asked.
func (s *Server) operations(conn *grpc.ClientConn) []route {
	return append(append(s.pictures(conn), s.prometheus()...), []route{
		s.console(conn),
		{method: "GET", path: "/healthz", grant: "GET /healthz", handler: s.text("ok\n"),
			summary: "Whether the process lives.", produces: "text/plain"},
		{method: "GET", path: "/readyz", grant: "GET /readyz", handler: http.HandlerFunc(s.readyz),
			summary: "Whether the server takes and answers requests.", produces: "text/plain"},
		{method: "GET", path: "/metrics", grant: "GET /metrics",
			handler: promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{}),
			summary: "Metrics in the format of Prometheus.", produces: "text/plain"},
		{method: "GET", path: "/openapi.json", grant: "GET /openapi.json", handler: s.blob("application/json", &s.openAPI),
			summary: "This document.", produces: "application/json"},
		{method: "GET", path: "/", grant: "GET /", handler: s.blob("text/html; charset=utf-8", &s.page),
			summary: "What this is and where to look.", produces: "text/html"},
	}...)
}

// rest returns all that the HTTP port answers. What is not its own goes through
// the gateway to the gRPC server in the same process, over conn, so that both
// ports share handlers and grants.
func (s *Server) rest(ctx context.Context, conn *grpc.ClientConn) (http.Handler, error) {
	query := make(map[string][]string) // by method and path template
	for _, b := range s.bindings {
		query[b.method+" "+b.path] = b.query
	}
	gateway, err := newGateway(ctx, conn, query)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, r := range s.operations(conn) {
		if r.path == "/" {
			mux.Handle(root, s.root(s.guard(r)))
			continue
		}
		mux.Handle(r.method+" "+r.path, s.guard(r))
	}
	stream := func(path, grant string, open opening) {
		mux.Handle(path, s.guard(route{
			grant: grant, query: query[path], stream: true,
			handler: &events{json: newMarshaler(), open: open, write: s.config.Limits.Write},
		}))
	}
	stream("GET /v1/findings:watch", "/tokenwatch.v1.Findings/Watch", watching(pb.NewFindingsClient(conn), newMarshaler()))
	stream("GET /v1/events:tail", "/tokenwatch.v1.Events/Tail", tailing(pb.NewEventsClient(conn), newMarshaler()))
	queries := &v1.Queries{History: s.config.Store}
	if s.config.Queries != nil {
		queries.Engine = s.config.Queries.Engine
	}
	queries.Write, queries.Fail = s.config.Limits.Write, writeError
	mux.Handle("POST /v1/query", s.guard(route{grant: "/tokenwatch.v1.Query/Query", handler: queries}))
	s.senders(mux)
	mux.Handle("/", s.guard(route{ownQuery: true, handler: gateway}))
	missing := s.guard(route{ownQuery: true, handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, v1.NotFound())
	})})
	return s.outermost(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; p != "*" && path.Clean(p) != p {
			missing.ServeHTTP(w, r) // the mux would send the caller elsewhere
			return
		}
		mux.ServeHTTP(w, r)
	})), nil
}

// newGateway turns REST into calls over conn. query has the parameters that each
// method and path template takes; others are errors.
func newGateway(ctx context.Context, conn *grpc.ClientConn, query map[string][]string) (http.Handler, error) {
	none := func(string) (string, bool) { return "", false }
	checked := func(next runtime.HandlerFunc) runtime.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			pattern, _ := runtime.HTTPPattern(r.Context())
			if err := checkQuery(r.URL, query[r.Method+" "+strings.ReplaceAll(pattern.String(), "=*}", "}")]); err != nil {
				writeError(w, err)
				return
			}
			next(w, r, params)
		}
	}
	gateway := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler()),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		// A name in a path may hold slashes as escapes, which stay: v1 knows of them.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		// No header of the caller's goes on but Authorization, which the gateway itself
		// passes, and none comes back.
		runtime.WithIncomingHeaderMatcher(none),
		runtime.WithOutgoingHeaderMatcher(none),
		runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
			return metadata.Pairs(addressHeader, remote(r).String())
		}),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
			writeError(w, err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, code int) {
			routingError(w, code)
		}),
		runtime.WithMiddlewares(checked),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		pb.RegisterFindingsHandler, pb.RegisterSuppressionsHandler, pb.RegisterNotificationsHandler, pb.RegisterTokensHandler,
		pb.RegisterHistoryHandler, pb.RegisterRejectsHandler, pb.RegisterSourcesHandler, pb.RegisterDetectorsHandler,
		pb.RegisterKeysHandler, pb.RegisterSystemHandler,
	} {
		if err := register(ctx, gateway, conn); err != nil {
			return nil, fmt.Errorf("mount the gateway: %w", err)
		}
	}
	return gateway, nil
}

// root is the pattern of the page that says what this is.
const root = "GET /{$}"

// senders mounts what senders of logs call. Any other method of their paths is
// answered as one that is not allowed.
func (s *Server) senders(mux *http.ServeMux) {
	to := s.guard(route{grant: "/tokenwatch.v1.Ingest/Ingest", ownQuery: true, stream: true, handler: s.config.Ingest.Handler})
	for _, r := range s.config.Ingest.Routes {
		if r != root {
			mux.Handle(r, to)
		}
	}
	if signed := s.config.Ingest.Signed; signed != nil {
		mux.Handle(s.config.Ingest.SignedRoute, s.guard(route{signed: true, ownQuery: true, stream: true, handler: s.counted(signed)}))
	}
}

// counted counts what a handler takes for a stranger against the address, and lets
// an address that has had too many failures wait.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := remote(r)
		if wait := s.gate.failures.wait(from); wait > 0 {
			writeError(w, v1.Fail(v1.ReasonRateLimited, "too many failed attempts from this address", wait))
			return
		}
		answer := &statusWriter{ResponseWriter: w, refused: func(int) {}}
		next.ServeHTTP(answer, r)
		if answer.code == http.StatusUnauthorized {
			s.gate.metrics.refused("", v1.ReasonUnauthenticated)
			s.gate.failures.failed(from)
		}
	})
}

// root answers with the page, or hands on to the senders' handler: clients of
// Elasticsearch ask at the root what they talk to, for JSON.
func (s *Server) root(page http.Handler) http.Handler {
	if !slices.Contains(s.config.Ingest.Routes, root) {
		return page
	}
	sender := s.guard(route{grant: "/tokenwatch.v1.Ingest/Ingest", ownQuery: true, handler: s.config.Ingest.Handler})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted := strings.Join(r.Header.Values("Accept"), ",")
		if strings.Contains(accepted, "json") && !strings.Contains(accepted, "text/html") {
			sender.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// guard puts identity, grant, parameters and deadlines before a handler. A route
// without a grant is the gateway's, whose calls the gRPC server authorizes.
func (s *Server) guard(to route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := remote(r)
		// An error is small: that it can be written within this time is enough.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.Limits.Write)); err != nil {
			return // the connection has gone
		}
		if !grants[to.grant].public && !to.signed {
			who, err := s.gate.authenticate(r.Header.Values("Authorization"), from)
			if err == nil {
				err = crossSite(r)
			}
			if err != nil {
				if browses(r) {
					w.Header().Set("WWW-Authenticate", `Basic realm="tokenwatch", charset="UTF-8"`)
				}
				writeError(w, err)
				return
			}
			ctx := tokenwatch.WithPrincipal(r.Context(), who)
			if to.grant != "" {
				if err := s.gate.authorize(ctx, to.grant, from); err != nil {
					writeError(w, err)
					return
				}
			}
			r = r.WithContext(ctx)
		}
		if !to.ownQuery {
			if err := checkQuery(r.URL, to.query); err != nil {
				writeError(w, err)
				return
			}
		}
		if err := s.bound(w, r, to); err != nil {
			writeError(w, err)
			return
		}
		to.handler.ServeHTTP(w, r)
	})
}

// browses tells of somebody who looks at a page or a picture with a browser, which
// then asks for the key.
func browses(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return r.Method == http.MethodGet && (strings.Contains(accept, "text/html") || strings.HasPrefix(accept, "image/"))
}

// crossSite refuses what a page of another site has a browser do: one that asked for
// the key sends it along with whatever is posted here. Other clients are not asked.
func crossSite(r *http.Request) error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "basic") && http.NewCrossOriginProtection().Check(r) != nil {
		return forbidden()
	}
	return nil
}

// bound sets the deadlines of a request. Each has to set its own: a deadline
// stays with the connection.
func (s *Server) bound(w http.ResponseWriter, r *http.Request, to route) error {
	limit := s.config.Limits.Answer
	if to.stream {
		limit = s.config.Limits.Upload
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("bound the answer: %w", err)
	}
	if to.stream {
		return nil
	}
	return s.take(w, r)
}

// take reads a whole small body within its deadline, which is lifted again:
// net/http takes one that passes later for the caller's going.
func (s *Server) take(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(s.config.Limits.Read)); err != nil {
		return fmt.Errorf("bound the request: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.config.Limits.Body))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return v1.Fail(tokenwatch.RefusedTooLarge, "the body is larger than this path takes", 0)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return v1.Fail(tokenwatch.RefusedTooSlow, "the body came too slowly", 0)
	case err != nil:
		return v1.Fail(tokenwatch.RefusedBody, "the body ended early", 0)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return control.SetReadDeadline(time.Time{})
}

// outermost sets the headers of all answers, counts them and survives panics.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		counted := &statusWriter{ResponseWriter: w, refused: func(code int) { linger(w, r, code) }}
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler {
				panic(p) // the answer is cut off, and is to be seen to be
			}
			if p != nil {
				s.config.Logger.ErrorContext(r.Context(), "request failed", "error", fmt.Sprint("panic: ", p))
				if counted.code == 0 {
					writeError(counted, v1.Fail(tokenwatch.RefusedInternal, "internal error", 0))
				}
			}
			s.metrics.answers.WithLabelValues(strconv.Itoa(max(counted.code, http.StatusOK))).Inc()
		}()
		next.ServeHTTP(counted, r)
	})
}

// statusWriter remembers the status that was written.
type statusWriter struct {
	http.ResponseWriter
	code    int
	refused func(code int) // called before an error is written
}

func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
		if code >= http.StatusBadRequest {
			w.refused(code)
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// readyz answers 200 when requests are taken and answered, else 503.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := s.ready(r.Context()); err != nil {
		s.config.Logger.WarnContext(r.Context(), "not ready", "error", err)
		writeError(w, v1.Fail(tokenwatch.RefusedUnavailable, "not ready", time.Second))
		return
	}
	s.text("ready\n").ServeHTTP(w, r)
}

func (s *Server) text(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.Copy(w, strings.NewReader(body)) // that the caller has gone is no news
	})
}

func (s *Server) blob(contentType string, body *[]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(*body) // that the caller has gone is no news
	})
}

// remote returns the address of an HTTP caller.
func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}
