package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
)

// scope is what names mean in one SELECT.
type scope struct {
	x      *execution
	with   []sql.CTE // visible here, the nearest last
	fields []field

	// In a SELECT with groups, what stands after the aggregation: a key by what
	// was written, and the aggregates found so far. nil: no groups here.
	groups *groups
	named  map[string]bool // columns of events named, to know whether duplicate is
	inAgg  bool
}

// groups are the keys and aggregates of a SELECT. After the aggregation the
// columns of a chunk are the keys, then the aggregates.
type groups struct {
	keys   []expr.Expr
	texts  []string // of the keys, as canon writes them
	aggs   []*aggregate
	aggKey []string
}

func (s *scope) fail(at sql.Expr, format string, args ...any) error {
	return sql.Errorf(at.Place(), format, args...)
}

// placed gives an error of package expr its place.
func placed(at sql.Expr, err error) error {
	var t *expr.TypeError
	if errors.As(err, &t) {
		return sql.Errorf(at.Place(), "%s", t.Message)
	}
	return err
}

// canon writes an expression so that equal ones are equal.
func (s *scope) canon(e sql.Expr) string {
	switch e := e.(type) {
	case *sql.Name:
		if i, err := s.find(e); err == nil {
			return fmt.Sprintf("#%d", i)
		}
		return "?" + e.Table + "." + e.Column
	case *sql.Unary:
		return "(" + e.Op + " " + s.canon(e.X) + ")"
	case *sql.Binary:
		return "(" + s.canon(e.L) + " " + e.Op + " " + s.canon(e.R) + ")"
	case *sql.Call:
		var args []string
		for _, a := range e.Args {
			args = append(args, s.canon(a))
		}
		filter := ""
		if e.Filter != nil {
			filter = s.canon(e.Filter)
		}
		return fmt.Sprintf("%s(%v %v %q %s)", e.Name, e.Star, e.Distinct, args, filter)
	case *sql.Cast:
		return e.Type + "(" + s.canon(e.X) + ")"
	case *sql.Index:
		return fmt.Sprintf("%s[%q]", s.canon(e.X), e.Key)
	case *sql.Case:
		out := "case "
		if e.Of != nil {
			out += s.canon(e.Of)
		}
		for _, w := range e.Whens {
			out += " when " + s.canon(w.If) + " then " + s.canon(w.Then)
		}
		if e.Else != nil {
			out += " else " + s.canon(e.Else)
		}
		return out + " end"
	case *sql.Text:
		return fmt.Sprintf("%q", e.Value)
	case *sql.Int:
		return fmt.Sprint(e.Value)
	case *sql.Float:
		return fmt.Sprintf("f%v", e.Value)
	case *sql.Interval:
		return fmt.Sprintf("i%d,%d", e.Nanos, e.Months)
	case *sql.Time:
		return fmt.Sprintf("t%d", e.Nanos)
	case *sql.Is:
		return fmt.Sprintf("(%s is %v %s)", s.canon(e.X), e.Not, e.What)
	case *sql.Like:
		return fmt.Sprintf("(%s like %v %v %q %s)", s.canon(e.X), e.Not, e.Fold, e.Escape, s.canon(e.Pattern))
	case *sql.Between:
		return fmt.Sprintf("(%s between %v %s %s)", s.canon(e.X), e.Not, s.canon(e.Low), s.canon(e.High))
	case *sql.In:
		var list []string
		for _, a := range e.List {
			list = append(list, s.canon(a))
		}
		return fmt.Sprintf("(%s in %v %q %p)", s.canon(e.X), e.Not, list, e.Query)
	case *sql.Null:
		return "null"
	case *sql.Bool:
		return fmt.Sprint(e.Value)
	default:
		return fmt.Sprintf("%T@%d", e, e.Place())
	}
}

// bind gives an expression its columns and types.
func (s *scope) bind(e sql.Expr) (expr.Expr, error) {
	if s.groups != nil && !s.inAgg {
		if _, literal := e.(*sql.Int); !literal {
			text := s.canon(e)
			if i := slices.Index(s.groups.texts, text); i >= 0 {
				return expr.Column(i, s.groups.keys[i].Type()), nil
			}
		}
	}
	x, err := s.bindNode(e)
	if err != nil {
		return nil, placed(e, err)
	}
	return x, nil
}

