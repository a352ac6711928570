package format

import (
	"net/netip"
	"strings"
	"testing"
)

// plainAddress is address with nothing but package netip.
func plainAddress(s string) (netip.Addr, int64, bool) {
	if len(s) < 2 || len(s) > 64 {
		return netip.Addr{}, 0, false
	}
	if s[0] == '[' || strings.Count(s, ":") == 1 {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return ap.Addr().WithZone(""), int64(ap.Port()), true
		}
		if in, rest, ok := strings.Cut(strings.TrimPrefix(s, "["), "]"); ok && s[0] == '[' {
			port := int64(0)
			if rest != "" {
				n, isNumber := digits([]byte(strings.TrimPrefix(rest, ":")))
				if !isNumber || rest[0] != ':' || n > 65535 {
					return netip.Addr{}, 0, false
				}
				port = n
			}
			a, err := netip.ParseAddr(in)
			return a.WithZone(""), port, err == nil
		}
	}
	a, err := netip.ParseAddr(s)
	return a.WithZone(""), 0, err == nil
}

// FuzzAddress: addresses are those of package netip.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"1.2.3.4", "255.255.255.255", "0.0.0.0", "01.2.3.4", "1.2.3.256", "1.2.3", "1.2.3.4.5", "1..2.3", "1.2.3.", ".1.2.3", "1.2.3.4:80", "1.2.3.4:080", "1.2.3.4:99999",
		"::1", "[::1]", "[::1]:443", "fe80::1%eth0", "[fe80::1%eth0]:1", "::ffff:1.2.3.4", "[1.2.3.4]:80", "[::1%eth0]:1%eth0]", "cloudtrail.amazonaws.com", "abc", "a:1", "%", "1.2.3.4%x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		a, port, ok := address(in)
		wantAddr, wantPort, wantOK := plainAddress(string(in))
		if ok != wantOK || ok && (a != wantAddr || port != wantPort) {
			t.Fatalf("%q: %v %d %v, want %v %d %v", in, a, port, ok, wantAddr, wantPort, wantOK)
		}
	})
}
