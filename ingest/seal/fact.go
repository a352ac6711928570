package seal

import "github.com/tokenwatch/tokenwatch"

// about adds the lineage of a fact as a name of its token where the fact has no
// other: an id of the issuer's, by which logs may know the token too.
func about(f *tokenwatch.RowFact) {
	if len(f.Subject) == 0 && f.Secret == 0 && f.Kind != tokenwatch.FactOwnerLeft {
		f.AddName(tokenwatch.NameProviderID, "", f.Lineage)
	}
}

// subject returns the id of the token that a fact is about: that of its secret,
// else of its strongest name.
func (s *Sealer) subject(secret int, names []tokenwatch.Name) tokenwatch.TokenID {
	e := (*entry)(nil)
	if secret > 0 && secret <= len(s.given) {
		e = s.given[secret-1]
	}
	if e == nil {
		e = s.strongest(names)
	}
	if e == nil {
		return ""
	}
	return e.id
}

// nameFacts notes the names that the row's facts give their tokens.
func (s *Sealer) nameFacts(row *tokenwatch.Row) {
	for i := range row.Facts {
		f := &row.Facts[i]
		if id := s.subject(f.Secret, f.Subject); id != "" {
			s.nameAs(f.Subject, []byte(id))
		}
		if id := s.subject(f.PreviousSecret, f.Previous); id != "" {
			s.nameAs(f.Previous, []byte(id))
		}
	}
}

// fact returns a fact whose texts have been sealed.
func (s *Sealer) fact(f *tokenwatch.RowFact) tokenwatch.Fact {
	return tokenwatch.Fact{
		Kind:     f.Kind,
		Token:    s.subject(f.Secret, f.Subject),
		Previous: s.subject(f.PreviousSecret, f.Previous),
		Lineage:  display(f.Lineage),
		Owner:    display(f.Owner), Label: display(f.Label), TokenType: display(f.TokenType), App: display(f.App), Env: display(f.Env),
		Scopes: displayAll(f.Scopes), Removed: displayAll(f.Removed),
		Expires: f.Expires, Until: f.Until,
		Place: display(f.Place),
	}
}

func displayAll(texts [][]byte) []string {
	if len(texts) == 0 {
		return nil
	}
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = display(t)
	}
	return out
}