func (s *scope) bindAll(list []sql.Expr) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = s.bind(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *scope) bindNode(e sql.Expr) (expr.Expr, error) {
	switch e := e.(type) {
	case *sql.Null:
		return expr.Const(expr.Value{}), nil
	case *sql.Bool:
		return expr.Const(expr.Bool(e.Value)), nil
	case *sql.Int:
		return expr.Const(expr.Int(e.Value)), nil
	case *sql.Float:
		return expr.Const(expr.Float(e.Value)), nil
	case *sql.Text:
		return expr.Const(expr.Text(e.Value)), nil
	case *sql.Time:
		return expr.Const(expr.Time(e.Nanos)), nil
	case *sql.Interval:
		if e.Months != 0 {
			return nil, s.fail(e, "months and years have no fixed length: add them to a time, or take days")
		}
		return expr.Const(expr.Span(e.Nanos)), nil
	case *sql.Name:
		return s.bindName(e)
	case *sql.Star:
		return nil, s.fail(e, "* stands for all columns and is no value")
	case *sql.Unary:
		x, err := s.bind(e.X)
		if err != nil {
			return nil, err
		}
		if e.Op == "NOT" {
			return expr.Not(x)
		}
		return expr.Negative(x)
	case *sql.Binary:
		return s.bindBinary(e)
	case *sql.Is:
		x, err := s.bind(e.X)
		if err != nil {
			return nil, err
		}
		if e.What == "NULL" {
			return expr.IsNull(x, e.Not), nil
		}
		is, err := expr.Is(x, e.What == "TRUE")
		if err == nil && e.Not {
			return expr.Not(is)
		}
		return is, err
	case *sql.Like:
		x, pattern, err := s.bindPattern(e.X, e.Pattern)
		if err != nil {
			return nil, err
		}
		return expr.Like(x, pattern, e.Fold, e.Escape, e.Not)
	case *sql.Between:
		low := &sql.Binary{At: e.At, Op: ">=", L: e.X, R: e.Low}
		high := &sql.Binary{At: e.At, Op: "<=", L: e.X, R: e.High}
		both, err := s.bindBinary(&sql.Binary{At: e.At, Op: "AND", L: low, R: high})
		if err != nil || !e.Not {
			return both, err
		}
		return expr.Not(both)
	case *sql.In:
		return s.bindIn(e)
	case *sql.Exists:
		one := int64(1)
		q := *e.Query
		if q.Limit == nil {
			q.Limit = &one
		}
		t, err := s.subquery(&q)
		if err != nil {
			return nil, err
		}
		return expr.Const(expr.Bool(t.n > 0)), nil
	case *sql.Sub:
		return s.bindSub(e)
	case *sql.Case:
		return s.bindCase(e)
	case *sql.Cast:
		x, err := s.bind(e.X)
		if err != nil {
			return nil, err
		}
		return expr.NewCast(x, castTypes[e.Type])
	case *sql.Index:
		x, err := s.bind(e.X)
		if err != nil {
			return nil, err
		}
		return expr.Attr(x, e.Key)
	case *sql.Call:
		return s.bindCall(e)
	}
	return nil, s.fail(e, "this cannot be used here")
}

var castTypes = map[string]expr.Type{
	"bool": expr.TypeBool, "int": expr.TypeInt, "float": expr.TypeFloat, "text": expr.TypeText,
	"time": expr.TypeTime, "interval": expr.TypeSpan, "addr": expr.TypeAddr,
}

var comparisonOps = map[string]expr.Op{
	"=": expr.Equal, "<>": expr.NotEqual, "<": expr.Less, "<=": expr.LessEqual, ">": expr.Greater, ">=": expr.GreaterEqual,
}

