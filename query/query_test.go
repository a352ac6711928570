package query_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
	"github.com/tokenwatch/tokenwatch/query/querytest"
	"github.com/tokenwatch/tokenwatch/storage"
)

// TestGolden runs testdata/query: events, one a line, make a segment; query asks
// over all segments so far.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, filepath.Join("..", "testdata", "query"), func(t *testing.T, path string) {
		s := &querytest.Store{Tenant: "t"}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "events":
				s.Add(batch(t, d.Input), d.HasArg("merged"))
				return ""
			case "query":
				return show(t, s, d.Input)
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

// batch reads events as column=value pairs.
func batch(t *testing.T, text string) *tokenwatch.Batch {
	t.Helper()
	var b tokenwatch.Builder
	var row tokenwatch.Row
	var duplicate []bool
	for line := range strings.Lines(text) {
		row.Reset()
		duplicate = append(duplicate, false)
		for _, pair := range strings.Fields(line) {
			name, value, _ := strings.Cut(pair, "=")
			if key, ok := strings.CutPrefix(name, "attrs."); ok {
				row.AddAttr([]byte(key), []byte(value))
				continue
			}
			c, ok := tokenwatch.ColumnByName(name)
			switch {
			case !ok:
				t.Fatalf("no column %s", name)
			case c == tokenwatch.ColDuplicate:
				duplicate[len(duplicate)-1] = true
			case c.Kind() == tokenwatch.KindTime:
				at, err := time.Parse(time.RFC3339, value)
				if err != nil {
					t.Fatal(err)
				}
				row.SetInt(c, at.UnixNano())
			case c.Kind() == tokenwatch.KindInt:
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				row.SetInt(c, n)
			case c.Kind() == tokenwatch.KindAddr:
				row.SetAddr(netip.MustParseAddr(value))
			default:
				row.SetString(c, value)
			}
		}
		b.Append(&row)
	}
	return b.Batch().WithFlags(nil, nil, duplicate)
}

// show runs a statement and writes its answer as a table.
func show(t *testing.T, s *querytest.Store, text string) string {
	t.Helper()
	e := query.New(query.Config{Events: s, Now: func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }})
	var a querytest.Answer
	stats, err := e.Run(t.Context(), query.Request{Tenant: "t", SQL: text}, &a)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var out strings.Builder
	for i, c := range a.Columns {
		if i > 0 {
			out.WriteString(" | ")
		}
		fmt.Fprintf(&out, "%s %s", c.Name, c.Type)
	}
	out.WriteByte('\n')
	for _, row := range a.Values {
		var line []string
		for _, v := range row {
			if v.IsNull() {
				line = append(line, "null")
			} else {
				line = append(line, v.String())
			}
		}
		out.WriteString(strings.Join(line, " | ") + "\n")
	}
	if stats.Pruned+stats.ByCounts > 0 {
		fmt.Fprintf(&out, "(%d of %d segments pruned, %d answered from counts, %d rows read)\n", stats.Pruned, stats.Segments, stats.ByCounts, stats.RowsRead)
	}
	return out.String()
}

// many is an engine over random segments of both forms.
func many(c query.Config, segments, rows int) *query.Engine {
	r := querytest.Rand(7)
	s := &querytest.Store{Tenant: "t"}
	for i := range segments {
		s.Add(querytest.Random(r, rows, i%2 == 0), i%2 == 0)
	}
	c.Events = s
	return query.New(c)
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		limits query.Limits
		sql    string
		what   string
	}{
		{query.Limits{Memory: 100 << 10}, "select date_bin('1 ms', time), token, path, count(*) from events group by 1, 2, 3", "memory"},
		{query.Limits{Memory: 100 << 10}, "select time, token, path from events order by path", "memory"},
		{query.Limits{Memory: 100 << 10}, "select count(distinct time), quantile(bytes_out, 0.5) from events", "memory"},
		{query.Limits{Read: 1000}, "select count(*) from events where status = 200", "read"},
		{query.Limits{Rows: 1000}, "select time from events", "rows"},
		{query.Limits{Bytes: 1000}, "select time from events", "bytes"},
		{query.Limits{Time: 1}, "select count(*) from events where status = 200", "time"},
	} {
		_, err := many(query.Config{Limits: c.limits}, 4, 5000).Run(t.Context(), query.Request{Tenant: "t", SQL: c.sql}, &querytest.Answer{})
		var limit *query.LimitError
		if !errors.As(err, &limit) || limit.What != c.what {
			t.Errorf("%s: %v, want the limit of %s", c.sql, err, c.what)
		}
	}
}

func TestOtherTenantsSeeNothing(t *testing.T) {
	var a querytest.Answer
	e := many(query.Config{}, 2, 100)
	if _, err := e.Run(t.Context(), query.Request{Tenant: "other", SQL: "select count(*) from events"}, &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Values) != 1 || a.Values[0][0] != expr.Int(0) {
		t.Errorf("another tenant counts %v", a.Values)
	}
}

