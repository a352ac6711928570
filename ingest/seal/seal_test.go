package seal

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

func testKeys(t testing.TB) Keys {
	t.Helper()
	master := make([]byte, KeySize)
	for i := range master {
		master[i] = byte(i)
	}
	keys, err := NewKeys(master)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func testSealer(t testing.TB, cfg Config) *Sealer { return New(testKeys(t), "acme", cfg) }

// TestGolden shows what becomes of a row. Each line of input is a field: a
// column's name and its text; "credential CARRIER TEXT"; "name KIND ISSUER TEXT"
// (issuer - for none); "attr KEY TEXT"; "fact KIND FIELD=TEXT …", where a field
// is secret, previous_secret or the kind of a name (after previous. of the one
// before) or one of the fact's. A text in quotes is a Go string.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "../../testdata/seal", func(t *testing.T, path string) {
		s := testSealer(t, Config{})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "seal" {
				d.Fatalf(t, "no command %s", d.Cmd)
			}
			if d.HasArg("drop-attrs") {
				s = testSealer(t, Config{DropAttrs: true})
			}
			var row tokenwatch.Row
			for line := range strings.Lines(d.Input) {
				setField(t, &row, strings.TrimSuffix(line, "\n"))
			}
			var b tokenwatch.Builder
			s.Seal(&row, &b)
			return show(b.Batch())
		})
	})
}

func setField(t *testing.T, row *tokenwatch.Row, line string) {
	t.Helper()
	text := func(v string) []byte {
		if strings.HasPrefix(v, `"`) {
			unquoted, err := strconv.Unquote(v)
			if err != nil {
				t.Fatalf("unquote: %v", err)
			}
			v = unquoted
		}
		return []byte(v)
	}
	field, rest, _ := strings.Cut(line, " ")
	switch field {
	case "credential":
		carrier, v, _ := strings.Cut(rest, " ")
		row.AddCredential(carrier, text(v))
	case "name":
		parts := strings.SplitN(rest, " ", 3)
		row.AddName(tokenwatch.NameKind(parts[0]), strings.TrimPrefix(parts[1], "-"), text(parts[2]))
	case "attr":
		key, v, _ := strings.Cut(rest, " ")
		row.AddAttr(text(key), text(v))
	case "fact":
		kind, rest, _ := strings.Cut(rest, " ")
		setFact(t, row, row.AddFact(tokenwatch.FactKind(kind)), strings.Fields(rest))
	default:
		c, ok := tokenwatch.ColumnByName(field)
		if !ok {
			t.Fatalf("no column %s", field)
		}
		row.SetText(c, text(rest))
	}
}

func setFact(t *testing.T, row *tokenwatch.Row, f *tokenwatch.RowFact, fields []string) {
	t.Helper()
	for _, field := range fields {
		key, v, _ := strings.Cut(field, "=")
		switch key {
		case "secret":
			row.AddIncidental("body", []byte(v))
			f.Secret = len(row.Credentials)
		case "previous_secret":
			row.AddIncidental("body", []byte(v))
			f.PreviousSecret = len(row.Credentials)
		case "lineage":
			f.Lineage = []byte(v)
		case "owner":
			f.Owner = []byte(v)
		case "scope":
			f.Scopes = append(f.Scopes, []byte(v))
		case "place":
			f.Place = []byte(v)
		default:
			if kind, ok := strings.CutPrefix(key, "previous."); ok {
				f.AddPrevious(tokenwatch.NameKind(kind), "", []byte(v))
				break
			}
			if !slices.Contains(tokenwatch.NameKinds, tokenwatch.NameKind(key)) {
				t.Fatalf("no field %s of a fact", key)
			}
			f.AddName(tokenwatch.NameKind(key), "", []byte(v))
		}
	}
}

func show(b *tokenwatch.Batch) string {
	var out strings.Builder
	for i := range b.Rows() {
		for c := range tokenwatch.NumColumns {
			if col := tokenwatch.Col(c); b.Text(col, i) != "" {
				fmt.Fprintf(&out, "%s %s\n", col, b.Text(col, i))
			}
		}
		b.EachAttr(i, func(k, v string) { fmt.Fprintf(&out, "attr %s %s\n", k, v) })
	}
	for _, f := range b.Facts() {
		fmt.Fprintf(&out, "fact %s token %s previous %s lineage %q owner %q scopes %q place %q\n", f.Kind, f.Token, f.Previous, f.Lineage, f.Owner, f.Scopes, f.Place)
	}
	for _, n := range b.Names() {
		fmt.Fprintf(&out, "named %s %s %s\n", n.Token, n.Alias.Kind, n.Alias.Value)
	}
	if out.Len() == 0 {
		return "(nothing)\n"
	}
	return out.String()
}

