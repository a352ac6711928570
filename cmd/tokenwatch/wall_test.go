package main

import (
	"slices"
	"testing"

	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

// TestWall: a credential in a text is seen, and a secret asked for is known by
// its id, which differs between tenants.
func TestWall(t *testing.T) {
	keys, err := seal.NewKeys(make([]byte, seal.KeySize))
	must(t, err)
	w := newWall(keys)
	const secret = "ghp_CANARY0123456789abcdefghijklmnopqrst"
	for text, want := range map[string]bool{
		"the key " + secret + " was rotated":               true,
		"Authorization: Bearer 0123456789abcdef0123456789": true,
		"asked the owner, tkw_abcdefghij is theirs":        false,
		"": false,
	} {
		if got := w.holds("default", text); got != want {
			t.Errorf("%q holds a credential: %v, want %v", text, got, want)
		}
	}
	id := string(seal.New(keys, "default", seal.Config{}).Fingerprint([]byte(secret)))
	if names := w.names("default", secret); !slices.Contains(names, id) {
		t.Errorf("the secret's names lack its id")
	}
	if names := w.names("other", secret); slices.Contains(names, id) {
		t.Errorf("another tenant has the same id")
	}
	if names := w.names("default", "AKIAEXAMPLE"); !slices.Contains(names, "AKIAEXAMPLE") {
		t.Errorf("an alias is not kept: %q", names)
	}
}
