package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// TestForeign asks for every object of another tenant by its id, and for one that
// does not exist: each path answers both alike, byte for byte, and changes
// nothing.
func TestForeign(t *testing.T) {
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	theirs := store.key(t, random, "other", tokenwatch.RoleAdmin)
	store.put("default", "fnd_mine")
	store.put("other", "fnd_theirs")
	store.tokens = append(store.tokens, sampleToken("default", "tkw_mine"), sampleToken("other", "tkw_theirs"))
	store.suppressions["sup_theirs"] = tokenwatch.Suppression{
		ID: "sup_theirs", Tenant: "other", Scope: "kind = novelty", Reason: "x", Created: time.Unix(1700000000, 0), Expires: time.Unix(4e9, 0),
	}
	r := start(t, store, func(c *Config) { c.Operator = "nobody" })
	ids := map[string][2]string{ // theirs and one that nobody has
		"findings":      {"fnd_theirs", "fnd_nobody"},
		"suppressions":  {"sup_theirs", "sup_nobody"},
		"tokens":        {"tkw_theirs", "tkw_nobody"},
		"notifications": {"soc-other.fnd_a", "soc-other.fnd_x"},
		"keys":          {keyID(theirs), strings.Repeat("a", idLength)},
	}
	paths, err := bindings()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, b := range paths {
		if !strings.Contains(b.path, "{id}") {
			continue
		}
		kind := strings.Split(b.path, "/")[2]
		pair, ok := ids[kind]
		if !ok {
			t.Errorf("%s: no object of another tenant to ask for", b.path)
			continue
		}
		body := map[string]string{
			"PATCH /v1/findings/{id}":     `{"status":"resolved"}`,
			"PATCH /v1/suppressions/{id}": `{"reason":"mine now"}`,
		}[b.method+" "+b.path]
		before := fmt.Sprint(store.sorted("other"), store.suppressions, store.keys)
		var got [2]answer
		for i, id := range pair {
			got[i] = r.do(b.method, strings.ReplaceAll(b.path, "{id}", id), admin, body)
		}
		asked++
		if got[0].code != http.StatusNotFound || got[0].code != got[1].code || got[0].body != got[1].body {
			t.Errorf("%s %s: %d %s for theirs, %d %s for nobody's", b.method, b.path, got[0].code, got[0].body, got[1].code, got[1].body)
		}
		if !slices.Equal(headers(got[0]), headers(got[1])) {
			t.Errorf("%s %s: headers %v and %v", b.method, b.path, got[0].header, got[1].header)
		}
		if after := fmt.Sprint(store.sorted("other"), store.suppressions, store.keys); after != before {
			t.Errorf("%s %s changed something", b.method, b.path)
		}
	}
	if asked < 10 {
		t.Errorf("%d paths only", asked)
	}
}

// headers are those of an answer but for its time.
func headers(a answer) []string {
	var out []string
	for name, values := range a.header {
		if name != "Date" {
			out = append(out, fmt.Sprint(name, values))
		}
	}
	slices.Sort(out)
	return out
}
