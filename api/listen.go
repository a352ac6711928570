package api

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrCleartext is the refusal to listen beyond the own machine without TLS.
var ErrCleartext = errors.New("not a loopback address: give a certificate, or say that it is meant to be insecure")

// checkAddress refuses an address that others can reach if what passes there
// could be read.
func checkAddress(address string, secure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	if secure || host == "localhost" {
		return nil
	}
	// A name is not looked up: it may mean another address tomorrow.
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		return fmt.Errorf("listen on %q: %w", address, ErrCleartext)
	}
	return nil
}

// capped is a listener that closes connections beyond so many in all, or of one
// address.
type capped struct {
	net.Listener
	all, each int
	refused   prometheus.Counter

	mu   sync.Mutex
	open int
	from map[netip.Prefix]int
}

func newCapped(l net.Listener, all, each int, refused prometheus.Counter) *capped {
	return &capped{Listener: l, all: all, each: each, refused: refused, from: make(map[netip.Prefix]int)}
}

// Accept returns the next connection that is within the limits.
func (c *capped) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err // the server looks at its kind
		}
		var from netip.Prefix
		if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
			from = network(tcp.AddrPort().Addr())
		}
		if c.enter(from) {
			return &cappedConn{Conn: conn, leave: func() { c.leave(from) }}, nil
		}
		c.refused.Inc()
		conn.Close()
	}
}

func (c *capped) enter(from netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.all || c.from[from] >= c.each {
		return false
	}
	c.open++
	c.from[from]++
	return true
}

func (c *capped) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.from[from]--; c.from[from] == 0 {
		delete(c.from, from)
	}
}

// cappedConn gives its place back when it is closed.
type cappedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close closes the connection.
func (c *cappedConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
