package ingest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// The canary sends records that hold a credential in a place which says so, and
// looks for any twelve bytes of it, as they are or in an encoding, in all that is
// kept or answered (V11). It goes the way of every request, from the record's bytes.

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnums  = letters + "0123456789"
	trace   = 12 // bytes of a credential that must not remain
)

func pick(r *rand.Rand, n int, from string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = from[r.IntN(len(from))]
	}
	return string(b)
}

// words are what a passphrase is made of. No text around the credentials has them.
var words = strings.Fields("copper lantern walnut basket harbor violet thistle meadow pepper saddle orchard " +
	"velvet anchor cobalt juniper marble falcon ginger quartz willow ember tundra raven maple")

func phrase(r *rand.Rand, n int, join string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = words[r.IntN(len(words))]
	}
	return strings.Join(list, join)
}

// shapes are forms of credentials which only the place can tell from other text.
var shapes = map[string]func(*rand.Rand) string{
	"words with dashes": func(r *rand.Rand) string { return phrase(r, 4, "-") },
	"words with blanks": func(r *rand.Rand) string { return phrase(r, 4, " ") },
	"words with dots":   func(r *rand.Rand) string { return phrase(r, 3, ".") },
	"words, one run":    func(r *rand.Rand) string { return phrase(r, 3, "") },
	"words and a sign":  func(r *rand.Rand) string { return phrase(r, 3, "_") + "!" },
	"short key":         func(r *rand.Rand) string { return phrase(r, 1, "") + "-" + pick(r, 6, "0123456789") },
	"digits":            func(r *rand.Rand) string { return pick(r, 18, "123456789") },
	"letters":           func(r *rand.Rand) string { return pick(r, 24, letters) },
	"letters, digits":   func(r *rand.Rand) string { return pick(r, 32, alnums) },
	"hex":               func(r *rand.Rand) string { return pick(r, 40, "0123456789abcdef") },
	"base64":            func(r *rand.Rand) string { return base64.StdEncoding.EncodeToString([]byte(pick(r, 31, alnums))) },
	"base64 with signs": func(r *rand.Rand) string { return pick(r, 40, alnums+"+/") + "==" },
	"jwt": func(r *rand.Rand) string {
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(`{"alg":"HS256"}`)) + "." + enc([]byte(`{"sub":"u1","iss":"https://id.example"}`)) + "." + pick(r, 43, alnums)
	},
	"github": func(r *rand.Rand) string { return "ghp_" + pick(r, 36, alnums) },
}

func percents(s, form string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, form, s[i])
	}
	return b.String()
}

// codings are the forms in which the same credential stands a second time.
var codings = map[string]func(string) string{
	"raw":            func(s string) string { return s },
	"upper case":     strings.ToUpper,
	"query":          url.QueryEscape,
	"path":           url.PathEscape,
	"query, twice":   func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"percent":        func(s string) string { return percents(s, "%%%02X") },
	"percent, twice": func(s string) string { return percents(s, "%%25%02x") },
	"plus":           func(s string) string { return strings.ReplaceAll(s, " ", "+") },
	"base64":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64, bare":   func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte("x" + s)) },
	"base64url":      func(s string) string { return base64.URLEncoding.EncodeToString([]byte("xy" + s)) },
	"base64, in a record": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(`{"n":1,"v":"` + s + `","m":[2]}`))
	},
	"base64, escaped": func(s string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("key=" + s + "&a=b")))
	},
	"hex":           func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hex, upper":    func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte("_" + s))) },
	"json":          quote,
	"json, twice":   func(s string) string { return quote(quote(s)) },
	"unicode":       func(s string) string { return percents(s, `\u%04x`) },
	"html":          html.EscapeString,
	"html, numbers": func(s string) string { return percents(s, "&#%d;") },
	"html, hex":     func(s string) string { return percents(s, "&#x%x;") },
}

// quote returns s as it stands within a string of JSON.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

