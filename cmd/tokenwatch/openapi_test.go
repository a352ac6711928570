package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openAPI is as much of the server's own document as is needed to make requests.
type openAPI struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Parameters  []parameter
	RequestBody struct{ Content map[string]media }
	Responses   map[string]any
}

type media struct{ Schema schema }

type parameter struct {
	Name, In string
	Schema   schema
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       kinds
	Format     string
	Properties map[string]schema
	Items      *schema
	AnyOf      []schema
}

// kinds is the type of a schema, or the first of several: null is the second.
type kinds string

func (k *kinds) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*k = kinds(one)
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil || len(many) == 0 {
		return fmt.Errorf("a type is neither a text nor a list: %w", err)
	}
	*k = kinds(many[0])
	return nil
}

// maker makes requests out of the document, some of them sensible.
type maker struct {
	*rand.Rand
	doc openAPI
	ids []string // that exist, and may be changed
}

var (
	fuzzTexts = []string{
		"", "a", "*", "\"", "'", "tkw_a", "new", "resolved", "benign", "analyst", "default", "severity >= high", "kind = novelty OR score > 3",
		"NOT (status = new)", "((((((", "token = \"x\" AND", "SELECT count(*) FROM events", "SELECT * FROM findings LIMIT 3", "SELECT", "score desc, time",
		"time >= 2020-01-01", "\x00", "\u202e", "é漢", "%", "../..", "..", ".", "/", ":", ":revoke", "a b", "<script>", strings.Repeat("a", 5000),
		strings.Repeat("(", 500), "2026-03-02T00:00:00Z", "-1", "18446744073709551616", "AKIATFQR7NSC8Q4X20BJ", "arn:aws:iam::1:role/x", "null",
	}
	fuzzNumbers = []string{"0", "1", "2", "-1", "7", "1000", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "1e3", "1.5", "x", ""}
	fuzzTimes   = []string{"2026-03-02T12:00:00Z", "2023-07-10T12:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "yesterday", "2027-01-01T00:00:00.999999999Z"}
	fuzzBodies  = []string{"", "{", "{}", "[]", "null", "0", `"x"`, `{"x":1}`, `{"status":1}`, strings.Repeat("[", 20000), "\xff\xfe", `{"sql":"SELECT 1","sql":"SELECT 2"}`}
)

// fittingFields are values that fields of some names take.
var fittingFields = map[string]string{
	"role": "analyst", "status": "resolved", "verdict": "benign", "note": "looked at", "reason": "a drill", "scope": "kind = novelty",
	"expires": "2026-03-03T00:00:00Z", "sql": "SELECT count(*) FROM events", "tenant": "default",
}

// fittingExpressions are values that the parameters of Prometheus' paths take.
var fittingExpressions = map[string]string{
	"query": "sum by (status) (rate(tokenwatch_events_total[5m]))", "match[]": "tokenwatch_events_total",
	"start": "1688990000", "end": "2023-07-10T12:30:00Z", "step": "60", "time": "1688991000.5", "timeout": "5s", "limit": "10",
}

func pick[T any](m *maker, from []T) T { return from[m.IntN(len(from))] }

// text is a value of a parameter, by its type.
func (m *maker) text(kind kinds, format string) string {
	switch {
	case m.IntN(12) == 0:
		return pick(m, fuzzTexts)
	case kind == "integer" || kind == "number":
		return pick(m, fuzzNumbers)
	case kind == "boolean":
		return pick(m, []string{"true", "false", "1"})
	case format == "date-time":
		return pick(m, fuzzTimes)
	case m.IntN(4) == 0 && len(m.ids) > 0:
		return pick(m, m.ids)
	default:
		return pick(m, fuzzTexts)
	}
}

// value is one of a schema, or something else now and then.
func (m *maker) value(s schema, depth int) any {
	if len(s.AnyOf) > 0 {
		s = s.AnyOf[0]
	}
	if s.Ref != "" {
		s = m.doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	if depth > 6 || m.IntN(20) == 0 {
		return pick(m, []any{nil, 1, -1.5, "x", true, []any{}, map[string]any{}})
	}
	switch s.Type {
	case "object":
		out := map[string]any{}
		for _, name := range sortedKeys(s.Properties) {
			p := s.Properties[name]
			switch fit, ok := fittingFields[name]; {
			case ok && m.IntN(3) > 0:
				out[name] = fit
			case m.IntN(4) > 0:
				out[name] = m.value(p, depth+1)
			}
		}
		return out
	case "array":
		out := []any{}
		for range m.IntN(3) {
			if s.Items != nil {
				out = append(out, m.value(*s.Items, depth+1))
			}
		}
		return out
	case "integer", "number":
		return json.RawMessage(pick(m, []string{"0", "1", "-1", "1000", "2147483648", "1.5"}))
	case "boolean":
		return m.IntN(2) == 0
	default:
		return m.text(s.Type, s.Format)
	}
}

// expression is a value of a parameter of Prometheus' paths.
func (m *maker) expression(name string, s schema) string {
	if m.IntN(6) > 0 {
		return fittingExpressions[name]
	}
	return m.text(s.Type, s.Format)
}

// request makes one of an operation.
func (m *maker) request(ctx context.Context, base, method, path string, op operation) (*http.Request, error) {
	query, header := url.Values{}, http.Header{}
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			id := m.text("", "")
			if m.IntN(2) == 0 {
				id = pick(m, m.ids)
			}
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(id))
		case "query":
			if strings.HasPrefix(path, "/api/v1/") {
				query.Set(p.Name, m.expression(p.Name, p.Schema))
				continue
			}
			if p.Name != "wait" && m.IntN(2) == 0 {
				query.Set(p.Name, m.text(p.Schema.Type, p.Schema.Format))
			}
		case "header":
			if m.IntN(3) == 0 {
				header.Set(p.Name, pick(m, []string{"a", "gzip", "zstd", "identity", "x y", strings.Repeat("k", 300)}))
			}
		}
	}
	body, err := m.body(op, header)
	if err != nil {
		return nil, err
	}
	if m.IntN(15) == 0 {
		query.Set("nonsense", "1")
	}
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, strings.ToUpper(method), target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = header
	return r, nil
}

