package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// TestOneTokenOfTwoLogs: a secret that one log has raw and another by its cut hash is
// one token, whose finding has evidence of both; a near miss of the hash is another one.
// What is listed and what is asked for by any of its names agree.
func TestOneTokenOfTwoLogs(t *testing.T) {
	s := newScript(t)
	const secret = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
	sum := sha256.Sum256([]byte(secret))
	hash := hex.EncodeToString(sum[:16])
	near := hash[:16] + strings.Repeat("0", 16)
	r := rand.New(rand.NewPCG(1, 1))
	start := testTime.Add(-9 * 24 * time.Hour)
	events := map[string]int{}
	log := func(name, field, token, path string, every time.Duration) []string {
		var lines []string
		add := func(at time.Time, ip, path, agent string) {
			b, err := json.Marshal(map[string]any{
				"time": at.Format(time.RFC3339), field: token, "src_ip": ip, "method": "GET", "path": path, "status": 200, "user_agent": agent,
			})
			must(t, err)
			lines = append(lines, string(b))
			events[name]++
		}
		for at := start; at.Before(testTime.Add(-4 * time.Hour)); at = at.Add(every/2 + time.Duration(r.Int64N(int64(every)))) {
			add(at, "10.0.0.7", path, "sdk/1.0")
		}
		if token != near {
			for i := range 12 {
				add(start.Add(7*24*time.Hour+5*time.Hour+time.Duration(i)*time.Minute), "203.0.113.9", fmt.Sprintf("%s/x%c/admin", path, 'a'+i), "curl/8.0")
			}
		}
		slices.SortFunc(lines, func(a, b string) int { return strings.Compare(timeOf(t, a), timeOf(t, b)) })
		return lines
	}
	files := map[string][]string{
		"edge.jsonl":    log("edge", "token", secret, "/v1/items", 20*time.Minute),
		"gateway.jsonl": log("gateway", "token_hash", hash, "/v2/reports", 30*time.Minute),
		"other.jsonl":   log("other", "token_hash", near, "/v2/reports", 30*time.Minute),
	}
	var names []string
	for name, lines := range files {
		writeFile(t, filepath.Join(s.dir, name), strings.Join(lines, "\n")+"\n")
		names = append(names, filepath.Join("$DIR", name))
	}
	slices.Sort(names)

	out, _, _ := s.execute("scan --json " + strings.Join(names, " "))
	var settled []tokenwatch.Finding
	for line := range strings.Lines(out) {
		var f tokenwatch.Finding
		must(t, json.Unmarshal([]byte(line), &f))
		if f.Settled && f.EntityKind == tokenwatch.EntityToken && !f.Withdrawn {
			settled = append(settled, f)
		}
	}
	if len(settled) != 1 {
		t.Fatalf("%d findings about tokens, not one:\n%s", len(settled), out)
	}
	f := settled[0]
	by := map[tokenwatch.TokenID]bool{}
	for _, e := range f.Evidence {
		by[e.Token] = true
	}
	if len(by) != 2 || !by[f.Token] {
		t.Errorf("the evidence is of %v, not of two names, one of which is %s", by, f.Token)
	}
	if !slices.Contains(f.Aliases, tokenwatch.Alias{Kind: tokenwatch.NameTruncatedHash, Value: hash}) {
		t.Errorf("the finding does not tell that the token is called %s: %v", hash, f.Aliases)
	}

	if _, errs, code := s.execute("ingest --data $DIR/data " + strings.Join(names, " ")); code != 0 {
		t.Fatalf("ingest: %s", errs)
	}
	ask := func(words ...string) string {
		t.Helper()
		c, out, errs := s.console()
		if code := run(t.Context(), append(words, "--json", "--data", filepath.Join(s.dir, "data")), c); code != 0 {
			t.Fatalf("%s: %s", words[0], errs)
		}
		return out.String()
	}
	listed, called := map[string]int64{}, hash
	for line := range strings.Lines(ask("tokens")) {
		var r tokenwatch.TokenRecord
		must(t, json.Unmarshal([]byte(line), &r))
		listed[string(r.ID)] = r.Events
		if r.Kind != "" { // only the raw one has a kind
			called = string(r.ID)
		}
	}
	whole := int64(events["edge"] + events["gateway"])
	if len(listed) != 2 {
		t.Errorf("%d tokens are listed, not 2: %v", len(listed), listed)
	}
	if listed[called] != whole {
		t.Errorf("%d events of the token are counted, not %d", listed[called], whole)
	}
	for _, name := range []string{hash, called} {
		out := ask("query", "SELECT count(*) AS n FROM events WHERE token = '"+name+"'")
		if !strings.Contains(out, fmt.Sprint(whole)) {
			t.Errorf("events of the token called %s: %s, not %d", name, out, whole)
		}
	}
	if strings.Contains(ask("findings"), secret) {
		t.Error("a finding shows the secret")
	}
}

func timeOf(t *testing.T, line string) string {
	var v struct{ Time string }
	must(t, json.Unmarshal([]byte(line), &v))
	return v.Time
}
