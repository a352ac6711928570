package query

import (
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
)

func (s *scope) bindCall(e *sql.Call) (expr.Expr, error) {
	if name, ok := aggregateNames[e.Name]; ok {
		return s.bindAggregate(e, name)
	}
	if e.Distinct || e.Filter != nil || e.Star {
		return nil, s.fail(e, "DISTINCT, FILTER and * belong to aggregates")
	}
	if e.Name == "now" {
		if len(e.Args) != 0 {
			return nil, s.fail(e, "it is called as now()")
		}
		return expr.Const(expr.Time(s.x.now)), nil
	}
	args, err := s.bindAll(e.Args)
	if err != nil {
		return nil, err
	}
	if (e.Name == "date_bin" || e.Name == "time_bucket") && len(args) > 0 {
		if text, ok := e.Args[0].(*sql.Text); ok {
			nanos, months, err := sql.ParseInterval(text.Value)
			if err != nil || months != 0 {
				return nil, s.fail(text, "the width of a bin is an interval of a fixed length such as '15 minutes'")
			}
			args[0] = expr.Const(expr.Span(nanos))
		}
	}
	x, found, err := expr.Call(e.Name, args)
	if !found {
		return nil, s.fail(e, "no function of that name; the nearest is %s", nearestFunction(e.Name))
	}
	return x, err
}

func nearestFunction(name string) string {
	best, least := "", 1<<30
	consider := func(n string) {
		if d := distance(name, n); d < least || d == least && n < best {
			best, least = n, d
		}
	}
	for _, f := range expr.Functions {
		consider(f.Name)
	}
	for n := range aggregateNames {
		consider(n)
	}
	return best
}

// bindAggregate notes an aggregate and stands for its result.
func (s *scope) bindAggregate(e *sql.Call, name string) (expr.Expr, error) {
	if s.groups == nil {
		return nil, s.fail(e, "an aggregate cannot be used here: conditions on aggregates go into HAVING")
	}
	if s.inAgg {
		return nil, s.fail(e, "an aggregate within an aggregate")
	}
	key := s.canon(e)
	if i := slices.Index(s.groups.aggKey, key); i >= 0 {
		return expr.Column(len(s.groups.keys)+i, s.groups.aggs[i].typ), nil
	}
	s.inAgg = true
	a, err := s.newAggregate(e, name)
	s.inAgg = false
	if err != nil {
		return nil, err
	}
	s.groups.aggs, s.groups.aggKey = append(s.groups.aggs, a), append(s.groups.aggKey, key)
	return expr.Column(len(s.groups.keys)+len(s.groups.aggs)-1, a.typ), nil
}

func (s *scope) newAggregate(e *sql.Call, name string) (*aggregate, error) {
	usage := func() error {
		for _, a := range aggregates {
			if a.name == name {
				return s.fail(e, "it is called as %s", a.usage)
			}
		}
		return s.fail(e, "it is not called like that")
	}
	a := &aggregate{name: name, distinct: e.Distinct}
	var err error
	if e.Filter != nil {
		if a.filter, err = s.condition(e.Filter); err != nil {
			return nil, err
		}
	}
	if e.Star || name == "count" && len(e.Args) == 0 {
		if name != "count" || e.Distinct {
			return nil, usage()
		}
		a.typ = expr.TypeInt
		return a, nil
	}
	args, err := s.bindAll(e.Args)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, usage()
	}
	a.arg = args[0]
	t := a.arg.Type()
	number := t == expr.TypeInt || t == expr.TypeFloat || t == expr.TypeSpan || t == expr.TypeNull
	want := 1
	a.typ = t
	switch name {
	case "count", "approx_count_distinct":
		a.typ = expr.TypeInt
	case "sum", "avg":
		if !number || t == expr.TypeNull {
			return nil, s.fail(e, "%s needs a number, not %s", name, t)
		}
		if name == "avg" && t == expr.TypeInt {
			a.typ = expr.TypeFloat
		}
	case "stddev", "variance":
		if !number {
			return nil, s.fail(e, "%s needs a number, not %s", name, t)
		}
		if a.arg, err = expr.NewCast(a.arg, expr.TypeFloat); err != nil {
			return nil, err
		}
		a.typ = expr.TypeFloat
	case "quantile", "approx_quantile", "median":
		if !number && t != expr.TypeTime || t == expr.TypeNull {
			return nil, s.fail(e, "%s needs a number or a time, not %s", name, t)
		}
		if a.q = 0.5; name == "median" {
			a.name = "quantile"
			break
		}
		if want = 2; len(args) != 2 {
			return nil, usage()
		}
		q, ok := expr.ConstValue(args[1])
		if a.q = q.Float; q.Type == expr.TypeInt {
			a.q = float64(q.Int)
		}
		if !ok || q.IsNull() || a.q < 0 || a.q > 1 {
			return nil, s.fail(e.Args[1], "a share from 0 to 1 is needed")
		}
	case "first", "last":
		if len(args) == 2 {
			a.by, want = args[1], 2
			break
		}
		if i, err := s.find(&sql.Name{At: e.At, Column: "time"}); err == nil {
			a.by = expr.Column(i, s.fields[i].typ)
		}
		if a.by == nil && e.Name != "any_value" {
			return nil, s.fail(e, "there is no column time here: say by what, %s(x, by)", name)
		}
	case "bool_and", "bool_or":
		if t != expr.TypeBool {
			return nil, s.fail(e, "%s needs a condition, not %s", name, t)
		}
	}
	if t == expr.TypeMap && a.typ == t {
		a.typ = expr.TypeJSON
		if name == "min" || name == "max" {
			return nil, s.fail(e, "attrs as a whole has no order: name a key, attrs['key']")
		}
	}
	if len(args) != want {
		return nil, usage()
	}
	if e.Distinct && name != "count" {
		if name != "min" && name != "max" {
			return nil, s.fail(e, "DISTINCT is there for count, min and max only")
		}
		a.distinct = false
	}
	return a, nil
}
