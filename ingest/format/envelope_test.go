package format

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tokenwatch/tokenwatch"
)

// envelopes are the ways lines come wrapped.
var envelopes = []struct {
	name, format string
	wrap         func(line string) string
}{
	{"RFC 3164", "syslog", func(l string) string { return "<190>Mar  2 08:15:01 host-1 app[7]: " + l }},
	{"RFC 5424", "syslog", func(l string) string { return "<190>1 2026-03-02T08:15:01.5Z host-1 app 7 - - " + l }},
	{"a syslog file", "syslog", func(l string) string { return "2026-03-02T08:15:01.5+00:00 host-1 app[7]: " + l }},
	{"CRI", "cri", func(l string) string { return "2026-03-02T08:15:01.493035218Z stdout F " + l }},
	{"Docker", "json", func(l string) string {
		return `{"log":` + quoteJSON(l+"\n") + `,"stream":"stdout","time":"2026-03-02T08:15:01.493035218Z"}`
	}},
	{"Filebeat", "json", func(l string) string {
		return `{"@timestamp":"2026-03-02T08:15:01.000Z","agent":{"type":"filebeat"},"log":{"file":{"path":"/var/log/a.log"}},"message":` + quoteJSON(l) + `}`
	}},
	{"Vector", "json", func(l string) string {
		return `{"file":"/var/log/a.log","host":"host-1","message":` + quoteJSON(l) + `,"source_type":"file","timestamp":"2026-03-02T08:15:01Z"}`
	}},
	{"CloudWatch", "cloudwatch", func(l string) string {
		return `{"logStreamName":"s","timestamp":1772439301000,"message":` + quoteJSON(l) + `}`
	}},
	{"OTLP", "otlp", func(l string) string {
		return `{"timeUnixNano":"1772439301000000000","body":{"stringValue":` + quoteJSON(l) + `}}`
	}},
	{"CRI in syslog", "syslog+cri", func(l string) string {
		return "<13>Mar  2 08:15:01 node-7 kubelet: 2026-03-02T08:15:00.5Z stdout F " + l
	}},
}

func quoteJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestEnvelopes: behind every envelope every format's records are found out, and
// read as they are read bare.
func TestEnvelopes(t *testing.T) {
	cfg := Config{Now: func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }}
	tried, same := 0, 0
	for _, f := range All {
		switch f.Name {
		case "syslog", "cri", "timed", "cloudwatch", "otlp": // envelopes themselves
			continue
		}
		for _, seed := range seeds(t, f) {
			for line := range strings.Lines(seed) {
				if line = strings.TrimRight(line, " \t\r\n"); !utf8.ValidString(line) {
					continue // JSON has no such text
				}
				p, err := f.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				var bare tokenwatch.Row
				if found, err := DetectWith(cfg, [][]byte{[]byte(line)}); err != nil || found.Name != f.Name {
					continue // by itself it could be of another format
				}
				if p.Parse([]byte(line), &bare) != nil || bare.Has(tokenwatch.ColFormat) {
					continue // a header, or an envelope in an object
				}
				for _, e := range envelopes {
					tried++
					wrapped := []byte(e.wrap(line))
					found, err := DetectWith(cfg, [][]byte{wrapped})
					if err != nil {
						t.Errorf("%s in %s: %v\n%s", f.Name, e.name, err, line)
						continue
					}
					q, err := found.New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					var row tokenwatch.Row
					if err := q.Parse(wrapped, &row); err != nil {
						t.Errorf("%s in %s: %v\n%s", f.Name, e.name, err, line)
						continue
					}
					if want, got := e.format+"+"+f.Name, string(row.Text(tokenwatch.ColFormat)); got != want && (got != "" || found.Name != f.Name) { // some open envelopes themselves
						t.Errorf("%s: taken for %s (%s)\n%s", want, got, found.Name, line)
						continue
					}
					ok := true
					for c := range tokenwatch.NumColumns {
						col := tokenwatch.Col(c)
						if !bare.Has(col) || col == tokenwatch.ColFormat || col.Kind() == tokenwatch.KindTime {
							continue
						}
						if string(bare.Text(col)) != string(row.Text(col)) || col.Kind() == tokenwatch.KindInt && bare.Int(col) != row.Int(col) || bare.Addr() != row.Addr() {
							t.Errorf("%s in %s: %v is %q, bare %q\n%s", f.Name, e.name, col, row.Text(col), bare.Text(col), line)
							ok = false
						}
					}
					if bare.Has(tokenwatch.ColTime) && bare.Int(tokenwatch.ColTime) != row.Int(tokenwatch.ColTime) {
						t.Errorf("%s in %s: another time\n%s", f.Name, e.name, line)
						ok = false
					}
					if len(bare.Credentials) > len(row.Credentials) {
						t.Errorf("%s in %s: %d credentials, bare %d\n%s", f.Name, e.name, len(row.Credentials), len(bare.Credentials), line)
						ok = false
					}
					if ok {
						same++
					}
				}
			}
		}
	}
	t.Logf("%d of %d records in envelopes read as bare", same, tried)
}
