package inventory

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// batchOf makes a batch of one event of each of n tokens, from the one with a
// number on, with two names each as the sealer gives them.
func batchOf(from, n int, at time.Time) *tokenwatch.Batch {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for i := from; i < from+n; i++ {
		id := fmt.Sprintf("tkw_%026d", i)
		row.Reset()
		row.SetInt(tokenwatch.ColTime, at.Add(time.Duration(i)*time.Millisecond).UnixNano())
		row.SetString(tokenwatch.ColToken, id)
		row.SetString(tokenwatch.ColSource, "edge")
		row.SetString(tokenwatch.ColTokenKind, "bearer")
		row.SetString(tokenwatch.ColAction, fmt.Sprintf("GET /v1/%d", i%50))
		b.Append(&row)
		for _, n := range []int{8, 16} {
			b.AddName(tokenwatch.Naming{Token: tokenwatch.TokenID(id), Alias: tokenwatch.Alias{Kind: tokenwatch.NameHashDigest, Value: fmt.Sprintf("%d:%026x", n, i*2654435761)}})
		}
	}
	return b.Batch()
}

// BenchmarkMillion fills an inventory with a million tokens, and tells what one
// of them takes, how long a batch is taken in then, and how long a page of a list.
func BenchmarkMillion(b *testing.B) {
	const tokens, size = 1_000_000, 4096
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		v := New("t")
		before := heap()
		var took time.Duration
		for at := 0; at < tokens; at += size {
			batch := batchOf(at, min(size, tokens-at), start)
			began := time.Now()
			v.Take(batch, tokenwatch.Offset(1+at/size), nil)
			took += time.Since(began)
		}
		b.ReportMetric(float64(heap()-before)/tokens, "B/token")
		b.ReportMetric(float64(took.Nanoseconds())/tokens, "ns/new-token")
		again := batchOf(500_000, size, start)
		began := time.Now()
		for range 20 {
			v.Take(again, 1000, nil)
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/20/size, "ns/known-token")
		v.page("", 0) // the order is made at the first
		began = time.Now()
		n := 0
		for range v.Tokens(tokenwatch.TokenID(fmt.Sprintf("tkw_%026d", 500_000)), start.UnixNano()) {
			if n++; n == 1000 {
				break
			}
		}
		b.ReportMetric(float64(time.Since(began).Microseconds()), "µs/1000-listed")
		began = time.Now()
		if _, ok := v.Token(fmt.Sprintf("tkw_%026d", 777_777), start.UnixNano()); !ok {
			b.Fatal("not found")
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds()), "ns/found")
	}
}
