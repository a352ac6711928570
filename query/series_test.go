package query_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch/query"
	"github.com/tokenwatch/tokenwatch/query/querytest"
)

// stores are the same random events twice: in segments that carry series, some
// appended, and in segments that carry nothing.
func stores(seed uint64) (carrying, plain *querytest.Store) {
	carrying, plain = &querytest.Store{Tenant: "t"}, &querytest.Store{Tenant: "t"}
	rng := querytest.Rand(seed)
	for i := range 5 {
		b := querytest.Random(rng, 100+rng.IntN(400), i%4 != 3)
		carrying.Add(b, i%4 != 3)
		plain.Add(b, false)
	}
	return carrying, plain
}

// answer is the rows of an answer in the order of their texts.
func answer(t *testing.T, s *querytest.Store, sql string) (rows []string, stats query.Statistics) {
	t.Helper()
	var a querytest.Answer
	stats, err := query.New(query.Config{Events: s}).Run(t.Context(), query.Request{Tenant: "t", SQL: sql}, &a)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	for _, row := range a.Values {
		var line []string
		for _, v := range row {
			if v.IsNull() {
				line = append(line, "null")
			} else {
				line = append(line, v.String())
			}
		}
		rows = append(rows, strings.Join(line, "|"))
	}
	slices.Sort(rows)
	return rows, stats
}

// TestBySeries: what series answer is what the rows would.
func TestBySeries(t *testing.T) {
	for _, c := range []struct {
		sql    string
		series bool // may answer
	}{
		{"select date_bin('1 minute', time), count(*) from events group by 1", true},
		{"select date_bin('1 hour', time) h, host, method, status, count(*) from events group by 1, 2, 3, 4", true},
		{"select date_trunc('day', time), host, count(status), count(distinct method), max(status), min(host) from events group by 1, 2", true},
		{"select count(*) from events where status >= 500 and time >= '2026-03-02T05:00:00Z' and time < '2026-03-02T06:00:00Z'", true},
		{"select method, count(*), avg(status), sum(status) from events where host like '%.example' or method = 'GET' group by 1", true},
		{"select host, method, approx_quantile(duration, 0.99), approx_quantile(duration, 0.5), count(*) from events group by 1, 2", true},
		{"select date_bin('1 hour', time), approx_quantile(duration, 0.9) from events where method = 'GET' group by 1", true},
		{"select token, date_bin('1 hour', time), count(*) from events where token in ('" + querytest.Token(3) + "', '" + querytest.Token(4) + "') group by 1, 2", false},
		{"select date_trunc('month', time), count(*) from events group by 1", true},
		{"select src_ip, date_bin('2 hours', time), count(*) from events where src_ip = '10.0.0.1' group by 1, 2", true},
		// The rest must be read from the rows, in whole or in part.
		{"select date_bin('1 second', time), count(*) from events group by 1", false},
		{"select date_bin('1 minute', time, timestamp '2026-03-02T00:00:01Z'), count(*) from events group by 1", false},
		{"select count(*), min(time) from events where status = 200", false},
		{"select status, quantile(duration, 0.5) from events group by 1", false},
		{"select status, sum(duration) from events where host is not null group by 1", false},
		{"select host, count(*) from events where time > '2026-03-02T05:00:00.001Z' group by 1", false},
		{"select token, date_bin('1 hour', time), count(*) from events group by 1, 2", false}, // some have none
		{"select date_bin('1 minute', time), count(*) from events where duplicate group by 1", false},
		{"select path, date_bin('1 hour', time), count(*) from events group by 1, 2", false},
		{"select host, count(*) filter (where status > 400) from events group by 1", false},
	} {
		for seed := range uint64(4) {
			carrying, plain := stores(seed)
			got, stats := answer(t, carrying, c.sql)
			want, _ := answer(t, plain, c.sql)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: seed %d: by series\n%v\nby rows\n%v", c.sql, seed, got, want)
			}
			if (stats.BySeries > 0) != c.series {
				t.Errorf("%s: %d segments answered from series", c.sql, stats.BySeries)
			}
		}
	}
}

// TestSeriesTable holds the table of series against the events.
func TestSeriesTable(t *testing.T) {
	faults := "count(*) filter (where status >= 400), count(*) filter (where status = 401), count(*) filter (where status = 403), " +
		"count(*) filter (where status = 404), count(*) filter (where status >= 500)"
	measures := "count, errors, errors_authn, errors_authz, errors_not_found, errors_server, bytes_out, duration_p50, duration_p99, distinct_src_ip"
	rest := faults + ", coalesce(sum(bytes_out), 0), approx_quantile(duration, 0.5), approx_quantile(duration, 0.99), count(distinct src_ip)"
	for series, events := range map[string]string{
		"select time, host, method, status, " + measures + " from series where resolution = 'minute'":                                "select date_bin('1 minute', time), host, method, status, count(*), " + rest + " from events group by 1, 2, 3, 4",
		"select time, entity, token, " + measures + " from series where resolution = 'hour' and entity_kind = 'token'":               "select date_bin('1 hour', time), token, token, count(*), " + rest + " from events where token is not null group by 1, 2, 3",
		"select time, token, route, " + measures + " from series where resolution = 'day'":                                           "select date_bin('1 day', time), token, route, count(*), " + rest + " from events where token is not null group by 1, 2, 3",
		"select entity_kind, entity, count from series where entity_kind in ('address', 'actor') and time >= '2026-03-02T10:00:00Z'": "select 'address', src_ip::text, count(*) from events where src_ip is not null and time >= '2026-03-02T10:00:00Z' group by 2, date_bin('1 hour', time)",
		"select time, count from series where host = 'a.example' and count > 1 and time < '2026-03-02T12:00:00Z'":                    "select date_bin('1 minute', time) t, count(*) from events where host = 'a.example' and time < '2026-03-02T12:00:00Z' group by 1, method, status having count(*) > 1",
		"select entity, sum(count) from series where entity_kind = 'token' and token is null group by 1":                             "select token, 1 from events where status < 0",
		"select resolution, sum(count) from series where entity_kind is null and host is not null group by 1":                        "select 'minute', count(*) from events where host is not null",
	} {
		for seed := range uint64(3) {
			carrying, plain := stores(seed)
			want, _ := answer(t, plain, events)
			for name, s := range map[string]*querytest.Store{"carrying": carrying, "plain": plain} {
				if got, _ := answer(t, s, series); !slices.Equal(got, want) {
					t.Fatalf("%s: seed %d, %s:\n%s\nwant\n%s", series, seed, name, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		}
	}
}

// TestSeriesMemory: cells are within the budget of memory.
func TestSeriesMemory(t *testing.T) {
	s, _ := stores(1)
	var a querytest.Answer
	_, err := query.New(query.Config{Events: s, Limits: query.Limits{Memory: 10 << 10}}).Run(t.Context(), query.Request{Tenant: "t", SQL: "select * from series"}, &a)
	if limit := (*query.LimitError)(nil); !errors.As(err, &limit) || limit.What != "memory" {
		t.Errorf("got %v, want the limit of memory", err)
	}
}
