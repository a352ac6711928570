// Package api is the door of tokenwatch: listeners, TLS, identity, grants and
// limits.
//
// In come HTTP and gRPC from anyone who can reach the ports; out goes what the
// handlers of api/v1 and the injected ingest handler answer to principals that
// may ask. It promises that
//
//   - every method on every port wants an API key and an explicit grant, but for
//     those the table of grants calls public;
//   - over REST and gRPC the same handlers, grants and error codes hold, since
//     REST goes through the gRPC server;
//   - what is absent and what is another tenant's are answered alike;
//   - attempts that are not allowed are in the history before they are answered;
//   - no answer or log line repeats what was sent, and no key is ever logged.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// Server answers the API on two ports. New starts nothing; Run does.
type Server struct {
	config   Config
	gate     *gate
	keys     *keyring
	metrics  *metrics
	bindings []binding
	openAPI  []byte
	page     []byte
	draining chan struct{}
}

// New returns a server, or what is wrong with its configuration. It is run once.
func New(config Config) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, address := range []string{config.HTTPAddr, config.GRPCAddr} {
		if err := checkAddress(address, config.TLS != nil || config.Insecure); err != nil {
			return nil, err
		}
	}
	s := &Server{config: config, draining: make(chan struct{})}
	if s.metrics, err = newMetrics(config.Metrics); err != nil {
		return nil, err
	}
	if s.bindings, err = bindings(); err != nil {
		return nil, err
	}
	if s.openAPI, err = openAPI(config.Version, s.operations(nil)); err != nil {
		return nil, err
	}
	if s.page, err = page(config.Version, s.bindings); err != nil {
		return nil, err
	}
	s.keys = &keyring{
		store: config.Store, history: config.Store,
		random: config.Random, now: config.Now, operator: config.Operator,
	}
	s.gate = &gate{
		keys: s.keys, history: config.Store, operator: config.Operator, log: config.Logger, metrics: s.metrics,
		failures: &limiter{
			now: config.Now, burst: float64(config.Limits.Failures), every: config.Limits.FailureEvery, most: 4096,
		},
	}
	return s, nil
}

// Run listens, calls ready with both addresses, and serves until ctx ends; then
// it takes no more, answers whoever waits, lets open requests end within the
// limit, and returns when all it started has ended.
func (s *Server) Run(ctx context.Context, ready func(httpAddr, grpcAddr net.Addr)) error {
	if err := s.keys.load(ctx); err != nil {
		return err
	}
	httpListener, err := s.listen(s.config.HTTPAddr, "http")
	if err != nil {
		return err
	}
	defer httpListener.Close()
	grpcListener, err := s.listen(s.config.GRPCAddr, "grpc")
	if err != nil {
		return err
	}
	defer grpcListener.Close()
	inner := bufconn.Listen(1 << 20)
	defer inner.Close()

	grpcServer := s.grpcServer()
	conn, err := s.gateway(inner)
	if err != nil {
		return err
	}
	defer conn.Close()
	handler, err := s.rest(ctx, conn)
	if err != nil {
		return err
	}
	httpServer := s.httpServer(handler)

	failed := make(chan error, 3)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- s.serveHTTP(httpServer, httpListener) })
	serving.Go(func() { failed <- serveGRPC(grpcServer, s.secure(grpcListener)) })
	serving.Go(func() { failed <- serveGRPC(grpcServer, inner) })
	if ready != nil {
		ready(httpListener.Addr(), grpcListener.Addr())
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(s.draining)
	s.drain(httpServer, conn, grpcServer)
	serving.Wait()
	for range len(failed) {
		err = errors.Join(err, <-failed)
	}
	return err
}

const (
	maxMessage = v1.MaxRecords + 1<<20 // bytes of a gRPC request
	maxAnswer  = 64 << 20              // bytes of an answer to our own gateway
)

func (s *Server) listen(address, name string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	limits := s.config.Limits
	return newCapped(l, limits.Connections, limits.AddressConnections, s.metrics.closed.WithLabelValues(name)), nil
}

// secure puts TLS on a listener for gRPC. The gateway's own connection, on the
// same server, needs none: so TLS is not a matter of the server's credentials.
func (s *Server) secure(l net.Listener) net.Listener {
	if s.config.TLS == nil {
		return l
	}
	c := s.config.TLS.Clone()
	c.NextProtos = []string{"h2"}
	return tls.NewListener(l, c)
}

func (s *Server) grpcServer() *grpc.Server {
	limits := s.config.Limits
	server := grpc.NewServer(
		grpc.InTapHandle(s.gate.tap),
		grpc.ChainUnaryInterceptor(s.gate.unary),
		grpc.ChainStreamInterceptor(s.gate.stream),
		grpc.UnknownServiceHandler(unknown),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(limits.Streams),
		grpc.MaxHeaderListSize(uint32(limits.HeaderBytes)),
		grpc.ConnectionTimeout(limits.Header),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 10 * time.Minute,
			// Even what never ends has to come back once in a while.
			MaxConnectionAge: 2 * time.Hour, MaxConnectionAgeGrace: 10 * time.Minute,
			Time: time.Minute, Timeout: 20 * time.Second,
		}),
	)
	v1.Register(server, v1.Config{
		Log: s.config.Store, Findings: s.config.Store, Triage: s.config.Store, History: s.config.Store,
		Suppressor: s.config.Suppressor, Names: s.config.Names, Holds: s.config.Holds,
		Random: s.config.Random, Now: s.config.Now, Post: s.config.Post,
		Tokens: s.config.Tokens, Baselines: s.config.Baselines, Sources: s.config.Sources, Detectors: s.config.Detectors, Segments: s.config.Segments,
		Keys: s.keys, Ingest: s.config.Pipeline, Queries: s.config.Queries,
		CursorKey: s.config.CursorKey, Version: s.config.Version, Commit: s.config.Commit,
		Draining: s.draining, Heartbeat: limits.Heartbeat, Waiting: limits.Waiting,
	})
	if s.config.Services != nil {
		s.config.Services(server)
	}
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	return server
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	limits := s.config.Limits
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: limits.Header,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    limits.HeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: int(limits.Streams), SendPingTimeout: time.Minute},
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
}

func (s *Server) serveHTTP(server *http.Server, l net.Listener) error {
	var err error
	if s.config.TLS != nil {
		server.TLSConfig = s.config.TLS.Clone()
		if !slices.Contains(server.TLSConfig.NextProtos, "h2") {
			server.TLSConfig.NextProtos = append(server.TLSConfig.NextProtos, "h2", "http/1.1")
		}
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP: %w", err)
}

func serveGRPC(server *grpc.Server, l net.Listener) error {
	if err := server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

// drain ends first what calls, then what is called.
func (s *Server) drain(httpServer *http.Server, conn *grpc.ClientConn, grpcServer *grpc.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Limits.Drain)
	defer cancel()
	if err := httpServer.Shutdown(ctx); err != nil {
		s.config.Logger.Warn("requests were cut off", "error", err)
		httpServer.Close()
	}
	conn.Close()
	// GracefulStop waits for open streams for ever; Stop ends it.
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grpcServer.Stop()
	}()
	grpcServer.GracefulStop()
	cancel()
	<-stopped
}

// ready says whether requests are taken and can be answered.
func (s *Server) ready(ctx context.Context) error {
	select {
	case <-s.draining:
		return errors.New("the server is stopping")
	default:
		return s.config.Ready(ctx)
	}
}
