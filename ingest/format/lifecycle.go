package format

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// factPart is which part of a fact about a token a field tells. What a record
// tells of a token counts only where its action is one that says so (+ in the
// table of actions) and has succeeded; the field is an attr in any case, unless
// it holds the secret.
type factPart uint8

const (
	factSubject        factPart = iota // a name of the token: subject:kind, @ its scope
	factPrevious                       // a name of the one before it: previous:kind
	factSecret                         // the token itself
	factPreviousSecret                 // the one before it
	factLineage                        // an id over several secrets in turn
	factOwner
	factLabel
	factType
	factApp
	factEnv
	factScope   // one of the scopes granted, or several with spaces or commas between
	factGrant   // what a member of an object of permissions is set to: name and value are a scope
	factRemoved // one of those taken away, or several
	factExpires // a time
	factTTL     // a number of seconds from the record's time on
	factUntil   // a time
	factPlace   // where it leaked
)

var factParts = map[string]factPart{
	"subject": factSubject, "previous": factPrevious, "secret": factSecret, "previous_secret": factPreviousSecret, "lineage": factLineage,
	"owner": factOwner, "label": factLabel, "type": factType, "app": factApp, "env": factEnv, "scope": factScope, "grant": factGrant, "removed": factRemoved,
	"expires": factExpires, "ttl": factTTL, "until": factUntil, "place": factPlace,
}

// factRule reads what stands behind fact. in a table.
func factRule(s string) (rule, bool) {
	part, arg, _ := strings.Cut(s, ":")
	p, ok := factParts[part]
	r := rule{op: toFact, fact: p}
	if p == factSubject || p == factPrevious {
		name, issuer, _ := strings.Cut(arg, "@")
		r.name, r.issuer, ok = tokenwatch.NameKind(name), issuer, ok && knownKind(name)
	}
	return r, ok
}

// heldPart is a part of a fact until the record's end tells whether it is one.
type heldPart struct {
	part   factPart
	kind   tokenwatch.NameKind
	issuer string
	value  []byte
	secret int // one more than the place in Row.Credentials
	group  int // of several facts of a record
}

// groupOf is the index behind the part of a path by which facts are told apart.
func (w *walker) groupOf(f *field) int {
	if w.each == "" {
		return 0
	}
	_, rest, ok := bytes.Cut(f.full, []byte(w.each))
	if !ok {
		return 0
	}
	rest, _, _ = bytes.Cut(rest, []byte("."))
	n, _ := digits(rest)
	return int(n)
}

// holdFact takes a part of a fact, and tells whether it must not be shown.
func (w *walker) holdFact(f *field, r *rule, v []byte) bool {
	h := heldPart{part: r.fact, kind: r.name, issuer: r.issuer, value: v, group: w.groupOf(f)}
	if r.fact == factGrant {
		name := f.full[bytes.LastIndexByte(f.full, '.')+1:]
		h.part, h.value = factScope, w.row.Build(func(b []byte) []byte { return append(append(append(b, name...), ':'), v...) })
	}
	hidden := r.fact == factSecret || r.fact == factPreviousSecret
	if hidden {
		if masked(v) {
			return false
		}
		if isAccessKey(v) { // a name, whatever the product takes it for
			part := factSubject
			if r.fact == factPreviousSecret {
				part = factPrevious
			}
			w.parts = append(w.parts, heldPart{part: part, kind: tokenwatch.NameAccessKeyID, issuer: "aws", value: v, group: h.group})
			return false
		}
		w.row.AddIncidental("secret", v)
		h.value, h.secret = nil, len(w.row.Credentials)
	}
	w.parts = append(w.parts, h)
	return hidden
}

// hold adds a part of a fact that a table cannot tell; an empty value is ignored.
func (p *auditParser) hold(h heldPart) {
	if len(h.value) > 0 {
		p.parts = append(p.parts, h)
	}
}

// namesAreSubject makes the names of the row's token those of the token that its
// fact is about: the record tells of no other.
func (p *auditParser) namesAreSubject() {
	for _, n := range p.row.Names {
		p.hold(heldPart{part: factSubject, kind: n.Kind, issuer: n.Issuer, value: n.Value})
	}
	p.row.Names = p.row.Names[:0]
}

