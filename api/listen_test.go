package api

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// certificate makes one for 127.0.0.1, and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokenwatch"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLS: with a certificate both ports speak TLS and nothing else, and HTTP/2
// is to be had on both.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	store, random := newFake(), new(counting)
	analyst := store.key(t, random, "default", tokenwatch.RoleAnalyst)
	store.put("default", "a")
	r := start(t, store, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	req, err := http.NewRequest("GET", r.http+"/v1/findings", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+analyst)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("%d over HTTP/%d", resp.StatusCode, resp.ProtoMajor)
	}
	stream, _ := r.events("/v1/findings:watch", analyst, "")
	if _, f := next(t, stream); f.ID != "a" {
		t.Errorf("over HTTP/2: %+v", f)
	}
	conn, err := grpc.NewClient("passthrough:///"+r.grpc, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := pb.NewFindingsClient(conn).List(with(t.Context(), analyst), &pb.ListFindingsRequest{}); err != nil || len(got.GetFindings()) != 1 {
		t.Errorf("gRPC: %v %v", got, err)
	}
	ctx, cancel := context.WithTimeout(with(t.Context(), analyst), 5*time.Second)
	defer cancel()
	if _, err := pb.NewFindingsClient(r.dial()).List(ctx, &pb.ListFindingsRequest{}); err == nil {
		t.Error("gRPC without TLS is answered")
	}
	plain := strings.Replace(r.http, "https", "http", 1)
	resp, err = http.Get(plain + "/healthz")
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("HTTP without TLS: %d", resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestCleartext: only what never leaves the machine goes without TLS.
func TestCleartext(t *testing.T) {
	cert, _ := certificate(t)
	for _, c := range []struct {
		address  string
		tls      bool
		insecure bool
		ok       bool
	}{
		{"127.0.0.1:0", false, false, true},
		{"127.9.9.9:0", false, false, true},
		{"[::1]:0", false, false, true},
		{"[::ffff:127.0.0.1]:0", false, false, true},
		{"localhost:0", false, false, true},
		{":0", false, false, false},
		{"0.0.0.0:0", false, false, false},
		{"[::]:0", false, false, false},
		{"192.0.2.1:0", false, false, false},
		{"example.org:0", false, false, false},
		{"0.0.0.0:0", true, false, true},
		{"0.0.0.0:0", false, true, true},
	} {
		for _, grpcPort := range []bool{false, true} {
			config := Config{Store: newFake(), CursorKey: cursorKey, Insecure: c.insecure}
			if c.tls {
				config.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			}
			if config.HTTPAddr = c.address; grpcPort {
				config.HTTPAddr, config.GRPCAddr = "", c.address
			}
			_, err := New(config)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrCleartext) {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
	if _, err := New(Config{Store: newFake(), CursorKey: cursorKey, HTTPAddr: "nonsense"}); err == nil {
		t.Error("an address without a port is taken")
	}
	if _, err := New(Config{Store: newFake(), CursorKey: []byte("short")}); err == nil {
		t.Error("a short cursor key is taken")
	}
}

// TestConnectionCap: beyond the limit of one address connections are closed at
// once, and a place that is given back is taken again.
func TestConnectionCap(t *testing.T) {
	const limit = 8
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, func(c *Config) { c.Limits.AddressConnections = limit })
	address := strings.TrimPrefix(r.http, "http://")
	var held []net.Conn
	answered := 0
	for range 3 * limit {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"); err != nil {
			continue
		}
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			resp.Body.Close()
			answered++
			held = append(held, conn)
		}
	}
	if answered != limit {
		t.Errorf("%d connections were served, want %d", answered, limit)
	}
	for _, c := range held {
		c.Close()
	}
	for { // the server has to notice first
		resp, err := r.client.Get(r.http + "/healthz")
		if err == nil {
			resp.Body.Close()
			break
		}
	}
	got := r.do("GET", "/metrics", admin, "")
	if !strings.Contains(got.body, `tokenwatch_api_connections_refused_total{listener="http"}`) {
		t.Error("the refused are not counted")
	}
}

// TestSlowSenders is case V06: who sends a byte now and then, of a header or of
// a body, is cut off at the deadline.
func TestSlowSenders(t *testing.T) {
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, func(c *Config) {
		c.Limits.Header, c.Limits.Read = 50*time.Millisecond, 50*time.Millisecond
	})
	address := strings.TrimPrefix(r.http, "http://")
	for name, sent := range map[string]string{
		"nothing":  "",
		"a header": "GET /v1/findings HTTP/1.1\r\nHost: t\r\nX-A: ",
		"a body":   "POST /v1/keys HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + admin + "\r\nContent-Length: 100\r\n\r\n{",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		b, err := io.ReadAll(conn) // ends when the server closes
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "a body" && !strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
			t.Errorf("%s: %q", name, b)
		}
	}
	if len(store.keys) != 1 {
		t.Error("half a body made a key")
	}
}

