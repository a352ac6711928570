package query

import (
	"math"
	"math/bits"

	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// aggregate is one aggregate function of a statement.
type aggregate struct {
	name     string
	arg      expr.Expr // nil: count(*)
	by       expr.Expr // of first and last: by what
	filter   expr.Expr // nil: all rows
	distinct bool
	q        float64 // of quantiles
	typ      expr.Type
}

// aggregates says which there are, and what they are called with.
var aggregates = []struct{ name, usage, doc string }{
	{"count", "count(*), count(x), count(distinct x)", "rows; rows in which x is not null; distinct values of x, exactly"},
	{"sum", "sum(x)", "sum; null of no rows"},
	{"min", "min(x)", "least value"},
	{"max", "max(x)", "greatest value"},
	{"avg", "avg(x)", "arithmetic mean"},
	{"approx_count_distinct", "approx_count_distinct(x)", "distinct values, within about 2 %"},
	{"quantile", "quantile(x, q)", "the value below which a share q of the values lies, exactly; one that occurs"},
	{"median", "median(x)", "quantile(x, 0.5)"},
	{"approx_quantile", "approx_quantile(x, q)", "quantile within 1 % of the value, in little memory"},
	{"first", "first(x[, by])", "x of the row with the least by, or time"},
	{"last", "last(x[, by])", "x of the row with the greatest by, or time"},
	{"bool_and", "bool_and(x)", "whether x is true in all rows"},
	{"bool_or", "bool_or(x)", "whether x is true in a row"},
	{"stddev", "stddev(x)", "standard deviation of a sample"},
	{"variance", "variance(x)", "variance of a sample"},
}

// aggregateNames has them with their other names.
var aggregateNames = func() map[string]string {
	m := map[string]string{
		"mean": "avg", "quantile_disc": "quantile", "percentile_disc": "quantile", "approx_distinct": "approx_count_distinct", "any_value": "first",
		"arg_min": "first", "arg_max": "last", "min_by": "first", "max_by": "last", "stddev_samp": "stddev", "var_samp": "variance", "every": "bool_and",
		"approx_percentile": "approx_quantile", "uniq": "approx_count_distinct",
	}
	for _, a := range aggregates {
		m[a.name] = a.name
	}
	return m
}()

// accumulator holds an aggregate of many groups.
type accumulator interface {
	// add takes rows: row i of v belongs to group groups[i] and stands for as many
	// rows as weights says, if there are any. by is nil but for first and last.
	add(groups []uint32, v, by *expr.Vec, weights []int64)
	// grow makes room for n groups.
	grow(n int)
	// merge takes in another of the same kind, whose group i is to[i] of this one.
	merge(other accumulator, to []uint32)
	// result returns the values of n groups.
	result(n int) (expr.Vec, error)
	bytes() int64
}

func (a *aggregate) accumulator() accumulator {
	t := expr.TypeNull
	if a.arg != nil {
		t = a.arg.Type()
	}
	switch {
	case a.name == "count" && a.distinct:
		return &distinctCount{}
	case a.name == "count":
		return &counter{all: a.arg == nil}
	case a.name == "approx_count_distinct":
		return &sketchCount{}
	case a.name == "sum" && t == expr.TypeFloat, a.name == "avg" && t == expr.TypeFloat:
		return &floatSum{mean: a.name == "avg"}
	case a.name == "sum", a.name == "avg":
		return &intSum{mean: a.name == "avg", typ: t}
	case a.name == "stddev", a.name == "variance":
		return &moments{root: a.name == "stddev"}
	case a.name == "quantile" && t == expr.TypeFloat:
		return &floatQuantile{q: a.q}
	case a.name == "quantile":
		return &intQuantile{q: a.q, typ: t}
	case a.name == "approx_quantile":
		return &sketchQuantile{q: a.q, typ: a.typ, whole: t != expr.TypeFloat}
	case a.name == "bool_and", a.name == "bool_or":
		return &boolFold{or: a.name == "bool_or"}
	case (a.name == "min" || a.name == "max") && (t == expr.TypeInt || t == expr.TypeTime || t == expr.TypeSpan):
		return &intExtreme{greatest: a.name == "max", typ: t}
	case a.name == "min" || a.name == "max":
		return newKept(t, a.name == "max")
	default: // first, last
		return newKept(t, a.name == "last")
	}
}

// weighs tells whether rows that stand for many will do.
func (a *aggregate) weighs() bool {
	return a.filter == nil && a.by == nil && a.name != "quantile" && a.name != "stddev" && a.name != "variance"
}

func room[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return append(s, make([]T, max(n-len(s), min(len(s), 1<<20)))...)
}

// counter is count(*) and count(x).
type counter struct {
	all bool
	n   []int64
}

func (c *counter) grow(n int) { c.n = room(c.n, n) }

func (c *counter) add(groups []uint32, v, _ *expr.Vec, weights []int64) {
	switch {
	case c.all || noNulls(v):
		if weights != nil {
			for i, g := range groups {
				c.n[g] += weights[i]
			}
			return
		}
		c.count(groups)
	default:
		for i, g := range groups {
			if !v.IsNull(i) {
				c.n[g] += weight(weights, i)
			}
		}
	}
}

// laneGroups is up to how many groups rows are counted in lanes.
const laneGroups = 512

// count counts rows of few groups in four lanes: a group that comes again at once
// would have to wait for the count before.
func (c *counter) count(groups []uint32) {
	if len(c.n) > laneGroups || len(groups) < 4*laneGroups {
		for _, g := range groups {
			c.n[g]++
		}
		return
	}
	var lanes [4][laneGroups]uint32
	i := 0
	for ; i+4 <= len(groups); i += 4 {
		g := groups[i : i+4 : i+4]
		lanes[0][g[0]%laneGroups]++
		lanes[1][g[1]%laneGroups]++
		lanes[2][g[2]%laneGroups]++
		lanes[3][g[3]%laneGroups]++
	}
	for _, g := range groups[i:] {
		c.n[g]++
	}
	for g := range c.n {
		c.n[g] += int64(lanes[0][g]) + int64(lanes[1][g]) + int64(lanes[2][g]) + int64(lanes[3][g])
	}
}

func noNulls(v *expr.Vec) bool { return v.Codes == nil && v.Valid == nil && v.Type != expr.TypeMap }

func weight(weights []int64, i int) int64 {
	if weights == nil {
		return 1
	}
	return weights[i]
}

func (c *counter) merge(other accumulator, to []uint32) {
	for i, g := range to {
		c.n[g] += other.(*counter).n[i]
	}
}

func (c *counter) result(n int) (expr.Vec, error) {
	return expr.Vec{Type: expr.TypeInt, Ints: c.n[:n]}, nil
}

func (c *counter) bytes() int64 { return int64(8 * len(c.n)) }

// intSum is sum and avg of whole numbers, in 128 bits.
type intSum struct {
	mean bool
	typ  expr.Type
	low  []uint64
	high []int64
	n    []int64
}

func (s *intSum) grow(n int) { s.low, s.high, s.n = room(s.low, n), room(s.high, n), room(s.n, n) }

func (s *intSum) add(groups []uint32, v, _ *expr.Vec, weights []int64) {
	if v.Type == expr.TypeNull {
		return
	}
	for i, g := range groups {
		if v.IsNull(i) {
			continue
		}
		x := v.Ints[place(v, i)]
		s.n[g] += weight(weights, i)
		if weights != nil {
			high, low := bits.Mul64(uint64(x), uint64(weights[i]))
			if x < 0 {
				high -= uint64(weights[i])
			}
			s.sum(g, int64(high), low)
			continue
		}
		s.sum(g, x>>63, uint64(x))
	}
}

// place is where row i of a vector is, which may be constant.
func place(v *expr.Vec, i int) int {
	if v.Const {
		return 0
	}
	return i
}

func (s *intSum) sum(g uint32, high int64, low uint64) {
	var carry uint64
	s.low[g], carry = bits.Add64(s.low[g], low, 0)
	s.high[g] += high + int64(carry)
}

func (s *intSum) merge(other accumulator, to []uint32) {
	o := other.(*intSum)
	for i, g := range to {
		s.n[g] += o.n[i]
		s.sum(g, o.high[i], o.low[i])
	}
}

func (s *intSum) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: s.typ}
	if s.mean && s.typ == expr.TypeInt {
		out.Type = expr.TypeFloat
	}
	for g := range n {
		low, high := s.low[g], s.high[g]
		switch {
		case s.n[g] == 0:
			null := expr.NullOf(out.Type)
			out.Append(&null, 0, g)
			continue
		case s.mean:
			f := (float64(high)*(1<<64) + float64(low)) / float64(s.n[g])
			if high == int64(low)>>63 {
				f = float64(int64(low)) / float64(s.n[g])
			}
			one := expr.ConstOf(expr.Float(f))
			if out.Type != expr.TypeFloat {
				one = expr.ConstOf(expr.Value{Type: out.Type, Int: int64(math.Round(f))})
			}
			out.Append(&one, 0, g)
			continue
		case high != int64(low)>>63:
			return out, expr.ErrOverflow
		}
		one := expr.ConstOf(expr.Value{Type: out.Type, Int: int64(low)})
		out.Append(&one, 0, g)
	}
	return out, nil
}