// jsonLine makes a record of members, with the credential's echo beside them.
func jsonLine(members string) func(secret, echo string) (string, string) {
	return func(secret, echo string) (string, string) {
		m := strings.NewReplacer("QQ", url.QueryEscape(secret), "PP", url.PathEscape(secret), "JJ", quote(quote(secret)), "JSON", quote(quote(quote(secret))),
			"B64", base64.StdEncoding.EncodeToString([]byte("user:"+secret)), "SS", quote(secret), "XML", quote(html.EscapeString(secret))).Replace(members)
		return "json", `{"time":"2026-03-02T00:00:00Z",` + m + `,"note":"` + quote(echo) + `"}`
	}
}

func urlLine(place string, value func(string) string) func(secret, echo string) (string, string) {
	return func(secret, echo string) (string, string) {
		m := fmt.Sprintf(place, value(secret))
		return "json", `{"time":"2026-03-02T00:00:00Z",` + m + `,"note":"` + quote(echo) + `"}`
	}
}

// combinedLine makes an access-log line: request target, referer, user agent and
// trailing fields, in which %s stands for the credential.
func combinedLine(target, referer, agent, trailing string) func(secret, echo string) (string, string) {
	return func(secret, echo string) (string, string) {
		fill := func(t string, escape func(string) string) string {
			return strings.ReplaceAll(t, "SS", strings.ReplaceAll(escape(secret), `"`, `\x22`))
		}
		plain := func(s string) string { return s }
		return "combined", fmt.Sprintf(`192.0.2.1 - - [26/Jan/2019:19:45:25 +0000] "GET %s HTTP/1.1" 200 5 "%s" "%s" note="%s"%s`,
			fill(target, url.QueryEscape), fill(referer, url.QueryEscape), fill(agent, url.QueryEscape),
			strings.ReplaceAll(strings.ReplaceAll(echo, `\`, `\\`), `"`, `\x22`), fill(trailing, plain))
	}
}

func trailLine(members string) func(secret, echo string) (string, string) {
	return func(secret, echo string) (string, string) {
		m := strings.NewReplacer("QQ", url.QueryEscape(secret), "SS", quote(secret), "JJ", quote(quote(secret))).Replace(members)
		return "cloudtrail", `{"eventVersion":"1.08","eventTime":"2026-03-02T00:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser",` +
			`"awsRegion":"us-east-1","userIdentity":{"type":"IAMUser","userName":"u"},` + m + `,"additionalEventData":{"note":"` + quote(echo) + `"}}`
	}
}

// parameters are names under which a URL or a form carries a credential.
var parameters = strings.Fields("api_key apikey api-key key access_token accessToken token auth_token auth authorization id_token refresh_token " +
	"private_token client_secret secret password passwd pwd pass sig signature sessionid session_token jsessionid PHPSESSID jwt ticket hapikey " +
	"subscription-key appkey app_key credential client_assertion bearer x-api-key user[password] X-Amz-Security-Token X-Amz-Signature X-Goog-Signature SAMLResponse")

// carriers are the places that declare a credential.
var carriers = func() map[string]func(secret, echo string) (string, string) {
	m := map[string]func(secret, echo string) (string, string){
		"authorization bearer":   jsonLine(`"authorization":"Bearer SS"`),
		"authorization token":    jsonLine(`"Authorization":"Token SS"`),
		"authorization basic":    jsonLine(`"authorization":"Basic B64"`),
		"authorization bare":     jsonLine(`"authorization":"SS"`),
		"authorization digest":   jsonLine(`"authorization":"Digest username=\"u\", realm=\"r\", uri=\"/x\", response=\"SS\""`),
		"proxy authorization":    jsonLine(`"proxy_authorization":"Bearer SS"`),
		"x-api-key":              jsonLine(`"x-api-key":"SS"`),
		"headers, object":        jsonLine(`"headers":{"accept":"*/*","X-Api-Key":"SS"}`),
		"headers, values":        jsonLine(`"headers":{"accept":["*/*"],"X-Api-Key":["none","SS"]}`),
		"headers, pairs":         jsonLine(`"headers":[{"name":"accept","value":"*/*"},{"name":"Authorization","value":"Bearer SS"}]`),
		"headers, lists":         jsonLine(`"headers":[["accept","*/*"],["Authorization","Bearer SS"]]`),
		"headers, flat list":     jsonLine(`"headers":["accept","*/*","Authorization","Bearer SS"]`),
		"headers, one text":      jsonLine(`"raw_headers":"Accept: */*\r\nAuthorization: Bearer SS\r\nHost: h"`),
		"headers, digest":        jsonLine(`"raw_headers":"Accept: */*\r\nAuthorization: Digest username=\"u\", response=\"JJ\"\r\nHost: h"`),
		"headers, lines":         jsonLine(`"header_lines":["Accept: */*","X-Api-Key: SS"]`),
		"cookie header":          jsonLine(`"cookie":"theme=dark; session=SS; lang=en"`),
		"cookie text":            jsonLine(`"raw_headers":"Cookie: theme=dark; session=PP; lang=en\r\nHost: h"`),
		"set-cookie text":        jsonLine(`"raw_headers":"Set-Cookie: sid=PP; Path=/\r\nHost: h"`),
		"cookies, object":        jsonLine(`"cookies":{"theme":"dark","session":"SS"}`),
		"cookies, pairs":         jsonLine(`"cookies":[{"name":"session","value":"SS"}]`),
		"field password":         jsonLine(`"password":"SS"`),
		"field, nested":          jsonLine(`"request":{"body":{"user":"u","client_secret":"SS"}}`),
		"field, list":            jsonLine(`"body":{"db_password":["SS"]}`),
		"field, unknown name":    jsonLine(`"my_service_token":"SS"`),
		"field, unknown list":    jsonLine(`"my_service_tokens":["SS","SS"]`),
		"field, unknown object":  jsonLine(`"my_service_secret":{"value":"SS","type":"x"}`),
		"field, value":           jsonLine(`"secretValue":"SS"`),
		"field, deep list":       jsonLine(`"users":[{"name":"u","dbPassword":"SS"}]`),
		"otel attributes":        jsonLine(`"attributes":[{"key":"http.request.header.authorization","value":{"stringValue":"Bearer SS"}}]`),
		"body, json in text":     jsonLine(`"body":"{\"user\":\"u\",\"password\":\"JJ\"}"`),
		"body, json twice":       jsonLine(`"body":"{\"inner\":\"{\\\"user\\\":\\\"u\\\",\\\"client_secret\\\":\\\"JSON\\\"}\"}"`),
		"body, xml":              jsonLine(`"body":"<login><user>u</user><Password>XML</Password></login>"`),
		"body, xml attributes":   jsonLine(`"body":"<wsse:Password Type=\"PasswordText\">XML</wsse:Password>"`),
		"connection string, url": jsonLine(`"message":"dial postgres://app:PP@db.example:5432/main?sslmode=off"`),
		"connection, no user":    jsonLine(`"message":"dial redis://:PP@db.example:6379/0"`),
		"connection, srv":        jsonLine(`"message":"dial mongodb+srv://app:PP@db.example/main"`),
		"connection, key=value":  jsonLine(`"message":"Server=db;User Id=app;Password=PP;Encrypt=true"`),
		"connection, quoted":     jsonLine(`"message":"host=db user=app password='SS' sslmode=off"`),
		"connection, account":    jsonLine(`"message":"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=PP;EndpointSuffix=core.example"`),
		"connection, shared key": jsonLine(`"message":"Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=PP"`),
		"connection, jdbc":       jsonLine(`"message":"jdbc:mysql://db/main?user=app&password=QQ&ssl=0"`),
		"message, colon":         jsonLine(`"message":"login of u with password: 'SS' refused"`),
		"message, json":          jsonLine(`"message":"sent {\"apiKey\": \"JJ\", \"n\": 1} to h"`),
		"user info, plain":       jsonLine(`"url":"https://u:PP@h.example/x"`),
		"user info, odd signs":   jsonLine(`"message":"GET https://u:a#b?c/PP@h.example/x"`),
		"user info, referer":     jsonLine(`"referer":"https://u:a?PP@h.example/x"`),
		"user info, agent":       jsonLine(`"user_agent":"bot/1.0 (+https://u:a#PP@h.example/x)"`),
		"combined target":        combinedLine("/v1/items?page=2&api_key=SS", "-", "curl/8.5.0", ""),
		"combined referer":       combinedLine("/v1/items", "https://h.example/x?a=1&sig=SS", "curl/8.5.0", ""),
		"combined agent":         combinedLine("/v1/items", "-", "bot/1.0 (+https://h.example/x?key=SS)", ""),
		"combined user info":     combinedLine("https://u:SS@h.example/x", "-", "curl/8.5.0", ""),
		"combined trailing":      combinedLine("/v1/items", "-", "curl/8.5.0", ` token="SS"`),
		"combined cookie":        combinedLine("/v1/items", "-", "curl/8.5.0", ` cookie="a=b; session=SS"`),
		"combined path key":      combinedLine("/v1/items;jsessionid=SS?x=1", "-", "curl/8.5.0", ""),
		"trail, parameters":      trailLine(`"requestParameters":{"userName":"v","password":"SS"}`),
		"trail, secret string":   trailLine(`"requestParameters":{"name":"n","secretString":"{\"db\":\"JJ\"}"}`),
		"trail, answer":          trailLine(`"responseElements":{"credentials":{"sessionToken":"SS","expiration":"Mar 2, 2026"}}`),
		"trail, agent":           trailLine(`"userAgent":"tool/1.0 https://h.example/x?key=QQ"`),
		"connection, no scheme":  jsonLine(`"message":"dial //app:PP@db.example/main"`),
		"message, env":           jsonLine(`"message":"export GITLAB_TOKEN=PP LANG=C"`),
		"message, yaml":          jsonLine(`"message":"user: u\nclient_secret: PP\nscope: a"`),
		"message, dict":          jsonLine(`"message":"sent {'user': 'u', 'password': 'PP'}"`),
		"message, hash":          jsonLine(`"message":"sent {\"user\"=>\"u\", \"password\"=>\"JJ\"}"`),
		"message, map":           jsonLine(`"message":"sent map[password:PP user:u]"`),
		"message, array":         jsonLine(`"message":"Array ( [user] => u [password] => PP )"`),
		"message, request":       jsonLine(`"message":"\"GET /v1/x?key=QQ HTTP/1.1\" 200"`),
		"message, pair":          jsonLine(`"message":"[{\"name\":\"Authorization\",\"value\":\"JJ\"},{\"name\":\"n\",\"value\":\"1\"}]"`),
		"message, xml pair":      jsonLine(`"message":"<add key='ApiKey' value='PP' /><add key='n' value='1' />"`),
		"message, graphql":       jsonLine(`"body":"{\"query\":\"mutation { login(user: \\\"u\\\", password: \\\"JSON\\\") { ok } }\"}"`),
		"message, option":        jsonLine(`"message":"run --user u --api-key PP --verbose"`),
		"message, option=":       jsonLine(`"message":"run --user=u --token=PP --verbose"`),
		"message, http request":  jsonLine(`"message":"POST /x HTTP/1.1\r\nHost: h\r\nX-Auth-Token: SS\r\n\r\n"`),
		"trail, error":           trailLine(`"errorMessage":"bad argument --password 'SS'"`),
	}
	for _, p := range parameters {
		m["target "+p] = urlLine(`"path":"/v1/items?page=2&`+p+`=%s&z=1"`, url.QueryEscape)
		m["referer "+p] = urlLine(`"referer":"https://h.example/x?page=2&`+p+`=%s"`, url.QueryEscape)
		m["fragment "+p] = urlLine(`"url":"https://h.example/x#`+p+`=%s&state=1"`, url.QueryEscape)
		m["message "+p] = urlLine(`"message":"fetched https://h.example/x?page=2&`+p+`=%s in 3 ms"`, url.QueryEscape)
		m["agent "+p] = urlLine(`"user_agent":"bot/1.0 (+https://h.example/x?`+p+`=%s)"`, url.QueryEscape)
		m["form "+p] = urlLine(`"body":"grant_type=x&`+p+`=%s&scope=a"`, url.QueryEscape)
		m["form, first "+p] = urlLine(`"body":"`+p+`=%s&scope=a"`, url.QueryEscape)
		m["escaped URL "+p] = urlLine(`"path":"/login?next=%s"`, func(s string) string {
			return url.QueryEscape("https://h.example/x?page=2&" + p + "=" + url.QueryEscape(s))
		})
		m["base64 form "+p] = urlLine(`"body":"%s"`, func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte("grant_type=x&" + p + "=" + url.QueryEscape(s) + "&scope=a"))
		})
	}
	return m
}()

// knownForms are URLs in which a credential stands whose form tells it, wherever
// they stand. Each returns the URL and the credential in it.
var knownForms = map[string]func(*rand.Rand) (url, secret string){
	"slack hook": func(r *rand.Rand) (string, string) {
		s := pick(r, 24, alnums)
		return "https://hooks.slack.example/services/T" + pick(r, 9, "ABCDEF0123") + "/B" + pick(r, 9, "ABCDEF0123") + "/" + s, s
	},
	"discord hook": func(r *rand.Rand) (string, string) {
		s := pick(r, 68, alnums+"-_")
		return "https://discord.example/api/webhooks/" + pick(r, 18, "123456789") + "/" + s, s
	},
	"teams hook": func(r *rand.Rand) (string, string) {
		s := pick(r, 32, "0123456789abcdef")
		return "https://x.webhook.example/webhookb2/2f0cbf4a-6f7e-4b1f-9d4e-0b8a5a1c7d11@2f0cbf4a-6f7e-4b1f-9d4e-0b8a5a1c7d12/IncomingWebhook/" + s + "/2f0cbf4a-6f7e-4b1f-9d4e-0b8a5a1c7d13", s
	},
	"telegram bot": func(r *rand.Rand) (string, string) {
		s := "AA" + pick(r, 33, alnums+"-_")
		return "https://api.telegram.example/bot" + pick(r, 10, "123456789") + ":" + s + "/sendMessage", s
	},
	"presigned, signature": func(r *rand.Rand) (string, string) {
		s := pick(r, 64, "0123456789abcdef")
		return "https://b.s3.example/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20260302%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20260302T000000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=" + s, s
	},
	"presigned, token": func(r *rand.Rand) (string, string) {
		s := base64.StdEncoding.EncodeToString([]byte(pick(r, 160, alnums)))
		return "https://b.s3.example/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Security-Token=" + url.QueryEscape(s) + "&X-Amz-SignedHeaders=host", s
	},
	"shared access": func(r *rand.Rand) (string, string) {
		s := base64.StdEncoding.EncodeToString([]byte(pick(r, 32, alnums)))
		return "https://a.blob.example/c/b?sv=2022-11-02&ss=b&sp=r&se=2026-03-03T00%3A00%3A00Z&sig=" + url.QueryEscape(s), s
	},
	"signed URL": func(r *rand.Rand) (string, string) {
		s := pick(r, 512, "0123456789abcdef")
		return "https://storage.example/b/k?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Signature=" + s, s
	},
	"code": func(r *rand.Rand) (string, string) {
		s := pick(r, 43, alnums+"-_")
		return "https://h.example/callback?state=x&code=" + s, s
	},
	"saml": func(r *rand.Rand) (string, string) {
		s := base64.StdEncoding.EncodeToString([]byte("<samlp:Response><saml:Assertion>" + phrase(r, 9, " ") + "</saml:Assertion></samlp:Response>"))
		return "https://h.example/acs?SAMLResponse=" + url.QueryEscape(s), s
	},
}

// knownPlaces are where such a URL may stand.
var knownPlaces = map[string]func(u string) (format, line string){
	"url": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","url":%q}`, u)
	},
	"path": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","path":%q}`, u[strings.Index(u[8:], "/")+8:])
	},
	"referer": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","referer":%q}`, u)
	},
	"message": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","message":"POST %s failed"}`, u)
	},
	"agent": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","user_agent":"bot (+%s)"}`, u)
	},
	"body": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","body":%q}`, fmt.Sprintf(`{"u":%q}`, u))
	},
	"next": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","path":"/go?to=%s"}`, url.QueryEscape(u))
	},
	"base64": func(u string) (string, string) {
		return "json", fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","payload":"%s"}`, base64.StdEncoding.EncodeToString([]byte(`{"u":"`+u+`"}`)))
	},
	"request": func(u string) (string, string) {
		return "combined", `192.0.2.1 - - [26/Jan/2019:19:45:25 +0000] "POST ` + u[strings.Index(u[8:], "/")+8:] + ` HTTP/1.1" 200 5 "-" "curl/8.5.0"`
	},
	"trail": func(u string) (string, string) {
		return "cloudtrail", fmt.Sprintf(`{"eventVersion":"1.08","eventTime":"2026-03-02T00:00:00Z","eventSource":"sns.amazonaws.com","eventName":"Subscribe",`+
			`"awsRegion":"us-east-1","userIdentity":{"type":"IAMUser","userName":"u"},"requestParameters":{"endpoint":%q}}`, u)
	},
}

