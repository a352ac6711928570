package ingest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/enrich"
)

// TestInventory: what an inventory names by a hash, a prefix or the secret itself
// is the token that a log names so, and no secret stays in it.
func TestInventory(t *testing.T) {
	const secret = "twk_live_8fK2aQ9xLm41pPq0Zr55Tt71Vv93Xx"
	var file strings.Builder
	file.WriteString("id,owner,description,sha256,prefix,key\n")
	fmt.Fprintf(&file, "tok_1,%s,uses %s,,,%s\n", secret, secret, secret)
	for i := range tokenwatch.MaxTableTokens {
		fmt.Fprintf(&file, "t%d,ann,,%064x,,\n", i, i+1)
	}
	v, err := enrich.ParseInventory([]byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	p := New(nil, Config{Keys: testKeys(t)})
	tables := p.Inventory("acme", v)
	if len(tables) != 2 || len(tables[0].Tokens)+len(tables[1].Tokens) != tokenwatch.MaxTableTokens+1 || tables[1].Part != 2 {
		t.Fatalf("%d tables", len(tables))
	}
	for i := range tables {
		body := tables[i].Control().Body
		if strings.Contains(string(body), secret) {
			t.Error("the secret is in the control record")
		}
		back, err := tokenwatch.DecodeTable(body)
		if err != nil || len(back.Tokens) != len(tables[i].Tokens) || back.Name != tokenwatch.TableInventory {
			t.Errorf("part %d comes back as %d tokens, %v", i+1, len(back.Tokens), err)
		}
	}
	first := tables[0].Tokens[0]
	if len(first.Keys) != 1 || first.Owner != string(first.Keys[0].Token) || first.Label != "uses "+string(first.Keys[0].Token) {
		t.Errorf("the token of the secret is %+v", first)
	}
	if last := tables[1].Tokens[0]; last.Lineage != fmt.Sprint("t", tokenwatch.MaxTableTokens-1) || len(last.Keys) != 1 || last.Keys[0].Token == "" {
		t.Errorf("the last token is %+v", last)
	}
}
