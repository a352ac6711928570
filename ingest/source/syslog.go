package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Syslog listens for syslog senders: datagrams (RFC 5426), or a stream over TCP
// or TLS (RFC 6587, RFC 5425), whose messages end with a line break or begin with
// their length. What a message says is for the formats; here it is a record.
//
// Senders of syslog get no answers. Over a stream they are made to wait while the
// pipeline does not take more, so that what was read is stored unless the process
// dies; of datagrams, what does not fit into Queue is dropped and counted.
type Syslog struct {
	Network string      // udp, tcp or tls
	Addr    string      // host:port; port 0 picks one
	TLS     *tls.Config // for tls
	To      Pipeline
	Tenant  string
	Source  string
	Format  string // default auto

	MaxMessage  int                                // bytes; longer ones are cut and refused as too long; default 256 KiB
	Queue       int                                // bytes of datagrams that may wait; default 8 MiB
	Connections int                                // of streams at most; default 1024
	PerAddress  int                                // of them of one address; default 64
	Dropped     func(tenant, reason string, n int) // counts messages and connections that were not taken; may be nil
	Logger      *slog.Logger                       // default: nothing is logged

	packets net.PacketConn
	streams net.Listener
	mu      sync.Mutex
	open    map[netip.Addr]int
	all     int
}

// What Syslog counts as dropped.
const (
	DroppedQueue      = "queue_full"      // a datagram, for want of room
	DroppedBuffer     = "buffer_full"     // a datagram that the system had no room for, where it says so
	DroppedConnection = "too_many"        // a connection over the limit
	DroppedFrame      = "malformed_frame" // a connection whose message has no readable length
	DroppedSlow       = "too_slow"        // a connection that did not finish a message, or its handshake, in time
	DroppedRefused    = "refused"         // messages that the pipeline refuses for good
)

const (
	gather    = 256 << 10              // bytes of messages that go on at once, as a rule
	gatherFor = 100 * time.Millisecond // how long messages wait for others
	greetIn   = 10 * time.Second       // a TLS handshake
	finishIn  = 30 * time.Second       // a message that has begun
	idleFor   = time.Hour              // a connection without messages
)

// Listen takes the address; Run serves it.
func (s *Syslog) Listen() (net.Addr, error) {
	if s.Format == "" {
		s.Format = FormatAuto
	}
	if s.MaxMessage <= 0 {
		s.MaxMessage = 256 << 10
	}
	if s.Queue <= 0 {
		s.Queue = 8 << 20
	}
	if s.Connections <= 0 {
		s.Connections = 1024
	}
	if s.PerAddress <= 0 {
		s.PerAddress = 64
	}
	if s.Dropped == nil {
		s.Dropped = func(string, string, int) {}
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.open = make(map[netip.Addr]int)
	var err error
	switch s.Network {
	case "udp":
		if s.packets, err = net.ListenPacket("udp", s.Addr); err == nil {
			if u, ok := s.packets.(*net.UDPConn); ok {
				_ = u.SetReadBuffer(4 << 20) // as far as the system allows
			}
			return s.packets.LocalAddr(), nil
		}
	case "tcp", "tls":
		if s.streams, err = net.Listen("tcp", s.Addr); err == nil {
			at := s.streams.Addr()
			if s.Network == "tls" {
				if s.TLS == nil {
					return nil, errors.Join(errors.New("syslog over TLS needs a certificate"), s.streams.Close())
				}
				s.streams = tls.NewListener(s.streams, s.TLS)
			}
			return at, nil
		}
	default:
		return nil, errors.New("the networks of syslog are udp, tcp and tls")
	}
	return nil, fmt.Errorf("listen for syslog: %w", err)
}

// Run takes messages until ctx ends; then it hands on what it has read, and
// returns.
func (s *Syslog) Run(ctx context.Context) error {
	if s.packets != nil {
		return s.datagrams(ctx)
	}
	stop := context.AfterFunc(ctx, func() { s.streams.Close() })
	defer stop()
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := s.streams.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept syslog connections: %w", err)
		}
		from, ok := s.enter(conn)
		if !ok {
			s.Dropped(s.Tenant, DroppedConnection, 1)
			conn.Close()
			continue
		}
		serving.Go(func() {
			defer s.leave(from)
			defer conn.Close()
			s.stream(ctx, conn)
		})
	}
}

// enter counts a connection in, if there is room for it.
func (s *Syslog) enter(conn net.Conn) (netip.Addr, bool) {
	var from netip.Addr
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		from = a.Addr().Unmap()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.Connections || s.open[from] >= s.PerAddress {
		return from, false
	}
	s.all++
	s.open[from]++
	return from, true
}

func (s *Syslog) leave(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.open[from]--; s.open[from] == 0 {
		delete(s.open, from)
	}
}

