package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/notify"
)

// hook is a receiver of webhooks that can fail, and refuse.
type hook struct {
	t    *testing.T
	key  []byte
	mode func() string // fail, refuse or take

	mu   sync.Mutex
	took map[string]int // deliveries by idempotency key
	more chan string    // each delivery's key
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch h.mode() {
	case "fail":
		http.Error(w, "s3cr3t of the receiver", http.StatusInternalServerError)
		return
	case "refuse":
		http.Error(w, "s3cr3t of the receiver", http.StatusBadRequest)
		return
	}
	id := r.Header.Get("Webhook-Id")
	if r.Header.Get("Webhook-Signature") != notify.Sign(h.key, id, r.Header.Get("Webhook-Timestamp"), body) {
		h.t.Errorf("%s is not signed as it should be", id)
	}
	var event struct {
		SpecVersion, Type string
		Data              tokenwatch.Finding
	}
	if err := json.Unmarshal(body, &event); err != nil || event.SpecVersion != "1.0" || id != fmt.Sprintf("%s/%d", event.Data.ID, event.Data.Revision) {
		h.t.Errorf("%s: %v, %+v", id, err, event)
	}
	h.mu.Lock()
	h.took[id]++
	h.mu.Unlock()
	h.more <- id
}

// TestNotify: a server with a target that fails and then takes tells it of every
// finding, signed; started again, it tells nothing twice, also when somebody has
// judged a finding meanwhile; and the target's address, secret and replies are
// nowhere to be seen.
func TestNotify(t *testing.T) {
	s := newScript(t)
	const secret = "a secret of the test 0123456789"
	var mu sync.Mutex
	mode := "fail"
	set := func(m string) { mu.Lock(); defer mu.Unlock(); mode = m }
	failed := make(chan struct{}, 1000)
	h := &hook{t: t, key: []byte(secret), took: map[string]int{}, more: make(chan string, 1000), mode: func() string {
		mu.Lock()
		defer mu.Unlock()
		if mode != "take" {
			failed <- struct{}{}
		}
		return mode
	}}
	receiver := httptest.NewServer(h)
	defer receiver.Close()
	writeFile(t, filepath.Join(s.dir, "secret"), secret+"\n")
	writeFile(t, filepath.Join(s.dir, "c.yaml"), "data: "+s.dir+"/data\nkeys: "+s.dir+"/keys\nstore: {ballast: 1MiB}\nengine: {shards: 1}\n"+
		"notify:\n  allow: [127.0.0.0/8]\n  targets:\n    - {name: soc, kind: webhook, url: '"+receiver.URL+"/hidden', secret_file: "+s.dir+"/secret, filter: 'score > 0'}\n")
	start := func() *server {
		up := s.start(t, "serve --config $DIR/c.yaml")
		go io.Copy(io.Discard, up.stdout)
		s.env["TOKENWATCH_URL"], s.env["TOKENWATCH_KEY"] = up.url(), up.key
		return up
	}
	up := start()
	if out, errs, code := s.execute("ingest --source trail $DEMO"); code != 0 {
		t.Fatal(out, errs)
	}
	<-failed // it was tried while the target was down
	set("take")
	up.get(t, "/v1/findings:poll?wait=30s", up.key)
	wanted := map[string]bool{}
	out, _, _ := s.execute("findings --json")
	for line := range strings.Lines(out) {
		var f tokenwatch.Finding
		must(t, json.Unmarshal([]byte(line), &f))
		wanted[f.ID] = true
	}
	told := map[string]bool{}
	for len(told) < len(wanted) {
		id, _, _ := strings.Cut(<-h.more, "/")
		told[id] = true
	}
	// That they came is noted a moment later; what is not is told again.
	for late := time.After(time.Minute); ; {
		out, _, _ := s.execute("notify letters")
		if strings.Count(out, "sent\t") == len(wanted) {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("letters after a minute:\n%s", out)
		}
	}
	log := up.stderr
	up.end(t)

	// The same store again: nobody is told twice.
	up = start()
	set("refuse")
	if out, errs, code := s.execute("triage " + sortedKeys(wanted)[0] + " --note 'seen'"); code != 0 {
		t.Fatal(out, errs)
	}
	if out, _, _ := s.execute("notify letters"); strings.Count(out, "sent\t") != len(wanted) || strings.Contains(out, "pending") {
		t.Errorf("letters:\n%s", out)
	}
	h.mu.Lock()
	for id, n := range h.took {
		if n != 1 {
			t.Errorf("%s was told %d times", id, n)
		}
	}
	h.mu.Unlock()
	if out, _, _ := s.execute("notify targets"); !strings.HasPrefix(out, fmt.Sprintf("soc\twebhook\t0\t0\t%d\t0", len(wanted))) {
		t.Errorf("targets: %s", out)
	}
	code, metrics := up.get(t, "/metrics", up.key)
	if code != 200 || !strings.Contains(metrics, fmt.Sprintf(`tokenwatch_notification_letters{state="sent",target="soc"} %d`, len(wanted))) {
		_, letters, _ := strings.Cut(metrics, "# TYPE tokenwatch_notification_letters")
		t.Errorf("metrics: %d, of %d letters%.600s", code, len(wanted), letters)
	}
	for _, hidden := range []string{"hidden", secret, "s3cr3t", receiver.URL} {
		if strings.Contains(log.String()+up.stderr.String()+metrics, hidden) {
			t.Errorf("%q is in the log or the metrics", hidden)
		}
	}
	up.end(t)
}

