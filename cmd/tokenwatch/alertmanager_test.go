//go:build integration

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// alertmanager runs the real one on an address until the test ends.
func alertmanager(t *testing.T, address string) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "am.yml"), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	program := cmp.Or(os.Getenv("TOKENWATCH_ALERTMANAGER"), "prometheus-alertmanager")
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "am.yml"), "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install the Debian package prometheus-alertmanager, or name one by TOKENWATCH_ALERTMANAGER", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// alerts asks Alertmanager for its alerts by the id of their finding, with their
// severity; active ones only.
func alerts(t *testing.T, address string) map[string]string {
	t.Helper()
	answer, err := http.Get("http://" + address + "/api/v2/alerts?active=true&silenced=false")
	if err != nil {
		return nil // it is not there yet
	}
	defer answer.Body.Close()
	var list []struct{ Labels map[string]string }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil
	}
	out := map[string]string{}
	for _, a := range list {
		if a.Labels["alertname"] == "TokenwatchFinding" {
			out[a.Labels["finding"]] = a.Labels["severity"]
		}
	}
	return out
}

// TestAlertmanager: a real Alertmanager that comes up late has an alert for every
// finding, with its severity, and none any more for one that somebody resolved.
func TestAlertmanager(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	must(t, l.Close()) // nobody listens there at first

	s := newScript(t)
	writeFile(t, filepath.Join(s.dir, "c.yaml"), "data: "+s.dir+"/data\nkeys: "+s.dir+"/keys\nstore: {ballast: 1MiB}\nengine: {shards: 1}\n"+
		"notify:\n  allow: [127.0.0.1/32]\n  link: https://tokenwatch.example\n  targets:\n    - {name: am, kind: alertmanager, url: 'http://"+address+"'}\n")
	up := s.start(t, "serve --config $DIR/c.yaml")
	go io.Copy(io.Discard, up.stdout)
	defer up.end(t)
	s.env["TOKENWATCH_URL"], s.env["TOKENWATCH_KEY"] = up.url(), up.key
	if out, errs, code := s.execute("ingest --source trail $DEMO"); code != 0 {
		t.Fatal(out, errs)
	}
	up.get(t, "/v1/findings:poll?wait=30s", up.key)
	until := func(what string, holds func() bool) {
		t.Helper()
		again, late := time.NewTicker(100*time.Millisecond), time.After(time.Minute)
		defer again.Stop()
		for !holds() {
			select {
			case <-again.C:
			case <-late:
				out, _, _ := s.execute("notify letters")
				t.Fatalf("%s did not come about within a minute\n%s", what, out)
			}
		}
	}
	until("a failed attempt", func() bool {
		out, _, _ := s.execute("notify targets")
		return strings.Contains(out, "not_connected")
	})
	alertmanager(t, address)
	var findings map[string]string
	until("an alert for every finding", func() bool {
		findings = map[string]string{}
		out, _, _ := s.execute("findings --json")
		for line := range strings.Lines(out) {
			var f tokenwatch.Finding
			must(t, json.Unmarshal([]byte(line), &f))
			findings[f.ID] = string(f.Severity)
		}
		return len(findings) > 0 && fmt.Sprint(alerts(t, address)) == fmt.Sprint(findings)
	})
	t.Logf("%d alerts: %v", len(findings), findings)
	resolved := sortedKeys(findings)[0]
	if out, errs, code := s.execute("triage " + resolved + " --status resolved"); code != 0 {
		t.Fatal(out, errs)
	}
	delete(findings, resolved)
	until("the end of the alert that was resolved", func() bool { return fmt.Sprint(alerts(t, address)) == fmt.Sprint(findings) })
}