// body makes the body of a request, if the operation takes one.
func (m *maker) body(op operation, header http.Header) ([]byte, error) {
	const urlencoded = "application/x-www-form-urlencoded"
	if form, ok := op.RequestBody.Content[urlencoded]; ok {
		header.Set("Content-Type", urlencoded)
		values := url.Values{}
		for _, name := range sortedKeys(form.Schema.Properties) {
			values.Set(name, m.expression(name, form.Schema.Properties[name]))
		}
		return []byte(values.Encode()), nil
	}
	in, ok := op.RequestBody.Content["application/json"]
	switch {
	case !ok:
		return nil, nil
	case m.IntN(4) == 0:
		return []byte(pick(m, fuzzBodies)), nil
	default:
		return json.Marshal(m.value(in.Schema, 0))
	}
}

// TestEveryOperation asks a server with a recorded attack in it for everything
// that its document describes, sensibly and not. It answers with no status that
// the document does not name, and never with a fault of its own.
func TestEveryOperation(t *testing.T) {
	const each = 80
	s := newScript(t)
	writeFile(t, filepath.Join(s.dir, "c.yaml"), "data: "+s.dir+"/data\nkeys: "+s.dir+"/keys\nstore: {ballast: 1MiB}\nengine: {shards: 1}\n")
	up := s.start(t, "demo --serve --config $DIR/c.yaml")
	go io.Copy(io.Discard, up.stdout)
	defer up.end(t)
	up.get(t, "/v1/findings:poll?wait=30s", up.key) // until there is one

	m := &maker{Rand: rand.New(rand.NewPCG(1, 2))}
	_, text := up.get(t, "/openapi.json", "")
	must(t, json.Unmarshal([]byte(text), &m.doc))
	var list struct{ Findings []struct{ ID, Token string } }
	_, text = up.get(t, "/v1/findings", up.key)
	must(t, json.Unmarshal([]byte(text), &list))
	for _, f := range list.Findings {
		m.ids = append(m.ids, f.ID, f.Token)
	}
	if len(m.ids) == 0 {
		t.Fatal("there is no finding to ask for")
	}
	s.env["TOKENWATCH_URL"], s.env["TOKENWATCH_KEY"] = up.url(), up.key
	keys := []string{"", "tkwk_wrong"} // others than the administrator's, some of them good
	for _, role := range []string{"ingest", "analyst", "auditor"} {
		out, _, _ := s.execute("keys create --json --role " + role)
		var key struct{ Secret string }
		must(t, json.Unmarshal([]byte(out), &key))
		keys = append(keys, key.Secret)
	}
	asked, statuses := 0, map[int]int{}
	for _, path := range sortedKeys(m.doc.Paths) {
		for _, method := range sortedKeys(m.doc.Paths[path]) {
			op := m.doc.Paths[path][method]
			fine := false
			for range each {
				ctx, cancel := context.WithCancel(t.Context())
				r, err := m.request(ctx, up.url(), method, path, op)
				must(t, err)
				key := up.key
				if m.IntN(100) == 0 { // who is refused too often has to wait
					key = pick(m, keys)
				}
				if key != "" {
					r.Header.Set("Authorization", "Bearer "+key)
				}
				answer, err := http.DefaultTransport.RoundTrip(r)
				must(t, err)
				if path == "/v1/findings:watch" || path == "/v1/events:tail" {
					cancel() // it does not end
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				cancel()
				asked++
				statuses[answer.StatusCode]++
				fine = fine || answer.StatusCode == http.StatusOK
				if _, ok := op.Responses[fmt.Sprint(answer.StatusCode)]; !ok || answer.StatusCode >= 500 {
					t.Errorf("%s %s: %d", r.Method, r.URL, answer.StatusCode)
				}
			}
			if !fine && !slices.Contains([]string{"/v1/notifications/letters/{id}:retry", "/v1/suppressions/{id}", "/v1/keys/{id}:revoke", "/v1/tokens:link"}, path) &&
				!strings.HasPrefix(path, "/v1/tokens/") {
				t.Errorf("%s %s was never answered with 200", method, path)
			}
		}
	}
	t.Logf("%d paths, %d requests, by status %v", len(m.doc.Paths), asked, statuses)
}
