package format

import (
	"maps"
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

// grokCases are patterns and lines that the scanner is compared on.
var grokCases = []struct{ pattern, line string }{
	{"%{COMBINEDAPACHELOG}", plainCombined[0]},
	{"%{COMBINEDAPACHELOG}", plainCombined[1]},
	{"%{COMMONAPACHELOG}", `ppp-7.example.com - ann [02/Mar/2026:08:15:01 +0000] "\x16\x03" 400 -`},
	{"%{HAPROXYHTTPBASE}", `10.0.1.2:33317 [02/Mar/2026:08:15:01.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /i HTTP/1.1"`},
	{"%{ELB_ACCESS_LOG}", `2026-03-02T08:15:01.945958Z my-elb 203.0.113.7:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1"`},
	{"%{S3_ACCESS_LOG}", `79a59df900b949e5 b [02/Mar/2026:08:15:01 +0000] 192.0.2.3 - 891CE47D2EXAMPLE REST.GET.OBJECT k "GET /b/k HTTP/1.1" 200 - 242 - 11 - "-" "curl/8.5.0" -`},
	{"%{SYSLOGBASE} %{GREEDYDATA:message}", "Mar  2 08:15:01 host app[12]: it said: no"},
	{"%{TIMESTAMP_ISO8601:time} %{LOGLEVEL:level} %{DATA:logger}: %{GREEDYDATA:message}", "2026-03-02T08:15:01.5+01:00 WARN a.b: c: d"},
	{"%{IP:a} %{IPORHOST:b} %{URI:u} %{QS:q} %{NUMBER:n:float} %{UUID:id}", `::ffff:1.2.3.4 a-b.example.com. https://u:p@h:80/p?q=1 'a\'b' -1.5 6ba7b810-9dad-11d1-80b4-00c04fd430c8`},
	{"(?i)user=%{WORD:user}|token %{NOTSPACE:token}", "USER=ann"},
	{"%{WORD:a}(?:,%{WORD:a})*", "x,y,z"},
	{"(?P<x>a|ab)(?P<y>c|bcd)(?P<z>d*)", "abcd"},
	{"(?P<x>.{2,4}?)(?P<y>.*)é%{DATA:z}", "aÿ\xffbcé\xe2\x82é"},
	{"%{MONTH:m} %{PATH:p} %{MAC:mac}", `März C:\\a\\b 00:11:22:aa:bb:cc`},
	{"(?P<l>(?:a|aa)+)(?P<r>a*)b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"},
	{"(?P<l>(?:a*)*)(?P<r>.)", "aaab"},
}

// sameAsGrok fails if the scanner and vjeantet/grok do not find the same in a line.
func sameAsGrok(t *testing.T, p *grokPattern, line string) (decided bool) {
	t.Helper()
	slow, err := p.slow()
	if err != nil {
		t.Fatal(err)
	}
	want, err := slow.Parse(p.anchored, line)
	if err != nil {
		t.Fatal(err)
	}
	if p.scan == nil {
		return false
	}
	var state scanState
	caps, ok, done := p.scan.match(&state, []byte(line), nil)
	if !done {
		return false
	}
	got := map[string]string{}
	if ok {
		for i, name := range p.names {
			if name == "" {
				continue
			}
			if got[name] = ""; caps[2*i] >= 0 {
				got[name] = line[caps[2*i]:caps[2*i+1]]
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%s\n%q\nscanner %q\n   grok %q", p.anchored, line, got, want)
	}
	return true
}

// TestScanner: the patterns for web access logs run on the scanner, and find what
// vjeantet/grok finds.
func TestScanner(t *testing.T) {
	decided := 0
	for _, c := range grokCases {
		p, err := compileGrok(c.pattern, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.pattern, err)
		}
		if sameAsGrok(t, p, c.line) {
			decided++
		}
		sameAsGrok(t, p, c.line+" ")
		sameAsGrok(t, p, "")
	}
	if left := len(grokCases) - decided; left > 2 {
		t.Errorf("%d of %d lines were left to vjeantet/grok", left, len(grokCases))
	}
}

// TestLibrary: every pattern of the library can be used.
func TestLibrary(t *testing.T) {
	for name := range library() {
		if _, err := compileGrok("%{"+name+":x}", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzScanner: whatever the pattern and the line.
func FuzzScanner(f *testing.F) {
	for _, c := range grokCases {
		f.Add(c.pattern, c.line)
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		if len(pattern) > 300 || len(line) > 1000 {
			return
		}
		p, err := compileGrok(pattern, nil)
		if err != nil {
			return
		}
		if _, err := p.slow(); err != nil {
			return
		}
		sameAsGrok(t, p, line)
	})
}

// TestGrokRefused: explosive patterns are refused when they are configured, and
// so are those that name nothing.
func TestGrokRefused(t *testing.T) {
	for _, pattern := range []string{
		"(?P<a>(x{1,1000}){1,1000})", "(?P<a>((x{1,100}){1,100}){1,100})", strings.Repeat("(?P<a>x{1,1000})", 40), "%{NOSUCH:a}", "%{WORD}", "plain",
		"%{WORD:[http][method]}", "(?<=a)(?P<b>c)", `(?P<a>x)\1`, "%{A:a}", "(?P<a>", strings.Repeat("%{IPV6:a}", 40), strings.Repeat("x", maxPattern+1),
	} {
		_, err := Custom{Name: "mine", Grok: pattern, Patterns: map[string]string{"A": "%{B}", "B": "%{A}"}}.Format()
		if err == nil {
			t.Errorf("%.60s: taken", pattern)
			continue
		}
		t.Logf("%.40s: %v", pattern, err)
	}
}

// BenchmarkScanner is BenchmarkGrok by the scanner.
func BenchmarkScanner(b *testing.B) {
	p, err := compileGrok("%{COMBINEDAPACHELOG}", nil)
	if err != nil || p.scan == nil {
		b.Fatal(err)
	}
	var state scanState
	var caps []int
	lines := make([][]byte, len(plainCombined))
	for i, line := range plainCombined {
		lines[i] = []byte(line)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var ok bool
		if caps, ok, _ = p.scan.match(&state, lines[i%len(lines)], caps); !ok {
			b.Fatal("no match")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
