package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
)

// BenchmarkEngine reads a day of 500,000 events of 20,000 tokens, each with its
// habits, in batches of 20,000 rows, and reports the time per event.
func BenchmarkEngine(b *testing.B) {
	const events, tokens, size = 500_000, 20_000, 20_000
	var log enginetest.Log
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 20, tokens-1)
	var builder tokenwatch.Builder
	var row tokenwatch.Row
	for i := range events {
		k := zipf.Uint64()
		row.Reset()
		row.SetInt(tokenwatch.ColTime, enginetest.Start.Add(24*time.Hour*time.Duration(i)/events).UnixNano())
		row.SetString(tokenwatch.ColToken, fmt.Sprintf("tkw_%026d", k))
		row.SetString(tokenwatch.ColActor, fmt.Sprintf("user-%d@org", k/3))
		row.SetAddr(netip.AddrFrom4([4]byte{byte(k), byte(k >> 8), 1, byte(r.IntN(3))}))
		row.SetString(tokenwatch.ColAgentFamily, fmt.Sprint("agent", k%17))
		route := fmt.Sprintf("/v1/thing%d/{id}", (k*7+uint64(r.IntN(12)))%212)
		row.SetString(tokenwatch.ColRoute, route)
		row.SetString(tokenwatch.ColAction, "GET "+route)
		row.SetString(tokenwatch.ColActionClass, "read")
		row.SetString(tokenwatch.ColOutcome, "success")
		row.SetString(tokenwatch.ColSrcCloud, "public")
		row.SetString(tokenwatch.ColRequestID, fmt.Sprintf("%032x", i))
		builder.Append(&row)
		if builder.Rows() == size {
			if _, err := log.Append(context.Background(), tokenwatch.Entry{Tenant: "t", Time: enginetest.Start.AddDate(0, 0, 2), Batch: builder.Batch()}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		log.Forget()
		if err := engine.New(engine.Config{}, &log, &log).RunTo(context.Background(), log.Last()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}
