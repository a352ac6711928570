package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// TestLocal: a tool beside a stopped store asks as many times as it likes, on one
// connection, as whom it says it is, and the key it was lent is nobody else's.
func TestLocal(t *testing.T) {
	store := newFake()
	store.put("default", "fnd_a")
	store.put("other", "fnd_b")
	s, err := New(Config{Store: store, CursorKey: cursorKey, Random: new(counting)})
	if err != nil {
		t.Fatal(err)
	}
	transport, stop, err := s.Local(t.Context(), tokenwatch.Principal{ID: "cli", Tenant: "default", Role: tokenwatch.RoleAnalyst})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://store"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(b)
	}
	for i := range 200 {
		if code, body := ask("GET", "/v1/findings", ""); code != 200 || !strings.Contains(body, "fnd_a") || strings.Contains(body, "fnd_b") {
			t.Fatalf("request %d: %d %s", i, code, body)
		}
	}
	if code, body := ask("PATCH", "/v1/findings/fnd_a", `{"status":"resolved"}`); code != 200 || !strings.Contains(body, `"judged_by":"cli"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := ask("GET", "/v1/keys", ""); code != 403 {
		t.Errorf("an analyst lists keys: %d", code)
	}
	if len(store.keys) != 0 {
		t.Error("the key that was lent is in the store")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Local(t.Context(), tokenwatch.Principal{ID: "cli", Tenant: "NOBODY", Role: tokenwatch.RoleAnalyst}); err == nil {
		t.Error("a tenant that cannot be")
	}
}