// TestCanaryForms: nothing declares these but their own form.
func TestCanaryForms(t *testing.T) {
	r := rand.New(rand.NewPCG(62, 1))
	p := canaryPipeline(t)
	placed, leaks := 0, map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(knownForms)) {
		for _, place := range slices.Sorted(maps.Keys(knownPlaces)) {
			for range 20 {
				u, secret := knownForms[name](r)
				format, line := knownPlaces[place](u)
				placed++
				if found := leak(kept(sealLine(t, p, format, line)), traces(secret)); found != "" {
					if leaks[name+", "+place]++; leaks[name+", "+place] == 1 {
						t.Errorf("%s in %s: %q of %q is kept of\n%s", name, place, found, secret, line)
					}
				}
			}
		}
	}
	t.Logf("%d forms, %d placements, with a trace: %v", len(knownForms), placed, leaks)
}

// traces returns what must not be found of a credential: any twelve bytes of it
// and of its encodings, in lower case. Of escapes of single bytes it takes as many
// as stand for twelve.
func traces(secret string) map[string]bool {
	set := make(map[string]bool)
	add := func(text string, n int) {
		text = strings.ToLower(text)
		for i := 0; i+n <= len(text); i++ {
			set[text[i:i+n]] = true
		}
	}
	add(secret, trace)
	add(strings.ReplaceAll(secret, " ", "+"), trace)
	add(url.QueryEscape(secret), trace)
	add(url.QueryEscape(url.QueryEscape(secret)), trace+8)
	add(html.EscapeString(secret), trace)
	add(hex.EncodeToString([]byte(secret)), 2*trace)
	for _, form := range []string{"%%%02x", "%%25%02x", `\u%04x`, "&#%d;", "&#x%x;"} {
		for i := 0; i+trace <= len(secret); i++ {
			set[strings.ToLower(percents(secret[i:i+trace], form))] = true
		}
	}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00\x00"[:shift] + secret))
		text = strings.ToLower(text[(8*shift+5)/6 : (8*(shift+len(secret)))/6])
		add(text, 4*trace/3)
		add(strings.NewReplacer("+", "-", "/", "_").Replace(text), 4*trace/3)
	}
	return set
}

