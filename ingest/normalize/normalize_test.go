package normalize

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

func TestParseTime(t *testing.T) {
	want := time.Date(2019, 1, 26, 16, 15, 25, 0, time.UTC).UnixNano()
	for in, ns := range map[string]int64{
		"2019-01-26T16:15:25Z":              want,
		"2019-01-26T19:45:25+03:30":         want,
		"2019-01-26 16:15:25":               want,
		"2019-01-26T16:15:25.123456789Z":    want + 123456789,
		"2019-01-26T16:15:25.5-0000":        want + 5e8,
		"26/Jan/2019:19:45:25 +0330":        want,
		"Sat, 26 Jan 2019 16:15:25 GMT":     want,
		"1548519325":                        want,
		"1548519325.25":                     want + 25e7,
		"1548519325250":                     want + 25e7,
		"1548519325250000":                  want + 25e7,
		"1548519325250000000":               want + 25e7,
		"1.548519325e9":                     want,
		"1970-01-01T00:00:00Z":              0,
		"2016-12-31T23:59:60Z":              time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(),
		"2000-02-29T00:00:00.000000000000Z": time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC).UnixNano(),
	} {
		if got, ok := ParseTime([]byte(in)); !ok || got != ns {
			t.Errorf("ParseTime(%q) = %d, %v, want %d", in, got, ok, ns)
		}
	}
	for _, in := range []string{"", "-", "yesterday", "2019-02-30T00:00:00Z", "2019-01-26T25:00:00Z", "9999-01-01T00:00:00Z",
		"26/Foo/2019:19:45:25 +0330", "2019-01-26T16:15:25Zjunk", "1e300", "NaN", "20x9-01-26T16:15:25Z", "12.3.4"} {
		if got, ok := ParseTime([]byte(in)); ok {
			t.Errorf("ParseTime(%q) = %d, want none", in, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2019-01-26T19:45:25.1+03:30", "26/Jan/2019:19:45:25 +0330", "1548519325.25", "-1e5", "Sat, 26 Jan 2019 16:15:25 GMT"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ns, ok := ParseTime(in)
		if want, err := time.Parse(time.RFC3339Nano, string(in)); ok && err == nil && want.UnixNano() != ns {
			t.Errorf("%q: %d, package time says %d", in, ns, want.UnixNano())
		}
	})
}

func TestRoute(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "/",
		"/":                         "/",
		"/v1/users/42/keys?x=1":     "/v1/users/{id}/keys",
		"//a//b/":                   "/a/b",
		"/v2/payments/50d065f7436d": "/v2/payments/{id}",
		"/v1/p/prd_8fK2hT6wQ1zX9a":  "/v1/p/{id}",
		"/v1/x/ab_XyZ123abcDEF45":   "/v1/x/{id}",
		"/i/3f2504e0-4f89-41d3-9a0c-0305e82c3301": "/i/{id}",
		"/u/01ARZ3NDEKTSV4RRFFQ69G5FAV":           "/u/{id}",
		"/m/browse/iron/%D8%A7%D8%AA":             "/m/browse/iron/{text}",
		"/d/2024-01-31/report":                    "/d/{date}/report",
		"/users/ann@example.com":                  "/users/{email}",
		"/image/20116.jpg":                        "/image/{id}.jpg",
		"/image/20116/productModel/150x150":       "/image/{id}/productModel/{id}",
		"/static/app.js":                          "/static/app.js",
		"/v1/repos/kilo-551":                      "/v1/repos/{id}",
		"/v1/personal_access_tokens":              "/v1/personal_access_tokens",
		"/wp-admin/admin-ajax.php":                "/wp-admin/admin-ajax.php",
		"https://h.example/a/1":                   "/a/{id}",
		"/a/<script>alert(1)</script>":            "/a/{text}/{text}",
		"/s/eyJhbGciOiJIUzI1NiJ9":                 "/s/{id}",
		"/filter/b194":                            "/filter/b194",
		"/" + strings.Repeat("a/", 40):            "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/{rest}",
		"/" + strings.Repeat("z", 300):            "/{text}",
	} {
		if got := string(AppendRoute(nil, []byte(in))); got != want {
			t.Errorf("route of %q = %q, want %q", in, got, want)
		}
	}
}

func FuzzRoute(f *testing.F) {
	f.Add([]byte("/v1/users/42?x"))
	f.Add([]byte("a://b/2024-01-0"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := AppendRoute(nil, in)
		if len(r) > maxRouteLength || len(r) == 0 || r[0] != '/' {
			t.Errorf("route of %q = %q", in, r)
		}
	})
}