// TestOneToken shows that all spellings of a credential, and its full hash,
// are one token; and that tenants and keys keep tokens apart.
func TestOneToken(t *testing.T) {
	s := testSealer(t, Config{})
	const secret = "tok_live_4f9a8c21be774d05a6"
	want := s.Fingerprint([]byte(secret))
	for _, raw := range []string{
		"Bearer " + secret, "bearer " + secret, `"` + secret + `"`, " " + secret + " ", "token " + secret,
		"tok%5Flive_4f9a8c21be774d05a6", "tok%255flive_4f9a8c21be774d05a6", "Bearer%20" + secret,
		"Basic dXNlcjp0b2tfbGl2ZV80ZjlhOGMyMWJlNzc0ZDA1YTY=",
	} {
		if got := s.Fingerprint([]byte(raw)); got != want {
			t.Errorf("Fingerprint(%q) = %s, want %s", raw, got, want)
		}
	}
	for _, hash := range []string{
		"ca5ae5c4e9ff4f6d8f1bcbb0b4f4bd0d60b3e6c0", // no SHA-256: 20 bytes
	} {
		if got := s.NameID(tokenwatch.NameFullHash, "", hash); got == want {
			t.Errorf("NameID(%q) is the fingerprint", hash)
		}
	}
	hex, b64 := sums(secret)
	for _, hash := range []string{hex, strings.ToUpper(hex), "sha256:" + hex, b64, strings.TrimRight(b64, "=")} {
		if got := s.NameID(tokenwatch.NameFullHash, "x", hash); got != want {
			t.Errorf("NameID(%q) = %s, want %s", hash, got, want)
		}
	}
	if other := New(testKeys(t), "other", Config{}); other.Fingerprint([]byte(secret)) == want {
		t.Error("two tenants have one fingerprint")
	}
	if s.Digest([]byte(secret)) == s.digest([]byte(secret)) {
		t.Error("digests of rejects and texts are under one key")
	}
}