// kept returns all that is kept of a submission, and answered, in lower case.
func kept(s Submission) string {
	b, err := json.Marshal(s.Request)
	if err != nil {
		panic(err)
	}
	var out strings.Builder
	out.Write(b)
	add := func(texts ...[]byte) {
		for _, t := range texts {
			out.WriteByte(0)
			out.Write(t)
		}
	}
	for c := range tokenwatch.NumColumns {
		v := s.Batch.Column(tokenwatch.Col(c))
		add(v.Dict.Bytes, v.Text.Bytes)
		for _, n := range v.Ints {
			add(strconv.AppendInt(nil, n, 10))
		}
	}
	attrs := s.Batch.Attrs()
	for i := range attrs.Dict.Len() {
		add([]byte(attrs.Dict.At(i)))
	}
	for i := range attrs.Values.Len() {
		add([]byte(attrs.Values.At(i)))
	}
	for _, n := range s.Batch.Names() {
		add([]byte(n.Token), []byte(n.Alias.Kind), []byte(n.Alias.Value), []byte(n.Issuer))
	}
	facts, err := json.Marshal(s.Batch.Facts())
	if err != nil {
		panic(err)
	}
	add(facts)
	return strings.ToLower(out.String())
}

// leak returns a trace of the credential in what is kept, "" if there is none.
func leak(all string, set map[string]bool) string {
	heads := map[string][]int{} // lengths by the first bytes
	const head = 8
	for t := range set {
		if k := t[:head]; !slices.Contains(heads[k], len(t)) {
			heads[k] = append(heads[k], len(t))
		}
	}
	for i := 0; i+trace <= len(all); i++ {
		for _, n := range heads[all[i:i+head]] {
			if i+n <= len(all) && set[all[i:i+n]] {
				return all[i : i+n]
			}
		}
	}
	return ""
}

