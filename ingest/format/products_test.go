package format

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// innerOf returns a field of each line of a file of JSON lines.
func innerOf(t *testing.T, file, name string) []json.RawMessage {
	t.Helper()
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []json.RawMessage
	for line := range bytes.Lines(in) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		out = append(out, fields[name])
	}
	return out
}

// pantherLogs are the logs of rule tests, by the format that reads them.
var pantherLogs = map[string]string{
	"GitHub.Audit": "github", "GitHub.Webhook": "github_webhook", "Amazon.EKS.Audit": "kubernetes", "Azure.Audit": "azure", "Azure.MonitorActivity": "azure",
	"GCP.AuditLog": "gcp_audit", "GSuite.ActivityEvent": "google_workspace", "GitLab.Production": "gitlab_api", "Gravitational.TeleportAudit": "teleport",
	"Microsoft365.Audit.AzureActiveDirectory": "microsoft365", "Microsoft365.Audit.SharePoint": "microsoft365", "Okta.SystemLog": "okta", "Auth0.Events": "auth0",
	"OnePassword.ItemUsage": "onepassword", "OnePassword.SignInAttempt": "onepassword", "Slack.AuditLogs": "slack", "Snyk.GroupAudit": "snyk",
	"Tailscale.Audit": "tailscale", "Cloudflare.HttpRequest": "cloudflare_http", "Cloudflare.Firewall": "cloudflare_http", "Databricks.Audit": "databricks", "AWS.CloudTrail": "cloudtrail",
}

// TestPantherLogs: logs of the named products parse with the parser of their own,
// are taken for its format, and say what was done, how it ended, and who did it.
func TestPantherLogs(t *testing.T) {
	dir := dataDir(t)
	if dir == "" {
		return // only where the logs are
	}
	all, good := 0, 0
	for name, formatName := range pantherLogs {
		f, ok := ByName(formatName)
		if !ok {
			t.Fatalf("%s: no format %s", name, formatName)
		}
		p, err := f.New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		logs := innerOf(t, filepath.Join(dir, "panther-tests/logs", name+".jsonl"), "log")
		var row tokenwatch.Row
		normal := normalize.New()
		full, taken := 0, 0
		for i, log := range logs {
			row.Reset()
			if err := p.Parse(log, &row); err != nil {
				t.Logf("%s %d: %v", name, i, err)
				continue
			}
			normal.Normalize(&row)
			var missing []string
			if !row.Has(tokenwatch.ColAction) {
				missing = append(missing, "action")
			}
			if !row.Has(tokenwatch.ColOutcome) {
				missing = append(missing, "outcome")
			}
			if !row.Has(tokenwatch.ColActor) && len(row.Names) == 0 && len(row.Credentials) == 0 {
				missing = append(missing, "actor")
			}
			if missing == nil {
				full++
			} else if testing.Verbose() {
				t.Logf("%s %d: no %s: %.300s", name, i, strings.Join(missing, ", "), log)
			}
			if found, err := Detect([][]byte{log}); err == nil && found.Name == formatName {
				taken++
			} else if testing.Verbose() {
				t.Logf("%s %d: taken for %q: %.200s", name, i, found.Name, log)
			}
		}
		all, good = all+len(logs), good+full
		t.Logf("%-40s %-16s %3d of %3d full, %3d recognised by themselves", name, formatName, full, len(logs), taken)
	}
	t.Logf("%d of %d (%.1f %%) full", good, all, 100*float64(good)/float64(all))
	if 100*good < 90*all {
		t.Errorf("only %d of %d say what was done, how it ended and who did it", good, all)
	}
}

// TestWebhookPayloads: every payload parses, and its event is told.
func TestWebhookPayloads(t *testing.T) {
	dir := dataDir(t)
	if dir == "" {
		return // only where the payloads are
	}
	files, err := filepath.Glob(filepath.Join(dir, "github-webhooks/payload-examples/*/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	f, _ := ByName("github_webhook")
	p, _ := f.New(Config{})
	var row tokenwatch.Row
	told := 0
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		row.Reset()
		if err := p.Parse(in, &row); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		event := filepath.Base(filepath.Dir(file))
		if got, _, _ := strings.Cut(string(row.Text(tokenwatch.ColAction)), "."); got == event && row.Has(tokenwatch.ColActor) {
			told++
		} else {
			t.Logf("%s: taken for %s by %q", file, row.Text(tokenwatch.ColAction), row.Text(tokenwatch.ColActor))
		}
		if found, err := Detect([][]byte{in}); err != nil || found.Name != "github_webhook" {
			t.Logf("%s: detected as %q", file, found.Name)
		}
	}
	t.Logf("%d of %d payloads: the right event and an actor", told, len(files))
	if told < len(files)*9/10 {
		t.Errorf("only %d of %d", told, len(files))
	}
}

// BenchmarkProducts parses one record of some products, as their golden cases
// have them.
func BenchmarkProducts(b *testing.B) {
	for _, name := range []string{"github", "okta", "kubernetes", "gcp_audit", "azure", "google_workspace", "vault"} {
		b.Run(name, func(b *testing.B) {
			f, _ := ByName(name)
			p, err := f.New(Config{})
			if err != nil {
				b.Fatal(err)
			}
			record, _, _ := strings.Cut(seeds(b, f)[0], "\n")
			var row tokenwatch.Row
			in := []byte(record)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				row.Reset()
				if err := p.Parse(in, &row); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// A record of very many events that share much is not multiplied.
func TestSplitBound(t *testing.T) {
	f, _ := ByName("google_workspace")
	p, err := f.New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	few := `{"id":{"applicationName":"login"},"actor":{},"events":[{"name":"a"},{"name":"b"}]}`
	if parts := p.(Splitter).Split([]byte(few)); len(parts) != 2 {
		t.Errorf("%d parts of two events", len(parts))
	}
	many := `{"x":"` + strings.Repeat("x", 100_000) + `","events":[{"name":"a"}` + strings.Repeat(`,{"name":"a"}`, 10_000) + `]}`
	if parts := p.(Splitter).Split([]byte(many)); parts != nil {
		t.Errorf("%d parts of 100 kB each", len(parts))
	}
}
