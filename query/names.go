package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
	"github.com/tokenwatch/tokenwatch/storage"
)

// find returns the place of a column.
func (s *scope) find(n *sql.Name) (int, error) {
	found := -1
	for i, f := range s.fields {
		if f.name != n.Column || n.Table != "" && f.table != n.Table {
			continue
		}
		if found >= 0 {
			return 0, s.fail(n, "the column is in more than one table: write it as %s.%s or %s.%s", s.fields[found].table, f.name, f.table, f.name)
		}
		found = i
	}
	if found >= 0 {
		return found, nil
	}
	// The names that ECS and OCSF give the columns of events are known, too.
	full := n.Column
	if n.Table != "" {
		full = n.Table + "." + n.Column
	}
	if c, ok := tokenwatch.ColumnByName(full); ok {
		for i, f := range s.fields {
			if f.name == c.String() {
				return i, nil
			}
		}
	}
	return 0, s.unknown(n)
}

func (s *scope) unknown(n *sql.Name) error {
	if len(s.fields) == 0 {
		return s.fail(n, "a name where there is no column: texts are written in single quotes, tables follow FROM")
	}
	tables := false
	best, least := "", 1<<30
	for _, f := range s.fields {
		tables = tables || f.table == n.Table
		if d := distance(strings.ToLower(n.Column), f.name); d < least {
			best, least = f.name, d
		}
	}
	if n.Table != "" && !tables {
		return s.fail(n, "no table or alias of that name; there are %s", strings.Join(s.tableNames(), ", "))
	}
	return s.fail(n, "no column of that name; the nearest is %s; texts are written in single quotes", best)
}

func (s *scope) tableNames() []string {
	var out []string
	for _, f := range s.fields {
		if !slices.Contains(out, f.table) {
			out = append(out, f.table)
		}
	}
	return out
}

// distance is Levenshtein's.
func distance(a, b string) int {
	if len(a) > 64 {
		a = a[:64]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			up := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, up+1, row[j]+1)
			diagonal = up
		}
	}
	return row[len(b)]
}

func (s *scope) bindName(e *sql.Name) (expr.Expr, error) {
	i, err := s.find(e)
	if err != nil {
		return nil, err
	}
	f := s.fields[i]
	if s.named != nil {
		s.named[f.table+"."+f.name] = true
	}
	if s.groups != nil && !s.inAgg {
		return nil, s.fail(e, "the column %s is neither in GROUP BY nor within an aggregate such as max(%s)", f.name, f.name)
	}
	return expr.Column(i, f.typ), nil
}

// bindToken compares a column of token ids with a text: any name of the token
// will do. It returns nil where that is not what is asked.
func (s *scope) bindToken(e *sql.Binary) (expr.Expr, error) {
	name, ok := e.L.(*sql.Name)
	text, isText := e.R.(*sql.Text)
	if !ok || !isText {
		name, ok = e.R.(*sql.Name)
		text, isText = e.L.(*sql.Text)
	}
	if !ok || !isText || !s.isToken(name) {
		return nil, nil
	}
	x, err := s.bind(name)
	if err != nil {
		return nil, err
	}
	values, err := s.tokenValues(text.Value)
	if err != nil {
		return nil, err
	}
	return expr.In(x, values, e.Op == "<>")
}

func (s *scope) isToken(e sql.Expr) bool {
	n, ok := e.(*sql.Name)
	if !ok {
		return false
	}
	i, err := s.find(n)
	return err == nil && s.fields[i].token
}

func (s *scope) tokenValues(name string) ([]expr.Value, error) {
	ids, err := s.x.engine.tokenIDs(s.x.ctx, s.x.tenant, name)
	if err != nil {
		return nil, err
	}
	var out []expr.Value
	for _, id := range ids {
		out = append(out, expr.Text(id))
	}
	return out, nil
}

// tokenIDs returns the ids that a name of a token stands for: the name as it is,
// what it is turned into, and the ids by which events know the token so called.
func (e *Engine) tokenIDs(ctx context.Context, tenant, name string) ([]string, error) {
	ids := []string{name}
	if e.config.Names != nil {
		ids = e.config.Names(tenant, name)
	}
	if e.config.Tokens == nil {
		return ids, nil
	}
	for _, n := range ids[:len(ids):len(ids)] {
		t, err := e.config.Tokens.Token(ctx, tenant, n)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("look up the token: %w", err)
		}
		ids = append(ids, string(t.ID))
		for _, same := range t.SameAs {
			ids = append(ids, string(same))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
