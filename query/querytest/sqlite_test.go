package querytest

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

var cases = flag.Int("cases", 1500, "random statements to compare with SQLite")

// TestAgainstSQLite asks an independent engine the same: random statements over
// random tables, whose answers must be equal. What is written differently there is
// translated; what it does not have is tested elsewhere.
func TestAgainstSQLite(t *testing.T) {
	perTable := 100
	n := *cases
	if testing.Short() {
		n = min(n, 600)
	}
	for table := 0; table*perTable < n; table++ {
		r := Rand(uint64(table))
		s := &Store{Tenant: "t"}
		for range 1 + r.IntN(5) {
			merged := r.IntN(2) == 0
			s.Add(Random(r, r.IntN(120), merged), merged)
		}
		db := load(t, s)
		e := query.New(query.Config{Events: s, Workers: 1 + r.IntN(4), Cache: []int64{-1, 10 << 10, 0}[r.IntN(3)]})
		for i := range perTable {
			g := &generator{r: r}
			ours, theirs, ordered := g.statement()
			want, err := ask(db, theirs)
			if err != nil {
				t.Fatalf("table %d, statement %d: SQLite: %v\n%s", table, i, err, theirs)
			}
			var a Answer
			if _, err := e.Run(t.Context(), query.Request{Tenant: "t", SQL: ours}, &a); err != nil {
				t.Fatalf("table %d, statement %d: %v\n%s", table, i, err, ours)
			}
			got := lines(&a)
			if !ordered {
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("table %d, statement %d:\n%s\n%s\n got %d: %v\nwant %d: %v", table, i, ours, theirs, len(got), head(got, want), len(want), head(want, got))
			}
		}
		db.Close()
	}
}

// head shows the first lines that are not in the other.
func head(a, other []string) []string {
	var out []string
	for i, l := range a {
		if len(out) < 5 && (i >= len(other) || other[i] != l) {
			out = append(out, l)
		}
	}
	return out
}