// TestTruncatedHashesMeet shows that a secret and its hash, however it is cut,
// have a name in common, and that of a secret only keyed digests are named.
func TestTruncatedHashesMeet(t *testing.T) {
	s := testSealer(t, Config{})
	hex, _ := sums("tok_live_4f9a8c21be774d05a6")
	own := map[tokenwatch.Alias]bool{}
	s.newCredential([]byte("tok_live_4f9a8c21be774d05a6")).eachAlias(func(a tokenwatch.Alias) {
		own[a] = true
		if a.Kind != tokenwatch.NameHashDigest || strings.Contains(a.Value, hex[:12]) {
			t.Errorf("the secret is named %v", a)
		}
	})
	for _, n := range []int{16, 20, 32, 40, 64} {
		met := false
		s.newName(&tokenwatch.Name{Kind: tokenwatch.NameTruncatedHash, Value: []byte(hex[:n])}).eachAlias(func(a tokenwatch.Alias) { met = met || own[a] })
		if !met {
			t.Errorf("no alias meets the hash cut to %d digits", n)
		}
		if !slices.ContainsFunc(s.Called(hex[:n]), func(name string) bool {
			return name == string(s.Fingerprint([]byte("tok_live_4f9a8c21be774d05a6"))) || own[tokenwatch.Alias{Kind: tokenwatch.NameHashDigest, Value: name}]
		}) {
			t.Errorf("the hash cut to %d digits is not known by what it is called", n)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	keys := testKeys(t)
	key := keys.token.Reveal()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		printed := fmt.Sprintf(verb, keys)
		for _, trace := range []string{string(key[:4]), fmt.Sprintf("%x", key[:4]), strings.Trim(fmt.Sprint(key[:4]), "[]")} {
			if strings.Contains(printed, trace) {
				t.Errorf("%s prints key bytes", verb)
			}
		}
	}
	if _, err := NewKeys(make([]byte, KeySize-1)); err == nil {
		t.Error("a short master key is taken")
	}
}

// TestNamesOncePerBatch shows that each batch has its names, once.
func TestNamesOncePerBatch(t *testing.T) {
	s := testSealer(t, Config{})
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for batch := range 3 {
		for range 5 {
			row.Reset()
			row.AddCredential("authorization", []byte("Bearer 0123456789abcdefghij"))
			s.Seal(&row, &b)
		}
		if got := len(b.Batch().Names()); got != 2 {
			t.Errorf("batch %d has %d names, want 2", batch, got)
		}
	}
}

// TestNamedUntilStored shows that a token is named in each batch until one is said
// to be stored, and then no more.
func TestNamedUntilStored(t *testing.T) {
	s := testSealer(t, Config{})
	var b tokenwatch.Builder
	seal := func() (names int, named Named) {
		var row tokenwatch.Row
		row.AddCredential("authorization", []byte("Bearer 0123456789abcdefghij"))
		row.AddName(tokenwatch.NameProviderID, "x", []byte("id-17"))
		s.Seal(&row, &b)
		named = s.TakeNamed()
		return len(b.Batch().Names()), named
	}
	first, _ := seal()
	second, named := seal()
	named.Stored()
	third, _ := seal()
	if first != 3 || second != 3 || third != 1 { // that of the other name is no name of its own
		t.Errorf("%d, %d and then %d names", first, second, third)
	}
}

// TestCacheForgets shows that ids stay the same when the cache is full.
func TestCacheForgets(t *testing.T) {
	s, large := testSealer(t, Config{Cache: 2}), testSealer(t, Config{})
	for i := range 100 {
		secret := []byte(fmt.Sprintf("secret-%d", i%7))
		if s.ids.credential(s, secret).e.id != large.ids.credential(large, secret).e.id {
			t.Fatal("ids differ")
		}
		n := 0
		for _, set := range s.ids.sets {
			for _, slot := range set {
				if slot.e != nil {
					n++
				}
			}
		}
		if n > 4 {
			t.Fatalf("%d entries remembered", n)
		}
	}
}

// TestCostly shows that a record made to be costly is masked instead.
func TestCostly(t *testing.T) {
	s := testSealer(t, Config{})
	for name, text := range map[string]string{
		"jwt":     strings.Repeat("eyJ", 80_000),
		"names":   strings.Repeat("sig=!", 50_000),
		"shared":  strings.Repeat("ab", 120_000),
		"escapes": strings.Repeat("%25", 80_000),
		"base64":  strings.Repeat("QUJD/", 50_000),
	} {
		var row tokenwatch.Row
		row.AddCredential("authorization", []byte(strings.Repeat("ab", 50_000)+"!"))
		row.AddAttr([]byte("text"), []byte(text))
		var b tokenwatch.Builder
		start := time.Now()
		s.Seal(&row, &b)
		if b.Batch().Rows() != 1 {
			t.Errorf("%s: no row", name)
		}
		t.Logf("%-8s %8d bytes in %v, work left %d", name, len(text), time.Since(start).Round(time.Millisecond), s.work)
	}
}

// batchBytes returns every text of a batch.
func batchBytes(b *tokenwatch.Batch) []byte {
	var out bytes.Buffer
	for c := range tokenwatch.NumColumns {
		v := b.Column(tokenwatch.Col(c))
		out.Write(v.Dict.Bytes)
		out.WriteByte(0)
		out.Write(v.Text.Bytes)
		out.WriteByte(0)
	}
	out.Write(b.Attrs().Dict.Bytes)
	out.WriteByte(0)
	out.Write(b.Attrs().Values.Bytes)
	for _, n := range b.Names() {
		fmt.Fprintf(&out, "\x00%s\x00%s", n.Token, n.Alias.Value)
	}
	return out.Bytes()
}

// TestNamesTellSinceWhen: a name that the row gives its token holds from the hour of the
// row on, told again only where an earlier row of the batch says so; what the token's id
// is made of holds whenever it is seen.
func TestNamesTellSinceWhen(t *testing.T) {
	s := testSealer(t, Config{})
	var b tokenwatch.Builder
	const hour = 492_000
	for _, at := range []int64{hour + 2, hour + 3, hour, hour + 2} {
		var row tokenwatch.Row
		row.Reset()
		row.SetInt(tokenwatch.ColTime, at*int64(time.Hour)+5)
		row.AddCredential("token", []byte("q7Rk2mXw9Zp4Lt8Vb3Nc6Hd1"))
		row.AddName(tokenwatch.NameProviderID, "idp", []byte("17"))
		s.Seal(&row, &b)
	}
	var own int
	var hours []int32
	for _, n := range b.Batch().Names() {
		switch {
		case n.Alias.Kind == tokenwatch.NameProviderID:
			hours = append(hours, n.Hour)
		case n.Hour == 0:
			own++
		}
	}
	if own != 2 || !slices.Equal(hours, []int32{hour + 2, hour}) {
		t.Errorf("%d names of the id's own, not 2; the other one as of hours %v, not %v", own, hours, []int32{hour + 2, hour})
	}
}