func TestAgentFamily(t *testing.T) {
	for in, want := range map[string]string{
		"curl/7.88.1": "curl", "python-requests/2.31.0": "python-requests", "Go-http-client/2.0": "Go-http-client",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Safari/537.36":           "Chrome",
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Safari/537.36 Edg/110.0":             "Edge",
		"Mozilla/5.0 (Windows NT 6.2; WOW64; rv:21.0) Gecko/20100101 Firefox/21.0":                                                  "Firefox",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/604.1": "Safari",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                  "Googlebot",
		"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)":                                                   "bingbot",
		"Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165":                                                    "Boto3",
		"[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]":                                                  "Boto3",
		"aws-cli/2.1.4 Python/3.7.4":                            "aws-cli",
		"aws-sdk-go/1.44 (go1.19)":                              "aws-sdk-go",
		"aws-sdk-go-v2/1.17 os/linux":                           "aws-sdk-go-v2",
		"APN/1.0 HashiCorp/1.0 Terraform/1.1.2 aws-sdk-go/1.44": "Terraform",
		"stratus-red-team_0af4-11ee-8c99":                       "stratus-red-team",
		"acme-sdk-go/2.1.3 (linux; amd64) go1.25":               "acme-sdk-go",
		"AcmeMobile/5.1 (Android 12; Pixel 4)":                  "AcmeMobile",
		"s3.amazonaws.com":                                      "s3.amazonaws.com",
		"w3af.org":                                              "w3af",
		strings.Repeat("q", 1000):                               strings.Repeat("q", maxAgentLength),
	} {
		if got := AgentFamily([]byte(in)); got != want {
			t.Errorf("family of %q = %q, want %q", in, got, want)
		}
	}
}

