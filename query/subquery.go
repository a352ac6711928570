package query

import (
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
)

func (s *scope) bindIn(e *sql.In) (expr.Expr, error) {
	x, err := s.bind(e.X)
	if err != nil {
		return nil, err
	}
	var values []expr.Value
	if e.Query != nil {
		t, err := s.subquery(e.Query)
		if err != nil {
			return nil, err
		}
		if len(t.cols) != 1 {
			return nil, s.fail(e, "the query after IN gives %d columns, expected one", len(t.cols))
		}
		for i := range t.n {
			values = append(values, t.cols[0].Value(i))
		}
		if t.n == 0 {
			return expr.Const(expr.Bool(e.Not)), nil
		}
		return expr.In(x, values, e.Not)
	}
	token := s.isToken(e.X)
	var others []expr.Expr
	for _, item := range e.List {
		if text, ok := item.(*sql.Text); ok && token {
			ids, err := s.tokenValues(text.Value)
			if err != nil {
				return nil, err
			}
			values = append(values, ids...)
			continue
		}
		b, err := s.bind(item)
		if err != nil {
			return nil, err
		}
		if v, ok := expr.ConstValue(b); ok {
			if _, _, err := expr.Unify(x, b); err != nil {
				return nil, placed(item, err)
			}
			values = append(values, v)
			continue
		}
		same, err := expr.NewCompare(expr.Equal, x, b)
		if err != nil {
			return nil, placed(item, err)
		}
		others = append(others, same)
	}
	if len(others) == 0 {
		return expr.In(x, values, e.Not)
	}
	if len(values) > 0 {
		in, err := expr.In(x, values, false)
		if err != nil {
			return nil, err
		}
		others = append(others, in)
	}
	one, err := expr.Or(others...)
	if err != nil || !e.Not {
		return one, err
	}
	return expr.Not(one)
}

// subquery runs a query whose result is needed to go on.
func (s *scope) subquery(q *sql.Select) (*table, error) {
	p, err := s.x.plan(q, s.with)
	if err != nil {
		return nil, err
	}
	t := newTable(typesOf(p.columns))
	err = p.run(s.x, serial(func(_ int, c *chunk) error {
		for k := range c.rows() {
			i := k
			if c.sel != nil {
				i = int(c.sel[k])
			}
			t.add(c.Cols, i)
		}
		return t.recharge(s.x)
	}))
	return t, err
}

func (s *scope) bindSub(e *sql.Sub) (expr.Expr, error) {
	t, err := s.subquery(e.Query)
	switch {
	case err != nil:
		return nil, err
	case len(t.cols) != 1:
		return nil, s.fail(e, "the query gives %d columns where one value is needed", len(t.cols))
	case t.n > 1:
		return nil, s.fail(e, "the query gives more than one row where one value is needed")
	case t.n == 0:
		return expr.Const(expr.Value{Type: t.cols[0].Type, Null: true}), nil
	}
	return expr.Const(own(t.cols[0].Value(0))), nil
}
