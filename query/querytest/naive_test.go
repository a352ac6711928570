package querytest

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// event is a row as the plain references see it: nil is null.
type event struct {
	time, status, bytes, duration *int64
	token, host, path, x          *string
	ip                            netip.Addr
}

// events returns all rows that are no duplicates.
func events(s *Store) []event {
	var out []event
	for _, p := range s.Parts {
		b := p.Batch()
		for i := range b.Rows() {
			if b.Bool(tokenwatch.ColDuplicate, i) {
				continue
			}
			num := func(c tokenwatch.Col) *int64 {
				if !b.Has(c, i) {
					return nil
				}
				n := b.Int(c, i)
				return &n
			}
			text := func(c tokenwatch.Col) *string {
				if !b.Has(c, i) {
					return nil
				}
				s := b.Text(c, i)
				return &s
			}
			e := event{
				time: num(tokenwatch.ColTime), status: num(tokenwatch.ColStatus), bytes: num(tokenwatch.ColBytesOut), duration: num(tokenwatch.ColDuration),
				token: text(tokenwatch.ColToken), host: text(tokenwatch.ColHost), path: text(tokenwatch.ColPath), ip: b.Addr(i),
			}
			b.EachAttr(i, func(k, v string) {
				if k == "x" {
					e.x = &v
				}
			})
			out = append(out, e)
		}
	}
	return out
}