func TestNormalize(t *testing.T) {
	n := New()
	for _, c := range []struct {
		name, method, path, action string
		status                     int64
		want                       map[tokenwatch.Col]string
	}{
		{"request", "get", "/v1/orders/17", "", 200, map[tokenwatch.Col]string{tokenwatch.ColMethod: "GET", tokenwatch.ColRoute: "/v1/orders/{id}",
			tokenwatch.ColAction: "GET /v1/orders/{id}", tokenwatch.ColActionClass: "read", tokenwatch.ColOutcome: "success", tokenwatch.ColError: "", tokenwatch.ColSrcCloud: "private"}},
		{"collection", "GET", "/v1/orders", "", 401, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "list", tokenwatch.ColOutcome: "denied", tokenwatch.ColError: "authn"}},
		{"export", "GET", "/v1/orders/export", "", 404, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "export", tokenwatch.ColOutcome: "failure", tokenwatch.ColError: "not_found"}},
		{"login", "POST", "/wp-login.php", "", 429, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "auth", tokenwatch.ColError: "throttled"}},
		{"key", "POST", "/v1/tokens", "", 201, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "credential"}},
		{"roles", "PUT", "/v1/users/4/roles", "", 500, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "admin", tokenwatch.ColError: "server"}},
		{"delete", "DELETE", "/v1/tokens/4", "", 403, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "delete", tokenwatch.ColError: "authz"}},
		{"GetObject", "", "", "s3:GetObject", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "read", tokenwatch.ColAction: "s3:GetObject"}},
		{"ListBuckets", "", "", "s3:ListBuckets", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "list"}},
		{"CreateAccessKey", "", "", "iam:CreateAccessKey", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "credential"}},
		{"AttachUserPolicy", "", "", "iam:AttachUserPolicy", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "admin"}},
		{"TerminateInstances", "", "", "ec2:TerminateInstances", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "delete"}},
		{"ConsoleLogin", "", "", "signin:ConsoleLogin", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: "auth"}},
		{"unknown", "", "", "x:Frobnicate", 0, map[tokenwatch.Col]string{tokenwatch.ColActionClass: ""}},
	} {
		var row tokenwatch.Row
		row.SetText(tokenwatch.ColMethod, []byte(c.method))
		row.SetText(tokenwatch.ColPath, []byte(c.path))
		row.SetText(tokenwatch.ColAction, []byte(c.action))
		row.SetAddr(netip.MustParseAddr("10.0.0.7"))
		if c.status != 0 {
			row.SetInt(tokenwatch.ColStatus, c.status)
		}
		n.Normalize(&row)
		for col, want := range c.want {
			if got := string(row.Text(col)); got != want {
				t.Errorf("%s: %v = %q, want %q", c.name, col, got, want)
			}
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	n := New()
	var row tokenwatch.Row
	ua := []byte("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Safari/537.36")
	path := []byte("/v1/invoices/340517/comments?page=2")
	b.ReportAllocs()
	for b.Loop() {
		row.Reset()
		row.SetString(tokenwatch.ColMethod, "GET")
		row.SetText(tokenwatch.ColPath, path)
		row.SetText(tokenwatch.ColUserAgent, ua)
		row.SetInt(tokenwatch.ColStatus, 200)
		n.Normalize(&row)
	}
}

// Text that is too long for a method is left as it is: the sealer could not tell
// what it encodes.
func TestLongMethod(t *testing.T) {
	for in, want := range map[string]string{"get": "GET", "version-control": "VERSION-CONTROL", "bWFuZ28ta29hbGEt": "bWFuZ28ta29hbGEt"} {
		var row tokenwatch.Row
		row.SetString(tokenwatch.ColMethod, in)
		New().Normalize(&row)
		if got := string(row.Text(tokenwatch.ColMethod)); got != want {
			t.Errorf("method %q became %q, want %q", in, got, want)
		}
	}
}

// TestParseYearless: the year is the latest that does not put a date ahead of now
// by more than a zone's worth.
func TestParseYearless(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"Mar  2 08:15:01 rest":       "2026-03-02T08:15:01Z",
		"Mar 2 08:15:01":             "2026-03-02T08:15:01Z",
		"Mar  3 13:59:59 a zone":     "2026-03-03T13:59:59Z",
		"Mar  3 14:00:01 ahead":      "2025-03-03T14:00:01Z",
		"Dec 31 23:59:59.125 x":      "2025-12-31T23:59:59.125Z",
		"Feb 29 10:00:00 leap":       "2024-02-29T10:00:00Z",
		"Mar  2 2021 08:15:01 said":  "2021-03-02T08:15:01Z",
		"Mar  2 08:15:01 2021 said":  "2021-03-02T08:15:01Z",
		"Jan  1 00:00:60 leap secs":  "2026-01-01T00:01:00Z",
		"Mar 32 08:15:01 none":       "",
		"Mar  2 24:15:01 none":       "",
		"Mar  2 08:15":               "",
		"Foo  2 08:15:01 none":       "",
		"Feb 30 08:15:01 never":      "",
		"2026-03-02T08:15:01Z other": "",
	} {
		ns, n := ParseYearless([]byte(in), now)
		got := ""
		if n > 0 {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	// On 1 January by a clock that is behind, it is still the old year.
	if ns, _ := ParseYearless([]byte("Dec 31 23:00:00"), time.Date(2027, 1, 1, 0, 30, 0, 0, time.UTC)); time.Unix(0, ns).UTC().Year() != 2026 {
		t.Errorf("New Year's Eve is in %d", time.Unix(0, ns).UTC().Year())
	}
}

// TestParseTimeSpellings: one moment in the spellings that logs have.
func TestParseTimeSpellings(t *testing.T) {
	want := time.Date(2026, 3, 2, 8, 15, 1, 0, time.UTC).UnixNano()
	for _, in := range []string{
		"2026-03-02T08:15:01Z", "2026-03-02T09:15:01+01:00", "2026-03-02 08:15:01", "2026-03-02 09:15:01 +0100", "2026-03-02 08:15:01,000", "2026-03-02 08:15:01 UTC",
		"2026/03/02 08:15:01", "2026/03/02 08:15:01.000", "02/Mar/2026:08:15:01 +0000", "02/Mar/2026:08:15:01.000 +0000", "02/Mar/2026:08:15:01", "02/Mar/2026 08:15:01",
		"02-Mar-2026 08:15:01", "Mon, 02 Mar 2026 08:15:01 GMT", "Mon Mar  2 08:15:01 2026", "Mon Mar 02 08:15:01.000000 2026", "Mon Mar  2 08:15:01 UTC 2026", "Mar 2 2026 08:15:01",
		"Mar  2 2026 08:15:01 UTC", "Mar 2, 2026 8:15:01 AM", "3/2/2026 8:15:01 AM", "20260302T081501Z", "20260302081501", "1772439301", "1772439301.000", "1772439301000", "1772439301000000",
		"1772439301000000000", "1.772439301e9", "/Date(1772439301000)/", "2026-03-02 08:15:01 +0000 UTC",
	} {
		if ns, ok := ParseTime([]byte(in)); !ok || ns != want {
			t.Errorf("%q is %v, %v", in, time.Unix(0, ns).UTC(), ok)
		}
	}
	if ns, ok := ParseTime([]byte("2026-03-02T08:15Z")); !ok || ns != want-1e9 {
		t.Errorf("without seconds: %d, %v", ns, ok)
	}
	for _, in := range []string{"2026-13-02T08:15:01Z", "2026-03-02T08:15:61Z", "02/Mar/2026:24:00:00 +0000", "/Date()/", "yesterday", "2026/03/32 08:15:01", "2026-03-02T08:15:0"} {
		if ns, ok := ParseTime([]byte(in)); ok {
			t.Errorf("%q is taken for %v", in, time.Unix(0, ns).UTC())
		}
	}
}