// load makes the same table in SQLite, duplicates left out.
func load(t *testing.T, s *Store) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	exec := func(q string, args ...any) {
		if _, err := db.Exec(q, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("pragma case_sensitive_like = on")
	exec("create table events (time integer, token text, status integer, host text, method text, path text, bytes_out integer, duration integer, src_ip text, late integer, x text)")
	exec("begin")
	for _, p := range s.Parts {
		b := p.Batch()
		for i := range b.Rows() {
			if b.Bool(tokenwatch.ColDuplicate, i) {
				continue
			}
			num := func(c tokenwatch.Col) any {
				if !b.Has(c, i) {
					return nil
				}
				return b.Int(c, i)
			}
			text := func(c tokenwatch.Col) any {
				if !b.Has(c, i) {
					return nil
				}
				return b.Text(c, i)
			}
			var ip, x any
			if b.Has(tokenwatch.ColSrcIP, i) {
				ip = b.Addr(i).String()
			}
			b.EachAttr(i, func(k, v string) {
				if k == "x" {
					x = v
				}
			})
			exec("insert into events values (?,?,?,?,?,?,?,?,?,?,?)", num(tokenwatch.ColTime), text(tokenwatch.ColToken), num(tokenwatch.ColStatus),
				text(tokenwatch.ColHost), text(tokenwatch.ColMethod), text(tokenwatch.ColPath), num(tokenwatch.ColBytesOut), num(tokenwatch.ColDuration),
				ip, b.Bool(tokenwatch.ColLate, i), x)
		}
	}
	exec("commit")
	return db
}

func ask(db *sql.DB, q string) ([]string, error) {
	rows, err := db.QueryContext(context.Background(), q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []string
	for rows.Next() {
		vals, ptrs := make([]any, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			return nil, err
		}
		var line []string
		for _, v := range vals {
			switch v := v.(type) {
			case nil:
				line = append(line, "null")
			case float64:
				line = append(line, number(v))
			case []byte:
				line = append(line, string(v))
			default:
				line = append(line, fmt.Sprint(v))
			}
		}
		out = append(out, strings.Join(line, "|"))
	}
	return out, rows.Err()
}

// number writes floats so that the last bits, which depend on the order of
// adding, do not matter.
func number(f float64) string {
	if f == 0 || math.Abs(f) < 1e-9 {
		return "0"
	}
	return fmt.Sprintf("%.9g", f)
}

func lines(a *Answer) []string {
	var out []string
	for _, row := range a.Values {
		var line []string
		for _, v := range row {
			switch {
			case v.IsNull():
				line = append(line, "null")
			case v.Type == expr.TypeFloat:
				line = append(line, number(v.Float))
			case v.Type == expr.TypeTime || v.Type == expr.TypeSpan:
				line = append(line, fmt.Sprint(v.Int))
			case v.Type == expr.TypeBool && v.Bool:
				line = append(line, "1")
			case v.Type == expr.TypeBool:
				line = append(line, "0")
			default:
				line = append(line, v.String())
			}
		}
		out = append(out, strings.Join(line, "|"))
	}
	return out
}

// both is an expression as we and as SQLite write it.
type both struct{ ours, theirs string }

func same(s string) both { return both{s, s} }

func format(f string, args ...both) both {
	a, b := make([]any, len(args)), make([]any, len(args))
	for i, x := range args {
		a[i], b[i] = x.ours, x.theirs
	}
	return both{fmt.Sprintf(f, a...), fmt.Sprintf(f, b...)}
}

// differ writes one thing in two ways.
func differ(ours, theirs string, args ...both) both {
	return both{format(ours, args...).ours, format(theirs, args...).theirs}
}

// generator makes statements by chance.
type generator struct {
	r     *rand.Rand
	depth int
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func (g *generator) column(name string) both {
	if name == "x" {
		return both{"attrs['x']", "x"}
	}
	return same(name)
}

// num makes a whole number.
func (g *generator) num() both {
	if g.depth++; g.depth > 6 {
		g.depth--
		return same(pick(g.r, "status", "bytes_out", "duration", "7"))
	}
	defer func() { g.depth-- }()
	switch g.r.IntN(16) {
	case 0, 1, 2:
		return same("status")
	case 3, 4:
		return same("bytes_out")
	case 5:
		return same("duration")
	case 6, 7:
		return same(fmt.Sprint(pick(g.r, 0, 1, -3, 200, 404, 500, 1000)))
	case 8:
		return format(pick(g.r, "(%s + %s)", "(%s - %s)", "(%s * 3 + %s)"), g.num(), g.num())
	case 9:
		return differ("(%s // %s)", "(%s / %s)", g.num(), g.num())
	case 10:
		return format("(%s %% %s)", g.num(), g.num())
	case 11:
		return format("abs(%s)", g.num())
	case 12:
		return format("length(%s)", g.text())
	case 13:
		return format("(case when %s then %s when %s then %s end)", g.cond(), g.num(), g.cond(), g.num())
	case 14:
		return format("coalesce(%s, %s)", g.num(), g.num())
	default:
		return format("nullif(%s, %s)", g.num(), g.num())
	}
}

// text makes a text.
func (g *generator) text() both {
	if g.depth++; g.depth > 6 {
		g.depth--
		return g.column(pick(g.r, "host", "path", "x"))
	}
	defer func() { g.depth-- }()
	switch g.r.IntN(14) {
	case 0, 1:
		return same("host")
	case 2, 3:
		return same("path")
	case 4:
		return same("method")
	case 5:
		return same("token")
	case 6:
		return g.column("x")
	case 7:
		return same("'" + pick(g.r, "GET", "a.example", "/", "2", "it''s") + "'")
	case 8:
		return format("(%s || %s)", g.text(), g.text())
	case 9:
		return format("substr(%s, %s)", g.text(), same(pick(g.r, "2", "1, 3", "4, 2")))
	case 10:
		return format("upper(%s)", g.column(pick(g.r, "method", "token", "x")))
	case 11:
		return format("coalesce(%s, %s)", g.text(), g.text())
	case 12:
		return format("(case when %s then %s else %s end)", g.cond(), g.text(), g.text())
	default:
		return format("replace(%s, 'e', 'ee')", g.text())
	}
}

// cond makes a condition.
func (g *generator) cond() both {
	if g.depth++; g.depth > 6 {
		g.depth--
		return same(pick(g.r, "status = 200", "late", "host is null"))
	}
	defer func() { g.depth-- }()
	op := same(pick(g.r, "=", "<>", "<", "<=", ">", ">="))
	hour := func() both {
		at := Start + g.r.Int64N(50)*1800e9
		return both{"timestamp '" + expr.FormatTime(at) + "'", fmt.Sprint(at)}
	}
	token := func() both { return same("'" + Token(g.r.IntN(14)) + "'") }
	not := same(pick(g.r, "", "not "))
	switch g.r.IntN(24) {
	case 0, 1, 2:
		return format("%s %s %s", same(pick(g.r, "status", "bytes_out", "duration")), op, same(fmt.Sprint(pick(g.r, 0, 200, 404, 500, 10000000))))
	case 3:
		return format("%s %s %s", g.num(), op, g.num())
	case 4:
		return format("%s %s %s", g.text(), op, g.text())
	case 5:
		return format("token %s %s", same(pick(g.r, "=", "<>")), token())
	case 6:
		return format("token %sin (%s, %s, %s)", not, token(), token(), same(pick(g.r, "null", "''")))
	case 7:
		return format("time >= %s and time < %s", hour(), hour())
	case 8:
		return format("time %sbetween %s and %s", not, hour(), hour())
	case 9:
		return format("status %sin (%s)", not, same(pick(g.r, "200", "200, 404", "500, null", "1")))
	case 10:
		return format("%s %slike %s", g.text(), not, same("'"+pick(g.r, "%ports/%", "/v1/%", "%example", "a_example", "%", "_%x_1", "%e%e%", "/v_/%/_")+"'"))
	case 11:
		return differ("%s ilike %s", "lower(%s) like lower(%s)", same(pick(g.r, "path", "method", "token")), same("'"+pick(g.r, "%USERS%", "get", "/V1/%")+"'"))
	case 12:
		return differ("contains(%s, %s)", "instr(%s, %s) > 0", same(pick(g.r, "path", "host")), same("'"+pick(g.r, "ports/", "ex", "/")+"'"))
	case 13:
		return format("%s is %snull", pick(g.r, g.num(), g.text()), not)
	case 14:
		return same(pick(g.r, "late", "not late"))
	case 15:
		return differ("src_ip %s %s", "src_ip %s %s", same(pick(g.r, "=", "<>")), same("'"+pick(g.r, "10.1.0.2", "2001:db8::1", "192.0.2.1")+"'"))
	case 16:
		return both{"src_ip <<= '10.1.0.0/16'", "src_ip like '10.1.%'"}
	case 17, 18:
		return format("(%s and %s)", g.cond(), g.cond())
	case 19, 20:
		return format("(%s or %s)", g.cond(), g.cond())
	case 21:
		return format("not (%s)", g.cond())
	case 22:
		return format("(%s) is %s%s", g.cond(), not, same(pick(g.r, "true", "false")))
	default:
		return format("token %sin (select token from events where %s)", not, g.cond())
	}
}

// aggregate makes an aggregate.
func (g *generator) aggregate() both {
	switch g.r.IntN(11) {
	case 0, 1, 2:
		return same("count(*)")
	case 3:
		return format("count(%s)", pick(g.r, g.num(), g.text()))
	case 4:
		return format("count(distinct %s)", pick(g.r, g.num(), g.text(), same("src_ip"), same("token")))
	case 5:
		return format("sum(%s)", g.num())
	case 6:
		return format("%s(%s)", same(pick(g.r, "min", "max")), pick(g.r, g.num(), g.text(), same("time")))
	case 7:
		return format("avg(%s)", g.num())
	case 8:
		return format("count(*) filter (where %s)", g.cond())
	case 9:
		return format("sum(%s) filter (where %s)", g.num(), g.cond())
	default:
		return differ("(count(*) / count(%s))", "(cast(count(*) as real) / count(%s))", g.num())
	}
}

// key makes something to group by.
func (g *generator) key() both {
	switch g.r.IntN(8) {
	case 0, 1:
		return same("status")
	case 2:
		return same(pick(g.r, "host", "method", "token", "src_ip", "late"))
	case 3:
		return both{"date_trunc('hour', time)", "time / 3600000000000 * 3600000000000"}
	case 4:
		return both{"date_bin('15 minutes', time)", "time / 900000000000 * 900000000000"}
	case 5:
		return g.num()
	case 6:
		return g.text()
	default:
		return same("token")
	}
}

func list(items []both) both {
	var a, b []string
	for _, x := range items {
		a, b = append(a, x.ours), append(b, x.theirs)
	}
	return both{strings.Join(a, ", "), strings.Join(b, ", ")}
}

// order makes an order over all n items, so that it is total.
func (g *generator) order(n int) both {
	var parts []both
	for _, i := range g.r.Perm(n) {
		parts = append(parts, same(fmt.Sprintf("%d %s nulls %s", i+1, pick(g.r, "asc", "desc"), pick(g.r, "first", "last"))))
	}
	return list(parts)
}

func (g *generator) where() both {
	if g.r.IntN(3) == 0 {
		return same("")
	}
	return format(" where %s", g.cond())
}

// statement makes one, and says whether the order of its rows matters.
func (g *generator) statement() (ours, theirs string, ordered bool) {
	var s both
	var n int
	switch g.r.IntN(10) {
	case 0, 1, 2, 3: // groups
		var items, keys []both
		for range 1 + g.r.IntN(3) {
			k := g.key()
			items, keys = append(items, k), append(keys, k)
		}
		for range 1 + g.r.IntN(3) {
			items = append(items, g.aggregate())
		}
		n = len(items)
		var numbers []both
		for i := range keys {
			numbers = append(numbers, same(fmt.Sprint(i+1)))
		}
		s = format("select %s from events%s group by %s", list(items), g.where(), list(numbers))
		if g.r.IntN(4) == 0 {
			s = format("%s having %s", s, pick(g.r, same("count(*) > 2"), format("count(%s) >= 1", g.num())))
		}
	case 4: // one group
		var items []both
		for range 1 + g.r.IntN(4) {
			items = append(items, g.aggregate())
		}
		n = len(items)
		s = format("select %s from events%s", list(items), g.where())
	case 5, 6: // rows
		var items []both
		for range 1 + g.r.IntN(4) {
			items = append(items, pick(g.r, g.num(), g.text(), same("time"), same("token"), same("src_ip"), g.column("x"), format("(%s)", g.cond())))
		}
		n = len(items)
		s = format("select %s%s from events%s", same(pick(g.r, "", "", "distinct ")), list(items), g.where())
	case 7: // join
		n = 3
		s = format("select e.status, e.path, t.n from events e %sjoin (select token, count(*) n from events%s group by token) t on e.token = t.token%s",
			same(pick(g.r, "", "left ")), g.where(), same(pick(g.r, "", " where t.n > 3", " where e.status >= 400", " where t.n is null or e.status = 200")))
	case 8: // WITH and scalar queries
		n = 2
		s = format("with a as (select status s, %s v from events%s), b as (select s, count(v) c, max(v) m from a group by s) select s, c - (select min(c) from b) from b where %s",
			g.num(), g.where(), same(pick(g.r, "c > 0", "m is not null", "s in (select s from a where v > 0)", "exists (select 1 from a where v is null)")))
	default: // query as a table
		n = 2
		s = format("select h, sum(c) from (select host h, method m, count(*) c from events%s group by host, method) q where %s group by h", g.where(), same(pick(g.r, "c > 1", "m = 'GET' or h is null", "h like '%a%'")))
	}
	if g.r.IntN(2) == 0 {
		s = format("%s order by %s", s, g.order(n))
		ordered = true
		if g.r.IntN(2) == 0 {
			s = format("%s limit %s", s, same(fmt.Sprint(g.r.IntN(20))))
			if g.r.IntN(3) == 0 {
				s = format("%s offset %s", s, same(fmt.Sprint(g.r.IntN(5))))
			}
		}
	}
	return s.ours, s.theirs, ordered
}
