package query

import (
	"encoding/json"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// cell is a column of a table that is made of objects.
type cell[T any] struct {
	name string
	typ  expr.Type
	get  func(*T) expr.Value
}

// base returns the table of a name, called alias here; nil if there is none.
func (x *execution) base(name, alias string) (relation, error) {
	c := &x.engine.config
	switch name {
	case "events":
		return &events{alias: alias}, nil
	case "series":
		return &seriesTable{alias}, nil
	case "tokens":
		if c.Tokens != nil {
			return objects(name, alias, tokenCells, x.eachToken), nil
		}
	case "findings":
		if c.Findings != nil {
			return objects(name, alias, findingCells, x.eachFinding), nil
		}
	case "history":
		if c.History != nil && !x.auditor {
			return nil, ErrForbidden
		}
		if c.History != nil {
			return objects(name, alias, leafCells, x.eachLeaf), nil
		}
	}
	return nil, nil
}

func (x *execution) tableNames() []string {
	names := []string{"events", "series"}
	if x.engine.config.Tokens != nil {
		names = append(names, "tokens")
	}
	if x.engine.config.Findings != nil {
		names = append(names, "findings")
	}
	if x.engine.config.History != nil {
		names = append(names, "history")
	}
	return names
}

// objects is a table whose rows are made of objects that each yields.
func objects[T any](name, alias string, cells []cell[T], each func(yield func(*T) error) error) relation {
	s := &stored{name: name}
	for _, c := range cells {
		f := field{table: alias, name: c.name, typ: c.typ, token: c.name == "token"}
		if name == "tokens" && c.name == "id" { // the same as token, as the API has it
			f.token, f.extra = true, true
		}
		s.names = append(s.names, f)
	}
	s.fill = func(x *execution, t *table) error {
		row := make([]expr.Vec, len(cells))
		return each(func(o *T) error {
			for i, c := range cells {
				v := c.get(o)
				v.Type = c.typ
				row[i] = expr.ConstOf(v)
			}
			t.add(row, 0)
			if t.n%1024 == 0 {
				if err := x.alive(); err != nil {
					return err
				}
				return t.recharge(x)
			}
			return nil
		})
	}
	return s
}

// orNull is a text, null if it is empty.
func orNull(s string) expr.Value { return expr.Value{Text: s, Null: s == ""} }

// at is a time, null if it is none.
func at(t time.Time) expr.Value { return expr.Value{Int: t.UnixNano(), Null: t.IsZero()} }

// asJSON is a list as JSON.
func asJSON(v any) expr.Value {
	b, err := json.Marshal(v)
	if err != nil {
		return expr.Value{Null: true}
	}
	if string(b) == "null" {
		b = []byte("[]")
	}
	return expr.Value{Text: string(b)}
}

type finding = tokenwatch.Finding

var findingCells = []cell[finding]{
	{"id", expr.TypeText, func(f *finding) expr.Value { return orNull(f.ID) }},
	{"time", expr.TypeTime, func(f *finding) expr.Value { return at(f.Time) }},
	{"severity", expr.TypeText, func(f *finding) expr.Value { return orNull(string(f.Severity)) }},
	{"score", expr.TypeInt, func(f *finding) expr.Value { return expr.Int(int64(f.Score)) }},
	{"kind", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Kind) }},
	{"class", expr.TypeText, func(f *finding) expr.Value { return orNull(string(f.Class)) }},
	{"entity_kind", expr.TypeText, func(f *finding) expr.Value { return orNull(f.EntityKind.String()) }},
	{"entity", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Entity) }},
	{"token", expr.TypeText, func(f *finding) expr.Value { return orNull(string(f.Token)) }},
	{"token_aliases", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.Aliases) }},
	{"actor", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Actor) }},
	{"src_ip", expr.TypeText, func(f *finding) expr.Value { return orNull(f.SrcIP) }},
	{"summary", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Summary) }},
	{"detectors", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.Detectors) }},
	{"window_start", expr.TypeTime, func(f *finding) expr.Value { return at(f.Window.Start) }},
	{"window_end", expr.TypeTime, func(f *finding) expr.Value { return at(f.Window.End) }},
	{"status", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Status) }},
	{"verdict", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Verdict) }},
	{"note", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Note) }},
	{"revision", expr.TypeInt, func(f *finding) expr.Value { return expr.Int(int64(f.Revision)) }},
	{"settled", expr.TypeBool, func(f *finding) expr.Value { return expr.Bool(f.Settled) }},
	{"withdrawn", expr.TypeBool, func(f *finding) expr.Value { return expr.Bool(f.Withdrawn) }},
	{"learning", expr.TypeBool, func(f *finding) expr.Value { return expr.Bool(f.Learning) }},
	{"attack", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.Attack) }},
	{"request_ids", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.RequestIDs) }},
	{"reasons", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.Reasons) }},
	{"evidence", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.Evidence) }},
	{"continues", expr.TypeText, func(f *finding) expr.Value { return orNull(f.Continues) }},
	{"merged_into", expr.TypeText, func(f *finding) expr.Value { return orNull(f.MergedInto) }},
	{"members", expr.TypeJSON, func(f *finding) expr.Value { return asJSON(f.Members) }},
	{"member_count", expr.TypeInt, func(f *finding) expr.Value { return expr.Int(int64(f.MemberCount)) }},
	{"raised", expr.TypeTime, func(f *finding) expr.Value { return at(f.Raised) }},
	{"update", expr.TypeInt, func(f *finding) expr.Value { return expr.Int(int64(f.Update)) }},
	{"history_index", expr.TypeInt, func(f *finding) expr.Value { return expr.Int(int64(f.HistoryIndex)) }},
}