func str(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// scalars are expressions and what they are of a row, computed plainly.
var scalars = map[string]func(event) string{
	"path ~ '^/v1/(users|reports)'": onPath(func(s string) string { return bit(regexp.MustCompile("^/v1/(users|reports)").MatchString(s)) }),
	"path !~* 'USERS'":              onPath(func(s string) string { return bit(!strings.Contains(strings.ToLower(s), "users")) }),
	"regexp_extract(path, '/([a-z]+)/([0-9]+)', 2)": onPath(func(s string) string {
		if m := regexp.MustCompile("/([a-z]+)/([0-9]+)").FindStringSubmatch(s); m != nil {
			return m[2]
		}
		return "null"
	}),
	"split_part(path, '/', 3)": onPath(func(s string) string {
		if p := strings.Split(s, "/"); len(p) >= 3 {
			return p[2]
		}
		return "null"
	}),
	"starts_with(path, '/v1/')": onPath(func(s string) string { return bit(strings.HasPrefix(s, "/v1/")) }),
	"ends_with(path, '/')":      onPath(func(s string) string { return bit(strings.HasSuffix(s, "/")) }),
	"octet_length(path)":        onPath(func(s string) string { return fmt.Sprint(len(s)) }),
	"position('s', path)":       onPath(func(s string) string { return fmt.Sprint(strings.Index(s, "s") + 1) }),
	"path like '/v1%_/_%'": onPath(func(s string) string {
		return bit(regexp.MustCompile(`^/v1(?s:.*)(?s:.)/(?s:.)(?s:.*)$`).MatchString(s))
	}),
	"src_ip <<= '10.1.0.0/16'":                     onIP(func(a netip.Addr) string { return bit(netip.MustParsePrefix("10.1.0.0/16").Contains(a)) }),
	"in_cidr(src_ip, '2001:db8::/32', '10.2.0.3')": onIP(func(a netip.Addr) string { return bit(a.Is6() || a.String() == "10.2.0.3") }),
	"network(src_ip, 24, 64)": onIP(func(a netip.Addr) string {
		bits := 24
		if a.Is6() {
			bits = 64
		}
		return netip.PrefixFrom(a, bits).Masked().String()
	}),
	"src_ip::text":              onIP(netip.Addr.String),
	"date_trunc('week', time)":  onTime(func(t time.Time) string { return nanos(monday(t)) }),
	"date_trunc('month', time)": onTime(func(t time.Time) string { return nanos(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)) }),
	"date_part('hour', time)":   onTime(func(t time.Time) string { return fmt.Sprint(t.Hour()) }),
	"date_part('isodow', time)": onTime(func(t time.Time) string { return fmt.Sprint((int(t.Weekday())+6)%7 + 1) }),
	"time + interval '90 min'":  onTime(func(t time.Time) string { return nanos(t.Add(90 * time.Minute)) }),
	"time - interval '1 month'": onTime(func(t time.Time) string { return nanos(t.AddDate(0, -1, 0)) }),
	"epoch_ms(time)":            onTime(func(t time.Time) string { return fmt.Sprint(t.UnixMilli()) }),
	"round(bytes_out / 7, 2)":   onBytes(func(n int64) string { return number(math.Round(float64(n)/7*100) / 100) }),
	"floor(bytes_out / 3)":      onBytes(func(n int64) string { return number(math.Floor(float64(n) / 3)) }),
	"bytes_out % 20 <> 7":       onBytes(func(n int64) string { return bit(n%20 != 7) }),
	"bytes_out // 13":           onBytes(func(n int64) string { return fmt.Sprint(n / 13) }),
	"greatest(bytes_out, 3)":    func(e event) string { return fmt.Sprint(max(3, orLess(e.bytes))) },
	"sqrt(bytes_out)":           onBytes(func(n int64) string { return rootOf(float64(n)) }),
	"cast(attrs['x'] as int) + 1": func(e event) string {
		if e.x == nil {
			return "null"
		}
		var n int
		fmt.Sscan(*e.x, &n)
		return fmt.Sprint(n + 1)
	},
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func nanos(t time.Time) string { return fmt.Sprint(t.UnixNano()) }

func monday(t time.Time) time.Time {
	d := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	for d.Weekday() != time.Monday {
		d = d.AddDate(0, 0, -1)
	}
	return d
}

func orLess(n *int64) int64 {
	if n == nil {
		return math.MinInt64
	}
	return *n
}

func rootOf(f float64) string {
	if f < 0 {
		return "null"
	}
	return number(math.Sqrt(f))
}

func onPath(f func(string) string) func(event) string {
	return func(e event) string {
		if e.path == nil {
			return "null"
		}
		return f(*e.path)
	}
}

func onIP(f func(netip.Addr) string) func(event) string {
	return func(e event) string {
		if !e.ip.IsValid() {
			return "null"
		}
		return f(e.ip)
	}
}

func onTime(f func(time.Time) string) func(event) string {
	return func(e event) string { return f(time.Unix(0, *e.time).UTC()) }
}

func onBytes(f func(int64) string) func(event) string {
	return func(e event) string {
		if e.bytes == nil {
			return "null"
		}
		return f(*e.bytes)
	}
}

// chance makes a store of a few segments.
func chance(seed uint64, rows int) (*Store, *query.Engine) {
	r := Rand(seed)
	s := &Store{Tenant: "t"}
	for i := range 4 {
		s.Add(Random(r, rows, i%2 == 0), i%2 == 0)
	}
	return s, query.New(query.Config{Events: s, Workers: 1 + int(seed%3)})
}

func run(t *testing.T, e *query.Engine, sql string) []string {
	t.Helper()
	var a Answer
	if _, err := e.Run(t.Context(), query.Request{Tenant: "t", SQL: sql}, &a); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return lines(&a)
}

// TestScalars compares every expression with its plain reference, as a value and,
// if it is a condition, as a filter, and the same beside other conditions.
func TestScalars(t *testing.T) {
	for seed := range uint64(4) {
		s, e := chance(seed, 200)
		rows := events(s)
		for text, of := range scalars {
			var want, passed, further []string
			condition := false
			for _, r := range rows {
				v := of(r)
				want = append(want, v)
				condition = condition || strings.ContainsAny(text, "~<") || strings.Contains(text, "_with") || strings.Contains(text, "like") || strings.Contains(text, "in_cidr")
				if v == "1" {
					passed = append(passed, str(r.token))
					if r.status != nil && *r.status >= 400 {
						further = append(further, str(r.token))
					}
				}
			}
			sameLines(t, text, run(t, e, "select "+text+" from events"), want)
			if !condition {
				continue
			}
			sameLines(t, "where "+text, run(t, e, "select token from events where "+text), passed)
			sameLines(t, "not not "+text, run(t, e, "select token from events where not (not ("+text+"))"), passed)
			sameLines(t, "further "+text, run(t, e, "select token from events where status >= 400 and "+text), further)
		}
	}
}

// sameLines compares lines in any order.
func sameLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %d %q\nwant %d %q", what, len(got), head(got, want), len(want), head(want, got))
	}
}

