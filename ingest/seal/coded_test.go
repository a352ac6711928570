package seal

import (
	"bytes"
	gobase64 "encoding/base64"
	gohex "encoding/hex"
	"math/rand/v2"
	"testing"
)

// eachReading calls f with what each run of t decodes to.
func eachReading(s *Sealer, t []byte, f func(r run, shift int, v *view)) {
	var at scan
	s.views[0].b = t
	for {
		r, ok := nextRun(t, &at)
		if !ok {
			return
		}
		for k := range r.shifts() {
			f(r, k, s.decode(0, r, k))
		}
	}
}

// checkSpeaks fails if something is to be found in a decoded run of t of which
// the survey says that there is nothing.
func checkSpeaks(t *testing.T, s *Sealer, text []byte) (deep bool) {
	t.Helper()
	if decodable(text)&hasDeep != 0 {
		return true
	}
	eachReading(s, text, func(r run, shift int, v *view) {
		s.fields, s.spans, s.work = append(s.fields[:0], field{text: text, attr: -1}), s.spans[:0], 1<<20
		s.arena = s.arena[:0]
		s.needles.reset()
		s.inspect(0, 1, look(v.b)|hasPercent, false, false)
		if len(s.spans) > 0 {
			t.Errorf("something is found in reading %d of run %v of a text of %d bytes", shift, r, len(text))
		}
		if s.views[2].unescape(v) {
			t.Errorf("an escape is in reading %d of run %v of a text of %d bytes", shift, r, len(text))
		}
	})
	return false
}

// checkGrams fails if a probe of a coded run differs from one of what it
// decodes to.
func checkGrams(t *testing.T, s *Sealer, text []byte) {
	t.Helper()
	var all needles
	eachReading(s, text, func(r run, shift int, v *view) {
		for at := 0; at+4 <= len(v.b); at += 8 {
			all.reset()
			all.long = append(all.long, needle{b: v.b[at : at+4]})
			all.index()
			if !all.mayShare(text, r, shift) {
				t.Errorf("byte %d of reading %d of run %v of a text of %d bytes is not probed", at, shift, r, len(text))
			}
		}
	})
}

// TestDecodable shows that only what must be decoded is decoded: random ids
// rarely, and everything with something in it.
func TestDecodable(t *testing.T) {
	r := rand.New(rand.NewPCG(32, 1))
	s := testSealer(t, Config{})
	s.plain = true
	for name, c := range map[string]struct {
		text func() string
		most int // of a thousand
	}{
		"hex id":      {func() string { return pick(r, 32, hexes) }, 100},
		"path":        {func() string { return "/v1/teams/te_" + pick(r, 14, alnums) + "/tags" }, 250},
		"coded texts": {func() string { return randomText(r, "") }, 1000},
	} {
		deep := 0
		for range 1000 {
			text := []byte(c.text())
			if checkSpeaks(t, s, text) {
				deep++
			}
			checkGrams(t, s, text)
		}
		t.Logf("%s: %d of 1000 decoded", name, deep)
		if deep > c.most {
			t.Errorf("%s: %d of 1000 are decoded, want %d at most", name, deep, c.most)
		}
	}
}

// FuzzDecodable does the same for arbitrary texts, as they stand and coded.
func FuzzDecodable(f *testing.F) {
	for _, seed := range []string{"password=hunter2 x", "://u:p@h", `k":"v`, "%41%42 \\u0041", "-----BEGIN PRIVATE KEY-----", "ghp_0123456789abcdefghijABCDEFGHIJ012345"} {
		f.Add([]byte(seed), uint8(1))
	}
	s := testSealer(f, Config{})
	s.plain = true
	f.Fuzz(func(t *testing.T, text []byte, shift uint8) {
		if len(text) > 1<<12 {
			return
		}
		before := bytes.Repeat([]byte("0"), int(shift%4))
		for _, coded := range []string{string(text), gohex.EncodeToString(text), gobase64.RawStdEncoding.EncodeToString(text)} {
			coded := append(before, coded...)
			checkSpeaks(t, s, coded)
			checkGrams(t, s, coded)
		}
	})
}

// FuzzShortCuts seals arbitrary texts with and without short cuts.
func FuzzShortCuts(f *testing.F) {
	f.Add("/v1?api_key=tok_live_4f9a8c21be774d05a6", "41ef062dfee34d749dd5b132aba97ae1", "tok_live_4f9a8c21be774d05a6")
	f.Add("a=%25%2541&://u:p@", "5F7f75726f646e6365743a2f2f753a7040", "tiny")
	fast, plain := testSealer(f, Config{}), testSealer(f, Config{})
	plain.plain = true
	f.Fuzz(func(t *testing.T, path, id, secret string) {
		if len(path)+len(id)+len(secret) > 1<<12 {
			return
		}
		if got, want := sealed(fast, path, id, secret), sealed(plain, path, id, secret); got != want && plain.work >= 0 {
			t.Errorf("with short cuts:\n%swithout:\n%s", got, want)
		}
	})
}
