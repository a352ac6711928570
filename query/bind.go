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

// condition binds what must be a truth value.
func (s *scope) condition(e sql.Expr) (expr.Expr, error) {
	x, err := s.bind(e)
	if err != nil {
		return nil, err
	}
	x, err = expr.And(x)
	return x, placed(e, err)
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
