package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// dataDir returns the folder of real logs that lies beside the repository on a
// developer's machine, or the one that TOKENWATCH_DATA names; "" if there is none.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TOKENWATCH_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Logf("no real logs at hand: %v", err)
		return ""
	}
	return dir
}

// records cuts a body as the pipeline would.
func records(t *testing.T, body []byte) [][]byte {
	t.Helper()
	var out [][]byte
	fr := frame.New(frame.Sniff(body), bytes.NewReader(body), 0)
	for {
		rec, err := fr.Next()
		if err != nil {
			return out
		}
		out = append(out, bytes.Clone(rec.Bytes))
	}
}

// share is how many of how many.
type share struct{ good, all int }

func (s *share) add(ok bool) {
	s.all++
	if ok {
		s.good++
	}
}

func (s share) percent() float64 { return 100 * float64(s.good) / float64(max(s.all, 1)) }

// webTypes are the log types of the crowdsec tests that are access or error logs
// of web servers and proxies, with what they are to be taken for.
var webTypes = map[string]string{
	"nginx": "", "apache2": "", "aws-alb": "alb", "aws-cloudfront": "w3c", "caddy": "", "containerd": "cri", "haproxy": "", "traefik": "",
	"bunkerweb": "", "nginx-proxy-manager": "", "npmplus": "", "gotify": "", "aws-cloudtrail": "cloudtrail",
}

