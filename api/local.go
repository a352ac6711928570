package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// Local answers this process alone, as who, with all that REST answers and
// without listening anywhere: for tools beside a store that no server has open.
// Requests go through the transport it returns, under whatever host, until stop.
// A server is either run or local, once.
func (s *Server) Local(ctx context.Context, who tokenwatch.Principal) (transport *http.Transport, stop func() error, err error) {
	if err := s.keys.load(ctx); err != nil {
		return nil, nil, err
	}
	secret, err := s.keys.lend(who)
	if err != nil {
		return nil, nil, err
	}
	inner, outer := bufconn.Listen(1<<20), newPipes()
	grpcServer := s.grpcServer()
	conn, err := s.gateway(inner)
	if err != nil {
		return nil, nil, err
	}
	handler, err := s.rest(ctx, conn)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	httpServer := s.httpServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+secret)
		handler.ServeHTTP(w, r)
	}))
	failed := make(chan error, 2)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- serveGRPC(grpcServer, inner) })
	serving.Go(func() {
		err := httpServer.Serve(outer)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		failed <- err
	})
	transport = &http.Transport{DialContext: outer.dial}
	return transport, sync.OnceValue(func() error {
		transport.CloseIdleConnections()
		close(s.draining)
		s.drain(httpServer, conn, grpcServer)
		serving.Wait()
		return errors.Join(<-failed, <-failed)
	}), nil
}

// pipes is a listener within the process. net/http needs deadlines that can be
// taken back, which bufconn's cannot.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newPipes() *pipes { return &pipes{dialled: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.dialled <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept waits for somebody to dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr is nobody's.
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// gateway connects REST with the gRPC server of the same process.
func (s *Server) gateway(inner *bufconn.Listener) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///tokenwatch",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return inner.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // within the process
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
	)
	if err != nil {
		return nil, fmt.Errorf("connect REST with gRPC: %w", err)
	}
	return conn, nil
}

// lend makes a key for who that nothing outside this process will know.
func (k *keyring) lend(who tokenwatch.Principal) (string, error) {
	if !validRole(who.Role) || !validTenant(who.Tenant) {
		return "", v1.Fail(tokenwatch.RefusedArgument, "tenant is 1 to 64 of a-z, 0-9, - and _", 0)
	}
	text, key, err := NewKey(k.random, who.Tenant, who.Role, k.now())
	if err != nil {
		return "", err
	}
	id := key.ID
	key.ID = who.ID
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[id], k.keys[who.ID], k.guest = key, key, who.ID
	return text, nil
}
