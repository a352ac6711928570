package api

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Config is what a server is made of. Store and CursorKey must be given; other
// zero fields take their defaults.
type Config struct {
	HTTPAddr string      // default 127.0.0.1:9178; port 0 is allowed
	GRPCAddr string      // default 127.0.0.1:9179; port 0 is allowed
	TLS      *tls.Config // with a certificate, for both ports; nil: no TLS
	Insecure bool        // allows addresses beyond the own machine without TLS
	Limits   Limits

	Store Store
	// What api/v1 asks about suppressions, names of tokens and credentials in what
	// people write; see v1.Config. May be nil.
	Suppressor *v1.Suppressor
	Names      v1.Names
	Holds      func(tenant, text string) bool
	Tokens     storage.Tokens    // nil: there is no inventory
	Baselines  storage.Baselines // nil: nothing is expected of anybody
	Sources    storage.Sources   // nil: nothing is known of any
	Detectors  storage.Detectors // nil: there are none
	Segments   storage.Segments  // for timelines; nil: they have no events
	// Post knows what others are told of findings; nil: nobody is told.
	Post v1.Post

	Queries *v1.Queries // answers statements; nil: nothing can be queried
	// Prometheus answers PromQL; nil: nothing can be asked so.
	Prometheus *v1.Prometheus
	Ingest     Ingest      // answers senders over HTTP; without a handler no path is theirs
	Pipeline   v1.Pipeline // answers Ingest over gRPC; nil: it refuses
	// Services registers what senders may call over gRPC besides; nil: nothing.
	Services func(grpc.ServiceRegistrar)

	// Ready says whether requests can be served; nil: always.
	Ready func(context.Context) error
	// Operator is the tenant whose admins run the server: they read its metrics
	// and make and revoke keys of every tenant. Default: tokenwatch.DefaultTenant.
	Operator string
	// CursorKey authenticates cursors; at least 16 bytes, the same over restarts.
	CursorKey []byte

	Version string // of the program; default "devel"
	Commit  string // of its source

	Metrics *prometheus.Registry // default: one of its own
	Logger  *slog.Logger         // default: nothing is logged
	Random  io.Reader            // for keys; default crypto/rand
	Now     func() time.Time     // default time.Now
}

// Ingest answers senders over HTTP.
type Ingest struct {
	Handler http.Handler
	// Routes are patterns of net/http, each with a method. "GET /{$}" is asked by
	// clients that accept JSON and no page.
	Routes []string
	// Signed answers senders who have no API key and sign what they send instead. It
	// sees to who they are itself, and answers 401 to others, which counts against
	// their address. May be nil; SignedRoute is its pattern.
	Signed      http.Handler
	SignedRoute string
}

// Store is what the server asks of a store.
type Store interface {
	v1.Log
	storage.Findings
	storage.Triage
	storage.History
	storage.Keys
}

// Limits bound what callers can take up. Zero fields take their defaults.
type Limits struct {
	Connections        int           // open on one port; default 4096
	AddressConnections int           // of them of one address (IPv6: one /64); default 256
	Streams            uint32        // HTTP/2 streams of one connection; default 128
	Header             time.Duration // until the header of a request is there; default 10 s
	Idle               time.Duration // a connection may stay without a request; default 2 min
	Read               time.Duration // for a whole small body; default 10 s
	Answer             time.Duration // for a whole answer that is no stream; default 2 min
	Upload             time.Duration // for a whole ingest request; default 15 min
	Write              time.Duration // for one event of a stream; default 30 s
	HeaderBytes        int           // of a request; default 128 KiB
	Body               int64         // bytes of a body that is not logs; default 1 MiB
	Failures           int           // failed attempts of one address at once; default 20
	FailureEvery       time.Duration // one more after so long; default 3 s
	Waiting            int           // Polls and Watches of one tenant; default 64
	Heartbeat          time.Duration // of an idle stream; default 15 s
	Drain              time.Duration // for open requests to end when the server stops; default 20 s
}

func (c Config) withDefaults() (Config, error) {
	if c.Store == nil {
		return c, errors.New("configure the API: no store")
	}
	if len(c.CursorKey) < 16 {
		return c, errors.New("configure the API: the cursor key is shorter than 16 bytes")
	}
	def(&c.HTTPAddr, "127.0.0.1:9178")
	def(&c.GRPCAddr, "127.0.0.1:9179")
	def(&c.Operator, tokenwatch.DefaultTenant)
	def(&c.Version, "devel")
	def(&c.Random, rand.Reader)
	if c.Ready == nil {
		c.Ready = func(context.Context) error { return nil }
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &c.Limits
	def(&l.Connections, 4096)
	def(&l.AddressConnections, 256)
	def(&l.Streams, 128)
	def(&l.Header, 10*time.Second)
	def(&l.Idle, 2*time.Minute)
	def(&l.Read, 10*time.Second)
	def(&l.Answer, 2*time.Minute)
	def(&l.Upload, 15*time.Minute)
	def(&l.Write, 30*time.Second)
	def(&l.HeaderBytes, 128<<10)
	def(&l.Body, 1<<20)
	def(&l.Failures, 20)
	def(&l.FailureEvery, 3*time.Second)
	def(&l.Waiting, 64)
	def(&l.Heartbeat, 15*time.Second)
	def(&l.Drain, 20*time.Second)
	return c, nil
}

// def gives what is zero its default.
func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
