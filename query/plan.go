package query

import (
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
)

// Column is a column of an answer.
type Column struct {
	Name  string
	Type  expr.Type
	token bool
}

func typesOf(columns []Column) []expr.Type {
	out := make([]expr.Type, len(columns))
	for i, c := range columns {
		out[i] = c.Type
	}
	return out
}

// plan is one SELECT, bound. Expressions of groups are over the columns of from;
// having, project and order over those of the aggregation, where there is one.
type plan struct {
	from   relation
	where  expr.Expr
	need   []bool  // of from
	groups *groups // nil: no aggregation
	having expr.Expr

	project  []expr.Expr // columns, then hidden ones that only order needs
	columns  []Column
	distinct bool
	order    []orderKey
	limit    int64 // negative: none
	offset   int64
}

// orderKey is one column to sort by.
type orderKey struct {
	column     int // of project
	descending bool
	nullsFirst bool
}

// plan binds a SELECT.
func (x *execution) plan(q *sql.Select, with []sql.CTE) (*plan, error) {
	with = append(with[:len(with):len(with)], q.With...)
	p := &plan{limit: -1, offset: q.Offset, distinct: q.Distinct}
	if q.Limit != nil {
		p.limit = *q.Limit
	}
	named := make(map[string]bool)
	var err error
	if p.from, err = x.from(q.From, with, named); err != nil {
		return nil, err
	}
	s := &scope{x: x, with: with, fields: p.from.fields(), named: named}
	if q.Where != nil {
		if p.where, err = s.condition(q.Where); err != nil {
			return nil, err
		}
	}
	items, err := s.expand(q)
	if err != nil {
		return nil, err
	}
	if len(q.GroupBy) > 0 || q.Having != nil || hasAggregate(items, q.OrderBy) {
		if err := s.group(q, items); err != nil {
			return nil, err
		}
	}
	p.groups = s.groups
	for _, it := range items {
		e, err := s.bind(it.Expr)
		if err != nil {
			return nil, err
		}
		c := Column{Name: nameOf(it), Type: e.Type()}
		if i, ok := expr.ColumnAt(e); ok && s.groups == nil {
			c.token = s.fields[i].token
		} else if ok && i < len(s.groups.keys) {
			if j, isField := expr.ColumnAt(s.groups.keys[i]); isField {
				c.token = s.fields[j].token
			}
		}
		if c.Type == expr.TypeNull {
			c.Type = expr.TypeText
			if e, err = expr.NewCast(e, expr.TypeText); err != nil {
				return nil, err
			}
		}
		p.project, p.columns = append(p.project, e), append(p.columns, c)
	}
	if q.Having != nil {
		if p.having, err = s.condition(aliased(q.Having, items, s)); err != nil {
			return nil, err
		}
	}
	if err := p.bindOrder(s, q, items); err != nil {
		return nil, err
	}
	for i, c := range p.columns {
		if c.Type == expr.TypeMap {
			p.columns[i].Type = expr.TypeJSON
		}
	}
	p.need = p.needed(len(s.fields))
	x.leaveOutDuplicates(p.from, named)
	return p, nil
}

// nameOf is what a column of the answer is called: as it was written, but for
// long texts, which the answer does not repeat.
func nameOf(it sql.Item) string {
	if it.As != "" {
		return it.As
	}
	switch e := it.Expr.(type) {
	case *sql.Name:
		return e.Column
	case *sql.Index:
		return e.Key
	}
	const longest = 12
	var b strings.Builder
	for i, part := range strings.Split(strings.Join(strings.Fields(it.Text), " "), "'") {
		switch {
		case i%2 == 0:
			b.WriteString(part)
		case len(part) > longest:
			b.WriteString("'…'")
		default:
			b.WriteString("'" + part + "'")
		}
	}
	return b.String()
}