func (s *intSum) bytes() int64 { return int64(24 * len(s.n)) }

// floatSum is sum and avg of floats.
type floatSum struct {
	mean bool
	sum  []float64
	n    []int64
}

func (s *floatSum) grow(n int) { s.sum, s.n = room(s.sum, n), room(s.n, n) }

func (s *floatSum) add(groups []uint32, v, _ *expr.Vec, weights []int64) {
	for i, g := range groups {
		if !v.IsNull(i) {
			s.sum[g] += v.Floats[place(v, i)] * float64(weight(weights, i))
			s.n[g] += weight(weights, i)
		}
	}
}

func (s *floatSum) merge(other accumulator, to []uint32) {
	for i, g := range to {
		s.sum[g] += other.(*floatSum).sum[i]
		s.n[g] += other.(*floatSum).n[i]
	}
}

func (s *floatSum) result(n int) (expr.Vec, error) {
	values := make([]float64, n)
	for g := range values {
		if values[g] = s.sum[g]; s.mean && s.n[g] > 0 {
			values[g] /= float64(s.n[g])
		}
	}
	return floats(values, func(g int) bool { return s.n[g] > 0 }), nil
}

func (s *floatSum) bytes() int64 { return int64(16 * len(s.n)) }

// floats makes a vector of numbers, null where known is false or they are not finite.
func floats(values []float64, known func(int) bool) expr.Vec {
	out := expr.Vec{Type: expr.TypeFloat}
	null := expr.NullOf(expr.TypeFloat)
	for g, f := range values {
		one := expr.Vec{Type: expr.TypeFloat, Const: true, Floats: []float64{f}}
		if !known(g) || f-f != 0 {
			one = null
		}
		out.Append(&one, 0, g)
	}
	return out
}