// TestCrowdsec parses the logs of the crowdsec tests.
func TestCrowdsec(t *testing.T) {
	dir := dataDir(t)
	if dir == "" {
		return
	}
	index, err := os.Open(filepath.Join(dir, "crowdsec-tests/index.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	byType := map[string]*share{}
	var all, web, found, behind share
	lines := bufio.NewScanner(index)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c struct {
			Test string `json:"test"`
			File string `json:"log_file"`
			Type string `json:"log_type"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(filepath.Join(dir, "crowdsec-tests", c.Test, c.File))
		if err != nil {
			t.Fatal(err)
		}
		recs := records(t, body)
		if len(recs) == 0 {
			continue
		}
		f, err := Detect(recs)
		_, isWeb := webTypes[c.Type]
		if want := webTypes[c.Type]; isWeb {
			found.add(err == nil && (want == "" || f.Name == want))
		}
		s := byType[c.Type]
		if s == nil {
			s = new(share)
			byType[c.Type] = s
		}
		names := map[string]int{}
		if err != nil {
			s.all += len(recs)
			all.all += len(recs)
			if isWeb {
				web.all += len(recs)
				t.Logf("%s (%s): %v", c.Test, c.Type, err)
			}
			continue
		}
		p, _ := f.New(Config{})
		mixed := NewMixed(Config{})
		var row tokenwatch.Row
		for i, rec := range recs {
			row.Reset()
			err := p.Parse(rec, &row)
			if err != nil && err != ErrNoRecord { // as the pipeline does
				row.Reset()
				if mixed.Parse(rec, &row) == nil {
					err = nil
				}
			}
			if err == ErrNoRecord {
				continue
			}
			s.add(err == nil)
			all.add(err == nil)
			if isWeb {
				web.add(err == nil)
				if err != nil {
					t.Logf("%s (%s as %s) line %d: %v", c.Test, c.Type, f.Name, i+1, err)
				}
			}
			if err == nil {
				name := string(row.Text(tokenwatch.ColFormat))
				if name == "" {
					name = f.Name
				}
				names[name]++
			}
		}
		if isWeb {
			for _, e := range envelopes {
				behind.add(foundBehind(t, e.wrap, recs))
			}
		}
		if testing.Verbose() {
			t.Logf("%-40s %-20s %-12s %v", c.Test, c.Type, f.Name, names)
		}
	}
	var types []string
	for name := range byType {
		types = append(types, name)
	}
	sort.Strings(types)
	for _, name := range types {
		t.Logf("%-22s %5d of %5d", name, byType[name].good, byType[name].all)
	}
	t.Logf("behind %d envelopes: %d of %d files read as bare (%.2f %%)", len(envelopes), behind.good, behind.all, behind.percent())
	t.Logf("web and cloud: %d of %d lines parse (%.2f %%); %d of %d files get a format (%.1f %%); all types: %.2f %%",
		web.good, web.all, web.percent(), found.good, found.all, found.percent(), all.percent())
}

// foundBehind tells whether nine of ten records that parse bare are read by the
// same formats in an envelope.
func foundBehind(t *testing.T, wrap func(string) string, recs [][]byte) bool {
	t.Helper()
	var wrapped [][]byte
	for _, rec := range recs {
		wrapped = append(wrapped, []byte(wrap(strings.ToValidUTF8(string(rec), "?"))))
	}
	f, err := Detect(wrapped)
	if err != nil {
		return false
	}
	p, err := f.New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	bare := NewMixed(Config{})
	var s share
	var inside, outside tokenwatch.Row
	for i, rec := range recs {
		outside.Reset()
		if bare.Parse(rec, &outside) != nil {
			continue
		}
		inside.Reset()
		ok := p.Parse(wrapped[i], &inside) == nil
		name := string(outside.Text(tokenwatch.ColFormat))
		got := string(inside.Text(tokenwatch.ColFormat))
		s.add(ok && (strings.HasSuffix(got, "+"+name) || got == "" && f.Name == name))
	}
	return 10*s.good >= 9*s.all
}

// products are the streams of the ecs pipelines whose formats are here, and what
// they are taken for.
var products = map[string]string{
	"nginx/access": "combined", "nginx/error": "nginxerror", "apache/access": "combined", "apache/error": "apacheerror", "iis/access": "w3c", "squid/log": "squid",
	"traefik/access": "traefik", "aws/elb_logs": "alb", "aws/s3access": "s3access", "aws/cloudfront_logs": "w3c", "aws/apigateway_logs": "apigateway",
	"nginx_ingress_controller/access": "ingress",
}

// TestECS compares rows with the documents expected of the same events.
func TestECS(t *testing.T) {
	dir := dataDir(t)
	if dir == "" {
		return
	}
	var total share
	for _, stream := range sortedKeys(products) {
		body, err := os.ReadFile(filepath.Join(dir, "ecs-pipelines", stream+".jsonl"))
		if err != nil {
			t.Logf("%s: %v", stream, err)
			continue
		}
		type event struct {
			ID       string          `json:"id"`
			Input    json.RawMessage `json:"input"`
			Expected map[string]any  `json:"expected"`
			Fields   map[string]any  `json:"fields"`
		}
		var events []event
		var sample [][]byte
		for line := range bytes.Lines(body) {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			if e.Expected == nil {
				continue
			}
			var text string
			if json.Unmarshal(e.Input, &text) == nil {
				e.Input = []byte(text)
			}
			events = append(events, e)
			sample = append(sample, e.Input)
		}
		f, err := Detect(sample)
		if err != nil {
			t.Logf("%s: %v", stream, err)
			total.all += len(events) * 8
			continue
		}
		if want := products[stream]; want != "" && f.Name != want {
			t.Logf("%s: taken for %s, not %s", stream, f.Name, want)
		}
		p, _ := f.New(Config{})
		mixed := NewMixed(Config{})
		var s share
		var row tokenwatch.Row
		for _, e := range events {
			row.Reset()
			err := p.Parse(e.Input, &row)
			if err != nil {
				row.Reset()
				if mixed.Parse(e.Input, &row) == nil {
					err = nil
				}
			}
			for field, want := range expectedCore(e.Expected) {
				if _, zone := e.Fields["event.timezone"]; zone && field == "@timestamp" {
					continue // told beside the line, in which it is not
				}
				got := ""
				if err == nil {
					got = coreOf(&row, field)
				}
				same := got == want || spelt(got) == spelt(want)
				s.add(same)
				total.add(same)
				if !same && testing.Verbose() {
					t.Logf("  %s %s: %q, expected %q (%v)", e.ID, field, got, want, err)
				}
			}
		}
		t.Logf("%-34s as %-11s %4d of %4d core fields (%.1f %%)", stream, f.Name, s.good, s.all, s.percent())
	}
	t.Logf("all: %d of %d (%.2f %%)", total.good, total.all, total.percent())
}

// spelt undoes percent-encoding and what stands for spaces: rows keep paths as
// they were asked for.
func spelt(s string) string {
	return strings.ReplaceAll(string(appendUnescaped(nil, []byte(s))), "+", " ")
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// coreFields are the fields of a document that are compared, with our column.
var coreFields = map[string]tokenwatch.Col{
	"@timestamp": tokenwatch.ColTime, "event.action": tokenwatch.ColAction, "source.ip": tokenwatch.ColSrcIP, "source.port": tokenwatch.ColSrcPort, "user.name": tokenwatch.ColActor,
	"http.request.method": tokenwatch.ColMethod, "http.response.status_code": tokenwatch.ColStatus, "http.response.bytes": tokenwatch.ColBytesOut,
	"http.request.id": tokenwatch.ColRequestID, "url.path": tokenwatch.ColPath, "url.query": tokenwatch.ColPath, "url.domain": tokenwatch.ColHost,
	"user_agent.original": tokenwatch.ColUserAgent, "event.duration": tokenwatch.ColDuration,
}

// expectedCore returns the core fields of a document.
func expectedCore(doc map[string]any) map[string]string {
	out := map[string]string{}
	for name := range coreFields {
		var v any = doc
		for _, part := range strings.Split(name, ".") {
			m, ok := v.(map[string]any)
			if v = nil; ok {
				v = m[part]
			}
		}
		if name == "http.response.bytes" && v == nil { // what the product has no better field for
			v = dig(doc, "http", "response", "body", "bytes")
		}
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		switch v := v.(type) {
		case string:
			if v == "-" || v == "" {
				continue
			}
			if name == "@timestamp" {
				at, err := time.Parse(time.RFC3339Nano, v)
				if err != nil {
					continue
				}
				v = at.UTC().Format("2006-01-02T15:04:05.000Z")
			}
			out[name] = v
		case float64:
			b, _ := json.Marshal(v)
			if b, err := json.Marshal(int64(v)); err == nil && v == float64(int64(v)) {
				out[name] = string(b)
				continue
			}
			out[name] = string(b)
		}
	}
	return out
}

func dig(doc map[string]any, path ...string) any {
	var v any = doc
	for _, part := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// coreOf returns a core field of a row.
func coreOf(row *tokenwatch.Row, field string) string {
	col := coreFields[field]
	if !row.Has(col) {
		return ""
	}
	switch col.Kind() {
	case tokenwatch.KindTime:
		return time.Unix(0, row.Int(col)).UTC().Format("2006-01-02T15:04:05.000Z")
	case tokenwatch.KindInt:
		b, _ := json.Marshal(row.Int(col))
		return string(b)
	case tokenwatch.KindAddr:
		return row.Addr().String()
	}
	v := string(row.Text(col))
	path, query, _ := strings.Cut(v, "?")
	switch field {
	case "url.path":
		return path
	case "url.query":
		return query
	case "url.domain":
		host, _, _ := strings.Cut(v, ":")
		return host
	}
	return v
}