// TestParallel compares the answers of one worker with those of many, and of a
// cache with those of none.
func TestParallel(t *testing.T) {
	for _, sql := range []string{
		"select host, method, count(*), count(distinct src_ip), quantile(duration, 0.9), sum(bytes_out), first(path), last(path), approx_count_distinct(path), stddev(status) > 0 from events group by 1, 2 order by 1, 2",
		"select time, token, path, status from events where status >= 400 order by time desc, token, path, status limit 50",
		"select distinct token, src_ip from events order by 1, 2",
		"select e.token, f.n, count(*) from events e left join (select host, count(*) n from events group by 1) f on e.host = f.host group by 1, 2 order by 1, 2",
	} {
		var want *querytest.Answer
		for _, c := range []query.Config{{Workers: 1, Cache: -1}, {Workers: 1}, {Workers: 4}, {Workers: 7, Cache: 100 << 10}} {
			got := &querytest.Answer{}
			if _, err := many(c, 7, 3000).Run(t.Context(), query.Request{Tenant: "t", SQL: sql}, got); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if want == nil {
				want = got
				continue
			}
			if !slices.EqualFunc(want.Values, got.Values, func(a, b []expr.Value) bool { return slices.Equal(a, b) }) {
				t.Errorf("%s: %d workers answer otherwise", sql, c.Workers)
			}
		}
	}
}

// inventory is a storage.Tokens of two tokens; tkw_a is also called AKIA1.
type inventory struct{}

func (inventory) Token(_ context.Context, tenant, name string) (tokenwatch.TokenRecord, error) {
	if tenant == "t" && (name == "AKIA1" || name == "tkw_a") {
		return tokenwatch.TokenRecord{Tenant: tenant, ID: "tkw_a", SameAs: []tokenwatch.TokenID{"tkw_c"}}, nil
	}
	return tokenwatch.TokenRecord{}, storage.ErrNotFound
}

func (inventory) Tokens(_ context.Context, tenant string, _ tokenwatch.TokenID) iter.Seq2[tokenwatch.TokenRecord, error] {
	return func(yield func(tokenwatch.TokenRecord, error) bool) {
		_ = yield(tokenwatch.TokenRecord{Tenant: tenant, ID: "tkw_a", Owner: "ann", State: tokenwatch.TokenActive, Scopes: []string{"read"}}, nil) &&
			yield(tokenwatch.TokenRecord{Tenant: tenant, ID: "tkw_b", Owner: "bob", State: tokenwatch.TokenRevoked}, nil)
	}
}

// TestTokens: any name of a token will do, secrets are turned before they are
// looked up, and events are joined with the inventory.
func TestTokens(t *testing.T) {
	s := &querytest.Store{Tenant: "t"}
	s.Add(batch(t, "token=tkw_a status=200\ntoken=tkw_b status=201\ntoken=tkw_c status=202\ntoken=tkw_d status=203"), false)
	e := query.New(query.Config{Events: s, Tokens: inventory{}, Names: func(_, name string) []string {
		if name == "s3cret" {
			return []string{name, "tkw_d"}
		}
		return []string{name}
	}})
	for sql, want := range map[string]string{
		"select status from events where token = 'AKIA1' order by 1":                                                              "200 202",
		"select status from events where token = 's3cret'":                                                                        "203",
		"select status from events where token <> 'AKIA1' order by 1":                                                             "201 203",
		"select status from events where token in ('s3cret', 'tkw_b') order by 1":                                                 "201 203",
		"select t.owner from events e join tokens t on e.token = t.token order by e.status":                                       "ann bob",
		"select e.status from events e left join tokens t on e.token = t.id where t.state = 'revoked' or t.id is null order by 1": "201 202 203",
		"select owner from tokens where id = 'AKIA1'":                                                                             "ann",
		"select scopes from tokens order by owner":                                                                                "[\"read\"] []",
	} {
		var a querytest.Answer
		if _, err := e.Run(t.Context(), query.Request{Tenant: "t", SQL: sql}, &a); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var got []string
		for _, row := range a.Values {
			got = append(got, row[0].String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// leaver is an Output whose reader leaves once it has begun.
type leaver struct {
	querytest.Answer
	leave func()
}

func (l *leaver) Begin(columns []query.Column) error {
	l.leave()
	return l.Answer.Begin(columns)
}

// TestLeave: a statement ends when whoever asked has left.
func TestLeave(t *testing.T) {
	e := many(query.Config{Workers: 1}, 8, 20_000)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := e.Run(ctx, query.Request{Tenant: "t", SQL: "select path from events where path like '%e%'"}, &leaver{leave: cancel})
	if !errors.Is(err, context.Canceled) || s.RowsRead > 100_000 {
		t.Errorf("%v after %d rows", err, s.RowsRead)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Run(gone, query.Request{Tenant: "t", SQL: "select count(*) from events where status = 1"}, &querytest.Answer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was given up", err)
	}
}

// TestLanguage: the description of the language lists every function and aggregate.
func TestLanguage(t *testing.T) {
	b, err := os.ReadFile("LANGUAGE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range query.Documentation() {
		if !strings.Contains(string(b), line) {
			t.Errorf("LANGUAGE.md lacks the line\n%s", line)
		}
	}
}
