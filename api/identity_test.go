package api

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// TestForeignObjects is case V13: what is another tenant's is answered like what
// is not there, byte for byte, and what a role does not allow changes nothing and
// is in the history.
func TestForeignObjects(t *testing.T) {
	store, random := newFake(), new(counting)
	analyst := store.key(t, random, "a", tokenwatch.RoleAnalyst)
	admin := store.key(t, random, "a", tokenwatch.RoleAdmin)
	foreign := store.key(t, random, "b", tokenwatch.RoleAdmin)
	store.put("b", "theirs")
	r := start(t, store, nil)

	absent := r.do("GET", "/v1/findings/absent", analyst, "")
	theirs := r.do("GET", "/v1/findings/theirs", analyst, "")
	if absent.code != 404 || absent.code != theirs.code || absent.body != theirs.body {
		t.Errorf("absent: %d %s, another tenant's: %d %s", absent.code, absent.body, theirs.code, theirs.body)
	}
	if fmt.Sprint(keysOf(absent.header)) != fmt.Sprint(keysOf(theirs.header)) {
		t.Errorf("headers differ: %v, %v", absent.header, theirs.header)
	}
	absent = r.do("POST", "/v1/keys/absent:revoke", admin, "")
	theirs = r.do("POST", "/v1/keys/"+keyID(foreign)+":revoke", admin, "")
	if absent.code != 404 || absent.code != theirs.code || absent.body != theirs.body {
		t.Errorf("absent: %d %s, another tenant's: %d %s", absent.code, absent.body, theirs.code, theirs.body)
	}
	for _, path := range []string{"/v1/findings", "/v1/findings:poll"} {
		if got := r.do("GET", path, analyst, ""); got.code != 200 || strings.Contains(got.body, "theirs") {
			t.Errorf("%s: %d %s", path, got.code, got.body)
		}
	}
	if got := r.do("GET", "/v1/keys", admin, ""); strings.Contains(got.body, keyID(foreign)) {
		t.Errorf("another tenant's keys are listed: %s", got.body)
	}

	keys := len(store.keys)
	for _, c := range []struct{ key, path, body, object string }{
		{analyst, "/v1/keys", `{"role":"admin"}`, "/tokenwatch.v1.Keys/Create"},
		{analyst, "/v1/keys/" + keyID(admin) + ":revoke", "", "/tokenwatch.v1.Keys/Revoke"},
		{admin, "/v1/keys", `{"role":"admin","tenant":"b"}`, "keys.create for another tenant"},
	} {
		got := r.do("POST", c.path, c.key, c.body)
		if got.code != 403 {
			t.Errorf("%s: %d %s", c.path, got.code, got.body)
		}
		actions := store.recorded()
		last := actions[len(actions)-1]
		if last.Verb != "access.denied" || last.Object != c.object || last.Actor != keyID(c.key) || last.Tenant != "a" {
			t.Errorf("%s is in the history as %+v", c.path, last)
		}
	}
	if len(store.keys) != keys || !store.keys[keyID(admin)].Revoked.IsZero() {
		t.Error("something changed")
	}
}

