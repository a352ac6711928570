package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// browse asks for a path as a browser does, with a key as the password.
func (r *running) browse(method, path, key string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequest(method, r.http+path, strings.NewReader("{}"))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	if key != "" {
		req.SetBasicAuth("anybody", key)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.send(req)
}

// TestConsole: the page shows what the caller's tenant has and its role may see,
// with text that comes from logs escaped, and a browser asks for the key.
func TestConsole(t *testing.T) {
	store, random := newFake(), new(counting)
	analyst, sender := store.key(t, random, "default", tokenwatch.RoleAnalyst), store.key(t, random, "default", tokenwatch.RoleIngest)
	store.put("default", "fnd_a")
	store.put("other", "fnd_foreign")
	evil := store.put("default", "fnd_evil")
	evil.Summary, evil.Score = "<script>alert(1)</script>\u202e", 99
	evil.Series = &tokenwatch.Series{Step: 1, Observed: []uint32{1}}
	store.findings["default/fnd_evil"] = evil
	store.tokens = append(store.tokens, sampleToken("default", "tkw_fnd_a"), sampleToken("other", "tkw_fnd_foreign"))
	r := start(t, store, nil)

	got := r.browse("GET", "/console", analyst)
	if got.code != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v: %s", got.code, got.header, got.body)
	}
	for _, want := range []string{"99 critical", "&lt;script&gt;", `\u202e`, "a new network", "ASIAfnd_a", "AKIA/tkw_fnd_a", "/v1/findings/fnd_evil/plot.svg"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	for _, never := range []string{"<script", "\u202e", "foreign", analyst, "http://", "https://"} {
		if strings.Contains(got.body, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if strings.Index(got.body, "99 critical") > strings.Index(got.body, "91 critical") {
		t.Error("the highest score does not come first")
	}
	if got := r.browse("GET", "/console?filter=score+%3C+99", analyst); strings.Contains(got.body, "99 critical") || !strings.Contains(got.body, "91 critical") {
		t.Errorf("the filter does not hold: %s", got.body)
	}
	for path, code := range map[string]int{"/console?filter=nonsense+%3D+1": 400, "/console?nonsense=1": 400} {
		if got := r.browse("GET", path, analyst); got.code != code {
			t.Errorf("%s: %d, want %d", path, got.code, code)
		}
	}
	if got := r.browse("GET", "/console", sender); got.code != http.StatusForbidden {
		t.Errorf("a sender: %d", got.code)
	}
	for _, path := range []string{"/console", "/v1/findings/fnd_a"} {
		if got := r.browse("GET", path, ""); got.code != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s without a key: %d %v", path, got.code, got.header)
		}
	}
	if got := r.do("GET", "/console", "", ""); got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("who is no browser is asked for %v", got.header)
	}
}

// TestCrossSite: a page of another site cannot use the key that a browser keeps.
func TestCrossSite(t *testing.T) {
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, nil)
	if got := r.browse("POST", "/v1/keys", admin, "Sec-Fetch-Site", "cross-site"); got.code != http.StatusForbidden {
		t.Errorf("from another site: %d %s", got.code, got.body)
	}
	if got := r.browse("POST", "/v1/keys", admin, "Origin", "https://elsewhere.example"); got.code != http.StatusForbidden {
		t.Errorf("from another origin: %d %s", got.code, got.body)
	}
	if got := r.browse("POST", "/v1/keys", admin); got.code == http.StatusForbidden {
		t.Errorf("from no browser: %d %s", got.code, got.body)
	}
	if got := r.browse("GET", "/console", admin, "Sec-Fetch-Site", "same-origin"); got.code != http.StatusOK {
		t.Errorf("from its own page: %d %s", got.code, got.body)
	}
}
