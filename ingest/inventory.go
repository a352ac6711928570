package ingest

import (
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/enrich"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

// Inventory seals an inventory for a tenant, as the bodies of control records:
// its secrets and names become token ids, and whatever else in it looks like a
// credential is masked as in a log.
func (p *Pipeline) Inventory(tenant string, v *enrich.Inventory) []tokenwatch.Table {
	s := seal.New(p.c.Keys, tenant, p.c.Seal)
	summary := v.Summary()
	var out []tokenwatch.Table
	for at := 0; at < len(v.Tokens); at += tokenwatch.MaxTableTokens {
		t := tokenwatch.Table{
			Name: summary.Table, Entries: summary.Entries, Digest: summary.Digest, Time: v.Time, Part: len(out) + 1,
		}
		part := v.Tokens[at:min(at+tokenwatch.MaxTableTokens, len(v.Tokens))]
		facts, names := sealTokens(s, part)
		for i := range part {
			t.Tokens = append(t.Tokens, sealedToken(&part[i], &facts))
		}
		t.Names = names
		out = append(out, t)
	}
	return out
}

// sealTokens seals tokens as the facts of rows: one for the token, then one for
// each key.
func sealTokens(s *seal.Sealer, tokens []enrich.Token) ([]tokenwatch.Fact, []tokenwatch.Naming) {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for i := range tokens {
		t := &tokens[i]
		row.Reset()
		row.SetInt(tokenwatch.ColTime, time.Unix(0, 0).UnixNano())
		f := row.AddFact(tokenwatch.FactCreated)
		f.Lineage, f.Owner, f.Label, f.TokenType = []byte(t.Lineage), []byte(t.Owner), []byte(t.Label), []byte(t.TokenType)
		f.App, f.Env, f.Place = []byte(t.App), []byte(t.Env), []byte(t.Purpose)
		for _, scope := range t.Scopes {
			f.Scopes = append(f.Scopes, []byte(scope))
		}
		f.Removed = append(f.Removed, []byte(t.Team))
		for _, k := range t.Keys {
			f := row.AddFact(tokenwatch.FactCreated)
			f.Subject = append(f.Subject, k.Names...)
			if k.Secret != nil {
				row.AddIncidental("inventory", k.Secret)
				f.Secret = len(row.Credentials)
			}
		}
		s.Seal(&row, &b)
	}
	batch := b.Batch()
	return batch.Facts(), batch.Names()
}

// sealedToken takes the facts of a token off the front.
func sealedToken(t *enrich.Token, facts *[]tokenwatch.Fact) tokenwatch.InventoryToken {
	f := (*facts)[0]
	out := t.InventoryToken
	out.Lineage, out.Owner, out.Label, out.TokenType = f.Lineage, f.Owner, f.Label, f.TokenType
	out.App, out.Env, out.Purpose, out.Scopes, out.Team = f.App, f.Env, f.Place, f.Scopes, f.Removed[0]
	if len(t.Keys) == 0 && f.Token != "" {
		out.Keys = append(out.Keys, tokenwatch.InventoryKey{Token: f.Token, Created: t.Created})
	}
	for i, k := range t.Keys {
		if id := (*facts)[1+i].Token; id != "" {
			out.Keys = append(out.Keys, tokenwatch.InventoryKey{Token: id, Created: k.Created})
		}
	}
	*facts = (*facts)[1+len(t.Keys):]
	return out
}
