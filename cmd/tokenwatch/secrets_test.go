package main

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFingerprintKeyIsChecked: a key with one digit changed, cut short, or of
// another store is refused; with it every token would look new.
func TestFingerprintKeyIsChecked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	file := filepath.Join(dir, fingerprintFile)
	_, err := openSecrets(dir, "one", true, rand.Reader)
	must(t, err)
	whole, err := os.ReadFile(file)
	must(t, err)
	other := filepath.Join(t.TempDir(), "keys")
	_, err = openSecrets(other, "two", true, rand.Reader)
	must(t, err)
	foreign, err := os.ReadFile(filepath.Join(other, fingerprintFile))
	must(t, err)

	bad := map[string][]byte{"foreign": foreign, "empty": nil, "no check": append(whole[:64:64], '\n')}
	for i := range len(whole) - 1 { // behind the last digit stands a line break
		b := append([]byte(nil), whole...)
		if b[i] ^= 1; b[i] == ' '^1 {
			b[i] = '0'
		}
		bad[string(rune('a'+i%26))+string(rune('0'+i/26))] = b
	}
	for name, b := range bad {
		must(t, os.WriteFile(file, b, 0o600))
		if _, err := openSecrets(dir, "one", true, rand.Reader); err == nil {
			t.Errorf("%s: a wrong key was taken", name)
		}
	}
	must(t, os.WriteFile(file, whole, 0o600))
	_, err = openSecrets(dir, "one", false, rand.Reader)
	must(t, err)
}

// TestAdminKeyIsChecked: a file whose key would be refused at the door is not
// handed to the operator as the one to use.
func TestAdminKeyIsChecked(t *testing.T) {
	c := &console{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), now: time.Now, random: rand.Reader}
	cfg := defaultConfig()
	cfg.Data, cfg.Keys, cfg.Store.Ballast = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "keys"), 0
	open := func() error {
		site, err := openSite(t.Context(), c, cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			must(t, site.store.Close())
		}
		return err
	}
	must(t, open())
	file := filepath.Join(cfg.Keys, adminFile)
	b, err := os.ReadFile(file)
	must(t, err)
	b[len(b)-2] ^= 1 // the last character of the secret
	must(t, os.WriteFile(file, b, 0o600))
	if err := open(); err == nil || !strings.Contains(err.Error(), adminFile) {
		t.Errorf("%v", err)
	}
	must(t, os.Remove(file))
	must(t, open())
}
