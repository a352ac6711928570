package format

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

// describe returns the format that a text of a kind describes.
func describe(kind, text string) (Format, error) {
	c := Custom{Name: "own"}
	switch kind {
	case "nginx":
		c.Nginx = text
	case "apache":
		c.Apache = text
	case "tomcat":
		c.Tomcat = text
	case "envoy":
		c.Envoy = text
	case "grok":
		c.Grok = text
	case "w3c":
		c.W3C = text
	case "csv":
		c.CSV = text
	}
	return c.Format()
}

// TestCustom: the first line of a case describes a format, the others are read by
// it; whatever it reads it sniffs.
func TestCustom(t *testing.T) {
	cfg := Config{Now: func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }}
	datadriven.Walk(t, "../../testdata/custom", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			text, lines, _ := strings.Cut(d.Input, "\n")
			f, err := describe(d.Cmd, text)
			if err != nil {
				return err.Error() + "\n"
			}
			for line := range strings.Lines(lines) {
				p, err := f.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				var row tokenwatch.Row
				if p.Parse([]byte(line), &row) == nil && f.Sniff([]byte(line)) == 0 {
					t.Errorf("%s: reads what it does not sniff: %s", text, line)
				}
			}
			return parse(t, f, cfg, lines)
		})
	})
}

// TestCustomRefused: a name that is taken or none, no description and two.
func TestCustomRefused(t *testing.T) {
	for _, c := range []Custom{
		{Grok: "%{WORD:a}"}, {Name: "A b", Grok: "%{WORD:a}"}, {Name: "json", Grok: "%{WORD:a}"}, {Name: "own"}, {Name: "own", Grok: "%{WORD:a}", CSV: "time"},
		{Name: "own", Nginx: strings.Repeat("$status ", 100)}, {Name: "own", Nginx: strings.Repeat("x", maxLayout+1)},
	} {
		if _, err := c.Format(); err == nil {
			t.Errorf("%+v: taken", c)
		}
	}
}

// FuzzDescribed: whatever describes a format and whatever line comes, the answer
// is an error or a row that lies within the line and the row's memory.
func FuzzDescribed(f *testing.F) {
	kinds := []string{"nginx", "apache", "tomcat", "envoy", "w3c", "csv"}
	f.Add(uint8(0), `$remote_addr [$time_local] "$request" $status`, `203.0.113.7 [02/Mar/2026:08:15:01 +0000] "GET / HTTP/1.1" 200`)
	f.Add(uint8(0), `{"a":"$status","b":$msec}`, `{"a":1,"b":2}`)
	f.Add(uint8(1), `%h %l %u %t "%r" %>s %b "%{Referer}i"`, `a b c [02/Mar/2026:08:15:01 +0000] "GET / HTTP/1.1" 200 - "-"`)
	f.Add(uint8(3), `[%START_TIME%] %REQ(A?B):5% %%`, `[2026-03-02T08:15:01Z] x %`)
	f.Add(uint8(4), "date time c-ip", "2026-03-02 08:15:01 203.0.113.7")
	f.Add(uint8(5), "time,ip", "2026-03-02T08:15:01Z,203.0.113.7")
	f.Fuzz(func(t *testing.T, which uint8, text, line string) {
		format, err := describe(kinds[int(which)%len(kinds)], text)
		if err != nil {
			return
		}
		format.Sniff([]byte(line))
		p, err := format.New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		var row tokenwatch.Row
		in := []byte(line)
		if p.Parse(in, &row) != nil {
			return
		}
		for _, a := range row.Attrs {
			within(t, in, a.Value)
		}
	})
}