// TestAggregates compares the aggregates that SQLite does not have with plain
// references, by host.
func TestAggregates(t *testing.T) {
	for seed := range uint64(4) {
		s, e := chance(seed, 900)
		groups := make(map[string][]event)
		for _, r := range events(s) {
			groups[str(r.host)] = append(groups[str(r.host)], r)
		}
		var want []string
		for host, rows := range groups {
			want = append(want, strings.Join([]string{host, quantileOf(rows, 0.99), quantileOf(rows, 0.5), edgeOf(rows, -1), edgeOf(rows, 1), deviation(rows)}, "|"))
		}
		sameLines(t, "aggregates", run(t, e, `select host, quantile(bytes_out, 0.99), median(bytes_out), first(token), last(token),
			stddev(bytes_out) from events group by host`), want)
		for _, line := range run(t, e, `select host, approx_quantile(bytes_out, 0.9), quantile(bytes_out, 0.9),
			approx_count_distinct(time), count(distinct time) from events group by host`) {
			var q, exact, n, distinct float64
			f := strings.Split(line, "|")
			for i, to := range []*float64{&q, &exact, &n, &distinct} {
				fmt.Sscan(f[i+1], to)
			}
			if math.Abs(q-exact) > 0.011*math.Abs(exact)+1 || math.Abs(n-distinct) > 0.06*distinct+1 {
				t.Errorf("approximate: %s", line)
			}
		}
	}
}

func values(rows []event) []int64 {
	var out []int64
	for _, r := range rows {
		if r.bytes != nil {
			out = append(out, *r.bytes)
		}
	}
	slices.Sort(out)
	return out
}

func quantileOf(rows []event, q float64) string {
	v := values(rows)
	if len(v) == 0 {
		return "null"
	}
	for i, x := range v { // the first at which the share up to it reaches q
		if float64(i+1) >= q*float64(len(v)) {
			return fmt.Sprint(x)
		}
	}
	return fmt.Sprint(v[len(v)-1])
}

// edgeOf is the token of the earliest (-1) or latest (1) event that has one, of
// several the least.
func edgeOf(rows []event, which int) string {
	best := event{}
	for _, r := range rows {
		if r.token == nil {
			continue
		}
		if best.token == nil || (*r.time > *best.time) == (which > 0) && *r.time != *best.time || *r.time == *best.time && *r.token < *best.token {
			best = r
		}
	}
	return str(best.token)
}

func deviation(rows []event) string {
	v := values(rows)
	if len(v) < 2 {
		return "null"
	}
	mean, sum := 0.0, 0.0
	for _, x := range v {
		mean += float64(x) / float64(len(v))
	}
	for _, x := range v {
		sum += (float64(x) - mean) * (float64(x) - mean)
	}
	return number(math.Sqrt(sum / float64(len(v)-1)))
}

// TestSketch: many distinct values are counted within three standard errors.
func TestSketch(t *testing.T) {
	r := Rand(3)
	var b tokenwatch.Builder
	var row tokenwatch.Row
	const n = 60_000
	for range n {
		row.Reset()
		row.SetInt(tokenwatch.ColTime, r.Int64())
		row.SetString(tokenwatch.ColPath, fmt.Sprint("/", r.Uint64()))
		b.Append(&row)
	}
	s := &Store{Tenant: "t"}
	s.Add(b.Batch(), false)
	var a Answer
	if _, err := query.New(query.Config{Events: s}).Run(t.Context(), query.Request{Tenant: "t", SQL: "select approx_count_distinct(time), approx_count_distinct(path), approx_count_distinct(epoch_ns(time) % 100) from events"}, &a); err != nil {
		t.Fatal(err)
	}
	for _, v := range a.Values[0][:2] {
		if math.Abs(float64(v.Int)-n) > 0.05*n {
			t.Errorf("%d, want about %d", v.Int, n)
		}
	}
	if a.Values[0][2] != expr.Int(100) {
		t.Errorf("%v, want 100: few values are counted exactly", a.Values[0][2])
	}
}
