package shape

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// sealed reads a body as the pipeline does.
func sealed(t *testing.T, name, body string) (*tokenwatch.Batch, []tokenwatch.Reject) {
	t.Helper()
	keys, err := seal.NewKeys(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	p := ingest.New(nil, ingest.Config{Keys: keys, Now: func() time.Time { return time.Unix(1.7e9, 0) }})
	s, _, err := p.Seal(source.Delivery{Tenant: tokenwatch.DefaultTenant, Source: "test", Format: name, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Batch, s.Request.Rejects
}

// What ECS allows in the fields that categorise an event.
var (
	ecsCategories = words("api authentication configuration database driver email file host iam intrusion_detection library malware network package process registry session threat vulnerability web")
	ecsTypes      = words("access admin allowed change connection creation deletion denied device end error group indicator info installation protocol start user")
	ecsOutcomes   = words("success failure unknown")
)

func words(s string) map[any]bool {
	m := map[any]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// TestECS: of every row of every format's golden cases the document has a time
// and ECS's own words, is nested, and encodes alike each time.
func TestECS(t *testing.T) {
	rows := 0
	for name, bodies := range corpus(t) {
		for _, body := range bodies {
			b, _ := sealed(t, name, body)
			if b == nil {
				continue
			}
			for i := range b.Rows() {
				rows++
				d := ECS(b, i)
				first, _ := json.Marshal(d)
				if again, _ := json.Marshal(ECS(b, i)); !bytes.Equal(first, again) {
					t.Fatalf("%s: a row has two documents", name)
				}
				flat := map[string]any{}
				flatten(roundTrip(t, d), "", flat)
				if _, err := time.Parse("2006-01-02T15:04:05.000Z", fmt.Sprint(flat["@timestamp"])); err != nil {
					t.Errorf("%s: @timestamp %v", name, flat["@timestamp"])
				}
				for field, allowed := range map[string]map[any]bool{"event.category": ecsCategories, "event.type": ecsTypes} {
					list, _ := flat[field].([]any)
					if len(list) == 0 {
						t.Errorf("%s: %s is %v", name, field, flat[field])
					}
					for _, v := range list {
						if !allowed[v] {
							t.Errorf("%s: %s has no value %v", name, field, v)
						}
					}
				}
				if o, ok := flat["event.outcome"]; ok && !ecsOutcomes[o] {
					t.Errorf("%s: event.outcome %v", name, o)
				}
				noDots(t, name, d)
			}
		}
	}
	if rows < 100 {
		t.Errorf("only %d rows", rows)
	}
}

// noDots fails if an object has a name with a dot in it: nested is nested.
func noDots(t *testing.T, name string, d Document) {
	t.Helper()
	for k, v := range d {
		if strings.Contains(k, ".") {
			t.Errorf("%s: a name %q", name, k)
		}
		if inner, ok := v.(Document); ok {
			noDots(t, name, inner)
		}
	}
}

// TestDomain: suffixes are those of registries, not those of companies.
func TestDomain(t *testing.T) {
	for _, c := range []struct{ name, subdomain, registered, top string }{
		{"www.example.co.uk", "www", "example.co.uk", "co.uk"},
		{"d1.cloudfront.net", "d1", "cloudfront.net", "net"},
		{"a.b.example.com", "a.b", "example.com", "com"},
		{"example.com", "", "example.com", "com"},
		{"198.51.100.7", "", "", ""},
		{"host.internal", "", "", ""},
		{"localhost", "", "", ""},
		{"com", "", "", ""},
		{".com", "", "", ""},
	} {
		d := Document{}
		putDomain(d, c.name)
		if d.get("url.subdomain") != c.subdomain || d.get("url.registered_domain") != c.registered || d.get("url.top_level_domain") != c.top {
			t.Errorf("%s: %v", c.name, d)
		}
	}
}

// TestEnvelope: in an envelope a record has the document it has without one, but
// for its format.
func TestEnvelope(t *testing.T) {
	record := `{"actor":{"alternateId":"ann@example.com","displayName":"Ann","id":"00u1","type":"User"},"client":{"ipAddress":"198.51.100.7"},"displayMessage":"x","eventType":"user.session.start","outcome":{"result":"SUCCESS"},"published":"2024-03-01T10:00:00.123Z","uuid":"u-1"}`
	bare, _ := sealed(t, "auto", record)
	inside, _ := sealed(t, "auto", "2024-03-01T10:00:05Z stdout F "+record)
	if got := inside.Text(tokenwatch.ColFormat, 0); got != "cri+okta" {
		t.Fatalf("format %q", got)
	}
	for _, field := range []string{"user.full_name", "client.user.name", "event.action", "event.module", "@timestamp"} {
		if a, b := ECS(bare, 0).get(field), ECS(inside, 0).get(field); a == "" || a != b {
			t.Errorf("%s: %q, and %q in an envelope", field, a, b)
		}
	}
	if p := OCSF(inside, 0)["metadata"].(Document).get("product.vendor_name"); p != "Okta" {
		t.Errorf("product of %q", p)
	}
}

// TestECSFields: what ECS's users expect otherwise than the columns have it.
func TestECSFields(t *testing.T) {
	for _, c := range []struct {
		name, record string
		want         map[string]any // nil: nothing
	}{
		{"path and query without escapes", `198.51.100.7 - - [26/Dec/2016:16:22:13 +0000] "GET /a%20b/%C3%A9.html?q=a%20b+c&x=%26 HTTP/1.1" 200 5 "-" "curl/8"`, map[string]any{
			"url.path": "/a b/é.html", "url.query": "q=a b+c&x=&", "url.extension": "html", "url.original": "/a%20b/%C3%A9.html?q=a%20b+c&x=%26",
		}},
		{"escapes that are not sound", `198.51.100.7 - - [26/Dec/2016:16:22:13 +0000] "GET /a%zz?q=%2 HTTP/1.1" 200 5 "-" "curl/8"`, map[string]any{
			"url.path": "/a%zz", "url.query": "q=%2",
		}},
		{"a verb, and that it was allowed", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"list","user":{"username":"ann","uid":"u1"},"sourceIPs":["198.51.100.7"],` +
			`"objectRef":{"resource":"pods","namespace":"d"},"responseStatus":{"code":404},"stageTimestamp":"2020-01-01T00:00:00.1Z","annotations":{"authorization.k8s.io/decision":"allow"}}`, map[string]any{
			"event.action": "list", "event.outcome": "success", "user.name": "ann", "user.id": "u1", "client.ip": "198.51.100.7",
		}},
		{"the owner of a device", `{"kind":"admin#reports#activity","id":{"time":"2020-10-02T15:00:00Z","uniqueQualifier":1,"applicationName":"mobile","customerId":"1"},"actor":{"email":"admin@example.com","profileId":1},` +
			`"events":[{"type":"device_updates","name":"DEVICE_SYNC_EVENT","parameters":[{"name":"USER_EMAIL","value":"ann@example.com"}]}]}`, map[string]any{
			"user.email": []any{"admin@example.com", "ann@example.com"}, "user.target.email": nil, "user.name": "admin",
		}},
		{"the other user of a call", `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"P","arn":"arn:aws:iam::123456789012:user/ann","accountId":"123456789012","userName":"ann"},"eventTime":"2020-01-01T00:00:00Z",` +
			`"eventSource":"identitystore.amazonaws.com","eventName":"UpdateUser","requestParameters":{"userName":"joe","newUserName":"joan"},"eventID":"e"}`, map[string]any{
			"user.name": "ann", "user.target.name": "joe", "user.changes.name": "joan",
		}},
		{"nothing says that it was granted", `{"insertId":"a","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog",` +
			`"authenticationInfo":{"principalEmail":"ann@example.com"},"methodName":"m","serviceName":"compute.googleapis.com"},"resource":{"type":"gce_instance"},"timestamp":"2020-08-05T16:56:40.428Z"}`, map[string]any{
			"event.outcome": "unknown",
		}},
	} {
		b, _ := sealed(t, "auto", c.record)
		if b == nil || b.Rows() != 1 {
			t.Errorf("%s: not read", c.name)
			continue
		}
		got := map[string]any{}
		flatten(roundTrip(t, ECS(b, 0)), "", got)
		for field, want := range c.want {
			if !reflect.DeepEqual(got[field], want) {
				t.Errorf("%s: %s is %v, not %v", c.name, field, got[field], want)
			}
		}
	}
}

// TestDocument: a path that is taken stays as it is.
func TestDocument(t *testing.T) {
	d := Document{}
	for _, c := range []struct {
		path string
		ok   bool
	}{{"a.b", true}, {"a.b", false}, {"a.b.c", false}, {"a", false}, {"a.c", true}, {"e", true}, {"e.f", false}} {
		if d.set(c.path, "v") != c.ok {
			t.Errorf("set %s: not %v", c.path, c.ok)
		}
	}
	d.hold("user.name")
	d.put("user.name", "x")
	d.release()
	if d.get("user.name") != "" || d["user"] != nil || d.get("a.b") != "v" {
		t.Errorf("%v", d)
	}
}

func dataDir() string {
	dir := os.Getenv("TOKENWATCH_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

// ecsStreams are the collected streams of the products that have a format.
var ecsStreams = []string{
	"github/audit", "github/secret_scanning", "github/code_scanning", "gcp/audit", "azure/activitylogs", "azure/auditlogs", "azure/signinlogs", "azure/identity_protection", "azure/provisioning",
	"o365/audit", "okta/system", "auth0/logs", "google_workspace/admin", "google_workspace/login", "google_workspace/token", "google_workspace/groups", "google_workspace/saml",
	"google_workspace/user_accounts", "google_workspace/drive", "google_workspace/gcp", "google_workspace/access_transparency", "google_workspace/context_aware_access",
	"google_workspace/rules", "google_workspace/group_enterprise", "google_workspace/device", "slack/audit", "hashicorp_vault/audit", "1password/audit_events", "1password/item_usages", "1password/signin_attempts",
	"atlassian_jira/audit", "atlassian_confluence/audit", "cloudflare_logpush/audit", "cloudflare_logpush/access_request", "cloudflare_logpush/http_request", "cloudflare_logpush/firewall_event",
	"cloudflare_logpush/gateway_http", "aws/cloudtrail",
	"nginx/access", "apache/access", "iis/access", "squid/log", "traefik/access", "aws/elb_logs", "aws/s3access", "aws/cloudfront_logs", "aws/apigateway_logs", "nginx_ingress_controller/access",
}

// TestECSStreams compares the documents with the ones expected of the same
// events, in the fields that matter: when, what, how it ended, who, whence, HTTP.
func TestECSStreams(t *testing.T) {
	dir := dataDir()
	if dir == "" {
		return // only where the streams are
	}
	all, good := 0, 0
	for _, stream := range ecsStreams {
		in := readStream(t, filepath.Join(dir, "ecs-pipelines", stream+".jsonl"))
		type event struct {
			ID       string          `json:"id"`
			Input    json.RawMessage `json:"input"`
			Expected map[string]any  `json:"expected"`
		}
		var events []event
		var sample [][]byte
		for line := range bytes.Lines(in) {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			var text string
			var message struct{ Message string }
			if json.Unmarshal(e.Input, &text) == nil {
				e.Input = []byte(text)
			} else if json.Unmarshal(e.Input, &message) == nil && message.Message != "" {
				e.Input = []byte(message.Message)
			}
			if e.Expected != nil {
				events = append(events, e)
				sample = append(sample, e.Input)
			}
		}
		f, err := format.Detect(sample)
		if err != nil {
			t.Logf("%s: %v", stream, err)
			f.Name = "auto"
		}
		n, right := 0, 0
		wrong := map[string]int{}
		for _, e := range events {
			got := map[string]any{}
			b, _ := sealed(t, f.Name, string(e.Input))
			if b == nil || b.Rows() == 0 { // of another format than the stream's others: found out, as for a source whose format is not named
				b, _ = sealed(t, "auto", string(e.Input))
			}
			if b != nil && b.Rows() > 0 {
				flatten(roundTrip(t, ECS(b, 0)), "", got)
			}
			want := map[string]any{}
			flatten(e.Expected, "", want)
			for field, v := range want {
				if !core(field) || v == "-" { // the log's word for nothing
					continue
				}
				n++
				if same(field, got[field], v) {
					right++
					continue
				}
				wrong[field]++
				if testing.Verbose() {
					t.Logf("  %s %s: %v, expected %v", e.ID, field, got[field], v)
				}
			}
		}
		all, good = all+n, good+right
		t.Logf("%-40s %-16s %5d of %5d core fields (%.1f %%) %s", stream, f.Name, right, n, 100*float64(right)/float64(max(n, 1)), most(wrong))
	}
	t.Logf("all: %d of %d (%.2f %%)", good, all, 100*float64(good)/float64(max(all, 1)))
	if good*100 < all*98 {
		t.Errorf("only %d of %d core fields are as expected", good, all)
	}
}

func most(wrong map[string]int) string {
	var keys []string
	for k := range wrong {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return wrong[keys[i]] > wrong[keys[j]] })
	var b strings.Builder
	for _, k := range keys[:min(len(keys), 6)] {
		fmt.Fprintf(&b, " %s:%d", k, wrong[k])
	}
	return b.String()
}

func readStream(t *testing.T, file string) []byte {
	t.Helper()
	in, err := os.ReadFile(file)
	if err == nil {
		return in
	}
	z, err := os.Open(file + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r, err := gzip.NewReader(z)
	if err != nil {
		t.Fatal(err)
	}
	if in, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return in
}

func roundTrip(t *testing.T, d Document) map[string]any {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func flatten(in map[string]any, prefix string, out map[string]any) {
	for k, v := range in {
		if m, ok := v.(map[string]any); ok {
			flatten(m, prefix+k+".", out)
			continue
		}
		out[prefix+k] = v
	}
}

func core(field string) bool {
	switch field {
	case "@timestamp", "event.action", "event.outcome", "source.ip":
		return true
	}
	return strings.HasPrefix(field, "user.") || strings.HasPrefix(field, "http.") || strings.HasPrefix(field, "url.")
}

// same compares two values: times to the millisecond, a list of one with its
// element, numbers with numbers.
func same(field string, got, want any) bool {
	if l, ok := want.([]any); ok && len(l) == 1 {
		want = l[0]
	}
	if l, ok := got.([]any); ok && len(l) == 1 {
		got = l[0]
	}
	if field == "@timestamp" {
		g, err1 := time.Parse(time.RFC3339Nano, fmt.Sprint(got))
		w, err2 := time.Parse(time.RFC3339Nano, fmt.Sprint(want))
		return err1 == nil && err2 == nil && g.Truncate(time.Millisecond).Equal(w.Truncate(time.Millisecond))
	}
	if n, ok := want.(float64); ok {
		return got == n
	}
	return reflect.DeepEqual(got, want)
}

// TestECSBeats does the same with whole files and the documents of their lines.
func TestECSBeats(t *testing.T) {
	dir := dataDir()
	if dir == "" {
		return // only where the files are
	}
	all, good := 0, 0
	for _, glob := range []string{"azure_signinlogs/*", "aws_elb/*"} {
		files, err := filepath.Glob(filepath.Join(dir, "ecs-beats", glob))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", glob, err)
		}
		for _, file := range files {
			for line := range bytes.Lines(readStream(t, file)) {
				var e struct {
					Text     string           `json:"input_text"`
					Expected []map[string]any `json:"expected"`
				}
				if err := json.Unmarshal(line, &e); err != nil {
					t.Fatal(err)
				}
				b, rejects := sealed(t, "auto", e.Text)
				if b == nil || b.Rows() != len(e.Expected) {
					t.Errorf("%s: %d documents expected, %d rejects", filepath.Base(file), len(e.Expected), len(rejects))
					continue
				}
				wrong := map[string]int{}
				n, right := 0, 0
				for i, want := range e.Expected {
					got := map[string]any{}
					flatten(roundTrip(t, ECS(b, i)), "", got)
					for field, v := range want {
						if !core(field) || v == "-" {
							continue
						}
						if n++; same(field, got[field], v) {
							right++
						} else {
							wrong[field]++
						}
					}
				}
				all, good = all+n, good+right
				t.Logf("%-32s %4d of %4d core fields %s", filepath.Base(file), right, n, most(wrong))
			}
		}
	}
	t.Logf("all: %d of %d (%.1f %%)", good, all, 100*float64(good)/float64(max(all, 1)))
	if good*100 < all*90 {
		t.Errorf("only %d of %d core fields are as expected", good, all)
	}
}
