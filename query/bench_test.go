package query_test

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/query"
	"github.com/tokenwatch/tokenwatch/query/querytest"
)

// day is a day of access logs in merged segments: rows by token and time.
func day(segments, rows int) *querytest.Store {
	r := querytest.Rand(1)
	s := &querytest.Store{Tenant: "t"}
	hosts := []string{"api.example.com", "api.eu.example.com", "auth.example.com", "billing.example.com", "files.example.com", "search.example.com"}
	methods := []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	kinds := []string{"users", "orders", "reports", "exports", "items", "repos", "search"}
	for range segments {
		type event struct{ token, time int64 }
		list := make([]event, rows)
		for i := range list {
			n := r.Int64N(20000)
			list[i] = event{n * r.Int64N(20000) / 20000, querytest.Start + r.Int64N(86400e3)*1e6}
		}
		slices.SortFunc(list, func(a, b event) int {
			if a.token != b.token {
				return int(a.token - b.token)
			}
			return int((a.time - b.time) / 1e6)
		})
		var b tokenwatch.Builder
		var row tokenwatch.Row
		for _, e := range list {
			row.Reset()
			row.SetInt(tokenwatch.ColTime, e.time)
			row.SetString(tokenwatch.ColToken, querytest.Token(int(e.token)))
			row.SetAddr(netip.AddrFrom4([4]byte{10, byte(e.token >> 8), byte(e.token), byte(r.IntN(6))}))
			row.SetString(tokenwatch.ColMethod, methods[r.IntN(len(methods))])
			row.SetString(tokenwatch.ColHost, hosts[r.IntN(len(hosts))])
			row.SetString(tokenwatch.ColPath, fmt.Sprintf("/v1/%s/%08x/items/%d", kinds[r.IntN(len(kinds))], r.Uint32(), r.IntN(1000)))
			row.SetInt(tokenwatch.ColStatus, []int64{200, 200, 200, 200, 201, 404, 401, 500}[r.IntN(8)])
			row.SetInt(tokenwatch.ColBytesOut, r.Int64N(100000))
			row.SetInt(tokenwatch.ColDuration, r.Int64N(3000)*1e6)
			b.Append(&row)
		}
		s.Add(b.Batch(), true)
	}
	return s
}

// cpu is the processor time used so far: on a busy machine it says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkQuery asks the analyst's questions, each also with a further filter,
// of a million events in memory.
func BenchmarkQuery(b *testing.B) {
	s := day(4, 250_000)
	token := querytest.Token(7)
	questions := [][2]string{
		{"Q1", "select status, count(*) n from events group by 1"},
		{"Q1f", "select status, count(*) n from events where bytes_out > 1000 group by 1"},
		{"Q2", "select * from events where token = '" + token + "' order by time desc limit 100"},
		{"Q2f", "select * from events where token = '" + token + "' and bytes_out > 1000 order by time desc limit 100"},
		{"Q3", "select token, count(*) n from events group by 1 order by n desc limit 10"},
		{"Q3f", "select token, count(*) n from events where bytes_out > 1000 group by 1 order by n desc limit 10"},
		{"Q4", "select date_trunc('minute', time) m, count(*) n from events where token = '" + token + "' group by 1"},
		{"Q4f", "select date_trunc('minute', time) m, count(*) n from events where bytes_out > 1000 group by 1"},
		{"Q5", "select token, count(distinct src_ip) n from events group by 1 order by n desc limit 10"},
		{"Q5f", "select token, count(distinct src_ip) n from events where bytes_out > 1000 group by 1 order by n desc limit 10"},
		{"Q6", "select count(*) n from events where contains(path, 'ports/')"},
		{"Q6f", "select count(*) n from events where contains(path, 'ports/') and bytes_out > 1000"},
		{"Q7", "select host, method, quantile(duration, 0.99) p from events group by 1, 2"},
		{"Q7f", "select host, method, quantile(duration, 0.99) p from events where bytes_out > 1000 group by 1, 2"},
		{"Q8", "select count(*) n from events where status >= 500 and time >= '2026-03-02T10:00:00Z' and time < '2026-03-02T11:00:00Z'"},
		{"Q8f", "select count(*) n from events where status >= 500 and time >= '2026-03-02T10:00:00Z' and time < '2026-03-02T11:00:00Z' and bytes_out > 1000"},
		{"Top", "select * from events order by time desc limit 100"},
		{"Join", "select t.n, count(*) from events e join (select token, count(*) n from events group by 1) t on e.token = t.token group by 1 order by 1 limit 5"},
	}
	e := query.New(query.Config{Events: s})
	for _, q := range questions {
		b.Run(q[0], func(b *testing.B) {
			b.ReportAllocs()
			before := cpu()
			defer func() { b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N)/1e3, "cpu-ms/op") }()
			for b.Loop() {
				var a querytest.Answer
				if _, err := e.Run(b.Context(), query.Request{Tenant: "t", SQL: q[1]}, &a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