// TestHealthAndReflection: health is for everyone, reflection for every key.
func TestHealthAndReflection(t *testing.T) {
	store, random := newFake(), new(counting)
	sender := store.key(t, random, "default", tokenwatch.RoleIngest)
	r := start(t, store, nil)
	conn := r.dial()
	got, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v %v", got, err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "x"}); v1.Reason(err) != v1.ReasonNotFound {
		t.Errorf("health of what is not there: %v", err)
	}
	list := func(key string) error {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(with(t.Context(), key))
		if err != nil {
			return err
		}
		if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
		}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		answer, err := stream.Recv()
		if err == nil && !strings.Contains(answer.String(), "tokenwatch.v1.Findings") {
			t.Errorf("reflection: %v", answer)
		}
		return errors.Join(err, stream.CloseSend())
	}
	if err := list(""); v1.Reason(err) != v1.ReasonUnauthenticated {
		t.Errorf("reflection without a key: %v", err)
	}
	if err := list(sender); err != nil {
		t.Errorf("reflection: %v", err)
	}
	if err := conn.Invoke(with(t.Context(), sender), "/no.such/Method", &pb.GetVersionRequest{}, &pb.Version{}); v1.Reason(err) != v1.ReasonForbidden {
		t.Errorf("a method that is not there: %v", err)
	}
}

// TestIngest: the injected handler and pipeline learn who sends.
func TestIngest(t *testing.T) {
	store, random := newFake(), new(counting)
	sender := store.key(t, random, "shop", tokenwatch.RoleIngest)
	pipe := pipeline{outcome: v1.Outcome{Accepted: 2, Format: "combined", Total: 1, Rejected: []tokenwatch.Reject{{Index: 1, Reason: tokenwatch.ReasonMalformed}}}}
	r := start(t, store, func(c *Config) {
		c.Pipeline = pipe
		c.Ingest = Ingest{Routes: []string{"POST /v1/ingest", "GET /{$}"}, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			who, _ := tokenwatch.PrincipalFrom(req.Context())
			n, err := io.Copy(io.Discard, req.Body)
			fmt.Fprint(w, who.Tenant, " ", who.Role, " ", n, " ", err, " ", req.URL.RawQuery)
		})}
	})
	for _, authorization := range []string{"Bearer " + sender, "Splunk " + sender, "ApiKey " + sender,
		"ApiKey " + base64.StdEncoding.EncodeToString([]byte("id:"+sender)), "Basic " + base64.StdEncoding.EncodeToString([]byte("shipper:"+sender))} {
		req, err := http.NewRequest("GET", r.http+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		req.Header.Set("Accept", "application/json")
		answer, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(body) != "shop ingest 0 <nil> " {
			scheme, _, _ := strings.Cut(authorization, " ")
			t.Errorf("%s: %d %s %v", scheme, answer.StatusCode, body, err)
		}
	}
	if got := r.do("POST", "/v1/ingest?source=a", sender, strings.Repeat("x", 3<<20)); got.body != "shop ingest 3145728 <nil> source=a" {
		t.Errorf("%d %s", got.code, got.body)
	}
	client := pb.NewIngestClient(r.dial())
	got, err := client.Ingest(with(t.Context(), sender), &pb.IngestRequest{Records: []byte("x")})
	if err != nil || got.GetAccepted() != 2 || got.GetRejectedTotal() != 1 || len(got.GetRejected()) != 1 {
		t.Errorf("%v %v", got, err)
	}
	for name, req := range map[string]*pb.IngestRequest{
		tokenwatch.RefusedTooLarge: {Records: make([]byte, v1.MaxRecords+1)},
		tokenwatch.RefusedArgument: {IdempotencyKey: "a\nb"},
	} {
		if _, err := client.Ingest(with(t.Context(), sender), req); v1.Reason(err) != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFaultsOfOurs: neither a panic nor an error of a handler tells a caller
// more than that there was one, and the server goes on.
func TestFaultsOfOurs(t *testing.T) {
	store, random := newFake(), new(counting)
	sender := store.key(t, random, "default", tokenwatch.RoleIngest)
	r := start(t, store, func(c *Config) {
		c.Pipeline = pipeline{err: errors.New("s3cr3t")}
		c.Ingest = Ingest{Routes: []string{"POST /v1/ingest"}, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken promise") })}
	})
	if got := r.do("POST", "/v1/ingest", sender, "x"); got.code != 500 || strings.Contains(got.body, "promise") {
		t.Errorf("%d %s", got.code, got.body)
	}
	_, err := pb.NewIngestClient(r.dial()).Ingest(with(t.Context(), sender), &pb.IngestRequest{})
	if v1.Reason(err) != tokenwatch.RefusedInternal || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("%v", err)
	}
	if got := r.do("GET", "/v1/version", sender, ""); got.code != 200 {
		t.Errorf("afterwards: %d", got.code)
	}
	if log := r.logs.String(); !strings.Contains(log, "broken promise") || !strings.Contains(log, "s3cr3t") {
		t.Errorf("the log: %s", log)
	}
}
