package seal

import (
	"bytes"
	"crypto/sha256"
	gobase64 "encoding/base64"
	gohex "encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

const (
	digits   = "0123456789"
	lowers   = "abcdefghijklmnopqrstuvwxyz"
	uppers   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexes    = "0123456789abcdef"
	alnums   = lowers + uppers + digits
	symbols  = alnums + "!@#$^&*()[]{};,<>?|"
	urlChars = alnums + "-_"
	b64Chars = alnums + "+/"
)

func pick(r *rand.Rand, n int, chars string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = chars[r.IntN(len(chars))]
	}
	return string(b)
}

func randomJWT(r *rand.Rand) string {
	enc := gobase64.RawURLEncoding
	payload := fmt.Sprintf(`{"iss":"https://id.example","sub":"user-%d","jti":"%s"}`, r.IntN(1e6), pick(r, 8, hexes))
	return enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString([]byte(payload)) + "." + pick(r, 43, urlChars)
}

// opaque lists forms of credentials that only their carrier tells.
var opaque = map[string]func(*rand.Rand) string{
	"letters and digits": func(r *rand.Rand) string { return pick(r, 20+r.IntN(40), alnums) },
	"lower and digits":   func(r *rand.Rand) string { return pick(r, 24+r.IntN(16), lowers+digits) },
	"base64url":          func(r *rand.Rand) string { return pick(r, 22+r.IntN(42), urlChars) },
	"base64":             func(r *rand.Rand) string { return pick(r, 30+r.IntN(34), b64Chars) },
	"hex":                func(r *rand.Rand) string { return pick(r, 32+2*r.IntN(16), hexes) },
	"symbols":            func(r *rand.Rand) string { return pick(r, 14+r.IntN(20), symbols) },
}

// ofFormat makes a credential of a known form.
func (f *format) random(r *rand.Rand) string {
	if f.flags&jwt != 0 {
		return randomJWT(r)
	}
	if f.flags&afterID != 0 {
		return "7:" + f.prefix + pick(r, f.min+r.IntN(12), alnums)
	}
	chars := [...]string{alnum: alnums, urlSafe: alnums, dotted: alnums, base64: alnums, hex: hexes}[f.set]
	n := f.min
	if f.flags&exact == 0 {
		n += r.IntN(12)
	}
	return f.prefix + pick(r, n, chars)
}

// carriers are ways in which a record declares a credential.
var carriers = map[string]func(secret string) string{
	"authorization":   func(s string) string { return "Bearer " + s },
	"basic":           func(s string) string { return "Basic " + gobase64.StdEncoding.EncodeToString([]byte("user:"+s)) },
	"x-api-key":       func(s string) string { return s },
	"query:api_key":   url.QueryEscape,
	"referer:api_key": func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"url:userinfo":    func(s string) string { return "user:" + url.QueryEscape(s) },
	"cookie:session":  func(s string) string { return `"` + s + `"` },
	"token":           func(s string) string { return "token " + s },
}

