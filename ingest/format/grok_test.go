package format

import (
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/vjeantet/grok"
)

// plainCombined are lines that the grok pattern and the scanner both understand
// in full: no escapes, no trailing fields.
var plainCombined = []string{
	`203.0.113.7 - - [22/Dec/2016:16:30:52 +0300] "POST /administrator/index.php HTTP/1.1" 303 382 "http://192.0.2.161/DVWA" "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.21 (KHTML, like Gecko) Chrome/41.0.2228.0 Safari/537.21"`,
	`2001:db8::7 - alice [26/Jan/2019:19:45:25 +0330] "GET /image/20116?name=q.jpg&wh=200x200 HTTP/1.1" 200 4582 "-" "Dalvik/2.1.0 (Linux; U; Android 8.1.0; SM-J701F Build/M1AJQ)"`,
	`198.51.100.4 - - [01/Feb/2024:00:00:00 +0000] "DELETE /v1/users/42 HTTP/2.0" 204 0 "-" "curl/8.5.0"`,
	`198.51.100.4 - - [29/Feb/2024:23:59:59 -0700] "GET / HTTP/1.0" 404 153 "https://example.com/a?b=c" "Go-http-client/2.0"`,
}

func newGrok(tb testing.TB) *grok.Grok {
	tb.Helper()
	g, err := grok.NewWithConfig(&grok.Config{NamedCapturesOnly: true})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// anchored is the pattern as one should use it: unanchored it is six times slower.
const anchored = "^%{COMBINEDAPACHELOG}$"

// TestCombinedAgreesWithGrok compares the scanner with the pattern that everybody
// else reads these lines by.
func TestCombinedAgreesWithGrok(t *testing.T) {
	g := newGrok(t)
	f, _ := ByName("combined")
	p, err := f.New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range plainCombined {
		want, err := g.Parse(anchored, line)
		if err != nil || len(want) == 0 {
			t.Fatalf("grok does not match %s: %v", line, err)
		}
		var row tokenwatch.Row
		row.Reset()
		if err := p.Parse([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		agent := strings.Trim(want["agent"], `"`)
		for c, v := range map[tokenwatch.Col]string{
			tokenwatch.ColMethod: want["verb"], tokenwatch.ColPath: want["request"], tokenwatch.ColUserAgent: agent,
		} {
			if got := string(row.Text(c)); got != v {
				t.Errorf("%s: %s is %q, grok says %q", line, c, got, v)
			}
		}
		if row.Addr().String() != want["clientip"] {
			t.Errorf("%s: address %s, grok says %s", line, row.Addr(), want["clientip"])
		}
	}
}

// BenchmarkGrok is what BenchmarkFormats/combined is compared with.
func BenchmarkGrok(b *testing.B) {
	g := newGrok(b)
	for i := 0; b.Loop(); i++ {
		if _, err := g.Parse(anchored, plainCombined[i%len(plainCombined)]); err != nil {
			b.Fatal(err)
		}
	}
}
