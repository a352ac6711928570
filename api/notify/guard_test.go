package notify

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// TestGuard: whatever way an address that is not public is written, it is
// refused when a target is configured.
func TestGuard(t *testing.T) {
	names := map[string][]string{
		"hooks.example.com":        {"203.0.114.7", "2606:4700::1"},
		"inside.example.com":       {"10.1.2.3"},
		"both.example.com":         {"203.0.114.7", "127.0.0.1"},
		"metadata.google.internal": {"169.254.169.254"},
	}
	lookup := func(_ context.Context, name string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, text := range names[name] {
			out = append(out, netip.MustParseAddr(text))
		}
		if out == nil {
			return nil, errors.New("no such name")
		}
		return out, nil
	}
	guard := &Guard{Lookup: lookup}
	for _, url := range []string{
		"", "hooks.example.com/x", "ftp://hooks.example.com/", "file:///etc/passwd", "gopher://hooks.example.com:70/",
		"unix:///run/docker.sock", "javascript:alert(1)", "http://", "http:///x", "https://user:pass@hooks.example.com/",
		"http://127.0.0.1/", "http://127.1/", "http://127.255.255.254:9178/", "http://0.0.0.0/", "http://0/",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/",
		"http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://100.64.0.1/",
		"http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://2852039166/",
		"http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:169.254.169.254]/",
		"http://[0:0:0:0:0:ffff:a00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b:1::a00:1]/",
		"http://[2002:7f00:1::]/", "http://[2001:0:7f00:1::]/", "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/",
		"http://[fec0::1]/", "http://[ff02::1]/", "http://224.0.0.1/", "http://255.255.255.255/", "http://240.0.0.1/",
		"http://192.0.2.1/", "http://198.51.100.1/", "http://203.0.113.1/", "http://198.18.0.1/", "http://[2001:db8::1]/",
		"http://localhost/", "http://LOCALHOST:80/", "http://localhost./", "http://a.localhost/",
		"http://inside.example.com/", "http://both.example.com/", "http://metadata.google.internal/",
	} {
		if err := guard.Check(t.Context(), url); err == nil {
			t.Errorf("%s passes", url)
		}
	}
	for _, url := range []string{
		"https://hooks.example.com/services/T0/B0/x", "http://203.0.114.7/", "https://[2606:4700::1]:8443/", "https://hooks.example.com./",
		"https://unknown.example.com/", // looked at when it is dialled
	} {
		if err := guard.Check(t.Context(), url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	inside := &Guard{Lookup: lookup, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}}
	for url, want := range map[string]bool{
		"http://inside.example.com/": true, "http://10.1.1.1/": true, "http://[::ffff:10.1.1.1]/": true, "http://localhost/": true,
		"http://192.168.1.1/": false, "http://[::1]/": false, "http://169.254.169.254/": false, "http://167772161/": false,
	} {
		if err := inside.Check(t.Context(), url); (err == nil) != want {
			t.Errorf("%s where 10.0.0.0/8 is allowed: %v", url, err)
		}
	}
}

// TestGuardAtDialTime: what a name resolves to when it is dialled is looked at
// again.
func TestGuardAtDialTime(t *testing.T) {
	guard := &Guard{}
	for address, want := range map[string]bool{
		"127.0.0.1:80": false, "[::ffff:10.0.0.1]:443": false, "169.254.169.254:80": false, "[fe80::1%eth0]:80": false,
		"203.0.114.7:443": true, "[2606:4700::1]:443": true, "nonsense": false,
	} {
		if err := guard.control(t.Context(), "tcp4", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if guard.control(t.Context(), "unix", "203.0.114.7:443", nil) == nil {
		t.Error("a socket that is not TCP passes")
	}
}

// nowhere knows no name: a test asks nobody's resolver.
func nowhere(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such name") }
