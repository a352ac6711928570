package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plain"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// TestREST shows requests and answers as text: testdata/api/rest has them.
func TestREST(t *testing.T) {
	store, random := newFake(), new(counting)
	keys := make(map[string]string)
	for _, role := range anyRole.roles {
		keys[string(role)] = store.key(t, random, "default", role)
	}
	store.put("default", "fnd_a")
	store.put("default", "fnd_b")
	store.put("default", "fnd_a")
	store.put("other", "fnd_c")
	store.tokens = append(store.tokens, sampleToken("default", "tkw_a"), sampleToken("default", "tkw_b"), sampleToken("other", "tkw_c"))
	for i := range 3 {
		store.entries = append(store.entries, tokenwatch.Entry{
			Offset: tokenwatch.Offset(i + 1), Tenant: "default",
			Requests: []tokenwatch.Request{{Source: "web", Principal: "k", Rejects: []tokenwatch.Reject{
				{Index: 2 * i, Offset: 100, Length: 20, Digest: "dg_x", Reason: tokenwatch.ReasonMalformed, Detail: "no status"},
				{Index: 2*i + 1, Offset: 120, Length: 20, Digest: "dg_y", Reason: tokenwatch.ReasonNoTime},
			}}},
		})
	}
	r := start(t, store, func(c *Config) {
		c.Random, c.Now = random, func() time.Time { return time.Unix(1700000000, 0) }
		c.Holds = func(tenant, text string) bool { return tenant == "default" && strings.Contains(text, "s3cr3t") }
	})
	secret := regexp.MustCompile(`tkwk_[a-z2-7]{16}_[a-z2-7]{52}`)
	last := "" // the token or cursor of the answer before
	id := ""   // of the answer to the last request that asked to keep it
	datadriven.RunTest(t, filepath.Join("..", "testdata", "api", "rest"), func(t *testing.T, d *datadriven.TestData) string {
		var as string
		d.ScanArgs(t, "as", &as)
		method, path, _ := strings.Cut(strings.SplitN(d.Input, "\n", 2)[0], " ")
		body := ""
		if _, rest, ok := strings.Cut(d.Input, "\n"); ok {
			body = rest
		}
		got := r.do(method, strings.NewReplacer("$last", last, "$id", id).Replace(path), keys[as], body)
		var fields struct {
			ID     string `json:"id"`
			Token  string `json:"next_page_token"`
			Cursor string `json:"cursor"`
		}
		json.Unmarshal([]byte(got.body), &fields) // of errors nothing is there
		last = fields.Token + fields.Cursor
		if d.HasArg("id") {
			id = fields.ID
		}
		text := got.body
		if last != "" {
			text = strings.ReplaceAll(text, last, "…")
		}
		text = secret.ReplaceAllString(text, "tkwk_…")
		if d.HasArg("ids") {
			ids := regexp.MustCompile(`"id": ?"[^"]*"`).FindAllString(got.body, -1)
			return fmt.Sprintf("%d\n%s\nnext page %v\n", got.code, strings.Join(ids, " "), fields.Token != "")
		}
		if d.HasArg("brief") {
			return brief(t, got)
		}
		var pretty any
		if json.Unmarshal([]byte(text), &pretty) == nil {
			b, err := json.MarshalIndent(pretty, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			text = string(b) + "\n"
		}
		out := fmt.Sprintln(got.code)
		for _, h := range []string{"Retry-After", "Www-Authenticate"} {
			if v := got.header.Get(h); v != "" {
				out += h + ": " + v + "\n"
			}
		}
		return out + text
	})
}

// sampleToken is a token of which something is known.
func sampleToken(tenant, id string) tokenwatch.TokenRecord {
	made := time.Unix(1690000000, 0).UTC()
	return tokenwatch.TokenRecord{
		Tenant: tenant, ID: tokenwatch.TokenID(id), Names: []tokenwatch.Alias{{Kind: tokenwatch.NameAccessKeyID, Value: "AKIA/" + id}},
		Kind: "aws_access_key", Owner: "team@example.com", Env: "prod", Scopes: []string{"s3:*"}, State: tokenwatch.TokenActive, Known: true,
		Created: made, LastUsed: time.Unix(1699990000, 0).UTC(), Events: 12,
		Steps: []tokenwatch.TokenStep{{Time: made, Kind: tokenwatch.FactCreated, Offset: 3}},
	}
}

// brief shows of a page of findings only which they are.
func brief(t *testing.T, a answer) string {
	t.Helper()
	var page struct {
		Findings []tokenwatch.Finding
		Next     string `json:"next_page_token"`
		Cursor   string
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintln(a.code)
	for _, f := range page.Findings {
		out += fmt.Sprintf("%s revision %d update %d\n", f.ID, f.Revision, f.Update)
	}
	return out + fmt.Sprintf("next page %v, cursor %v\n", page.Next != "", page.Cursor != "")
}

// TestUnknownParameters: on every path, one letter too many is an error.
func TestUnknownParameters(t *testing.T) {
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	store.put("default", "f")
	r := start(t, store, nil)
	paths, err := bindings()
	if err != nil {
		t.Fatal(err)
	}
	check := func(method, path string) {
		for _, query := range []string{"filtre=x", "page_size=1&page_size=2", "a=%zz", "pageSize=3", "page_size.x=1"} {
			got := r.do(method, path+"?"+query, admin, "")
			if got.code != 400 || !strings.Contains(got.body, tokenwatch.RefusedArgument) || strings.Contains(got.body, "filtre") {
				t.Errorf("%s %s?%s: %d %s", method, path, query, got.code, got.body)
			}
		}
	}
	for _, b := range paths {
		if b.rpc != "/tokenwatch.v1.Ingest/Ingest" { // its handler is not this package's
			check(b.method, strings.ReplaceAll(b.path, "{id}", "f"))
		}
	}
	for grant := range grants {
		// Clients of Prometheus add parameters of their own, which it leaves alone.
		if method, path, ok := strings.Cut(grant, " "); ok && !strings.HasPrefix(path, "/api/v1/") {
			check(method, path)
		}
	}
	// What is known and cannot be read is not repeated either.
	got := r.do("GET", "/v1/findings?page_size=s3cr3t", admin, "")
	if got.code != 400 || strings.Contains(got.body, "s3cr3t") {
		t.Errorf("a size that is no number: %d %s", got.code, got.body)
	}
	got = r.do("POST", "/v1/keys", admin, `{"role":"ingest","s3cr3t":1}`)
	if got.code != 400 || strings.Contains(got.body, "s3cr3t") {
		t.Errorf("an unknown field: %d %s", got.code, got.body)
	}
	got = r.do("POST", "/v1/keys", admin, `{"role":"`+strings.Repeat("a", 2<<20)+`"}`)
	if got.code != 413 {
		t.Errorf("2 MiB: %d", got.code)
	}
}

// TestBindings: every method has a path of its own, but for the stream, which
// HTTP/1.1 has no form for, in a template that the gateway
// writes as we do when parameters are looked up by it.
func TestBindings(t *testing.T) {
	paths, err := bindings()
	if err != nil {
		t.Fatal(err)
	}
	granted := 0
	for name := range grants {
		if strings.HasPrefix(name, "/tokenwatch.v1.") && name != "/tokenwatch.v1.Ingest/Stream" {
			granted++
		}
	}
	if len(paths) != granted {
		t.Errorf("%d methods have a path, %d a grant", len(paths), granted)
	}
	seen := make(map[string]bool)
	for _, b := range paths {
		if seen[b.method+" "+b.path] {
			t.Errorf("%s %s twice", b.method, b.path)
		}
		seen[b.method+" "+b.path] = true
		if strings.Contains(b.path, "=") {
			t.Errorf("%s: a template the gateway writes in another way", b.path)
		}
	}
}

// TestOpenAPI: the document is OpenAPI 3 and names every path, with the parameters
// that are let through.
func TestOpenAPI(t *testing.T) {
	r := start(t, newFake(), nil)
	got := r.do("GET", "/openapi.json", "", "")
	var doc struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name, In string }
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Info.Version != "v0.0.0-test" {
		t.Errorf("version %q", doc.Info.Version)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %q", doc.OpenAPI)
	}
	for _, ref := range regexp.MustCompile(`"\$ref": *"([^"]*)"`).FindAllStringSubmatch(got.body, -1) {
		name, ok := strings.CutPrefix(ref[1], "#/components/schemas/")
		if _, there := doc.Components.Schemas[name]; !ok || !there {
			t.Errorf("%s leads nowhere", ref[1])
		}
	}
	for _, old := range []string{"definitions", "formData", "produces", "consumes", "collectionFormat"} {
		if strings.Contains(got.body, `"`+old+`"`) {
			t.Errorf("%s is of OpenAPI 2", old)
		}
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operation id %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	paths, err := bindings()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range paths {
		op, ok := doc.Paths[b.path][strings.ToLower(b.method)]
		if !ok {
			t.Errorf("%s %s is not described", b.method, b.path)
		}
		if b.rpc == "/tokenwatch.v1.Ingest/Ingest" {
			continue
		}
		var named []string
		for _, p := range op.Parameters {
			if p.In == "query" {
				named = append(named, p.Name)
			}
		}
		if fmt.Sprint(named) != fmt.Sprint(b.query) {
			t.Errorf("%s: described %v, let through %v", b.path, named, b.query)
		}
	}
	for grant := range grants {
		if method, path, ok := strings.Cut(grant, " "); ok {
			if _, ok := doc.Paths[path][strings.ToLower(method)]; !ok {
				t.Errorf("%s is not described", grant)
			}
		}
	}
}

// TestPage: / says what this is, with the version, and takes nothing from
// anywhere else.
func TestPage(t *testing.T) {
	r := start(t, newFake(), nil)
	got := r.do("GET", "/", "", "")
	for _, want := range []string{"tokenwatch v0.0.0-test", "/v1/findings:poll", "/openapi.json"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("/ does not have %q", want)
		}
	}
	if strings.Contains(got.body, "src=") || strings.Contains(got.body, "@import") {
		t.Error("/ takes something from elsewhere")
	}
	if got.header.Get("Content-Security-Policy") == "" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", got.header)
	}
	if got := r.do("GET", "/nothing", "", ""); got.code != 401 {
		t.Errorf("a path that is not there, without a key: %d", got.code)
	}
}

