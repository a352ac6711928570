package seal

import (
	gobase64 "encoding/base64"
	gohex "encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// pieces are what random texts are made of: words, separators, announcements of
// secrets and their like, whole and torn.
var pieces = []string{
	"a", "id", "GET ", "/v1/", "orders", "Items", "/", "?", "&", "=", ":", " ", "+", "-", "_", ".", "~", "@", "%", `\`, "{id}", "\"", "'", ",", "]",
	"user", "example.com", "https://", "://u:pw@", "AppleWebKit/537.36", "Mozilla/5.0 (Linux; x86_64) ", "41ef062d-fee3-4d74-9dd5-b132aba97ae1",
	"password=", "pwd: ", "api_key=", "\"token\":\"", "Authorization: Bearer ", "basic ", "x token ", "sig=", "jwt=", "key\\\":\\\"", "secret ",
	"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "eyJ", "ghp_", "sk_live_", "EAAA", "dapi", "my_app_", "AKIA", "arn:aws:", "SK", "b.", "s.",
	"%20", "%3D", "%3d", `\u003d`, `\x3a`, `\/`, "%25", "%2", `\u`, "\x00", "\xff", "é", "\u202e", "tkw_", "dg_",
}

func randomPiece(r *rand.Rand) string {
	switch r.IntN(9) {
	case 0:
		return pick(r, r.IntN(40), hexes)
	case 1:
		return strings.ToUpper(pick(r, r.IntN(40), hexes))
	case 2:
		return pick(r, r.IntN(50), b64Chars)
	case 3:
		return pick(r, r.IntN(50), urlChars)
	case 4:
		return pick(r, r.IntN(24), lowers)
	case 5:
		return formats[r.IntN(len(formats))].random(r)
	}
	return pieces[r.IntN(len(pieces))]
}

func randomText(r *rand.Rand, secret string) string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteString(randomPiece(r))
	}
	if secret != "" && r.IntN(3) == 0 {
		part := secret[r.IntN(len(secret)):]
		if r.IntN(3) > 0 {
			part = secret
		}
		b.WriteString(part)
		if r.IntN(2) == 0 {
			b.WriteString(randomPiece(r))
		}
	}
	text := b.String()
	switch r.IntN(12) {
	case 0:
		return gohex.EncodeToString([]byte(text)) + pick(r, r.IntN(3), hexes)
	case 1:
		return pick(r, r.IntN(3), hexes) + gohex.EncodeToString([]byte(text))
	case 2:
		return pick(r, r.IntN(4), alnums) + gobase64.RawStdEncoding.EncodeToString([]byte(text))
	case 3:
		return gobase64.URLEncoding.EncodeToString([]byte(text)) + randomPiece(r)
	case 4:
		names := slices.Sorted(maps.Keys(encodings))
		return encodings[names[r.IntN(len(names))]](text)
	}
	return text
}

// keyWords are keys of attrs that come again and again.
var keyWords = map[string]*tokenwatch.Word{}

// randomRow fills a row with texts in which announced, torn and coded secrets
// are common. Some texts come again in later rows.
func randomRow(r *rand.Rand, row *tokenwatch.Row, again *[]string) {
	row.Reset()
	secret := ""
	switch r.IntN(4) {
	case 0:
		secret = pick(r, 3+r.IntN(10), symbols)
	case 1, 2:
		secret = opaque[slices.Sorted(maps.Keys(opaque))[r.IntN(len(opaque))]](r)
	case 3:
		if r.IntN(8) == 0 {
			secret = pick(r, 500+r.IntN(5000), alnums) // a session token
		}
	}
	text := func() []byte {
		if len(*again) > 0 && r.IntN(3) == 0 {
			return []byte((*again)[r.IntN(len(*again))])
		}
		t := randomText(r, secret)
		if len(*again) < 200 {
			*again = append(*again, t)
		} else {
			(*again)[r.IntN(len(*again))] = t
		}
		return []byte(t)
	}
	if secret != "" {
		row.AddCredential("authorization", []byte(secret))
	}
	for range 1 + r.IntN(5) {
		row.SetText(textColumns[r.IntN(len(textColumns))], text())
	}
	row.SetText(tokenwatch.ColPath, text())
	row.SetText(tokenwatch.ColRequestID, text())
	for range r.IntN(3) {
		key := []string{"note", "trace_id", "client_secret", "referer", "x.hash"}[r.IntN(5)]
		if r.IntN(6) == 0 {
			key = string(text())
		}
		if r.IntN(2) == 0 {
			row.AddAttr([]byte(key), text())
			continue
		}
		if keyWords[key] == nil {
			keyWords[key] = tokenwatch.NewWord(key)
		}
		row.AddNamed(keyWords[key], text())
	}
	if r.IntN(4) == 0 {
		row.AddName(tokenwatch.NameKinds[r.IntN(len(tokenwatch.NameKinds))], "", text())
	}
	if path := row.Text(tokenwatch.ColPath); r.IntN(2) == 0 {
		row.SetText(tokenwatch.ColAction, fmt.Appendf(nil, "GET %s", path))
	}
}