// settleFacts makes the record's facts of their parts, if its action is one. Without
// a token there is none, unless an owner has left.
func (p *auditParser) settleFacts(m *meaning) {
	if len(p.parts) == 0 || m == nil || m.fact == "" {
		return
	}
	if o := p.row.Text(tokenwatch.ColOutcome); string(o) != "success" && m.fact != tokenwatch.FactDenied && m.fact != tokenwatch.FactLeaked {
		return
	}
	for rest := p.parts; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].group == rest[0].group {
			n++
		}
		p.settleFact(m, rest[:n])
		rest = rest[n:]
	}
}

// settleFact makes one of the record's facts.
func (p *auditParser) settleFact(m *meaning, parts []heldPart) {
	known := m.fact == tokenwatch.FactOwnerLeft
	for i := range parts {
		h := &parts[i]
		known = known || h.part == factLineage || h.secret > 0 && h.part == factSecret || h.part == factSubject && !masked(h.value)
	}
	if !known {
		return
	}
	row := p.row
	f := row.AddFact(m.fact)
	if m.typ != "" {
		f.TokenType = row.Keep(m.typ)
	}
	if m.own {
		f.Owner = row.Text(tokenwatch.ColActor)
	}
	for i := range parts {
		parts[i].into(f, row)
	}
	if f.Kind == tokenwatch.FactScopeChanged && len(f.Removed) > 0 {
		// Lists of before and after: what is in both did not change.
		before := slices.Clone(f.Removed)
		f.Removed = without(f.Removed, f.Scopes)
		f.Scopes = without(f.Scopes, before)
	}
}

// without leaves out the words that others hold.
func without(words, others [][]byte) [][]byte {
	return slices.DeleteFunc(words, func(w []byte) bool {
		return slices.ContainsFunc(others, func(o []byte) bool { return bytes.Equal(w, o) })
	})
}

// into gives the fact a part. Of one that comes twice the first counts, where
// the fact has room for one only.
func (h *heldPart) into(f *tokenwatch.RowFact, row *tokenwatch.Row) {
	text := func(t *[]byte) {
		if *t == nil {
			*t = h.value
		}
	}
	switch h.part {
	case factSubject:
		if !masked(h.value) && !named(f.Subject, h) {
			f.AddName(h.kind, h.issuer, h.value)
		}
	case factPrevious:
		if !masked(h.value) && !named(f.Previous, h) {
			f.AddPrevious(h.kind, h.issuer, h.value)
		}
	case factSecret:
		if f.Secret == 0 {
			f.Secret = h.secret
		}
	case factPreviousSecret:
		if f.PreviousSecret == 0 {
			f.PreviousSecret = h.secret
		}
	case factLineage:
		text(&f.Lineage)
	case factOwner:
		f.Owner = h.value
	case factLabel:
		text(&f.Label)
	case factType:
		f.TokenType = h.value
	case factApp:
		text(&f.App)
	case factEnv:
		text(&f.Env)
	case factScope:
		f.Scopes = appendWords(f.Scopes, h.value)
	case factRemoved:
		f.Removed = appendWords(f.Removed, h.value)
	case factExpires:
		if ns, ok := normalize.ParseTime(h.value); ok {
			f.Expires = ns
		}
	case factTTL:
		if s, ok := integer(h.value); ok && s > 0 && s < 1<<32 && row.Has(tokenwatch.ColTime) {
			f.Expires = row.Int(tokenwatch.ColTime) + s*1e9
		}
	case factUntil:
		if ns, ok := normalize.ParseTime(h.value); ok {
			f.Until = ns
		}
	case factPlace:
		text(&f.Place)
	}
}

// named tells whether the names hold what h says already.
func named(names []tokenwatch.Name, h *heldPart) bool {
	for _, n := range names {
		if n.Kind == h.kind && n.Issuer == h.issuer && bytes.Equal(n.Value, h.value) {
			return true
		}
	}
	return false
}

// appendWords appends the words of a list as products write them: "a b",
// "a, b", `["a","b"]`.
func appendWords(dst [][]byte, v []byte) [][]byte {
	for word := range bytes.FieldsFuncSeq(v, func(r rune) bool {
		return r == ' ' || r == ',' || r == '[' || r == ']' || r == '"' || r == '\n'
	}) {
		dst = append(dst, word)
	}
	return dst
}
