package normalize

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// plainLook is look one character at a time.
func plainLook(seg []byte) traits {
	t := traits{dash: -1, under: -1}
	for i, c := range seg {
		switch {
		case c >= '0' && c <= '9':
			t.digits++
		case c >= 'a' && c <= 'z':
			t.lower++
			if c <= 'f' {
				t.hexLetters++
			}
		case c >= 'A' && c <= 'Z':
			t.upper++
			if c <= 'F' {
				t.hexLetters++
			}
		case c == '-':
			t.dash = i
			t.other++
		case c == '_':
			t.under = i
			t.other++
		case c == '%':
			t.percent = true
		case c == '@':
			t.at = true
		case c >= 0x80, c < 0x20, c == 0x7f, c == '"', c == '\'', c == '<', c == '>', c == '\\', c == '(', c == ' ':
			t.strange = true
		default:
			t.other++
		}
	}
	return t
}

// FuzzSegment: counting with words and the short cuts for common segments
// change nothing.
func FuzzSegment(f *testing.F) {
	for _, s := range []string{"users", "v1", "v2beta1", "42", "20240131", "50d065f7436d", "te_hFvK1LK5VfPabZ", "kilo-551", "a%20b", "x@y", "a.jpg", "V1", "é"} {
		f.Add([]byte(s))
		f.Add(bytes.Repeat([]byte(s), 300))
	}
	f.Fuzz(func(t *testing.T, seg []byte) {
		traits := plainLook(seg)
		if got := look(seg); got != traits {
			t.Fatalf("look at %q: %+v, want %+v", seg, got, traits)
		}
		want := appendOther(nil, seg, traits)
		if traits.lower == len(seg) && len(seg) <= maxWordLength {
			want = seg
		}
		if got := appendSegment(nil, seg); !bytes.Equal(got, want) {
			t.Fatalf("segment %q = %q, want %q", seg, got, want)
		}
	})
}

// What a Normalizer remembers decides nothing: rows come out as those of one
// that has seen nothing, also when it has seen more than it has places for.
func TestMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	methods := []string{"GET", "POST", "PUT", "DELETE", "HEAD", ""}
	warm := New()
	for range 5_000 {
		var one, other tokenwatch.Row
		for _, row := range []*tokenwatch.Row{&one, &other} {
			row.SetInt(tokenwatch.ColStatus, 200)
		}
		set := func(c tokenwatch.Col, v string) {
			one.SetText(c, []byte(v))
			other.SetText(c, []byte(v))
		}
		set(tokenwatch.ColMethod, methods[r.IntN(len(methods))])
		switch r.IntN(3) {
		case 0:
			set(tokenwatch.ColPath, fmt.Sprintf("/v1/%c%c%ctokens/search/%d", 'a'+r.IntN(26), 'a'+r.IntN(26), 'a'+r.IntN(26), r.IntN(9)))
		case 1:
			set(tokenwatch.ColPath, []string{"/v1/tokens", "/v1/users/7/roles", "/login", "/a/export", "/api/orders"}[r.IntN(5)])
		default:
			set(tokenwatch.ColAction, []string{"GET", "iam:CreateUser", "s3:GetObject", "x:ListThings"}[r.IntN(4)])
		}
		set(tokenwatch.ColUserAgent, fmt.Sprintf("agent%d/1.0 curl/7", r.IntN(3000)))
		warm.Normalize(&one)
		New().Normalize(&other)
		for _, c := range []tokenwatch.Col{tokenwatch.ColRoute, tokenwatch.ColAction, tokenwatch.ColActionClass, tokenwatch.ColAgentFamily} {
			if !bytes.Equal(one.Text(c), other.Text(c)) {
				t.Fatalf("%v = %q, without memory %q", c, one.Text(c), other.Text(c))
			}
		}
	}
}

// What a memo holds is bounded.
func TestMemo(t *testing.T) {
	m, asked := newMemo(), 0
	get := func(kind, text string) string {
		found, again := m.get([]byte(kind), []byte(text), func() string { asked++; return kind + "/" + text })
		if again != nil && (string(again.found.Text()) != found || kind != "" && (string(again.route.Text()) != text || string(again.action.Text()) != kind+" "+text)) {
			t.Fatalf("the words for %q and %q say something else", kind, text)
		}
		return found
	}
	for range 3 {
		for _, c := range [][2]string{{"", "x"}, {"a", "x"}, {"b", "x"}, {"a", "y"}} {
			if got := get(c[0], c[1]); got != c[0]+"/"+c[1] {
				t.Fatalf("of %q: %q", c, got)
			}
		}
	}
	if asked != 4 {
		t.Errorf("asked %d times about 4 texts", asked)
	}
	long := string(make([]byte, longestRemembered+1))
	asked = 0
	get("", long)
	get("", long)
	get(long, "x")
	get(long, "x")
	if asked != 4 {
		t.Errorf("remembers what is too long")
	}
	for i := range 100_000 {
		get("", fmt.Sprint(i))
	}
	for i := range m.sets {
		for _, p := range m.sets[i].places {
			if cap(p.text) > 2*longestRemembered || cap(p.kind) > 2*longestKind {
				t.Fatalf("a place holds %d bytes", cap(p.text)+cap(p.kind))
			}
		}
	}
}

// The kinds of IPv4 addresses are those that net/netip knows.
func TestQuadKind(t *testing.T) {
	shared := netip.MustParsePrefix("100.64.0.0/10")
	want := func(a netip.Addr) string {
		switch {
		case a.IsLoopback():
			return "loopback"
		case a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast():
			return "link_local"
		case a.IsPrivate() || a.IsUnspecified() || shared.Contains(a):
			return "private"
		}
		return "public"
	}
	for x := range 1 << 16 { // all /16, their ends and something within
		for _, low := range [][2]byte{{0, 0}, {0, 7}, {1, 0}, {255, 255}} {
			a := netip.AddrFrom4([4]byte{byte(x >> 8), byte(x), low[0], low[1]})
			if got := addressKind(a); got != want(a) {
				t.Fatalf("%v is %s, want %s", a, got, want(a))
			}
		}
	}
	for s, want := range map[string]string{"::1": "loopback", "fe80::1": "link_local", "fd00::1": "private", "::": "private", "2001:db8::1": "public"} {
		if got := addressKind(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s is %s, want %s", s, got, want)
		}
	}
}
