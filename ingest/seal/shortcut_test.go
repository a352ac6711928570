package seal

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// TestShortCuts seals random rows with and without short cuts: what is stored
// must be the same.
func TestShortCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 1))
	fast, plain := testSealer(t, Config{}), testSealer(t, Config{})
	plain.plain = true
	var again []string
	masked := 0
	for range 500 {
		var a, b tokenwatch.Builder
		for range 12 { // a batch knows what it has seen
			var row, same tokenwatch.Row
			randomRow(r, &row, &again)
			copyRow(&same, &row)
			fast.Seal(&row, &a)
			plain.Seal(&same, &b)
			if len(plain.spans) > 0 {
				masked++
			}
		}
		if got, want := show(a.Batch()), show(b.Batch()); got != want {
			t.Fatalf("with short cuts:\n%swithout:\n%s", got, want)
		}
	}
	t.Logf("%d rows with a mask", masked)
	if masked < 3000 {
		t.Errorf("only %d rows have a mask", masked)
	}
}

// copyRow makes to equal to from, apart in memory.
func copyRow(to, from *tokenwatch.Row) {
	for _, c := range textColumns {
		to.SetText(c, append([]byte(nil), from.Text(c)...))
	}
	for _, a := range from.Attrs {
		to.AddAttr(append([]byte(nil), a.Key...), append([]byte(nil), a.Value...))
	}
	for _, n := range from.Names {
		to.AddName(n.Kind, n.Issuer, append([]byte(nil), n.Value...))
	}
	for _, c := range from.Credentials {
		to.AddCredential(c.Carrier, append([]byte(nil), c.Secret.Reveal()...))
	}
}

// sealed shows a row of three texts as it is stored.
func sealed(s *Sealer, path, id, secret string) string {
	var row tokenwatch.Row
	row.AddCredential("authorization", []byte(secret))
	row.SetText(tokenwatch.ColPath, []byte(path))
	row.SetText(tokenwatch.ColRoute, []byte(path))
	row.SetText(tokenwatch.ColRequestID, []byte(id))
	row.SetText(tokenwatch.ColMethod, []byte(secret))
	row.AddAttr([]byte("note"), []byte(path+id))
	var b tokenwatch.Builder
	s.Seal(&row, &b)
	return show(b.Batch())
}

// TestNeedleInKnownText: texts that were clean in the rows before are searched when
// a later field of the row turns out to be a credential that stands in them.
func TestNeedleInKnownText(t *testing.T) {
	const secret = "zebra-crossing-battery"
	s := testSealer(t, Config{})
	var b tokenwatch.Builder
	rows := func(password string, n int) {
		for range n {
			var row tokenwatch.Row
			row.SetText(tokenwatch.ColUserAgent, []byte("app/1 "+secret+" linux"))
			row.SetText(tokenwatch.ColHost, []byte(secret+".example.com"))
			row.AddAttr([]byte("note"), []byte("said "+secret))
			row.AddAttr([]byte("x."+secret), []byte("1"))
			if password != "" {
				row.AddAttr([]byte("body"), []byte("password="+password))
			}
			s.Seal(&row, &b)
		}
	}
	rows("", 3)
	if n := strings.Count(show(b.Batch()), secret); n != 12 {
		t.Fatalf("without a credential it stands there %d times, not 12", n)
	}
	rows("", 3) // now the batch knows them, and that they are clean
	if len(s.asides) != 6 {
		t.Fatalf("%d texts were set aside, not 6", len(s.asides))
	}
	rows(secret, 1)
	if n := strings.Count(show(b.Batch()), secret); n != 12 {
		t.Errorf("of four rows the last has a password, and it stands there %d times, not 12", n)
	}
}