// stream reads one connection to its end.
func (s *Syslog) stream(ctx context.Context, conn net.Conn) {
	ended := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // it wakes the reader
	defer ended()
	if secure, ok := conn.(*tls.Conn); ok {
		greeting, cancel := context.WithTimeout(ctx, greetIn)
		err := secure.HandshakeContext(greeting)
		late := greeting.Err() != nil && ctx.Err() == nil
		cancel()
		if late {
			s.Dropped(s.Tenant, DroppedSlow, 1)
		}
		if err != nil {
			return
		}
	}
	cut := cutter{most: s.MaxMessage}
	buf := make([]byte, 64<<10)
	began := time.Time{} // of the message that is not whole yet
	for ctx.Err() == nil {
		now := time.Now()
		if cut.partial() && began.IsZero() {
			began = now
		} else if !cut.partial() {
			began = time.Time{}
		}
		deadline := now.Add(idleFor)
		if !began.IsZero() {
			deadline = began.Add(finishIn)
		}
		if len(cut.out) > 0 {
			deadline = now.Add(gatherFor)
		}
		if err := conn.SetReadDeadline(deadline); err != nil || ctx.Err() != nil {
			break
		}
		n, err := conn.Read(buf)
		if bad := cut.take(buf[:n]); bad != nil {
			s.Dropped(s.Tenant, DroppedFrame, 1)
			break
		}
		if len(cut.out) >= gather || errors.Is(err, os.ErrDeadlineExceeded) && len(cut.out) > 0 {
			s.deliver(ctx, cut.out)
			cut.out = cut.out[:0]
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !began.IsZero() {
			s.Dropped(s.Tenant, DroppedSlow, 1)
		}
		if err != nil {
			break
		}
	}
	cut.end()
	s.deliver(ctx, cut.out)
}

// deliver hands messages on, and waits as long as it takes: a message that was
// read has no other place.
func (s *Syslog) deliver(ctx context.Context, messages []byte) {
	if len(messages) == 0 {
		return
	}
	if err := insist(ctx, s.To, Delivery{Tenant: s.Tenant, Principal: "syslog", Source: s.Source, Format: s.Format}, messages); err != nil {
		n := bytes.Count(messages, []byte("\n"))
		s.Dropped(s.Tenant, DroppedRefused, n)
		s.Logger.ErrorContext(ctx, "syslog messages were lost: they were refused, or the server stopped while the store took none",
			"source", s.Source, "messages", n, "error", err)
	}
}

// datagrams reads messages that are a datagram each.
func (s *Syslog) datagrams(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.packets.Close() })
	defer stop()
	var (
		mu     sync.Mutex
		queue  []byte
		filled = make(chan struct{}, 1)
		done   = make(chan struct{})
	)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer close(done)
	sending.Go(func() {
		var batch []byte
		timer := time.NewTimer(gatherFor)
		defer timer.Stop()
		for last := false; ; {
			select {
			case <-filled:
			case <-timer.C:
				timer.Reset(gatherFor)
			case <-done:
				last = true
			}
			mu.Lock()
			batch, queue = queue, batch[:0]
			mu.Unlock()
			s.deliver(ctx, batch)
			if last {
				return
			}
		}
	})
	buf, read := make([]byte, 64<<10), datagrams(s.packets)
	for {
		n, lost, err := read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if lost > 0 {
			s.Dropped(s.Tenant, DroppedBuffer, lost)
		}
		if err != nil {
			return fmt.Errorf("read syslog datagrams: %w", err)
		}
		mu.Lock()
		full := len(queue)+n+1 > s.Queue
		if !full {
			queue = appendMessage(queue, buf[:n], s.MaxMessage)
		}
		much := len(queue) >= gather
		mu.Unlock()
		if full {
			s.Dropped(s.Tenant, DroppedQueue, 1)
		}
		if much {
			select {
			case filled <- struct{}{}:
			default:
			}
		}
	}
}

// uncounted reads datagrams of a connection that does not say how many are lost.
func uncounted(from net.PacketConn) func(b []byte) (n, lost int, err error) {
	return func(b []byte) (n, lost int, err error) {
		n, _, err = from.ReadFrom(b)
		return n, 0, err
	}
}

// appendMessage appends a message as a line. Of one that is too long as much is
// kept as shows that.
func appendMessage(dst, message []byte, most int) []byte {
	return appendRecord(dst, message[:min(len(message), most+1)])
}

// cutter cuts a stream into messages, which it appends to out as lines. A message
// that begins with a digit begins with its length (RFC 6587, section 3.4.1); any
// other ends with a line break or NUL (section 3.4.2).
type cutter struct {
	most int
	out  []byte
	held []byte // of the message that is not whole yet, at most most+1 bytes
	left int    // bytes of it that are still to come; -1: its end is not known
	mid  bool   // within a message
	size []byte // digits of a length so far
}

var errFrame = errors.New("no length of a message")

func (c *cutter) partial() bool { return c.mid || len(c.size) > 0 }

func (c *cutter) take(b []byte) error {
	for len(b) > 0 {
		switch {
		case !c.mid && len(c.size) == 0 && (b[0] == '\n' || b[0] == '\r' || b[0] == 0):
			b = b[1:] // between messages
		case !c.mid && (b[0] >= '1' && b[0] <= '9' || len(c.size) > 0 && b[0] == '0'):
			if len(c.size) == 9 {
				return errFrame
			}
			c.size = append(c.size, b[0])
			b = b[1:]
		case !c.mid && len(c.size) > 0:
			if b[0] != ' ' {
				return errFrame
			}
			c.left = 0
			for _, d := range c.size {
				c.left = 10*c.left + int(d-'0')
			}
			c.size, c.mid = c.size[:0], true
			b = b[1:]
		case !c.mid:
			c.left, c.mid = -1, true
		case c.left >= 0:
			n := min(c.left, len(b))
			c.hold(b[:n])
			b = b[n:]
			if c.left -= n; c.left == 0 {
				c.close()
			}
		default:
			n := bytes.IndexAny(b, "\n\x00")
			if n < 0 {
				c.hold(b)
				return nil
			}
			c.hold(b[:n])
			b = b[n+1:]
			c.close()
		}
	}
	return nil
}

func (c *cutter) hold(b []byte) {
	c.held = append(c.held, b[:min(len(b), c.most+1-len(c.held))]...)
}

func (c *cutter) close() {
	c.out = appendMessage(c.out, c.held, c.most)
	c.held, c.mid = c.held[:0], false
}

// end is the end of the stream: a message that only lacks its line break is one;
// of one with a length, that it was cut off is for its format to find out.
func (c *cutter) end() {
	if c.mid && len(c.held) > 0 {
		c.close()
	}
}
