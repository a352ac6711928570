package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

var kills = flag.Int("kills", 5, "how often TestKill kills the server")

// TestKill is V01: a client sends numbered batches as fast as it can, the server
// gets SIGKILL at random moments and is started again, and the client resends what
// it has no answer for. Every acknowledged batch must be there once and whole, any
// other once and whole or not at all.
func TestKill(t *testing.T) {
	if testing.Short() && *kills == 5 {
		*kills = 2
	}
	dir, binary := t.TempDir(), program(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	acknowledged := map[int]int{} // rows by batch
	next := 0
	for k := range *kills {
		s, err := Start(t.Context(), binary, dir)
		if err != nil {
			t.Fatalf("start %d: %v", k, err)
		}
		timer := time.AfterFunc(time.Duration(5+r.IntN(495))*time.Millisecond, func() { s.cmd.Process.Kill() })
		for {
			rows := 1 + next%37
			if err := postNumbered(t.Context(), s, next, rows); err != nil {
				var refused *refusal
				if errors.As(err, &refused) {
					t.Fatalf("batch %d: %v", next, err)
				}
				break // no answer: to be sent again
			}
			acknowledged[next] = rows
			next++
		}
		timer.Stop()
		s.Kill()
	}
	s, err := Start(t.Context(), binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := postNumbered(t.Context(), s, next, 1+next%37); err != nil {
		t.Fatal(err)
	}
	acknowledged[next] = 1 + next%37
	if err := s.Stop(); err != nil {
		t.Fatalf("the server did not end as it should: %v", err)
	}
	stored := storedRows(t, filepath.Join(dir, "data"))
	lost, twice := 0, 0
	for batch, rows := range acknowledged {
		if stored[batch] < rows {
			lost++
		}
		if stored[batch] > rows {
			twice++
		}
		delete(stored, batch)
	}
	for batch := range stored {
		t.Errorf("batch %d was never sent", batch)
	}
	t.Logf("%d kills, %d batches acknowledged: %d lost, %d stored twice", *kills, len(acknowledged), lost, twice)
	if lost+twice > 0 {
		t.Fail()
	}
}

var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// refusal is an answer that is not success.
type refusal struct{ status, body string }

func (r *refusal) Error() string { return r.status + ": " + r.body }

// postNumbered sends a batch whose rows say which batch they are of. The same
// batch has the same bytes each time.
func postNumbered(ctx context.Context, s *Server, batch, rows int) error {
	var body strings.Builder
	for i := range rows {
		fmt.Fprintf(&body, `{"time":%q,"user":"u%d","action":"put","request_id":"b%d-%d"}`+"\n",
			begin.Add(time.Duration(batch)*time.Millisecond).Format(time.RFC3339Nano), batch%7, batch, i)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/ingest?format=json&source=kill", strings.NewReader(body.String()))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	req.Header.Set("Idempotency-Key", fmt.Sprintf("batch-%d", batch))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var got struct{ Accepted int }
	if resp.StatusCode != http.StatusOK || json.Unmarshal(answer, &got) != nil || got.Accepted != rows {
		return &refusal{resp.Status, string(answer)}
	}
	return nil
}

// storedRows counts the rows of each batch in a stopped store.
func storedRows(t *testing.T, dir string) map[int]int {
	t.Helper()
	store, err := local.Open(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	stored := map[int]int{}
	for entry, err := range store.Scan(t.Context(), storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.Batch == nil {
			continue
		}
		for i := range entry.Batch.Rows() {
			var batch, row int
			if _, err := fmt.Sscanf(entry.Batch.Text(tokenwatch.ColRequestID, i), "b%d-%d", &batch, &row); err != nil {
				t.Fatal(err)
			}
			stored[batch]++
		}
	}
	return stored
}