func canaryPipeline(t testing.TB) *Pipeline {
	keys, err := seal.NewKeys(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return New(nil, Config{Keys: keys})
}

// sealLine seals one record.
func sealLine(t testing.TB, p *Pipeline, format, line string) Submission {
	s, _, err := p.Seal(source.Delivery{Tenant: "t", Source: "canary", Format: format, Body: strings.NewReader(line + "\n")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCanary: no trace of a declared credential is kept, of whatever form it is,
// wherever it is declared, and in whatever encoding it stands there a second time.
func TestCanary(t *testing.T) {
	const seed = 61
	r := rand.New(rand.NewPCG(seed, 1))
	p := canaryPipeline(t)
	names := slices.Sorted(maps.Keys(codings))
	perCarrier := 6
	if testing.Short() {
		perCarrier = 1
	}
	placed, leaks, turn := 0, map[string]int{}, 0
	for _, carrier := range slices.Sorted(maps.Keys(carriers)) {
		for _, shape := range slices.Sorted(maps.Keys(shapes)) {
			for range perCarrier {
				secret := shapes[shape](r)
				turn++
				coding := names[turn%len(names)]
				format, line := carriers[carrier](secret, "see "+codings[coding](secret)+" here")
				s := sealLine(t, p, format, line)
				if s.Batch.Rows() != 1 {
					t.Fatalf("%s, %s: no row of %s", carrier, shape, line)
				}
				placed += 2
				if found := leak(kept(s), traces(secret)); found != "" {
					if leaks[carrier]++; leaks[carrier] == 1 {
						t.Errorf("seed %d: %s, %s, again as %s: %q of %q is kept of\n%s", seed, carrier, shape, coding, found, secret, line)
					}
				}
			}
		}
	}
	total := 0
	for _, n := range leaks {
		total += n
	}
	t.Logf("%d carriers, %d placements, %d records with a trace; by carrier: %v", len(carriers), placed, total, leaks)
}