// eachFinding yields the last revision of every finding.
func (x *execution) eachFinding(yield func(*finding) error) error {
	for f, err := range x.engine.config.Findings.Findings(x.ctx, x.tenant) {
		if err != nil {
			return err
		}
		if f.Tenant != x.tenant {
			continue
		}
		if err := yield(&f); err != nil {
			return err
		}
	}
	return nil
}

type token = tokenwatch.TokenRecord

// sighting is a part of the first or last use of a token, null if it was not seen.
func sighting(s *tokenwatch.Sighting, get func(*tokenwatch.Sighting) expr.Value) expr.Value {
	if s == nil {
		return expr.Value{Null: true}
	}
	return get(s)
}

func seenAt(s *tokenwatch.Sighting) expr.Value     { return at(s.Time) }
func seenFrom(s *tokenwatch.Sighting) expr.Value   { return orNull(s.SrcIP) }
func seenAction(s *tokenwatch.Sighting) expr.Value { return orNull(s.Action) }

var tokenCells = []cell[token]{
	{"id", expr.TypeText, func(t *token) expr.Value { return orNull(string(t.ID)) }},
	{"token", expr.TypeText, func(t *token) expr.Value { return orNull(string(t.ID)) }},
	{"names", expr.TypeJSON, func(t *token) expr.Value { return asJSON(t.Names) }},
	{"state", expr.TypeText, func(t *token) expr.Value { return orNull(string(t.State)) }},
	{"kind", expr.TypeText, func(t *token) expr.Value { return orNull(t.Kind) }},
	{"issuer", expr.TypeText, func(t *token) expr.Value { return orNull(t.Issuer) }},
	{"type", expr.TypeText, func(t *token) expr.Value { return orNull(t.Type) }},
	{"label", expr.TypeText, func(t *token) expr.Value { return orNull(t.Label) }},
	{"owner", expr.TypeText, func(t *token) expr.Value { return orNull(t.Owner) }},
	{"team", expr.TypeText, func(t *token) expr.Value { return orNull(t.Team) }},
	{"purpose", expr.TypeText, func(t *token) expr.Value { return orNull(t.Purpose) }},
	{"app", expr.TypeText, func(t *token) expr.Value { return orNull(t.App) }},
	{"env", expr.TypeText, func(t *token) expr.Value { return orNull(t.Env) }},
	{"scopes", expr.TypeJSON, func(t *token) expr.Value { return asJSON(t.Scopes) }},
	{"scopes_used", expr.TypeJSON, func(t *token) expr.Value { return asJSON(t.Used) }},
	{"networks", expr.TypeJSON, func(t *token) expr.Value { return asJSON(t.Sources) }},
	{"known", expr.TypeBool, func(t *token) expr.Value { return expr.Bool(t.Known) }},
	{"events", expr.TypeInt, func(t *token) expr.Value { return expr.Int(t.Events) }},
	{"first_seen", expr.TypeTime, func(t *token) expr.Value { return sighting(t.First, seenAt) }},
	{"first_src_ip", expr.TypeText, func(t *token) expr.Value { return sighting(t.First, seenFrom) }},
	{"last_seen", expr.TypeTime, func(t *token) expr.Value { return sighting(t.Last, seenAt) }},
	{"last_src_ip", expr.TypeText, func(t *token) expr.Value { return sighting(t.Last, seenFrom) }},
	{"last_action", expr.TypeText, func(t *token) expr.Value { return sighting(t.Last, seenAction) }},
	{"last_used", expr.TypeTime, func(t *token) expr.Value { return at(t.LastUsed) }},
	{"created", expr.TypeTime, func(t *token) expr.Value { return at(t.Created) }},
	{"created_by", expr.TypeText, func(t *token) expr.Value { return orNull(t.CreatedBy) }},
	{"expires", expr.TypeTime, func(t *token) expr.Value { return at(t.Expires) }},
	{"never_expires", expr.TypeBool, func(t *token) expr.Value { return expr.Bool(t.NeverExpires) }},
	{"rotated", expr.TypeTime, func(t *token) expr.Value { return at(t.Rotated) }},
	{"rotated_from", expr.TypeText, func(t *token) expr.Value { return orNull(string(t.RotatedFrom)) }},
	{"rotated_to", expr.TypeText, func(t *token) expr.Value { return orNull(string(t.RotatedTo)) }},
	{"revoked", expr.TypeTime, func(t *token) expr.Value { return at(t.Revoked) }},
	{"revoked_by", expr.TypeText, func(t *token) expr.Value { return orNull(t.RevokedBy) }},
	{"expired", expr.TypeTime, func(t *token) expr.Value { return at(t.Expired) }},
	{"disabled", expr.TypeTime, func(t *token) expr.Value { return at(t.Disabled) }},
	{"owner_left", expr.TypeTime, func(t *token) expr.Value { return at(t.OwnerLeft) }},
	{"lineage", expr.TypeText, func(t *token) expr.Value { return orNull(t.Lineage) }},
	{"exposure", expr.TypeJSON, func(t *token) expr.Value { return asJSON(t.Exposed) }},
	{"coverage", expr.TypeJSON, func(t *token) expr.Value { return asJSON(t.Coverage) }},
}

