package seal

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tokenwatch/tokenwatch"
)

// FuzzSeal seals a record of arbitrary texts with a planted credential: no
// panic, no trace of the credential, and only clean text.
func FuzzSeal(f *testing.F) {
	f.Add("tok_live_4f9a8c21be774d05a6", "/v1?api_key=", "&x=1", uint8(0))
	f.Add("r0meo4ever-and-ever", "Basic ", "==", uint8(3))
	f.Add("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "eyJ", "\\u00", uint8(7))
	f.Add("a b%20c\"d'e\x00f\xffghijkl", "%25", "\u202e", uint8(11))
	f.Add("0123456789abcdef", "-----BEGIN PRIVATE KEY", "https://u:p@", uint8(15))
	s := testSealer(f, Config{})
	var names []string
	for name := range encodings {
		names = append(names, name)
	}
	f.Fuzz(func(t *testing.T, secret, before, after string, which uint8) {
		if len(secret) > 1<<12 || len(before)+len(after) > 1<<12 {
			return
		}
		encode := encodings[names[int(which)%len(names)]]
		var row tokenwatch.Row
		row.AddCredential("authorization", []byte(secret))
		row.SetText(tokenwatch.ColPath, []byte(before+secret+after))
		row.SetText(tokenwatch.ColRequestID, []byte(after+secret))
		row.SetText(tokenwatch.ColUserAgent, []byte(before+" "+encode(secret)+" "+after))
		row.AddAttr([]byte(before), []byte(after))
		row.AddAttr([]byte(secret), []byte(before+"\x00"+encode(secret)))
		row.AddName(tokenwatch.NamePrefix, "", []byte(before))
		row.AddName(tokenwatch.NameProviderID, before, []byte(after+secret))
		var b tokenwatch.Builder
		s.Seal(&row, &b)
		batch := b.Batch()
		text := string(batchBytes(batch))
		// What a stray quote, scheme or escape takes off the credential is not it.
		plain := strings.IndexFunc(secret, func(r rune) bool {
			return r >= utf8.RuneSelf || classes[byte(r)]&isAlnum == 0
		}) < 0
		if plain && len(secret) >= 2*window && strings.Contains(strings.ToLower(text), strings.ToLower(secret)) && !strings.Contains(before+after, secret) {
			t.Errorf("a credential of %d bytes is in the batch", len(secret))
		}
		for v := range strings.SplitSeq(text, "\x00") {
			if !utf8.ValidString(v) {
				t.Errorf("invalid UTF-8 in the batch")
			}
			for _, r := range v {
				if unprintable(r) {
					t.Errorf("%U in the batch", r)
				}
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	const rowsInBatch = 4096
	row := func(i int) func(*tokenwatch.Row) {
		path := fmt.Appendf(nil, "/v1/orders/%d/items?page=%d&sort=name", i*7919%100_000, i%10)
		rid := fmt.Appendf(nil, "%08x-fee3-4d74-9dd5-%012x", uint32(i*2654435761), i)
		agent := []byte("python-requests/2.31.0 (Linux; x86_64) build/" + fmt.Sprint(i%20))
		text := map[tokenwatch.Col][]byte{}
		for c, v := range map[tokenwatch.Col]string{
			tokenwatch.ColSource: "edge", tokenwatch.ColFormat: "json", tokenwatch.ColMethod: "GET", tokenwatch.ColHost: "api.example.com",
			tokenwatch.ColRoute: "/v1/orders/{id}/items", tokenwatch.ColAction: "GET /v1/orders/{id}/items", tokenwatch.ColActionClass: "read",
			tokenwatch.ColOutcome: "success", tokenwatch.ColAgentFamily: "python-requests",
		} {
			text[c] = []byte(v)
		}
		return func(r *tokenwatch.Row) {
			r.Reset()
			r.SetInt(tokenwatch.ColTime, int64(i))
			r.SetInt(tokenwatch.ColStatus, 200)
			for _, c := range textColumns {
				if v := text[c]; v != nil {
					r.SetText(c, v)
				}
			}
			r.SetText(tokenwatch.ColPath, path)
			r.SetText(tokenwatch.ColRequestID, rid)
			r.SetText(tokenwatch.ColUserAgent, agent)
		}
	}
	var fill [4096]func(*tokenwatch.Row)
	var tokens [4096][]byte
	for i := range fill {
		fill[i] = row(i)
		tokens[i] = fmt.Appendf(nil, "Bearer tok_live_%032x", uint64(i)*0x9e3779b97f4a7c15)
	}
	run := func(name string, do func(s *Sealer, r *tokenwatch.Row, bl *tokenwatch.Builder, i int)) {
		b.Run(name, func(b *testing.B) {
			s := testSealer(b, Config{})
			var r tokenwatch.Row
			var bl tokenwatch.Builder
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				fill[i%len(fill)](&r)
				do(s, &r, &bl, i)
				if bl.Rows() == rowsInBatch {
					bl.Batch()
				}
			}
		})
	}
	run("append", func(_ *Sealer, r *tokenwatch.Row, bl *tokenwatch.Builder, _ int) { bl.Append(r) })
	run("clean", func(s *Sealer, r *tokenwatch.Row, bl *tokenwatch.Builder, _ int) { s.Seal(r, bl) })
	run("credential", func(s *Sealer, r *tokenwatch.Row, bl *tokenwatch.Builder, i int) {
		r.AddCredential("authorization", tokens[i%len(tokens)])
		s.Seal(r, bl)
	})
	run("one_credential", func(s *Sealer, r *tokenwatch.Row, bl *tokenwatch.Builder, _ int) {
		r.AddCredential("authorization", tokens[0])
		s.Seal(r, bl)
	})
	run("new_credential", func(s *Sealer, r *tokenwatch.Row, bl *tokenwatch.Builder, i int) {
		r.AddCredential("authorization", fmt.Appendf(nil, "Bearer tok_live_%032x", uint64(i)*0x9e3779b97f4a7c15))
		s.Seal(r, bl)
	})
}