// expand replaces * by the columns it stands for.
func (s *scope) expand(q *sql.Select) ([]sql.Item, error) {
	var out []sql.Item
	for _, it := range q.Items {
		star, ok := it.Expr.(*sql.Star)
		if !ok {
			out = append(out, it)
			continue
		}
		found := false
		for _, f := range s.fields {
			if f.extra || star.Table != "" && f.table != star.Table {
				continue
			}
			found = true
			out = append(out, sql.Item{Expr: &sql.Name{At: star.At, Table: f.table, Column: f.name}})
		}
		if !found {
			return nil, s.fail(star, "there are no columns for * to stand for; tables follow FROM")
		}
	}
	return out, nil
}

func hasAggregate(items []sql.Item, order []sql.Order) bool {
	for _, it := range items {
		if aggregateIn(it.Expr) {
			return true
		}
	}
	return slices.ContainsFunc(order, func(o sql.Order) bool { return aggregateIn(o.Expr) })
}

func aggregateIn(e sql.Expr) bool {
	switch e := e.(type) {
	case *sql.Call:
		if _, ok := aggregateNames[e.Name]; ok {
			return true
		}
		return slices.ContainsFunc(e.Args, aggregateIn)
	case *sql.Unary:
		return aggregateIn(e.X)
	case *sql.Binary:
		return aggregateIn(e.L) || aggregateIn(e.R)
	case *sql.Is:
		return aggregateIn(e.X)
	case *sql.Like:
		return aggregateIn(e.X)
	case *sql.Between:
		return aggregateIn(e.X) || aggregateIn(e.Low) || aggregateIn(e.High)
	case *sql.In:
		return aggregateIn(e.X) || slices.ContainsFunc(e.List, aggregateIn)
	case *sql.Cast:
		return aggregateIn(e.X)
	case *sql.Case:
		for _, w := range e.Whens {
			if aggregateIn(w.If) || aggregateIn(w.Then) {
				return true
			}
		}
		return e.Of != nil && aggregateIn(e.Of) || e.Else != nil && aggregateIn(e.Else)
	}
	return false
}

// group binds GROUP BY. A key is an expression, the number of an item or its alias.
func (s *scope) group(q *sql.Select, items []sql.Item) error {
	g := &groups{}
	for _, e := range q.GroupBy {
		if n, ok := e.(*sql.Int); ok {
			if n.Value < 1 || n.Value > int64(len(items)) {
				return s.fail(e, "GROUP BY names item %d of %d", n.Value, len(items))
			}
			e = items[n.Value-1].Expr
		} else if n, ok := e.(*sql.Name); ok && n.Table == "" {
			if _, err := s.find(n); err != nil {
				if it := itemNamed(items, n.Column); it != nil {
					e = it
				}
			}
		}
		if aggregateIn(e) {
			return s.fail(e, "an aggregate in GROUP BY")
		}
		key, err := s.bind(e)
		if err != nil {
			return err
		}
		g.keys, g.texts = append(g.keys, key), append(g.texts, s.canon(e))
	}
	s.groups = g
	return nil
}

func itemNamed(items []sql.Item, name string) sql.Expr {
	for _, it := range items {
		if it.As == name {
			return it.Expr
		}
	}
	return nil
}

// aliased replaces names of items, which HAVING may use, by what they stand for.
func aliased(e sql.Expr, items []sql.Item, s *scope) sql.Expr {
	switch e := e.(type) {
	case *sql.Name:
		if _, err := s.find(e); err != nil && e.Table == "" {
			if it := itemNamed(items, e.Column); it != nil {
				return it
			}
		}
	case *sql.Unary:
		return &sql.Unary{At: e.At, Op: e.Op, X: aliased(e.X, items, s)}
	case *sql.Binary:
		return &sql.Binary{At: e.At, Op: e.Op, L: aliased(e.L, items, s), R: aliased(e.R, items, s)}
	case *sql.Between:
		return &sql.Between{At: e.At, X: aliased(e.X, items, s), Low: aliased(e.Low, items, s), High: aliased(e.High, items, s), Not: e.Not}
	case *sql.Is:
		return &sql.Is{At: e.At, X: aliased(e.X, items, s), What: e.What, Not: e.Not}
	}
	return e
}

