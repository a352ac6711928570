package source

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// TestWebhook: GitHub's own example of a signature is taken; what is not signed by
// a secret of the hook is not, however it is wrong, and every such answer is the same.
func TestWebhook(t *testing.T) {
	// docs.github.com, "Validating webhook deliveries": testing the validation.
	const secret, hello = "It's a Secret to Everybody", "Hello, World!"
	if got, want := sign(secret, hello), "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"; got != want {
		t.Fatalf("signature %s", got)
	}
	p := &fakePipeline{}
	hooks := NewWebhooks(p, HTTPConfig{}, Webhook{Name: "org", Secrets: [][]byte{[]byte("next"), []byte(secret)}, Tenant: "t1", Source: "github"})
	mux := http.NewServeMux()
	mux.Handle(WebhookRoute, hooks)
	send := func(path, body, signature string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("X-GitHub-Event", "ping")
		r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
		r.Header.Set("Content-Type", "application/json")
		if signature != "" {
			r.Header.Set("X-Hub-Signature-256", signature)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	const path, body = "/v1/webhooks/github/org", "{\n \"zen\": \"Design for failure.\",\n \"hook_id\": 1 }"
	for name, w := range map[string]*httptest.ResponseRecorder{
		"signed":              send(path, body, sign(secret, body)),
		"by the other secret": send(path, body, sign("next", body)),
		"as a form": send(path, "payload="+url.QueryEscape(body), sign(secret, "payload="+url.QueryEscape(body)),
			"Content-Type", "application/x-www-form-urlencoded"),
	} {
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	want := `{"github_event":"ping","github_delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","payload":{"zen":"Design for failure.","hook_id":1}}`
	if len(p.stored) != 3 || p.stored[0] != want || p.stored[2] != want || p.last.Tenant != "t1" || p.last.Source != "github" ||
		p.last.Principal != "webhook:org" || p.last.Key != "72d3162e-cc78-11e3-81ab-4c9367dc0958" || p.last.Format != "github_webhook" {
		t.Fatalf("stored %q by %+v", p.stored, p.last)
	}
	p.stored = nil
	good := sign(secret, body)
	answers := map[string]bool{}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"not signed":         send(path, body, ""),
		"empty":              send(path, body, "sha256="),
		"SHA-1":              send(path, body, "sha1="+strings.Repeat("0", 40)),
		"no hex":             send(path, body, "sha256="+strings.Repeat("x", 64)),
		"another body":       send(path, body+" ", good),
		"another secret":     send(path, body, sign("It's a secret to everybody", body)),
		"no secret":          send(path, body, sign("", body)),
		"one digit off":      send(path, body, good[:len(good)-1]+map[bool]string{true: "1", false: "0"}[good[len(good)-1] == '0']),
		"no such hook":       send("/v1/webhooks/github/none", body, good),
		"no secret, no hook": send("/v1/webhooks/github/none", body, sign("", body)),
	} {
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		answers[w.Body.String()] = true
	}
	if len(answers) != 1 || len(p.stored) > 0 {
		t.Errorf("answers %v, stored %q", answers, p.stored)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"no event":    send(path, body, good, "X-GitHub-Event", ""),
		"no JSON":     send(path, hello, sign(secret, hello)),
		"no object":   send(path, "[1]", sign(secret, "[1]")),
		"no payload":  send(path, "a=b", sign(secret, "a=b"), "Content-Type", "application/x-www-form-urlencoded"),
		"two records": send(path, "{}{}", sign(secret, "{}{}")),
	} {
		if w.Code != http.StatusBadRequest || len(p.stored) > 0 {
			t.Errorf("%s: %d %s, stored %q", name, w.Code, w.Body, p.stored)
		}
	}
	p.err = &tokenwatch.Refusal{Reason: tokenwatch.RefusedOverload, RetryAfter: 1e9}
	if w := send(path, body, good); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
		t.Errorf("busy: %d %v", w.Code, w.Header())
	}
}

// TestWebhookIsBounded: nobody unknown makes the server hold more than GitHub sends,
// or more than so many bodies.
func TestWebhookIsBounded(t *testing.T) {
	hooks := NewWebhooks(&sinkPipeline{}, HTTPConfig{}, Webhook{Name: "org", Secrets: [][]byte{[]byte("s")}})
	serve := func(body []byte) int {
		r := httptest.NewRequest(http.MethodPost, "/v1/webhooks/github/org", bytes.NewReader(body))
		r.Header.Set("X-Hub-Signature-256", sign("other", ""))
		w := httptest.NewRecorder()
		hooks.ServeHTTP(w, r)
		return w.Code
	}
	if got := serve(make([]byte, maxWebhook+1)); got != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", got)
	}
	for range webhooksOpen {
		hooks.open <- struct{}{}
	}
	if got := serve(nil); got != http.StatusTooManyRequests {
		t.Errorf("one body too many: %d", got)
	}
	<-hooks.open
	if got := serve([]byte("{}")); got != http.StatusUnauthorized {
		t.Errorf("with room again: %d", got)
	}
}
