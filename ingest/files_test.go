package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// trailRecord is one record of a CloudTrail file.
func trailRecord(n int) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},"eventTime":"2026-01-02T03:%02d:%02dZ","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.7","userAgent":"aws-cli/2.15","eventID":"00000000-0000-4000-8000-%012d"}`, n/60, n%60, n)
}

func zip(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// over returns the way to a house by name: straight, or by HTTP.
func (h *house) over(t *testing.T, way string) source.Pipeline {
	t.Helper()
	if way == "local" {
		return h.Pipeline
	}
	handler := source.NewHTTP(h.Pipeline, source.HTTPConfig{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(tokenwatch.WithPrincipal(r.Context(), tokenwatch.Principal{ID: "k", Tenant: "t1"})))
	}))
	t.Cleanup(server.Close)
	s, err := source.NewSender(source.SenderConfig{URL: server.URL, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFiles takes in CloudTrail files and access logs, straight and over HTTP;
// the second time nothing is added.
func TestFiles(t *testing.T) {
	const n = 300
	var lines, array, log bytes.Buffer
	array.WriteString("{\"Records\": [")
	for i := range n {
		if i > 0 {
			array.WriteString(",\n  ")
		}
		lines.WriteString(trailRecord(i) + "\n")
		array.WriteString(trailRecord(n + i))
		log.WriteString(lineAt(0, i, mergeNow))
	}
	array.WriteString("]}\n")
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"trail.jsonl": lines.Bytes(), "trail.json.gz": zip(t, array.Bytes()), "access.log": log.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := source.ExpandNames([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"local", "http"} {
		t.Run(way, func(t *testing.T) {
			h := newHouse(t, Config{})
			files := source.Files{To: h.over(t, way), Split: Split, Tenant: "t1", Source: "s", Format: source.FormatAuto, Chunk: 16 << 10}
			for run := range 2 {
				s, err := files.Run(t.Context(), names)
				if err != nil {
					t.Fatal(err)
				}
				if s.Accepted+s.Duplicate != 3*n || s.Rejected != 0 || run == 1 && s.Accepted != 0 {
					t.Errorf("run %d: %+v", run, s)
				}
				if s.Formats["cloudtrail"] == 0 || s.Formats["combined"] == 0 || len(s.Formats) != 2 {
					t.Errorf("formats %v", s.Formats)
				}
			}
			if h.log.rows() != 3*n {
				t.Errorf("%d rows stored, want %d", h.log.rows(), 3*n)
			}
		})
	}
}

// TestRealFiles takes in recorded logs where they are at hand, and merges them.
func TestRealFiles(t *testing.T) {
	const data = "../../shared/data/"
	for _, test := range []struct {
		name, format string
	}{
		{"access-logs/zanbil_nginx_combined.part1.log.gz", "combined"},
		{"access-logs/scanner_acunetix.log.gz", "combined"},
		{"access-logs/scanner_w3af.log.gz", "combined"},
		{"attacks/aws-stratus-timeline/cloudtrail.jsonl.gz", "cloudtrail"},
	} {
		name := data + test.name
		if _, err := os.Stat(name); err != nil {
			t.Logf("not at hand: %s", test.name)
			continue
		}
		h := newHouse(t, Config{})
		files := source.Files{To: h, Split: Split, Tenant: "t1", Source: "s", Format: source.FormatAuto, Chunk: 1 << 20}
		first, err := files.Run(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		again, err := files.Run(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d accepted, rejected %v, formats %v", test.name, first.Accepted, first.Reasons, first.Formats)
		if first.Accepted == 0 || first.Rejected != 0 || first.Formats[test.format] == 0 || len(first.Formats) != 1 {
			t.Errorf("%s: %+v", test.name, first)
		}
		if again.Accepted != 0 || again.Duplicate != first.Accepted || h.log.rows() != first.Accepted {
			t.Errorf("%s again: %+v", test.name, again)
		}
		rows, ticks := mergeReal(t, h, name)
		t.Logf("merged: %d rows, %d ticks", rows, ticks)
		if rows != first.Accepted {
			t.Errorf("%s: %d rows merged of %d", test.name, rows, first.Accepted)
		}
	}
}

func mergeReal(t *testing.T, h *house, name string) (rows, ticks int) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, done, err := source.Expand(file)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for e, err := range h.Merge(t.Context(), []Input{{Name: name, Body: plain}}, MergeConfig{Tenant: "t1", Source: "s", Format: source.FormatAuto}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Batch != nil {
			rows += e.Batch.Rows()
		} else {
			ticks++
		}
	}
	return rows, ticks
}