// moments is stddev and variance, by Welford's and Chan's formulas.
type moments struct {
	root     bool
	n        []float64
	mean, m2 []float64
}

func (m *moments) grow(n int) { m.n, m.mean, m.m2 = room(m.n, n), room(m.mean, n), room(m.m2, n) }

func (m *moments) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	for i, g := range groups {
		if v.IsNull(i) {
			continue
		}
		x := v.Floats[place(v, i)]
		m.n[g]++
		d := x - m.mean[g]
		m.mean[g] += d / m.n[g]
		m.m2[g] += d * (x - m.mean[g])
	}
}

func (m *moments) merge(other accumulator, to []uint32) {
	o := other.(*moments)
	for i, g := range to {
		n := m.n[g] + o.n[i]
		if o.n[i] == 0 {
			continue
		}
		d := o.mean[i] - m.mean[g]
		m.m2[g] += o.m2[i] + d*d*m.n[g]*o.n[i]/n
		m.mean[g] += d * o.n[i] / n
		m.n[g] = n
	}
}

func (m *moments) result(n int) (expr.Vec, error) {
	values := make([]float64, n)
	for g := range values {
		if m.n[g] > 1 {
			if values[g] = m.m2[g] / (m.n[g] - 1); m.root {
				values[g] = math.Sqrt(values[g])
			}
		}
	}
	return floats(values, func(g int) bool { return m.n[g] > 1 }), nil
}

func (m *moments) bytes() int64 { return int64(24 * len(m.n)) }

// intExtreme is min and max of whole numbers.
type intExtreme struct {
	greatest bool
	typ      expr.Type
	best     []int64
	known    []bool
}

func (e *intExtreme) grow(n int) { e.best, e.known = room(e.best, n), room(e.known, n) }

func (e *intExtreme) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	for i, g := range groups {
		if !v.IsNull(i) {
			e.take(g, v.Ints[place(v, i)])
		}
	}
}

func (e *intExtreme) take(g uint32, x int64) {
	if !e.known[g] || (x > e.best[g]) == e.greatest && x != e.best[g] {
		e.best[g], e.known[g] = x, true
	}
}

func (e *intExtreme) merge(other accumulator, to []uint32) {
	o := other.(*intExtreme)
	for i, g := range to {
		if o.known[i] {
			e.take(g, o.best[i])
		}
	}
}

