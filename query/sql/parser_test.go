package sql

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

var good = []string{
	"select 1",
	"SELECT status, count(*) n FROM events GROUP BY 1 ORDER BY n DESC NULLS LAST LIMIT 10 OFFSET 5;",
	"select distinct e.token from events as e left join tokens t on e.token = t.token where t.owner is not null",
	"with a as (select 1 x), b as (select x from a) select * from b where x in (select x from a) and not exists (select 1)",
	"explain analyze select * from events where time >= now() - interval '1 hour' and src_ip <<= '10.0.0.0/8'",
	"select case status when 200 then 'ok' else 'no' end, case when a then -1 end, attrs['x'], cast(a as int), b::text from events",
	"select count(distinct src_ip) filter (where status >= 500) from events having count(*) > 1",
	"select a from events where path not like '%x!%%' escape '!' and host ilike 'A%' and a between 1 and 2 and b !~ 'x' or c is not true",
	"select - - -1, +2, 1e3, .5, 'it''s', \"Quoted \"\"name\"\"\", timestamp '2026-03-02', date '2026-03-02', current_timestamp -- end",
	"select /* c */ a.* from events a join (select 1 z) q using (z)",
	"select time, first(host), last(host) from events group by time",
}

func TestParse(t *testing.T) {
	for _, s := range good {
		if _, err := Parse(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		at   int
		want string
	}{
		{"", 0, "found the end, expected SELECT"},
		{"delete from events", 0, "found a name, expected SELECT"},
		{"select from events", 7, "found FROM, expected an expression"},
		{"select a,, b", 9, "found ,, expected an expression"},
		{"select a from events where", 26, "found the end, expected an expression"},
		{"select a from events where b not c", 33, "found a name, expected IN, LIKE, ILIKE, REGEXP or BETWEEN"},
		{"select 'abc", 7, "a string that does not end"},
		{"select 12abc", 9, "a number ends in a letter"},
		{"select a from events, tokens", 20, "found ,, expected JOIN … ON to add a table"},
		{"select a from events limit 'x'", 27, "found a string, expected a whole number for LIMIT"},
		{"select a from events union select b from events", 21, "UNION is not part of this language"},
		{"select count(*) over () from events", 16, "window functions are not part of this language"},
		{"select interval '3 parsecs'", 16, "not an interval"},
		{"select timestamp 'yesterday'", 17, "not a time"},
		{"select 1 }", 9, "a character that means nothing here"},
		{"select " + strings.Repeat("(", 100) + "1", 70, "nested deeper than 64"},
		{"select /* x", 7, "a comment that does not end"},
	} {
		_, err := Parse(c.text)
		var e *Error
		if !errors.As(err, &e) || e.At != c.at || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s:\n got %v\nwant %q at %d", c.text, err, c.want, c.at+1)
		}
	}
}

func TestErrorsDoNotEcho(t *testing.T) {
	const secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	for _, s := range []string{"select " + secret + " " + secret + " x", "'" + secret, secret, "select a from events where '" + secret + "' '" + secret + "'", `select "` + secret} {
		_, err := Parse(s)
		if err == nil || strings.Contains(err.Error(), secret[4:16]) {
			t.Errorf("%v", err)
		}
	}
}

func TestInterval(t *testing.T) {
	for s, want := range map[string][2]int64{
		"1 hour": {3600e9, 0}, "90s": {90e9, 0}, "1.5h": {5400e9, 0}, "-2 days": {-2 * 86400e9, 0}, "1 day 02:03:04.5": {86400e9 + 7384.5e9, 0},
		"3 months": {0, 3}, "1 year 1 ns": {1, 12}, "9000000000000000001 ns": {9000000000000000001, 0},
	} {
		n, months, err := ParseInterval(s)
		if s == "9000000000000000001 ns" {
			if err == nil {
				t.Errorf("%s: no error", s)
			}
			continue
		}
		if err != nil || n != want[0] || months != want[1] {
			t.Errorf("%s: %d %d %v", s, n, months, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range good {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		st, err := Parse(s)
		var e *Error
		switch {
		case err == nil && st.Query == nil:
			t.Fatal("no query and no error")
		case err != nil && (!errors.As(err, &e) || e.At < 0 || e.At > max(len(s), 1) || !utf8.ValidString(e.Error())):
			t.Fatalf("error %v", err)
		}
	})
}
