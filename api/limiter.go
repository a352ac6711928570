package api

import (
	"net/netip"
	"sync"
	"time"
)

// limiter counts failures by address and says when one has had too many. It
// holds a bounded number of addresses; the others share one count.
type limiter struct {
	now   func() time.Time
	burst float64       // failures at once
	every time.Duration // one more after so long
	most  int           // addresses

	mu   sync.Mutex
	left map[netip.Prefix]allowance
}

// allowance is how many failures an address has left, as of at.
type allowance struct {
	n  float64
	at time.Time
}

// failed counts a failure of an address. It returns 0, or how long the address
// is to wait because it has had too many.
func (l *limiter) failed(from netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == nil {
		l.left = make(map[netip.Prefix]allowance)
	}
	now := l.now()
	key := network(from)
	a, ok := l.left[key]
	if !ok && len(l.left) >= l.most {
		l.forget(now)
		if len(l.left) >= l.most {
			key = netip.Prefix{}
			a, ok = l.left[key]
		}
	}
	if !ok {
		a = allowance{l.burst, now}
	}
	a.n = min(l.burst, a.n+float64(now.Sub(a.at))/float64(l.every))
	a.at = now
	var wait time.Duration
	if a.n >= 1 {
		a.n--
	} else {
		wait = time.Duration((1 - a.n) * float64(l.every))
	}
	l.left[key] = a
	return wait
}

// wait returns how long an address is to wait because it has had too many failures,
// 0 if it has not. It counts nothing.
func (l *limiter) wait(from netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.left[network(from)]
	if !ok {
		return 0
	}
	if n := a.n + float64(l.now().Sub(a.at))/float64(l.every); n < 1 {
		return time.Duration((1 - n) * float64(l.every))
	}
	return 0
}

// forget drops the addresses that have their whole allowance again.
func (l *limiter) forget(now time.Time) {
	for key, a := range l.left {
		if a.n+float64(now.Sub(a.at))/float64(l.every) >= l.burst {
			delete(l.left, key)
		}
	}
}

// network is what counts as one address: an IPv4 address, or the /64 that one
// IPv6 subscriber has to choose from.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
