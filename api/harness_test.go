package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a server under test and what it logged.
type running struct {
	t      *testing.T
	store  *fake
	http   string // base URL
	grpc   string // address
	client *http.Client
	logs   *lockedBuffer
	random *counting
	stop   func() error // idempotent; returns what Run returned
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// counting is random enough to tell keys apart, and the same in every run.
type counting struct {
	mu sync.Mutex
	n  byte
}

func (c *counting) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range p {
		c.n = c.n*5 + 17
		p[i] = c.n + byte(i)*31
	}
	c.n++
	return len(p), nil
}

var cursorKey = []byte("0123456789abcdef0123456789abcdef")

// start runs a server on free ports; change may alter its configuration.
func start(t *testing.T, store *fake, change func(*Config)) *running {
	t.Helper()
	r := &running{t: t, store: store, client: &http.Client{Transport: &http.Transport{}}, logs: new(lockedBuffer), random: new(counting)}
	config := Config{
		HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0",
		Store: store, Tokens: store, Post: store, CursorKey: cursorKey, Version: "v0.0.0-test", Random: r.random,
		Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Limits: Limits{Failures: 1 << 20}, // tests of the limit set their own
	}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		done <- s.Run(ctx, func(h, g net.Addr) {
			r.http, r.grpc = "http://"+h.String(), g.String()
			if config.TLS != nil {
				r.http = "https://" + h.String()
			}
			close(ready)
		})
	}()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("Run: %v", err)
	}
	return r
}

// key puts a key into a store before the server starts.
func (f *fake) key(t *testing.T, random io.Reader, tenant string, role tokenwatch.Role) string {
	t.Helper()
	text, key, err := NewKey(random, tenant, role, time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	f.keys[key.ID] = key
	return text
}

// answer is what came back over HTTP.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (r *running) do(method, path, key, body string) answer {
	r.t.Helper()
	req, err := http.NewRequest(method, r.http+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return r.send(req)
}

func (r *running) send(req *http.Request) answer {
	r.t.Helper()
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// dial connects to the gRPC port.
func (r *running) dial() *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+r.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// with is a context for a gRPC call with a key.
func with(ctx context.Context, key string) context.Context {
	if key == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

// pipeline answers deliveries with a fixed outcome.
type pipeline struct {
	outcome v1.Outcome
	err     error
}

func (p pipeline) Ingest(context.Context, v1.Delivery) (v1.Outcome, error) { return p.outcome, p.err }