func percentAll(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func base64At(shift int, enc *gobase64.Encoding) func(string) string {
	return func(s string) string { return enc.EncodeToString([]byte(":::"[:shift] + s)) }
}

// encodings are the forms in which a credential shows up in other fields.
var encodings = map[string]func(string) string{
	"raw":               func(s string) string { return s },
	"query escape":      url.QueryEscape,
	"percent, all":      func(s string) string { return percentAll(s, "%%%02X") },
	"percent, lower":    func(s string) string { return percentAll(s, "%%%02x") },
	"double percent":    func(s string) string { return percentAll(s, "%%25%02X") },
	"backslash u":       func(s string) string { return percentAll(s, `\u%04x`) },
	"backslash x":       func(s string) string { return percentAll(s, `\x%02X`) },
	"base64":            base64At(0, gobase64.StdEncoding),
	"base64, raw":       base64At(0, gobase64.RawStdEncoding),
	"base64, 1 before":  base64At(1, gobase64.StdEncoding),
	"base64, 2 before":  base64At(2, gobase64.RawStdEncoding),
	"base64url":         base64At(0, gobase64.URLEncoding),
	"base64url, before": base64At(1, gobase64.RawURLEncoding),
	"base64, escaped":   func(s string) string { return url.QueryEscape(base64At(0, gobase64.StdEncoding)(s)) },
	"hex":               func(s string) string { return gohex.EncodeToString([]byte(s)) },
	"hex, upper":        func(s string) string { return strings.ToUpper(gohex.EncodeToString([]byte(s))) },
}

// fillers are what stands around it.
var fillers = []string{"%s", "/v1/items/%s/details?page=2", "ua/1.0 (x; %s) y", "a=%s&b=2", `{"x":"%s"}`, "https://h.example/%s"}

// plant puts text into every field of a row, in a filler.
func plant(row *tokenwatch.Row, text string, turn int) (places int) {
	for k, c := range textColumns {
		row.SetText(c, fmt.Appendf(nil, fillers[(turn+k)%len(fillers)], text))
	}
	row.AddAttr([]byte("referer"), fmt.Appendf(nil, fillers[turn%len(fillers)], text))
	row.AddAttr([]byte("trace_id"), []byte(text))
	row.AddAttr([]byte("k."+text), []byte("v"))
	return len(textColumns) + 3
}

const window = 12

// traces returns every window of a credential, raw and in encodings.
func traces(secret string) map[string]struct{} {
	set := make(map[string]struct{})
	for _, encode := range encodings {
		text := encode(secret)
		for i := 0; i+window <= len(text); i++ {
			set[text[i:i+window]] = struct{}{}
		}
	}
	// Windows over the escapes of two characters tell nothing, and base64 of the
	// colons before it is no part of the credential.
	for w := range set {
		if strings.ContainsAny(w, `%\`) || strings.HasPrefix(w, "Ojo6") || strings.HasPrefix(w, "Ojp") {
			delete(set, w)
		}
	}
	return set
}

func leaks(b *tokenwatch.Batch, secret string) string {
	text := batchBytes(b)
	set := traces(secret)
	for i := 0; i+window <= len(text); i++ {
		if _, ok := set[string(text[i:i+window])]; ok {
			return string(text[i : i+window])
		}
	}
	for _, all := range []string{percentAll(secret, "%%%02X")[:36], percentAll(secret, "%%25%02X")[:60], percentAll(secret, `\u%04x`)[:72]} {
		if bytes.Contains(bytes.ToUpper(text), []byte(strings.ToUpper(all))) {
			return all
		}
	}
	return ""
}

// TestCanaryCarriers plants declared credentials in all fields and encodings,
// and looks for them in every byte of the batch.
func TestCanaryCarriers(t *testing.T) {
	seed := uint64(20)
	r := rand.New(rand.NewPCG(seed, 1))
	s := testSealer(t, Config{})
	found, placed, turn := 0, 0, 0
	for _, name := range slices.Sorted(maps.Keys(opaque)) {
		form := opaque[name]
		for _, carrier := range slices.Sorted(maps.Keys(carriers)) {
			wrap := carriers[carrier]
			for range 3 {
				secret := form(r)
				for encoding, encode := range encodings {
					var row tokenwatch.Row
					var b tokenwatch.Builder
					turn++
					placed += plant(&row, encode(secret), turn)
					row.AddCredential(carrier, []byte(wrap(secret)))
					s.Seal(&row, &b)
					if leak := leaks(b.Batch(), secret); leak != "" {
						found++
						if found < 10 {
							t.Errorf("seed %d: %s in %s leaks %q, as %s, of %q", seed, name, carrier, leak, encoding, secret)
						}
					}
				}
			}
		}
	}
	t.Logf("declared carriers: %d rows with a trace, of %d placements", found, placed)
}

// TestLowerCaseBase64 plants a credential whose base64 has no upper case.
func TestLowerCaseBase64(t *testing.T) {
	s := testSealer(t, Config{})
	coded := "a2v5ohm1bnr2a3z5dmx1" // of 15 bytes, with few that are ASCII
	raw, err := gobase64.StdEncoding.DecodeString(coded)
	if err != nil {
		t.Fatal(err)
	}
	var row tokenwatch.Row
	var b tokenwatch.Builder
	row.AddCredential("authorization", raw)
	row.SetText(tokenwatch.ColPath, []byte("/v1/items/"+coded+"/details"))
	s.Seal(&row, &b)
	if bytes.Contains(batchBytes(b.Batch()), []byte(coded[:window])) {
		t.Error("the credential is in the batch")
	}
}

// TestCanarySplit plants a declared credential in two halves.
func TestCanarySplit(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 1))
	s := testSealer(t, Config{})
	for range 200 {
		secret := pick(r, 24+r.IntN(30), alnums)
		cut := window + r.IntN(len(secret)-2*window+1)
		var row tokenwatch.Row
		var b tokenwatch.Builder
		row.AddCredential("authorization", []byte("Bearer "+secret))
		row.SetText(tokenwatch.ColPath, []byte("/a/"+secret[:cut]))
		row.SetText(tokenwatch.ColRequestID, []byte(secret[cut:]))
		row.AddAttr([]byte("x"), []byte(strings.ToUpper(secret)))
		s.Seal(&row, &b)
		if leak := leaks(b.Batch(), secret); leak != "" {
			t.Fatalf("leaks %q of %q", leak, secret)
		}
	}
}

// TestCanaryFormats plants credentials of known forms, which no carrier declares.
func TestCanaryFormats(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 1))
	s := testSealer(t, Config{})
	found, placed, turn := 0, 0, 0
	for i := range formats {
		f := &formats[i]
		for range 2 {
			secret := f.random(r)
			for encoding, encode := range encodings {
				var row tokenwatch.Row
				var b tokenwatch.Builder
				turn++
				placed += plant(&row, encode(secret), turn)
				s.Seal(&row, &b)
				if leak := leaks(b.Batch(), secret); leak != "" {
					found++
					if found < 10 {
						t.Errorf("%s %s leaks %q as %s of %q", f.kind, f.prefix, leak, encoding, secret)
					}
				}
			}
		}
	}
	t.Logf("known formats: %d rows with a trace, of %d placements", found, placed)
}

// TestRecall measures step 4: secrets of no known form, which nothing declares.
func TestRecall(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 1))
	s := testSealer(t, Config{})
	least := map[string]int{"letters and digits": 97, "lower and digits": 85, "base64url": 95, "base64": 75, "hex": 99}
	t.Logf("%-20s %8s %8s %8s %8s", "recall, %", "path", "query", "attr", "agent")
	forms := maps.Clone(opaque)
	forms["sixteen characters"] = func(r *rand.Rand) string { return pick(r, 16, alnums) }
	forms["words"] = func(r *rand.Rand) string {
		list := strings.Fields("copper lantern walnut basket harbor violet thistle meadow pepper saddle orchard velvet anchor cobalt")
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return strings.Join(list[:4], "-")
	}
	for _, name := range []string{"letters and digits", "lower and digits", "base64url", "base64", "hex", "symbols", "sixteen characters", "words"} {
		const n = 1000
		var masked [4]int
		for range n {
			secret := forms[name](r)
			for k, text := range []string{"/v1/" + url.PathEscape(secret) + "/x", "/v1?q=" + url.QueryEscape(secret), secret, "agent/1.0 (" + secret + ")"} {
				var row tokenwatch.Row
				var b tokenwatch.Builder
				switch k {
				case 0, 1:
					row.SetText(tokenwatch.ColPath, []byte(text))
				case 2:
					row.AddAttr([]byte("note"), []byte(text))
				case 3:
					row.SetText(tokenwatch.ColUserAgent, []byte(text))
				}
				s.Seal(&row, &b)
				if leaks(b.Batch(), secret) == "" {
					masked[k]++
				}
			}
		}
		t.Logf("%-20s %8.1f %8.1f %8.1f %8.1f", name, pct(masked[0], n), pct(masked[1], n), pct(masked[2], n), pct(masked[3], n))
		for _, m := range masked {
			if m*100 < least[name]*n {
				t.Errorf("%s: recall %.1f %% is below %d %%", name, pct(m, n), least[name])
			}
		}
	}
}

func pct(a, b int) float64 { return 100 * float64(a) / float64(max(b, 1)) }

func sums(secret string) (hex, b64 string) {
	sum := sha256.Sum256([]byte(secret))
	return gohex.EncodeToString(sum[:]), gobase64.StdEncoding.EncodeToString(sum[:])
}