func (s *scope) bindBinary(e *sql.Binary) (expr.Expr, error) {
	switch e.Op {
	case "AND", "OR":
		var list []expr.Expr
		for _, side := range flatten(e, e.Op, nil) {
			x, err := s.bind(side)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		if e.Op == "AND" {
			return expr.And(list...)
		}
		return expr.Or(list...)
	case "~", "~*", "!~", "!~*":
		x, pattern, err := s.bindPattern(e.L, e.R)
		if err != nil {
			return nil, err
		}
		return expr.Match(x, pattern, strings.HasSuffix(e.Op, "*"), e.Op[0] == '!')
	case "<<", "<<=":
		return s.bindNetwork(e.L, e.R)
	case ">>", ">>=":
		return s.bindNetwork(e.R, e.L)
	}
	if m, ok := e.R.(*sql.Interval); ok && m.Months != 0 && (e.Op == "+" || e.Op == "-") {
		x, err := s.bind(e.L)
		if err != nil {
			return nil, err
		}
		months, nanos := m.Months, m.Nanos
		if e.Op == "-" {
			months, nanos = -months, -nanos
		}
		if x, err = expr.AddMonths(x, months); err != nil || nanos == 0 {
			return x, err
		}
		return expr.NewArith("+", x, expr.Const(expr.Span(nanos)))
	}
	op, isComparison := comparisonOps[e.Op]
	if isComparison && (e.Op == "=" || e.Op == "<>") {
		if x, err := s.bindToken(e); x != nil || err != nil {
			return x, err
		}
	}
	l, err := s.bind(e.L)
	if err != nil {
		return nil, err
	}
	r, err := s.bind(e.R)
	if err != nil {
		return nil, err
	}
	switch {
	case isComparison:
		return expr.NewCompare(op, l, r)
	case e.Op == "||":
		return expr.Join(l, r)
	default:
		return expr.NewArith(e.Op, l, r)
	}
}

// flatten lists the operands of a chain of AND or OR.
func flatten(e sql.Expr, op string, out []sql.Expr) []sql.Expr {
	if b, ok := e.(*sql.Binary); ok && b.Op == op {
		return flatten(b.R, op, flatten(b.L, op, out))
	}
	return append(out, e)
}

func (s *scope) bindPattern(x, p sql.Expr) (expr.Expr, string, error) {
	e, err := s.bind(x)
	if err != nil {
		return nil, "", err
	}
	pattern, err := s.bind(p)
	if err != nil {
		return nil, "", err
	}
	v, ok := expr.ConstValue(pattern)
	if !ok || v.Type != expr.TypeText || v.Null {
		return nil, "", s.fail(p, "a pattern must be a string")
	}
	return e, v.Text, nil
}

func (s *scope) bindNetwork(x, network sql.Expr) (expr.Expr, error) {
	e, err := s.bind(x)
	if err != nil {
		return nil, err
	}
	text, ok := network.(*sql.Text)
	if !ok {
		return nil, s.fail(network, "a network must be a string such as '10.0.0.0/8'")
	}
	in, err := expr.InNetwork(e, []string{text.Value}, false)
	return in, placed(network, err)
}

func (s *scope) bindCase(e *sql.Case) (expr.Expr, error) {
	var when, then []expr.Expr
	for _, w := range e.Whens {
		cond := w.If
		if e.Of != nil {
			cond = &sql.Binary{At: sql.At(w.If.Place()), Op: "=", L: e.Of, R: w.If}
		}
		c, err := s.bind(cond)
		if err != nil {
			return nil, err
		}
		v, err := s.bind(w.Then)
		if err != nil {
			return nil, err
		}
		when, then = append(when, c), append(then, v)
	}
	last := expr.Const(expr.Value{})
	if e.Else != nil {
		var err error
		if last, err = s.bind(e.Else); err != nil {
			return nil, err
		}
	}
	return expr.NewCase(when, append(then, last))
}

// condition binds what must be a truth value.
func (s *scope) condition(e sql.Expr) (expr.Expr, error) {
	x, err := s.bind(e)
	if err != nil {
		return nil, err
	}
	x, err = expr.And(x)
	return x, placed(e, err)
}