// eachToken yields the inventory.
func (x *execution) eachToken(yield func(*token) error) error {
	for t, err := range x.engine.config.Tokens.Tokens(x.ctx, x.tenant, "") {
		if err != nil {
			return err
		}
		if t.Tenant != "" && t.Tenant != x.tenant {
			continue
		}
		if err := yield(&t); err != nil {
			return err
		}
	}
	return nil
}

// body is what a leaf states, if it is of that type.
func body[T any](l *history.Leaf, get func(*T) expr.Value) expr.Value {
	if b, ok := l.Body.(any).(*T); ok {
		return get(b)
	}
	return expr.Value{Null: true}
}

// firstOf is the first of values that is known.
func firstOf(values ...expr.Value) expr.Value {
	for _, v := range values {
		if !v.Null {
			return v
		}
	}
	return expr.Value{Null: true}
}

func number(n uint64) expr.Value { return expr.Value{Int: int64(n)} }

var leafCells = []cell[history.Leaf]{
	{"index", expr.TypeInt, func(l *history.Leaf) expr.Value { return number(l.Index) }},
	{"time", expr.TypeTime, func(l *history.Leaf) expr.Value { return at(l.Time) }},
	{"kind", expr.TypeText, func(l *history.Leaf) expr.Value { return orNull(l.Kind().String()) }},
	{"clock", expr.TypeInt, func(l *history.Leaf) expr.Value { return number(l.Clock) }},
	{"verb", expr.TypeText, func(l *history.Leaf) expr.Value {
		return body(l, func(a *history.AdminAction) expr.Value { return orNull(a.Verb) })
	}},
	{"object", expr.TypeText, func(l *history.Leaf) expr.Value {
		return body(l, func(a *history.AdminAction) expr.Value { return orNull(a.Object) })
	}},
	{"detail", expr.TypeText, func(l *history.Leaf) expr.Value {
		return body(l, func(a *history.AdminAction) expr.Value { return orNull(a.Detail) })
	}},
	{"finding", expr.TypeText, func(l *history.Leaf) expr.Value {
		return body(l, func(f *history.Finding) expr.Value { return orNull(f.ID) })
	}},
	{"revision", expr.TypeInt, func(l *history.Leaf) expr.Value {
		return body(l, func(f *history.Finding) expr.Value { return number(f.Revision) })
	}},
	{"score", expr.TypeInt, func(l *history.Leaf) expr.Value {
		return body(l, func(f *history.Finding) expr.Value { return expr.Int(f.Score) })
	}},
	{"log_offset", expr.TypeInt, func(l *history.Leaf) expr.Value {
		return firstOf(
			body(l, func(s *history.Segment) expr.Value { return number(s.Offset) }),
			body(l, func(c *history.Conflict) expr.Value { return number(c.Offset) }))
	}},
	{"rows", expr.TypeInt, func(l *history.Leaf) expr.Value {
		return firstOf(
			body(l, func(s *history.Segment) expr.Value { return number(s.Rows) }),
			body(l, func(r *history.Retention) expr.Value { return number(r.Rows) }))
	}},
	{"rejected", expr.TypeInt, func(l *history.Leaf) expr.Value {
		return firstOf(
			body(l, func(s *history.Segment) expr.Value { return number(s.Rejected) }),
			body(l, func(s *history.Summary) expr.Value { return number(s.Rejected) }))
	}},
	{"bytes", expr.TypeInt, func(l *history.Leaf) expr.Value {
		return body(l, func(s *history.Segment) expr.Value { return number(s.Bytes) })
	}},
}

// eachLeaf yields the leaves of the history.
func (x *execution) eachLeaf(yield func(*history.Leaf) error) error {
	for leaf, err := range x.engine.config.History.Leaves(x.ctx, x.tenant, 0) {
		if err != nil {
			return err
		}
		l, err := history.Decode(leaf.Bytes)
		if err != nil {
			return err
		}
		if err := yield(&l); err != nil {
			return err
		}
	}
	return nil
}
