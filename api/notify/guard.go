package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Guard keeps notifications from reaching inwards: only addresses of the public
// internet are dialled, and those the operator allows. It is asked twice, when a
// target is configured and, with the address a name has then, before each
// connection.
type Guard struct {
	Allow []netip.Prefix // networks that may be reached although they are not public
	// Lookup finds the addresses of a name when a target is configured; nil: the
	// system's resolver.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
}

// errAddress is the error of an address that is not to be reached. It does not
// say which: a name of somebody else's must not tell what is in our network.
var errAddress = errors.New("the address is not one of the public internet, and not in a network that notify.allow lists")

// closed are the networks that are not the public internet's: one's own,
// reserved ones, and those that stand for addresses of IPv4 within IPv6.
var closed = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/8", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	"5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// allows tells whether an address may be dialled.
func (g *Guard) allows(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(g.Allow, within) || a.IsValid() && !slices.ContainsFunc(closed, within)
}

// Check tells whether text may be the URL of a target. A name that cannot be
// resolved at present passes: it is looked at again when it is dialled.
func (g *Guard) Check(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("the URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL must begin with https:// or http://")
	case u.User != nil:
		return errors.New("the URL must not hold a user: use secret_file")
	case u.Hostname() == "":
		return errors.New("the URL has no host")
	}
	return g.checkHost(ctx, strings.TrimSuffix(strings.ToLower(u.Hostname()), "."))
}

func (g *Guard) checkHost(ctx context.Context, host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if !g.allows(a) {
			return errAddress
		}
		return nil
	}
	labels := strings.Split(host, ".")
	switch last := labels[len(labels)-1]; {
	case numeric(last) || strings.Contains(host, ":") || strings.ContainsAny(host, "%"):
		// 2130706433, 0x7f.1 and their like: some resolvers make an address of them.
		return errors.New("an address is written as four decimal numbers, or in brackets")
	case last == "localhost":
		if !g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
			return errAddress
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	lookup := g.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	addresses, err := lookup(ctx, host)
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		if !g.allows(a) {
			return errAddress
		}
	}
	return nil
}

// numeric tells of a label that some resolvers take for a number.
func numeric(label string) bool {
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}

// control is asked by the dialer with the address it is about to connect to.
func (g *Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("dial: %w", errAddress)
	}
	if !g.allows(to.Addr()) {
		return errAddress
	}
	return nil
}
