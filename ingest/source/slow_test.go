package source

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// pipeListener hands out one connection in memory, so that time can be fake.
type pipeListener struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestSlowSender: whoever sends a byte every few seconds is closed in time, and
// whoever keeps to the minimum is not (V06).
func TestSlowSender(t *testing.T) {
	for _, test := range []struct {
		bytes int // sent each second
		code  int
		after time.Duration // when the answer comes
	}{
		{bytes: 1, code: http.StatusRequestTimeout, after: 10 * time.Second},
		{bytes: 2000, code: http.StatusOK, after: 50 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d bytes a second", test.bytes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHTTP(&sinkPipeline{}, HTTPConfig{})
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(w, authenticated(r))
				})}
				l := &pipeListener{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
				ended := make(chan error, 1)
				go func() { ended <- server.Serve(l) }()
				ours, theirs := net.Pipe()
				l.conn <- theirs
				start := time.Now()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					const length = 100_000
					fmt.Fprintf(ours, "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length)
					for n := 0; n < length; n += test.bytes {
						time.Sleep(time.Second)
						if _, err := ours.Write(make([]byte, test.bytes)); err != nil {
							return
						}
					}
				}()
				response, err := http.ReadResponse(bufio.NewReader(ours), nil)
				if err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != test.code {
					t.Errorf("status %d, want %d", response.StatusCode, test.code)
				}
				if took := time.Since(start).Round(time.Second); took != test.after {
					t.Errorf("answered after %v, want %v", took, test.after)
				}
				if _, err := io.Copy(io.Discard, response.Body); err != nil {
					t.Error(err)
				}
				ours.Close()
				server.Close()
				<-sent
				if err := <-ended; err != http.ErrServerClosed {
					t.Error(err)
				}
			})
		})
	}
}

// TestSlowIsNamed: a read that ran into its deadline is refused as too slow.
func TestSlowIsNamed(t *testing.T) {
	limits := Limits{}.withDefaults()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	w := &wire{r: theirs, deadline: theirs.SetReadDeadline, start: time.Now().Add(-time.Hour), limits: &limits}
	_, err := w.Read(make([]byte, 10))
	if got := refusalOf(err).Reason; got != tokenwatch.RefusedTooSlow {
		t.Errorf("refused as %s", got)
	}
}
