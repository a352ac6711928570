package notify

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// post sends to a server over real sockets.
func post(t *testing.T, guard Guard, url string) *Failure {
	t.Helper()
	timeout := time.Minute
	if strings.HasSuffix(url, "/stalls") {
		timeout = 50 * time.Millisecond // it never answers
	}
	c := newClient(&guard, timeout, nil)
	defer c.http.CloseIdleConnections()
	err := c.post(t.Context(), url, http.Header{"Content-Type": {"application/json"}}, []byte(`{}`))
	var failure *Failure
	if err != nil && !errors.As(err, &failure) {
		t.Fatalf("%T: %v", err, err)
	}
	return failure
}

// TestNothingIsDialledInside: a listener on an address that is not allowed sees
// no connection, by whatever name it is asked for.
func TestNothingIsDialledInside(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.0.0.2"} {
		if f := post(t, Guard{}, "http://"+host+":"+port+"/"); f == nil || f.Reason != ReasonAddress {
			t.Errorf("%s: %v", host, f)
		}
	}
	l.Close()
	<-done
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// TestReplies: what each kind of reply means. None is followed, and nothing of
// it is in the error.
func TestReplies(t *testing.T) {
	var followed atomic.Bool
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer inside.Close()
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			w.WriteHeader(http.StatusAccepted)
		case "/redirect":
			http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
		case "/busy":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/centuries":
			w.Header().Set("Retry-After", "999999999999")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/refused":
			http.Error(w, "s3cr3t", http.StatusBadRequest)
		case "/broken":
			http.Error(w, "s3cr3t", http.StatusBadGateway)
		case "/stalls":
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("a", 1<<20))
		case "/hangs up":
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	defer close(stop)
	for _, c := range []struct {
		path, reason string
		permanent    bool
		after        time.Duration
	}{
		{"/ok", "", false, 0},
		{"/redirect", ReasonRedirect, true, 0},
		{"/busy", ReasonBusy, false, 2 * time.Minute},
		{"/centuries", ReasonServer, false, 0},
		{"/refused", ReasonStatus, true, 0},
		{"/broken", ReasonServer, false, 0},
		{"/stalls", ReasonTimeout, false, 0},
		{"/endless", "", false, 0}, // its status says that it was taken
		{"/header", ReasonReply, false, 0},
		{"/hangs up", ReasonReply, false, 0},
	} {
		f := post(t, loopback, server.URL+strings.ReplaceAll(c.path, " ", "%20"))
		switch {
		case f == nil && c.reason == "":
		case f == nil || f.Reason != c.reason || f.Permanent != c.permanent:
			t.Errorf("%s: %+v", c.path, f)
		case c.path == "/centuries" && (f.After <= 0 || f.After > maxRetryAfter):
			t.Errorf("%s: after %v", c.path, f.After)
		case c.path != "/centuries" && f.After != c.after:
			t.Errorf("%s: after %v", c.path, f.After)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if f := post(t, loopback, gone.URL); f == nil || f.Reason != ReasonConnect {
		t.Errorf("nobody listens: %v", f)
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	secure.Config.ErrorLog = nil
	if f := post(t, loopback, secure.URL); f == nil || f.Reason != ReasonTLS {
		t.Errorf("a certificate of nobody's: %v", f)
	}
}