func TestMetricsAndReadiness(t *testing.T) {
	store, random := newFake(), new(counting)
	admin := store.key(t, random, "default", tokenwatch.RoleAdmin)
	var notReady error
	r := start(t, store, func(c *Config) { c.Ready = func(context.Context) error { return notReady } })
	if got := r.do("GET", "/readyz", admin, ""); got.code != 200 {
		t.Errorf("ready: %d", got.code)
	}
	notReady = fmt.Errorf("the store recovers")
	if got := r.do("GET", "/readyz", admin, ""); got.code != 503 || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "recovers") {
		t.Errorf("not ready: %d %s", got.code, got.body)
	}
	if got := r.do("GET", "/healthz", "", ""); got.code != 200 || got.body != "ok\n" {
		t.Errorf("alive: %d %s", got.code, got.body)
	}
	r.do("GET", "/v1/findings", admin, "")
	got := r.do("GET", "/metrics", admin, "")
	for _, want := range []string{
		`tokenwatch_api_requests_total{code="OK",method="/tokenwatch.v1.Findings/List"} 1`,
		`tokenwatch_api_http_responses_total{status="503"} 1`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s in %s", want, got.body)
		}
	}
}

// TestHostileText: characters that steer a terminal come out as escapes, and
// mean the same to whoever parses them.
func TestHostileText(t *testing.T) {
	hostile := "a\x1b[31m\x00\u0085\u202ecod\u200b\ufeff\u2066z\xffé漢"
	m := newMarshaler()
	b, err := m.Marshal(v1.FromFinding(&tokenwatch.Finding{Summary: hostile}))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range string(b) {
		if r < 0x20 || plain.Steers(r) {
			t.Errorf("%U is not escaped", r)
		}
	}
	var back pb.Finding
	if err := m.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostile, "\ufffd"); back.GetSummary() != want {
		t.Errorf("%q, want %q", back.GetSummary(), want)
	}
}