func keysOf(h http.Header) []string {
	out := make([]string, 0, len(h))
	for k := range h {
		if k != "Date" {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// TestStrangeIdentity is case V14 on both ports.
func TestStrangeIdentity(t *testing.T) {
	store, random := newFake(), new(counting)
	good := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, nil)
	address := strings.TrimPrefix(r.http, "http://")
	changed := []byte(good)
	changed[len(changed)/2+10] ^= 1
	headers := map[string]string{
		"missing":           "",
		"empty":             "Authorization: \r\n",
		"no key":            "Authorization: Bearer\r\n",
		"no key, space":     "Authorization: Bearer \r\n",
		"doubled":           "Authorization: Bearer " + good + "\r\nAuthorization: Bearer " + good + "\r\n",
		"two in one":        "Authorization: Bearer " + good + ", Bearer " + good + "\r\n",
		"64 KiB":            "Authorization: Bearer " + strings.Repeat("A", 64<<10) + "\r\n",
		"64 KiB behind":     "Authorization: Bearer " + good + strings.Repeat("A", 64<<10) + "\r\n",
		"wrong scheme":      "Authorization: Basic " + good + "\r\n",
		"no scheme":         "Authorization: " + good + "\r\n",
		"changed":           "Authorization: Bearer " + string(changed) + "\r\n",
		"upper case":        "Authorization: Bearer " + strings.ToUpper(good) + "\r\n",
		"shortened":         "Authorization: Bearer " + good[:len(good)-1] + "\r\n",
		"lengthened":        "Authorization: Bearer " + good + "a\r\n",
		"tab":               "Authorization: Bearer \t" + good + "\r\n",
		"two spaces":        "Authorization: Bearer  " + good + "\r\n",
		"beyond ASCII":      "Authorization: Bearer \xc3\xa9" + good + "\r\n",
		"id only":           "Authorization: Bearer " + KeyPrefix + keyID(good) + "_\r\n",
		"another id":        "Authorization: Bearer " + KeyPrefix + "aaaaaaaaaaaaaaaa" + good[len(KeyPrefix)+idLength:] + "\r\n",
		"another separator": "Authorization: Bearer " + strings.Replace(good, keyID(good)+"_", keyID(good)+"-", 1) + "\r\n",
	}
	bodies := make(map[string]bool)
	for name, h := range headers {
		code, body := raw(t, address, h)
		if code != 401 {
			t.Errorf("%s: %d %s", name, code, body)
		}
		bodies[body] = true
	}
	if len(bodies) != 1 {
		t.Errorf("the answers tell them apart: %v", bodies)
	}
	if code, _ := raw(t, address, "Authorization: bearer "+good+"\r\n"); code != 200 {
		t.Errorf("the scheme is not case-insensitive: %d", code)
	}
	// Control characters never get as far as a handler: HTTP itself forbids them.
	for _, c := range []string{"\x00", "\x01", "\x1b[2J", "\x7f"} {
		code, body := raw(t, address, "Authorization: Bearer "+c+good+"\r\n")
		if code != 400 || strings.Contains(body, good[10:22]) {
			t.Errorf("%q: %d %s", c, code, body)
		}
	}
	client := pb.NewSystemClient(r.dial())
	for _, key := range []string{"", "x", string(changed), strings.Repeat("A", 64<<10), good + " x"} {
		if _, err := client.GetVersion(with(t.Context(), key), &pb.GetVersionRequest{}); v1.Reason(err) != v1.ReasonUnauthenticated {
			t.Errorf("a key of %d characters: %v", len(key), err)
		}
	}
	twice := with(with(t.Context(), good), good)
	if _, err := client.GetVersion(twice, &pb.GetVersionRequest{}); v1.Reason(err) != v1.ReasonUnauthenticated {
		t.Errorf("doubled: %v", err)
	}
	if log := r.logs.String(); strings.Contains(log, "Bearer") || strings.Contains(log, good[len(good)-20:]) || strings.Contains(log, "AAAA") {
		t.Errorf("the log has the header: %s", log)
	}
}

// raw sends a request with header lines as they are.
func raw(t *testing.T, address, lines string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /v1/version HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%s\r\n", lines); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

// TestFailuresAreLimited: too many failures of one address are put off, with a
// delay, while a good key from there is still let in.
func TestFailuresAreLimited(t *testing.T) {
	store, random := newFake(), new(counting)
	good := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, func(c *Config) {
		c.Limits.Failures, c.Limits.FailureEvery = 3, time.Hour
	})
	for i := range 5 {
		got := r.do("GET", "/v1/version", "tkwk_wrong", "")
		if want := map[bool]int{true: 401, false: 429}[i < 3]; got.code != want {
			t.Errorf("failure %d: %d, want %d", i, got.code, want)
		}
		if got.code == 429 && got.header.Get("Retry-After") != "3600" {
			t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
		}
	}
	_, err := pb.NewSystemClient(r.dial()).GetVersion(t.Context(), &pb.GetVersionRequest{})
	if v1.Reason(err) != v1.ReasonRateLimited || v1.Retry(err) == 0 {
		t.Errorf("over gRPC: %v", err)
	}
	if got := r.do("GET", "/v1/version", good, ""); got.code != 200 {
		t.Errorf("a good key: %d", got.code)
	}
}

// TestDenialsAreLimited: each denial costs a synced write, so there is an end.
func TestDenialsAreLimited(t *testing.T) {
	store, random := newFake(), new(counting)
	key := store.key(t, random, "default", tokenwatch.RoleIngest)
	r := start(t, store, func(c *Config) { c.Limits.Failures, c.Limits.FailureEvery = 4, time.Hour })
	for i := range 10 {
		got := r.do("GET", "/v1/findings", key, "")
		if want := map[bool]int{true: 403, false: 429}[i < 4]; got.code != want {
			t.Errorf("attempt %d: %d, want %d", i, got.code, want)
		}
	}
	if n := len(store.recorded()); n != 4 {
		t.Errorf("%d entries in the history, want 4", n)
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(0, 0)
	l := &limiter{now: func() time.Time { return now }, burst: 2, every: time.Second, most: 3}
	a := netip.MustParseAddr("192.0.2.1")
	want := []time.Duration{0, 0, time.Second, time.Second}
	for i, w := range want {
		if got := l.failed(a); got != w {
			t.Errorf("failure %d: %v, want %v", i, got, w)
		}
	}
	now = now.Add(time.Second)
	if got := l.failed(a); got != 0 {
		t.Errorf("after a second: %v", got)
	}
	if l.failed(netip.MustParseAddr("2001:db8::1")); l.failed(netip.MustParseAddr("2001:db8::2")) != 0 {
		t.Error("two of one /64 have not two failures in all")
	}
	if got := l.failed(netip.MustParseAddr("2001:db8::3")); got == 0 {
		t.Error("the third of one /64 is not limited")
	}
	for i := range 100 {
		l.failed(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	if len(l.left) > 4 {
		t.Errorf("%d addresses are held", len(l.left))
	}
	now = now.Add(time.Hour)
	if got := l.failed(netip.MustParseAddr("203.0.113.9")); got != 0 {
		t.Errorf("an hour later: %v", got)
	}
}

// TestKeyLife makes a key over REST, uses it, and revokes it.
func TestKeyLife(t *testing.T) {
	store, random := newFake(), new(counting)
	operator := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, func(c *Config) { c.Random = random })
	client := pb.NewKeysClient(r.dial())
	ctx := with(t.Context(), operator)
	made, err := client.Create(ctx, &pb.CreateKeyRequest{Role: "analyst", Tenant: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	secret := made.GetSecret()
	if len(secret) != keyLength || !strings.HasPrefix(secret, KeyPrefix) || keyID(secret) != made.GetKey().GetId() {
		t.Errorf("a key of %d characters", len(secret))
	}
	if got := r.do("GET", "/v1/version", secret, ""); got.code != 200 || !strings.Contains(got.body, `"tenant":"shop"`) {
		t.Errorf("with the new key: %d %s", got.code, got.body)
	}
	listed := r.do("GET", "/v1/keys?page_size=1000", operator, "")
	if strings.Contains(listed.body, secret[len(secret)-20:]) || !strings.Contains(listed.body, made.GetKey().GetId()) {
		t.Errorf("the list: %s", listed.body)
	}
	for range 2 { // the second changes nothing
		if _, err := client.Revoke(ctx, &pb.RevokeKeyRequest{Id: made.GetKey().GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.do("GET", "/v1/version", secret, ""); got.code != 401 {
		t.Errorf("with the revoked key: %d", got.code)
	}
	var verbs []string
	for _, a := range store.recorded() {
		verbs = append(verbs, a.Verb)
	}
	if fmt.Sprint(verbs) != "[keys.create keys.revoke]" {
		t.Errorf("the history: %v", verbs)
	}
	for _, req := range []*pb.CreateKeyRequest{{Role: "root"}, {Role: "admin", Tenant: "../x"}, {Role: "admin", Tenant: strings.Repeat("a", 65)}} {
		if _, err := client.Create(ctx, req); v1.Reason(err) != tokenwatch.RefusedArgument {
			t.Errorf("%v: %v", req, err)
		}
	}
	if strings.Contains(r.logs.String(), secret[len(secret)-20:]) {
		t.Error("the log has a key")
	}
}

// TestKeysNeedTheHistory: where the change cannot be recorded it does not hold.
func TestKeysNeedTheHistory(t *testing.T) {
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, func(c *Config) { c.Random = random })
	store.broken = fmt.Errorf("disk is full")
	if got := r.do("POST", "/v1/keys", admin, `{"role":"ingest"}`); got.code != 500 || strings.Contains(got.body, "disk") || strings.Contains(got.body, KeyPrefix) {
		t.Errorf("create: %d %s", got.code, got.body)
	}
	if got := r.do("POST", "/v1/keys/"+keyID(admin)+":revoke", admin, ""); got.code != 500 {
		t.Errorf("revoke: %d %s", got.code, got.body)
	}
	if got := r.do("GET", "/v1/version", admin, ""); got.code != 200 {
		t.Errorf("the key ended without a trace: %d", got.code)
	}
	if !strings.Contains(r.logs.String(), "disk is full") {
		t.Error("the fault is not in the log")
	}
}
