package block

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// traffic is rows of an API's access log in the order in which they arrived:
// few tokens make most requests, each from few addresses.
func traffic(rows int) *tokenwatch.Entry {
	rng := rand.New(rand.NewPCG(1, 1))
	tokens := rand.NewZipf(rng, 1.1, 3, 19_999)
	methods := []string{"GET", "GET", "GET", "GET", "POST", "POST", "PATCH", "DELETE"}
	resources := []string{"accounts", "users", "orders", "invoices", "payments", "files", "reports", "keys"}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var builder tokenwatch.Builder
	var row tokenwatch.Row
	for range rows {
		at = at.Add(time.Duration(rng.IntN(40)) * time.Millisecond)
		token := tokens.Uint64()
		who := rand.New(rand.NewPCG(token, 5))
		resource := resources[(token+rng.Uint64N(3))%8]
		row.Reset()
		row.SetInt(tokenwatch.ColTime, at.UnixNano())
		row.SetInt(tokenwatch.ColIngestTime, 1772452800_000000000)
		row.SetString(tokenwatch.ColSource, "edge")
		row.SetString(tokenwatch.ColFormat, "json")
		row.SetText(tokenwatch.ColToken, row.Build(func(b []byte) []byte {
			b = append(b, tokenwatch.TokenPrefix...)
			for range 26 {
				b = append(b, alphabets[2].digits[who.IntN(32)])
			}
			return b
		}))
		row.SetString(tokenwatch.ColActor, fmt.Sprintf("user-%05d@org%03d", who.IntN(10_000), who.IntN(400)))
		row.SetAddr(netip.AddrFrom4([4]byte{byte(13 + who.IntN(180)), byte(who.Uint32()), byte(who.Uint32()), byte(rng.IntN(3))}))
		row.SetString(tokenwatch.ColUserAgent, fmt.Sprintf("acme-sdk-go/2.%d.%d (linux; amd64)", who.IntN(9), who.IntN(9)))
		row.SetString(tokenwatch.ColMethod, methods[rng.IntN(len(methods))])
		row.SetString(tokenwatch.ColHost, []string{"api.example.com", "auth.example.com"}[who.IntN(2)])
		row.SetString(tokenwatch.ColPath, fmt.Sprintf("/v1/%s/%012x", resource, rng.Uint64()&(1<<48-1)))
		row.SetInt(tokenwatch.ColStatus, []int64{200, 200, 200, 200, 200, 200, 201, 304, 404, 500}[rng.IntN(10)])
		row.SetInt(tokenwatch.ColBytesOut, int64(900*(1+rng.ExpFloat64())))
		row.SetInt(tokenwatch.ColDuration, int64(1+12*rng.ExpFloat64())*int64(time.Millisecond))
		row.SetString(tokenwatch.ColRequestID, fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()))
		builder.Append(&row)
	}
	return &tokenwatch.Entry{Tenant: tokenwatch.DefaultTenant, Time: at, Batch: builder.Batch()}
}

func report(b *testing.B, rows, bytes int) {
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(bytes)/float64(rows), "bytes/row")
}

func BenchmarkEncode(b *testing.B) {
	for _, rows := range []int{1, 100, 60_000} {
		b.Run(fmt.Sprint("rows=", rows), func(b *testing.B) {
			e, enc := traffic(rows), NewEncoder()
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = enc.Encode(dst[:0], e); err != nil {
					b.Fatal(err)
				}
			}
			report(b, rows, len(dst))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1, 100, 60_000} {
		b.Run(fmt.Sprint("rows=", rows), func(b *testing.B) {
			seg, dec := encode(b, traffic(rows)), NewDecoder()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := dec.Decode(seg); err != nil {
					b.Fatal(err)
				}
			}
			report(b, rows, len(seg))
		})
	}
}

// BenchmarkColumns reads two of all columns, as a query does.
func BenchmarkColumns(b *testing.B) {
	const rows = 60_000
	seg, dec := encode(b, traffic(rows)), NewDecoder()
	for b.Loop() {
		if _, err := dec.Columns(seg, tokenwatch.ColTime, tokenwatch.ColStatus); err != nil {
			b.Fatal(err)
		}
	}
	report(b, rows, len(seg))
}
