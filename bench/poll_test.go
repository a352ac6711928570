package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// seenFinding is what a poller keeps of a finding.
type seenFinding struct {
	ID       string
	Revision int
	Update   uint64
	Note     string
}

// poller follows the findings. What it has is its cursor and what it saw up to
// there, which it saves together; whoever kills it takes only what is not saved.
type poller struct {
	cursor string
	last   uint64                 // the greatest update saved
	seen   map[string]seenFinding // by id
	said   map[uint64]seenFinding // by update, also what was not saved: an update says one thing only
}

// poll asks once, and saves the answer unless it is killed before.
func (p *poller) poll(ctx context.Context, s *Server, wait string, killed bool) (n int, err error) {
	body, err := s.get(ctx, "/v1/findings:poll?page_size=7&wait="+wait+"&cursor="+url.QueryEscape(p.cursor))
	if err != nil {
		return 0, err
	}
	var page struct {
		Findings []seenFinding
		Cursor   string
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return 0, err
	}
	last := p.last
	for _, f := range page.Findings {
		if f.Update <= last {
			return 0, &refusal{"told twice", fmt.Sprintf("%+v after update %d", f, last)}
		}
		last = f.Update
		if before, ok := p.said[f.Update]; ok && before != f {
			return 0, &refusal{"an update with two meanings", fmt.Sprintf("%+v and %+v", before, f)}
		}
		p.said[f.Update] = f
	}
	if killed {
		return len(page.Findings), nil
	}
	p.cursor, p.last = page.Cursor, last
	for _, f := range page.Findings {
		p.seen[f.ID] = f
	}
	return len(page.Findings), nil
}

// recorded returns the recorded attack in batches, as if it had happened to another
// account each time it is asked for.
func recorded(t *testing.T) func(round int) [][]byte {
	t.Helper()
	packed, err := os.ReadFile("../testdata/demo/aws-stratus-timeline.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return func(round int) [][]byte {
		names := strings.NewReplacer("123837392027", fmt.Sprintf("4%011d", round),
			"AKIATFQR7NSC", fmt.Sprintf("AKIA%08d", round), "ASIATFQR7NSC", fmt.Sprintf("ASIA%08d", round), `"eventID":"`, fmt.Sprintf(`"eventID":"%08d`, round))
		var batches [][]byte
		lines := strings.SplitAfter(names.Replace(string(text)), "\n")
		for len(lines) > 0 {
			n := min(120, len(lines))
			batches = append(batches, []byte(strings.Join(lines[:n], "")))
			lines = lines[n:]
		}
		return batches
	}
}

// send makes a request that changes something and returns whether it was answered.
func send(ctx context.Context, s *Server, method, path, key string, body []byte) (answered bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, nil // nobody answers any more
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return false, &refusal{resp.Status, string(answer)}
	}
	return true, nil
}

// TestPoll kills the server and the poller at random while findings are raised,
// revised and judged. In the end the poller has the last revision of every
// finding, and of what it saved nothing was told twice.
func TestPoll(t *testing.T) {
	if testing.Short() && *kills == 5 {
		*kills = 2
	}
	dir, binary := t.TempDir(), program(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &poller{seen: map[string]seenFinding{}, said: map[uint64]seenFinding{}}
	batches := recorded(t)
	queue := batches(0)
	round, sent, polls, lost, notes := 0, 0, 0, 0, 0

	// one runs one life of the server: sender, judge and poller side by side until
	// it is killed.
	one := func(s *Server, until <-chan struct{}) {
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		fail := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		judged := make(chan string, 64)
		pollSeed, noteSeed := rng.Uint64(), rng.Uint64()
		work.Go(func() {
			for ctx.Err() == nil {
				ok, err := send(ctx, s, http.MethodPost, "/v1/ingest?format=cloudtrail&source=trail", fmt.Sprintf("batch-%d", sent), queue[0])
				if err != nil || !ok {
					fail(err)
					return
				}
				sent++
				if queue = queue[1:]; len(queue) == 0 {
					round++
					queue = batches(round)
				}
			}
		})
		work.Go(func() {
			for id := range judged {
				body := fmt.Appendf(nil, `{"note":"note %d","status":"in_progress"}`, noteSeed%1000+uint64(notes))
				ok, err := send(ctx, s, http.MethodPatch, "/v1/findings/"+id, "", body)
				if fail(err); ok {
					notes++
				}
			}
		})
		work.Go(func() {
			defer close(judged)
			r := rand.New(rand.NewPCG(pollSeed, 0))
			for ctx.Err() == nil {
				killed := r.IntN(3) == 0
				_, err := p.poll(ctx, s, "0.2s", killed)
				if wrong, ok := err.(*refusal); ok {
					fail(wrong)
				}
				if err != nil {
					return
				}
				polls++
				if killed {
					lost++
				}
				for id := range p.seen {
					select {
					case judged <- id:
					default:
					}
					break
				}
			}
		})
		<-until
		s.Kill()
		cancel()
		work.Wait()
	}
	for k := range *kills {
		s, err := Start(t.Context(), binary, dir)
		if err != nil {
			t.Fatalf("start %d: %v", k, err)
		}
		until := make(chan struct{})
		time.AfterFunc(time.Duration(100+rng.IntN(900))*time.Millisecond, func() { close(until) })
		one(s, until)
	}
	s, err := Start(t.Context(), binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if ok, err := send(t.Context(), s, http.MethodPost, "/v1/ingest?format=cloudtrail&source=trail", "the last", bytes.Join(batches(round+1), nil)); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := s.AwaitEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		if n, err = p.poll(t.Context(), s, "1s", false); err != nil {
			t.Fatal(err)
		}
	}
	left := missing(t, s, p)
	if err := s.Stop(); err != nil {
		t.Errorf("the server did not end as it should: %v", err)
	}
	t.Logf("%d kills, %d batches, %d polls of which %d were lost with the poller, %d notes: %d findings with %d updates seen, %d not as they are",
		*kills, sent, polls, lost, notes, len(p.seen), len(p.said), left)
	if len(p.seen) < 4 || polls == 0 {
		t.Error("the test does not reach what it is about")
	}
}

// missing counts the findings that the poller has not as the server has them.
func missing(t *testing.T, s *Server, p *poller) int {
	t.Helper()
	n, known, token := 0, 0, ""
	for {
		body, err := s.get(t.Context(), "/v1/findings?page_size=100&page_token="+url.QueryEscape(token))
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Findings []seenFinding
			Next     string `json:"next_page_token"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Findings {
			known++
			if p.seen[f.ID] != f {
				t.Errorf("the poller has %+v, the server %+v", p.seen[f.ID], f)
				n++
			}
		}
		if token = page.Next; token == "" {
			break
		}
	}
	if known != len(p.seen) {
		t.Errorf("the poller has %d findings, the server %d", len(p.seen), known)
	}
	return n
}