func (e *intExtreme) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: e.typ}
	null := expr.NullOf(e.typ)
	all := expr.Vec{Type: e.typ, Ints: e.best}
	for g := range n {
		if e.known[g] {
			out.Append(&all, g, g)
		} else {
			out.Append(&null, 0, g)
		}
	}
	return out, nil
}

func (e *intExtreme) bytes() int64 { return int64(9 * len(e.best)) }

// kept is min, max, first and last of any type: a value a group, and by what it
// was chosen. Of equal ones the least value is kept, so that the answer does not
// depend on the order of rows.
type kept struct {
	typ      expr.Type
	greatest bool
	vals     []expr.Value
	by       []expr.Value
	known    []bool
	size     int64
}

func newKept(t expr.Type, greatest bool) *kept { return &kept{typ: t, greatest: greatest} }

func (k *kept) grow(n int) {
	k.vals, k.known = room(k.vals, n), room(k.known, n)
	k.by = room(k.by, n)
}

func (k *kept) add(groups []uint32, v, by *expr.Vec, _ []int64) {
	order := by
	if by == nil {
		order = v
	}
	for i, g := range groups {
		if v.IsNull(i) || order.IsNull(i) {
			continue
		}
		b := order.Value(i)
		if k.known[g] {
			c := compareValues(b, k.by[g])
			if c == 0 && by == nil || (c < 0) == k.greatest && c != 0 {
				continue
			}
			x := v.Value(i)
			if c == 0 && compareValues(x, k.vals[g]) >= 0 {
				continue
			}
		}
		k.put(g, own(v.Value(i)), own(b))
	}
}

func (k *kept) put(g uint32, v, by expr.Value) {
	k.size += int64(len(v.Text)+len(by.Text)) - int64(len(k.vals[g].Text)+len(k.by[g].Text))
	k.vals[g], k.by[g], k.known[g] = v, by, true
}

// own gives a value memory of its own.
func own(v expr.Value) expr.Value {
	if v.Text != "" {
		v.Text = string(append([]byte(nil), v.Text...))
	}
	return v
}

func compareValues(a, b expr.Value) int {
	x, y := expr.ConstOf(a), expr.ConstOf(b)
	return expr.Compare(&x, 0, &y, 0)
}

func (k *kept) merge(other accumulator, to []uint32) {
	o := other.(*kept)
	for i, g := range to {
		if !o.known[i] {
			continue
		}
		if k.known[g] {
			c := compareValues(o.by[i], k.by[g])
			if c != 0 && (c < 0) == k.greatest || c == 0 && compareValues(o.vals[i], k.vals[g]) >= 0 {
				continue
			}
		}
		k.put(g, o.vals[i], o.by[i])
	}
}

func (k *kept) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: k.typ}
	if k.typ == expr.TypeMap {
		out.Type = expr.TypeJSON
	}
	for g := range n {
		v := expr.Value{Type: out.Type, Null: true}
		if k.known[g] {
			v = k.vals[g]
			v.Type = out.Type
		}
		one := expr.ConstOf(v)
		out.Append(&one, 0, g)
	}
	return out, nil
}

func (k *kept) bytes() int64 { return int64(150*len(k.vals)) + k.size }

// boolFold is bool_and and bool_or.
type boolFold struct {
	or         bool
	yes, known []bool
}

func (f *boolFold) grow(n int) { f.yes, f.known = room(f.yes, n), room(f.known, n) }

func (f *boolFold) take(g uint32, b bool) {
	switch {
	case !f.known[g]:
		f.yes[g], f.known[g] = b, true
	case f.or:
		f.yes[g] = f.yes[g] || b
	default:
		f.yes[g] = f.yes[g] && b
	}
}

func (f *boolFold) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	for i, g := range groups {
		if !v.IsNull(i) {
			f.take(g, v.Bools[place(v, i)])
		}
	}
}

func (f *boolFold) merge(other accumulator, to []uint32) {
	o := other.(*boolFold)
	for i, g := range to {
		if o.known[i] {
			f.take(g, o.yes[i])
		}
	}
}

func (f *boolFold) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: expr.TypeBool}
	null := expr.NullOf(expr.TypeBool)
	all := expr.Vec{Type: expr.TypeBool, Bools: f.yes}
	for g := range n {
		if f.known[g] {
			out.Append(&all, g, g)
		} else {
			out.Append(&null, 0, g)
		}
	}
	return out, nil
}

func (f *boolFold) bytes() int64 { return int64(2 * len(f.yes)) }
