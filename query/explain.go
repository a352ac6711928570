package query

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// node is one step of a plan as EXPLAIN shows it.
type node struct {
	what  string
	where expr.Expr
	below []*node
}

func (n *node) lines(depth int, out []string) []string {
	s := strings.Repeat("  ", depth) + n.what
	if n.where != nil {
		k := len(expr.Conjuncts(n.where))
		s += fmt.Sprintf(" where %d condition%s hold%s", k, plural(k), map[bool]string{true: "s"}[k == 1])
	}
	out = append(out, s)
	for _, b := range n.below {
		out = b.lines(depth+1, out)
	}
	return out
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func (p *plan) explain(x *execution) *node {
	a := ask{need: p.need, where: p.where}
	if p.groups != nil {
		a.weighted, a.uses = weightable(p.groups.keys, p.groups.aggs), usesOf(p.groups.keys, p.groups.aggs)
	}
	n := p.from.explain(x, a)
	put := func(format string, args ...any) { n = &node{what: fmt.Sprintf(format, args...), below: []*node{n}} }
	if p.groups != nil {
		var aggs []string
		for _, g := range p.groups.aggs {
			aggs = append(aggs, g.name)
		}
		put("aggregate by %d key%s: %s", len(p.groups.keys), plural(len(p.groups.keys)), strings.Join(aggs, ", "))
		if p.having != nil {
			n.where = p.having
			n.what += "; keep groups"
		}
	}
	if p.distinct {
		put("distinct rows")
	}
	switch {
	case len(p.order) > 0 && p.groups == nil && p.late():
		put("first %d in order by %d key%s, then read these rows whole", p.offset+p.limit, len(p.order), plural(len(p.order)))
	case len(p.order) > 0 && p.limit >= 0 && p.offset+p.limit <= maxTop:
		put("first %d in order by %d key%s", p.offset+p.limit, len(p.order), plural(len(p.order)))
	case len(p.order) > 0:
		put("sort by %d key%s", len(p.order), plural(len(p.order)))
	case p.limit >= 0:
		put("first %d", p.offset+p.limit)
	}
	return n
}

func (e *events) explain(x *execution, a ask) *node {
	n := &node{where: a.where}
	visits, err := e.visits(x, a)
	if err != nil {
		n.what = "read events"
		return n
	}
	segments, rows, counted, summed := len(x.segments), 0, 0, 0
	var cols tokenwatch.ColSet
	for _, v := range visits {
		if v.counted {
			counted++
			continue
		}
		if t, err := e.bySeries(x, &v, a); t != nil && err == nil { // scanning says what is wrong
			summed++
			continue
		}
		rows += v.hi - v.lo
		for _, c := range v.where {
			for _, col := range expr.Columns(c, nil) {
				cols = cols.With(tokenwatch.Col(col))
			}
		}
	}
	for i, need := range a.need {
		if need && rows > 0 {
			cols = cols.With(tokenwatch.Col(i))
		}
	}
	var names []string
	for c := range cols.All() {
		names = append(names, c.String())
	}
	slices.Sort(names)
	n.what = fmt.Sprintf("read events: %d of %d segments pruned, %d answered from counts, %d from series, %d of %d rows, columns [%s]",
		segments-len(visits), segments, counted, summed, rows, x.total, strings.Join(names, " "))
	x.pruned.Store(0)
	return n
}

// explain answers with the plan, a line a row; with analyze it runs it, too.
func (x *execution) explain(p *plan, analyze bool, out Output, rows *int64) error {
	lines := p.explain(x).lines(0, nil)
	if analyze {
		answered := int64(0)
		start := time.Now()
		if err := p.run(x, serial(func(_ int, c *chunk) error { answered += int64(c.rows()); return nil })); err != nil {
			return err
		}
		lines = append(lines,
			fmt.Sprintf("%d segments pruned, %d answered from counts, %d from series", x.pruned.Load(), x.byCounts.Load(), x.bySeries.Load()),
			fmt.Sprintf("%d rows read, %d bytes of columns, %d of them decoded", x.read.Load(), x.bytesRead.Load(), x.decoded.Load()),
			fmt.Sprintf("%d rows answered, %d bytes of state, %v on up to %d cores", answered, x.peak.Load(), time.Since(start).Round(time.Microsecond), x.workers))
	}
	if err := out.Begin([]Column{{Name: "plan", Type: expr.TypeText}}); err != nil {
		return err
	}
	v := expr.Vec{Type: expr.TypeText}
	for _, l := range lines {
		v.Text.Append([]byte(l))
	}
	*rows = int64(len(lines))
	return out.Rows([]expr.Vec{v}, nil, len(lines))
}

// Documentation has a line of a table for every function and aggregate, as
// LANGUAGE.md lists them.
func Documentation() []string {
	var lines []string
	for _, a := range aggregates {
		lines = append(lines, fmt.Sprintf("| `%s` | %s |", a.usage, a.doc))
	}
	for _, f := range expr.Functions {
		lines = append(lines, fmt.Sprintf("| `%s` | %s |", f.Usage, f.Doc))
	}
	return lines
}
