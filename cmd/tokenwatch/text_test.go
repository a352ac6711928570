package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tokenwatch/tokenwatch"
)

// FuzzShown: whatever stands in a log, what is printed of it is one line of
// visible characters, and JSON means the same as before.
func FuzzShown(f *testing.F) {
	for _, s := range []string{
		"", "plain text", "naïve ünïcödé 漢字", "\x1b[2J\x1b]0;title\x07", "a\nb\r\x00c", "\u202egnp.exe", "\u200b\u2028\ufeff",
		"\xff\xfe\x80", "\ufffd", "\U000e0041", "\x7f\u009b31m", `{"forged":true}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		visibleOnly(t, shown(s))
		var b bytes.Buffer
		if err := writeJSON(&b, map[string]string{"value": s}); err != nil {
			t.Fatal(err)
		}
		line, ok := strings.CutSuffix(b.String(), "\n")
		if !ok {
			t.Fatal("no line break at the end")
		}
		visibleOnly(t, line)
		var back map[string]string
		if err := json.Unmarshal([]byte(line), &back); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && back["value"] != want {
			t.Errorf("%q became %q", s, back["value"])
		}
	})
}

func visibleOnly(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("%q is not UTF-8", s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q has %U", s, r)
		}
	}
}

// TestFindingIsShownEscaped: a finding about text meant to confuse is printed
// without it, on a terminal and in a pipe, as a page, as a line and as JSON.
func TestFindingIsShownEscaped(t *testing.T) {
	evil := "\x1b[2J\u202ea\nfake line\x00\xff"
	f := tokenwatch.Finding{
		ID: "fnd_1", EntityKind: tokenwatch.EntityActor, Entity: evil, Actor: evil, Summary: evil,
		Severity: tokenwatch.SeverityHigh, Score: 80, Time: testTime, SrcIP: evil, Attack: []string{evil},
		Aliases:  []tokenwatch.Alias{{Kind: tokenwatch.NamePrefix, Value: evil}},
		Reasons:  []tokenwatch.Reason{{Detector: "novelty", Axis: evil, Text: evil, Values: []string{evil}}},
		Evidence: []tokenwatch.Event{{Time: testTime, Action: evil, Resource: evil, RequestID: evil, Error: evil}},
	}
	for _, width := range []int{0, 80} {
		var out bytes.Buffer
		c := &console{stdout: &out, outWidth: width}
		table := newFindingsTable()
		table.finding(&f)
		must(t, table.write(c))
		must(t, printFinding(c, &f))
		must(t, c.print(&f))
		lines := 0
		for line := range strings.Lines(out.String()) {
			lines++
			visibleOnly(t, strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " "))
			if strings.HasPrefix(line, "fake line") {
				t.Error("a line was forged")
			}
		}
		if lines < 15 {
			t.Errorf("%d lines only", lines)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"0", "1", "64MiB", "2GiB", "5 KiB", "12B", "-1", "9223372036854775807GiB", "MiB", "1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var a, b size
		if a.UnmarshalText([]byte(s)) != nil {
			return
		}
		if a < 0 {
			t.Fatalf("%q is %d bytes", s, a)
		}
		if err := b.UnmarshalText([]byte(a.String())); err != nil || a != b {
			t.Errorf("%q is %d, printed %s is %d: %v", s, a, a, b, err)
		}
	})
}

func FuzzSince(f *testing.F) {
	for _, s := range []string{"", "24h", "7d", "2026-03-02", "2026-03-02T11:00:00Z", "-1h", "99999999999d", "yesterday"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := parseSince(s, testTime)
		if err != nil && exitCode(err) != exitUsage {
			t.Errorf("error %v", err)
		}
		if strings.HasSuffix(s, "h") && err == nil && at.After(testTime) {
			t.Errorf("%q is in the future: %v", s, at)
		}
	})
}

// TestSince has the values that the fuzz test has no opinion on.
func TestSince(t *testing.T) {
	for s, want := range map[string]time.Time{
		"":                     {},
		"24h":                  testTime.Add(-24 * time.Hour),
		"7d":                   testTime.AddDate(0, 0, -7),
		"2026-02-01":           time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		"2026-03-02T11:00:00Z": testTime.Add(-time.Hour),
	} {
		if got, err := parseSince(s, testTime); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", s, got, err, want)
		}
	}
}

// TestOneIn: a surprise is said as odds.
func TestOneIn(t *testing.T) {
	for surprise, want := range map[float64]string{0: "1", 1: "10", 1.301: "20", 2.9: "700", 2.95: "800", 5.398: "200000", 9: "1000000000 or rarer"} {
		if got := oneIn(surprise); got != want {
			t.Errorf("%v is 1 in %s, want %s", surprise, got, want)
		}
	}
}

// TestConfigRoundTrip: what config prints is a configuration that says the same.
func TestConfigRoundTrip(t *testing.T) {
	c := newScript(t)
	out, _, code := c.execute("config")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	path := t.TempDir() + "/tokenwatch.yaml"
	writeFile(t, path, out)
	if again, _, code := c.execute("config --config " + path); code != 0 || again != out {
		t.Errorf("read back: exit code %d, %s", code, again)
	}
	// Lists too, whose items say what they hold.
	writeFile(t, path, `ingest: {syslog: [{network: udp, addr: "127.0.0.1:514", source: s}], formats: {own: {grok: "%{A:x}", patterns: {A: "\\d+"}}, csv2: {csv: "time,ip"}}, files: [{paths: ["/var/log/*.log", "b"], tenant: t}]}`+"\ntables: {networks: [a.csv, \"b, c.mmdb\"]}\n")
	out, _, code = c.execute("config --config " + path)
	writeFile(t, path, out)
	if again, _, code2 := c.execute("config --config " + path); code != 0 || code2 != 0 || again != out || !strings.Contains(again, `paths: ["/var/log/*.log", "b"]`) {
		t.Errorf("read back: exit codes %d, %d, %s", code, code2, again)
	}
}

func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"", "data: x", "store: {cache: 1GiB}", "engine:\n  rate: 0.1\n", "tick: 1h", "unknown: 1", "store: 1", "a: &a [*a]",
		"lateness: 3h\ninsecure: yes\n", "tls_cert: x", "ingest: {max_record: -1}", "ingest: {syslog: [{network: tcp, addr: '0.0.0.0:1'}]}", "ingest: {files: [{paths: ['[']}]}", "---\n---\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cfg, err := decodeConfig([]byte(s))
		if err == nil && cfg.check() != nil {
			t.Errorf("%q is accepted: %+v", s, cfg)
		}
	})
}
