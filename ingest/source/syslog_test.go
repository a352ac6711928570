package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// keeper is a pipeline that keeps lines, refuses the first few calls for the time
// being, and tells when it has as many lines as wanted.
type keeper struct {
	mu     sync.Mutex
	lines  []string
	busy   int
	want   int
	enough chan struct{}
}

func (k *keeper) Ingest(_ context.Context, d Delivery) (Answer, error) {
	b, err := io.ReadAll(d.Body)
	if err != nil {
		return Answer{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy > 0 {
		k.busy--
		return Answer{}, &tokenwatch.Refusal{Reason: tokenwatch.RefusedOverload, RetryAfter: 1}
	}
	before := len(k.lines)
	for line := range strings.Lines(string(b)) {
		k.lines = append(k.lines, strings.TrimSuffix(line, "\n"))
	}
	if before < k.want && len(k.lines) >= k.want {
		close(k.enough)
	}
	return Answer{Accepted: len(k.lines) - before}, nil
}

// TestSyslog sends messages over every network in both framings; all arrive, also
// while the pipeline is busy for a while.
func TestSyslog(t *testing.T) {
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS()
	defer ts.Close()
	for _, network := range []string{"udp", "tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			const each = 200
			k := &keeper{busy: 3, want: 2 * each, enough: make(chan struct{})}
			s := &Syslog{
				Network: network, Addr: "127.0.0.1:0", To: k, Tenant: "t1", Source: "sys",
				TLS: &tls.Config{Certificates: ts.TLS.Certificates},
			}
			at, err := s.Listen()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			var want []string
			for framing := range 2 {
				var conn net.Conn
				if network == "tls" {
					conn, err = tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true}) // a test's own certificate
				} else {
					conn, err = net.Dial(network, at.String())
				}
				if err != nil {
					t.Fatal(err)
				}
				for i := range each {
					m := fmt.Sprintf("<34>1 2023-11-14T22:13:20Z h app - - - %d/%d", framing, i)
					want = append(want, m)
					frame := m + "\n"
					if framing == 1 && network != "udp" {
						frame = fmt.Sprintf("%d %s", len(m), m)
					}
					if _, err := io.WriteString(conn, frame); err != nil {
						t.Fatal(err)
					}
				}
				if err := conn.Close(); err != nil {
					t.Fatal(err)
				}
			}
			<-k.enough
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			slices.Sort(want)
			slices.Sort(k.lines)
			if !slices.Equal(want, k.lines) {
				t.Errorf("%d messages arrived of %d", len(k.lines), len(want))
			}
		})
	}
}

// TestSyslogConnections: an address has only so many connections, and one that
// sends no framing is closed; both are counted, and others are served.
func TestSyslogConnections(t *testing.T) {
	dropped := make(chan string, 8)
	k := &keeper{want: 1, enough: make(chan struct{})}
	s := &Syslog{
		Network: "tcp", Addr: "127.0.0.1:0", To: k, Tenant: "t1", Source: "sys", PerAddress: 1,
		Dropped: func(_, reason string, _ int) { dropped <- reason },
	}
	at, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := dial()
	fmt.Fprint(first, "one\n")
	<-k.enough
	second := dial()
	if got := <-dropped; got != DroppedConnection {
		t.Errorf("the second connection: %s", got)
	}
	second.Close()
	fmt.Fprint(first, "12x")
	if got := <-dropped; got != DroppedFrame {
		t.Errorf("a frame without a length: %s", got)
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("its connection is still open")
	}
	first.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestSyslogSlow: who does not finish a handshake or a message in time is closed and
// counted, whatever it drips; who is silent between messages is not (V06).
func TestSyslogSlow(t *testing.T) {
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS()
	certificates := ts.TLS.Certificates
	ts.Close()
	for _, test := range []struct {
		name  string
		tls   bool
		sent  string // one byte every two seconds, then nothing
		after time.Duration
		why   string
	}{
		{"no handshake", true, "", greetIn, DroppedSlow},
		{"a slow handshake", true, "\x16\x03\x01\x00\xff", greetIn, DroppedSlow},
		{"a message that drips", false, strings.Repeat("<34>1 x", 100), 2*time.Second + finishIn, DroppedSlow},
		{"a message with a length that drips", false, "100 " + strings.Repeat("<34>1 x", 100), 2*time.Second + finishIn, DroppedSlow},
		{"silence", false, "", idleFor, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				why := ""
				s := &Syslog{To: &fakePipeline{}, MaxMessage: 1 << 10, Dropped: func(_, reason string, _ int) { why = reason }, Logger: slog.New(slog.DiscardHandler)}
				ours, theirs := net.Pipe()
				var sending sync.WaitGroup
				var conn net.Conn = theirs
				if test.tls {
					conn = tls.Server(theirs, &tls.Config{Certificates: certificates})
					sending.Go(func() { io.Copy(io.Discard, ours) }) // what the server says
				}
				sending.Go(func() {
					for i := range len(test.sent) {
						time.Sleep(2 * time.Second)
						if _, err := ours.Write([]byte{test.sent[i]}); err != nil {
							return
						}
					}
				})
				start := time.Now()
				s.stream(t.Context(), conn)
				took := time.Since(start)
				conn.Close()
				ours.Close()
				sending.Wait()
				if took != test.after || why != test.why {
					t.Errorf("closed after %v as %q, want %v and %q", took, why, test.after, test.why)
				}
			})
		})
	}
}

// TestCutter: messages are the same however the stream falls into pieces.
func TestCutter(t *testing.T) {
	stream := "5 a\nb\rc\n\r\x00<1>x\n<2>y\x0010 0123456789<3>" + strings.Repeat("z", 40) + "\n3 abc" + "<4>no end"
	want := "a b\rc\n<1>x\n<2>y\n0123456789\n<3>" + strings.Repeat("z", 30-2) + "\nabc\n<4>no end\n"
	for size := 1; size <= len(stream); size++ {
		c := cutter{most: 30}
		for piece := range slices.Chunk([]byte(stream), size) {
			if err := c.take(piece); err != nil {
				t.Fatal(err)
			}
		}
		c.end()
		if string(c.out) != want {
			t.Fatalf("in pieces of %d: %q", size, c.out)
		}
	}
	for _, bad := range []string{"1x", "1234567890 a", "12\n"} {
		c := cutter{most: 30}
		if c.take([]byte(bad)) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzCutter: whatever comes, no more is held than a message and no line is longer
// than one, and pieces make no difference.
func FuzzCutter(f *testing.F) {
	f.Add([]byte("5 hello<1>x\n"), uint8(3))
	f.Add([]byte("99 short"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, pieces := cutter{most: 30}, cutter{most: 30}
		errWhole := whole.take(stream)
		var errPieces error
		for piece := range slices.Chunk(stream, int(size)+1) {
			if errPieces = pieces.take(piece); errPieces != nil {
				break
			}
			if len(pieces.held) > 31 {
				t.Fatalf("%d bytes are held", len(pieces.held))
			}
		}
		if (errWhole == nil) != (errPieces == nil) || !bytes.Equal(whole.out, pieces.out) {
			t.Fatalf("whole %q %v, in pieces %q %v", whole.out, errWhole, pieces.out, errPieces)
		}
		for line := range bytes.Lines(whole.out) {
			if len(line) > 32 {
				t.Fatalf("a line of %d bytes", len(line))
			}
		}
	})
}
