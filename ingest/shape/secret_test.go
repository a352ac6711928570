package shape

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// TestSecrets: no credential that a parser finds in the golden cases, whatever
// the format, stands in a document made of them.
func TestSecrets(t *testing.T) {
	found := 0
	for name, bodies := range corpus(t) {
		f, ok := format.ByName(name)
		if !ok {
			t.Fatalf("no format %s", name)
		}
		for _, body := range bodies {
			b, _ := sealed(t, name, body)
			if b == nil {
				continue
			}
			var documents strings.Builder
			for i := range b.Rows() {
				for _, d := range []Document{ECS(b, i), OCSF(b, i)} {
					text, err := json.Marshal(d)
					if err != nil {
						t.Fatal(err)
					}
					documents.Write(text)
				}
			}
			for _, secret := range secretsOf(t, f, body) {
				found++
				encoded, _ := json.Marshal(secret)
				if strings.Contains(documents.String(), strings.Trim(string(encoded), `"`)) {
					t.Errorf("%s: a credential of %d bytes stands in a document", name, len(secret))
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d credentials", found)
	}
	t.Logf("%d credentials", found)
}

// secretsOf are the credentials that a parser finds in a body, but for words and
// numbers that may well stand elsewhere too.
func secretsOf(t *testing.T, f format.Format, body string) (out []string) {
	t.Helper()
	p, err := f.New(format.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var row tokenwatch.Row
	fr := frame.New(f.Frame, strings.NewReader(body), 0)
	for {
		rec, err := fr.Next()
		if err != nil {
			return out
		}
		row.Reset()
		if p.Parse(rec.Bytes, &row) != nil {
			continue
		}
		for _, c := range row.Credentials {
			if s := string(c.Secret.Reveal()); len(s) >= 12 && strings.ContainsAny(s, "0123456789") {
				out = append(out, s)
			}
		}
	}
}