// TestNotifyConfig: what is wrong with a target is said when the server starts,
// without its address.
func TestNotifyConfig(t *testing.T) {
	for target, want := range map[string]string{
		"{name: a, kind: webhook, url: 'http://127.0.0.1/x', secret_env: SECRET}":                            "not one of the public internet",
		"{name: a, kind: webhook, url: 'http://2130706433/x', secret_env: SECRET}":                           "four decimal numbers",
		"{name: a, kind: webhook, url: 'file:///etc/passwd', secret_env: SECRET}":                            "https://",
		"{name: a, kind: webhook, url: 'https://192.0.2.1/x', url_env: SECRET}":                              "more than one way",
		"{name: a, kind: webhook, url: 'https://203.0.114.1/x'}":                                             "secret of at least",
		"{name: a, kind: webhook, url: 'https://203.0.114.1/x', secret_env: NONE}":                           "NONE is not set",
		"{name: a, kind: webhook, url: 'https://203.0.114.1/x', secret_env: SECRET, filter: 'colour = red'}": "no field of that name",
		"{name: a, kind: fax, url: 'https://203.0.114.1/x', secret_env: SECRET}":                             "its kind is none of",
		"{name: A, kind: slack, url: 'https://203.0.114.1/x'}":                                               "a name is",
		"{name: a, kind: slack, url: 'https://203.0.114.1/x', colour: red}":                                  "colour",
		"{name: a, kind: slack, url_file: /nonexistent}":                                                     "read url_file",
	} {
		s := newScript(t)
		s.env["SECRET"] = "a secret of the test 0123456789"
		writeFile(t, filepath.Join(s.dir, "c.yaml"), "data: "+s.dir+"/data\nkeys: "+s.dir+"/keys\nstore: {ballast: 1MiB}\nnotify:\n  targets:\n    - "+target+"\n")
		c, _, errs := s.console()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		code := run(ctx, s.words("serve --config $DIR/c.yaml --http 127.0.0.1:0 --grpc 127.0.0.1:0"), c)
		cancel()
		if code != exitUsage || !strings.Contains(errs.String(), want) || strings.Contains(errs.String(), "/x") {
			t.Errorf("%s: exit %d, %s", target, code, errs)
		}
	}
}