// bindOrder binds ORDER BY: the number or alias of an item, or an expression. What
// is no item becomes a hidden column.
func (p *plan) bindOrder(s *scope, q *sql.Select, items []sql.Item) error {
	for _, o := range q.OrderBy {
		k := orderKey{column: -1, descending: o.Descending, nullsFirst: o.Descending}
		if o.NullsFirst != nil {
			k.nullsFirst = *o.NullsFirst
		}
		e := o.Expr
		switch n := e.(type) {
		case *sql.Int:
			if n.Value < 1 || n.Value > int64(len(items)) {
				return s.fail(e, "ORDER BY names item %d of %d", n.Value, len(items))
			}
			k.column = int(n.Value - 1)
		case *sql.Name:
			for i, it := range items {
				if n.Table == "" && it.As == n.Column {
					k.column = i
				}
			}
		}
		if k.column < 0 {
			text := s.canon(e)
			for i, it := range items {
				if s.canon(it.Expr) == text {
					k.column = i
					break
				}
			}
		}
		if k.column < 0 {
			if p.distinct {
				return s.fail(e, "with DISTINCT, ORDER BY can only name what is selected")
			}
			x, err := s.bind(aliased(e, items, s))
			if err != nil {
				return err
			}
			k.column = len(p.project)
			p.project = append(p.project, x)
		}
		if t := p.project[k.column].Type(); t == expr.TypeMap {
			return s.fail(e, "attrs as a whole has no order: name a key, attrs['key']")
		}
		p.order = append(p.order, k)
	}
	return nil
}

// needed are the columns of from that the plan names.
func (p *plan) needed(n int) []bool {
	need := make([]bool, n)
	mark := func(list ...expr.Expr) {
		for _, e := range list {
			if e == nil {
				continue
			}
			for _, c := range expr.Columns(e, nil) {
				need[c] = true
			}
		}
	}
	if p.groups == nil {
		mark(p.project...)
	} else {
		mark(p.groups.keys...)
		for _, a := range p.groups.aggs {
			mark(a.arg, a.by, a.filter)
		}
	}
	return need
}

// from binds FROM.
func (x *execution) from(f *sql.From, with []sql.CTE, named map[string]bool) (relation, error) {
	if f == nil {
		return oneRow{}, nil
	}
	left, err := x.table(f, with)
	if err != nil {
		return nil, err
	}
	for i := range f.Joins {
		j := &f.Joins[i]
		right, err := x.table(&j.From, with)
		if err != nil {
			return nil, err
		}
		if left, err = x.join(left, right, j, with, named); err != nil {
			return nil, err
		}
	}
	return left, nil
}

func (x *execution) table(f *sql.From, with []sql.CTE) (relation, error) {
	name := f.As
	if name == "" {
		name = f.Table
	}
	if f.Query != nil {
		p, err := x.plan(f.Query, with)
		if err != nil {
			return nil, err
		}
		return &derived{p, name}, nil
	}
	for i := len(with) - 1; i >= 0; i-- {
		if with[i].Name == f.Table {
			p, err := x.plan(with[i].Query, with[:i]) // it sees those before it only
			if err != nil {
				return nil, err
			}
			return &derived{p, name}, nil
		}
	}
	r, err := x.base(f.Table, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		names := x.tableNames()
		for _, c := range with {
			names = append(names, c.Name)
		}
		best, least := "", 1<<30
		for _, n := range names {
			if d := distance(f.Table, n); d < least {
				best, least = n, d
			}
		}
		return nil, sql.Errorf(f.At, "no table of that name; the nearest is %s; there are %s", best, strings.Join(names, ", "))
	}
	return r, nil
}
