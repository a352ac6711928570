package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// event is one server-sent event.
type event struct{ id, name, data string }

// events reads a stream of server-sent events into a channel.
func (r *running) events(path, key, lastID string) (<-chan event, *http.Response) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.http+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	out := make(chan event, 1000)
	go func() {
		defer close(out)
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "":
				if e.data != "" {
					out <- e
				}
				e = event{}
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			}
		}
	}()
	return out, resp
}

// next returns the next event, which must be a finding.
func next(t *testing.T, from <-chan event) (event, tokenwatch.Finding) {
	t.Helper()
	e, ok := <-from
	if !ok || e.name != "finding" {
		t.Fatalf("no finding but %+v", e)
	}
	var f tokenwatch.Finding
	if err := json.Unmarshal([]byte(e.data), &f); err != nil {
		t.Fatal(err)
	}
	return e, f
}

// TestServerSentEvents: what is there comes first, then what happens; whoever
// comes back with the last id goes on behind it.
func TestServerSentEvents(t *testing.T) {
	store, random := newFake(), new(counting)
	analyst := store.key(t, random, "default", tokenwatch.RoleAnalyst)
	sender := store.key(t, random, "default", tokenwatch.RoleIngest)
	store.put("default", "a")
	store.put("other", "x")
	r := start(t, store, nil)
	stream, resp := r.events("/v1/findings:watch", analyst, "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	first, f := next(t, stream)
	if f.ID != "a" || f.Revision != 1 {
		t.Errorf("%+v", f)
	}
	store.put("default", "b")
	store.put("other", "x")
	if _, f := next(t, stream); f.ID != "b" {
		t.Errorf("%+v", f)
	}
	again, _ := r.events("/v1/findings:watch?cursor="+url.QueryEscape(first.id), analyst, "")
	if _, f := next(t, again); f.ID != "b" {
		t.Errorf("behind the cursor: %+v", f)
	}
	back, _ := r.events("/v1/findings:watch", analyst, first.id)
	if _, f := next(t, back); f.ID != "b" {
		t.Errorf("behind the last id: %+v", f)
	}
	for want, path := range map[int]string{400: "/v1/findings:watch?cursor=AAAA", 403: "/v1/findings:watch"} {
		key := map[int]string{400: analyst, 403: sender}[want]
		if got := r.do("GET", path, key, ""); got.code != want {
			t.Errorf("%s: %d %s, want %d", path, got.code, got.body, want)
		}
	}
	if got := r.do("GET", "/v1/findings:watch?curser=x", analyst, ""); got.code != 400 {
		t.Errorf("an unknown parameter: %d", got.code)
	}

	// The server stops: the streams are told so, and Run returns.
	r.client.CloseIdleConnections()
	if err := r.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, s := range []<-chan event{stream, again, back} {
		e := <-s
		if e.name != "error" || !strings.Contains(e.data, tokenwatch.RefusedUnavailable) {
			t.Errorf("at the end: %+v", e)
		}
	}
}

// TestRevokedKeyEndsStreams: the next message is not sent any more.
func TestRevokedKeyEndsStreams(t *testing.T) {
	store, random := newFake(), new(counting)
	analyst := store.key(t, random, "default", tokenwatch.RoleAnalyst)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	r := start(t, store, nil)
	stream, err := pb.NewFindingsClient(r.dial()).Watch(with(t.Context(), analyst), &pb.WatchFindingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetFinding() != nil || m.GetCursor() == "" {
		t.Fatalf("at the start: %v %v", m, err)
	}
	if got := r.do("POST", "/v1/keys/"+keyID(analyst)+":revoke", admin, ""); got.code != 200 {
		t.Fatalf("revoke: %d %s", got.code, got.body)
	}
	store.put("default", "a")
	if m, err := stream.Recv(); v1.Reason(err) != v1.ReasonUnauthenticated {
		t.Errorf("after the key was revoked: %v %v", m, err)
	}
}

// TestPollOverRestarts: findings are revised while someone polls in small pages
// and the server is started again and again with the same store. Every finding
// is seen in its last revision, and no revision twice.
func TestPollOverRestarts(t *testing.T) {
	const updates, restarts = 600, 6
	store, random := newFake(), new(counting)
	analyst := store.key(t, random, "default", tokenwatch.RoleAnalyst)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))

	permits := make(chan struct{}, updates) // one for each update to make
	var writer sync.WaitGroup
	writer.Go(func() {
		for range permits {
			tenant := []string{"default", "default", "other"}[dice.IntN(3)]
			store.put(tenant, fmt.Sprint("f", dice.IntN(40)))
		}
	})
	seen := make(map[string]int) // id and revision
	last := make(map[string]int) // id to revision
	cursor, polls := "", 0
	read := func(r *running) int {
		got := r.do("GET", "/v1/findings:poll?page_size=7&cursor="+url.QueryEscape(cursor), analyst, "")
		var page struct {
			Findings []tokenwatch.Finding
			Cursor   string
		}
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.code != 200 || page.Cursor == "" {
			t.Fatalf("%d %s", got.code, got.body)
		}
		for _, f := range page.Findings {
			if f.Tenant != "default" {
				t.Fatalf("a finding of %s", f.Tenant)
			}
			if seen[fmt.Sprint(f.ID, "/", f.Revision)]++; seen[fmt.Sprint(f.ID, "/", f.Revision)] > 1 {
				t.Errorf("%s revision %d was seen twice", f.ID, f.Revision)
			}
			if f.Revision <= last[f.ID] {
				t.Errorf("%s went from revision %d to %d", f.ID, last[f.ID], f.Revision)
			}
			last[f.ID] = f.Revision
		}
		cursor = page.Cursor
		polls++
		return len(page.Findings)
	}
	for i := range restarts {
		r := start(t, store, nil)
		for j := range updates / restarts {
			permits <- struct{}{}
			if j%9 == 0 {
				read(r)
			}
		}
		if i == restarts-1 {
			close(permits)
			writer.Wait()
			for read(r) > 0 {
			}
		}
		r.client.CloseIdleConnections()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range store.sorted("default") {
		if last[f.ID] != f.Revision {
			t.Errorf("%s: seen up to revision %d of %d", f.ID, last[f.ID], f.Revision)
		}
	}
	t.Logf("%d updates, %d restarts, %d polls, %d revisions seen, %d findings", updates, restarts, polls, len(seen), len(last))
}
