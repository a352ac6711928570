package seal

import (
	"math/rand/v2"
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
