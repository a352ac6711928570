//go:build integration

package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPrometheusScrapes: a real Prometheus takes the server's own metrics, with an API
// key, and promtool asks for the time series as it would ask Prometheus.
func TestPrometheusScrapes(t *testing.T) {
	s := newScript(t)
	up := s.start(t, "serve --data $DIR/data --keys $DIR/keys")
	go io.Copy(io.Discard, up.stdout)
	defer up.end(t)
	s.env["TOKENWATCH_URL"], s.env["TOKENWATCH_KEY"] = up.url(), up.key
	if out, errs, code := s.execute("ingest --source trail $DEMO"); code != 0 {
		t.Fatal(out, errs)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	must(t, l.Close())
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "key"), up.key)
	writeFile(t, filepath.Join(dir, "prometheus.yml"), "scrape_configs:\n- job_name: tokenwatch\n  scrape_interval: 1s\n"+
		"  authorization: {credentials_file: key}\n  static_configs: [{targets: ['"+strings.TrimPrefix(up.url(), "http://")+"']}]\n")
	program := cmp.Or(os.Getenv("TOKENWATCH_PROMETHEUS"), "prometheus")
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install the Debian package prometheus, or name one by TOKENWATCH_PROMETHEUS", err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	scraped := func(query string) string {
		answer, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return "" // it is not there yet
		}
		defer answer.Body.Close()
		var body struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if json.NewDecoder(answer.Body).Decode(&body) != nil || len(body.Data.Result) != 1 {
			return ""
		}
		value, _ := body.Data.Result[0].Value[1].(string)
		return value
	}
	again, late := time.NewTicker(200*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for query, want := range map[string]string{`up{job="tokenwatch"}`: "1", `sum(tokenwatch_ingest_records_total)`: "1910"} {
		for got := scraped(query); got != want; got = scraped(query) {
			select {
			case <-again.C:
			case <-late:
				t.Fatalf("%s is %q after a minute, want %s", query, got, want)
			}
		}
	}

	target, err := url.Parse(up.url())
	must(t, err)
	target.User = url.UserPassword("x", up.key)
	out, err := exec.Command("promtool", "query", "series", "--match=tokenwatch_actor_events_total",
		"--start=2023-07-10T00:00:00Z", "--end=2023-07-11T00:00:00Z", target.String()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "tokenwatch_actor_events_total") {
		t.Errorf("promtool: %v\n%.2000s", err, out)
	}
}