// TestErrorTable shows what every kind of error becomes: testdata/api/errors.
func TestErrorTable(t *testing.T) {
	inside := errors.New("inside")
	table := []error{
		v1.Unauthenticated(),
		forbidden(),
		storage.ErrNotFound,
		fmt.Errorf("append: %w", storage.ErrReadOnly),
		&storage.Corruption{What: "segment", First: 3, Last: 7, Err: inside},
		&storage.Loss{First: 8, Last: 9},
		&tokenwatch.Refusal{Reason: tokenwatch.RefusedArgument, Detail: "no such format"},
		&tokenwatch.Refusal{Reason: tokenwatch.RefusedAllRejected, Detail: "no record could be stored"},
		&tokenwatch.Refusal{Reason: tokenwatch.RefusedConflict, Err: inside},
		&tokenwatch.Refusal{Reason: tokenwatch.RefusedTooLarge, Detail: "larger than 64 MiB"},
		&tokenwatch.Refusal{Reason: tokenwatch.RefusedOverload, Detail: "try later", RetryAfter: 1500 * time.Millisecond},
		&tokenwatch.Refusal{Reason: tokenwatch.RefusedUnavailable, Detail: "disk full", RetryAfter: time.Second},
		&tokenwatch.Refusal{Reason: "a reason nobody knows", Detail: "inside"},
		status.Error(codes.InvalidArgument, "inside"),
		status.Error(codes.ResourceExhausted, "inside"),
		context.Canceled,
		context.DeadlineExceeded,
		inside,
	}
	datadriven.RunTest(t, filepath.Join("..", "testdata", "api", "errors"), func(t *testing.T, d *datadriven.TestData) string {
		var b strings.Builder
		for _, err := range table {
			w := httptest.NewRecorder()
			answer, fault := v1.Status(err)
			writeError(w, answer)
			// protojson adds spaces at random, so that nobody relies on its bytes.
			var body any
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			compact, merr := json.Marshal(body)
			if merr != nil {
				t.Fatal(merr)
			}
			fmt.Fprintf(&b, "%v\n  %v, HTTP %d, fault %v, Retry-After %q\n  %s\n",
				err, status.Code(answer), w.Code, fault, w.Header().Get("Retry-After"), compact)
		}
		return b.String()
	})
}
