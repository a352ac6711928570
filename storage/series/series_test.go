package series_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/series"
	"github.com/tokenwatch/tokenwatch/storage/series/seriestest"
)

// randomBatch makes rows of a few hosts, tokens and hours; any value may be
// missing, and some rows are duplicates.
func randomBatch(rng *rand.Rand, n int) *tokenwatch.Batch {
	var b tokenwatch.Builder
	begin := time.Date(2026, 3, 1, 22, 30, 0, 0, time.UTC)
	if rng.IntN(8) == 0 {
		begin = time.Date(1969, 12, 31, 22, 0, 0, 1, time.UTC)
	}
	duplicates := make([]bool, n)
	for i := range n {
		var r tokenwatch.Row
		some := func(c tokenwatch.Col, set func(c tokenwatch.Col)) {
			if rng.IntN(10) > 0 {
				set(c)
			}
		}
		text := func(values ...string) func(c tokenwatch.Col) {
			return func(c tokenwatch.Col) { r.SetString(c, values[rng.IntN(len(values))]) }
		}
		number := func(x int64) func(c tokenwatch.Col) { return func(c tokenwatch.Col) { r.SetInt(c, x) } }
		some(tokenwatch.ColTime, number(begin.Add(time.Duration(rng.Int64N(int64(5*time.Hour)))).UnixNano()))
		some(tokenwatch.ColHost, text("a.example", "b.example"))
		some(tokenwatch.ColMethod, text("GET", "POST"))
		some(tokenwatch.ColStatus, number([]int64{0, 200, 204, 401, 403, 404, 407, 410, 418, 429, 500, 599, 700}[rng.IntN(13)]))
		some(tokenwatch.ColOutcome, text("success", "failure", "denied"))
		some(tokenwatch.ColToken, text("tkw_a", "tkw_b", "tkw_c"))
		some(tokenwatch.ColActor, text("ann", "bob"))
		some(tokenwatch.ColRoute, text("/v1/a", "/v1/b/{id}"))
		some(tokenwatch.ColBytesIn, number(rng.Int64N(1000)))
		some(tokenwatch.ColBytesOut, number(rng.Int64N(1<<40)))
		some(tokenwatch.ColDuration, number(int64(math.Exp(rng.Float64()*20))))
		some(tokenwatch.ColSrcIP, func(tokenwatch.Col) {
			r.SetAddr(netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.IntN(6))}))
		})
		duplicates[i] = rng.IntN(12) == 0
		b.Append(&r)
	}
	return b.Batch().WithFlags(nil, nil, duplicates)
}

// TestSum counts batches alone and adds them up in any order: that must be what
// counting their rows one by one gives.
func TestSum(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 17))
		var batches []*tokenwatch.Batch
		for range 1 + rng.IntN(5) {
			batches = append(batches, randomBatch(rng, rng.IntN(200)))
		}
		for _, k := range series.Kinds {
			ms := series.AllMeasures
			if rng.IntN(2) == 0 {
				ms = series.Measures(rng.IntN(int(series.AllMeasures) + 1))
			}
			s := series.NewSum(k, ms)
			for _, i := range rng.Perm(len(batches)) {
				table := series.Of(batches[i], k, ms)
				cut := rng.IntN(table.Len() + 1)
				var low, high []int32
				for c := range table.Len() {
					if c < cut {
						low = append(low, int32(c))
					} else {
						high = append(high, int32(c))
					}
				}
				s.Add(table, append([]int32{}, low...))
				s.Add(table, append([]int32{}, high...))
			}
			got, want := seriestest.Lines(s.Result()), seriestest.Naive(batches, k, ms)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s:\n%q\nwant\n%q", seed, k, got, want)
			}
		}
	}
}

// TestSame: tables are the same in whatever order batches were joined, and not
// the same once one row less is in them.
func TestSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	a, b := randomBatch(rng, 150), randomBatch(rng, 150)
	rows := make([]uint32, 300)
	for i := range rows {
		rows[i] = uint32(i)
	}
	all := tokenwatch.Concat(a, b)
	rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	for _, k := range series.Kinds {
		table := series.Of(all, k, series.AllMeasures)
		if !series.Same(table, series.Of(all.Take(rows), k, series.AllMeasures)) {
			t.Errorf("%s: shuffled rows count otherwise", k)
		}
		if series.Same(table, series.Of(a, k, series.AllMeasures)) || series.Same(table, series.Of(all, k, series.Errors)) {
			t.Errorf("%s: other rows or measures are the same", k)
		}
	}
}

// TestBins: a bin's value is near all that is in it, and bins are in order.
func TestBins(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, 127, 128, 129, math.MaxInt64}
	for range 20_000 {
		values = append(values, int64(rng.Uint64()>>rng.IntN(64)))
	}
	slices.Sort(values)
	last := int16(math.MinInt16)
	for _, v := range values {
		b := series.Bin(v)
		if b < last {
			t.Fatalf("%d is in bin %d, something smaller in %d", v, b, last)
		}
		last = b
		mid := series.Value(b)
		if d := math.Abs(float64(mid) - float64(v)); d > math.Abs(float64(v))/127 {
			t.Fatalf("%d is in the bin of %d", v, mid)
		}
		if v >= 0 && (series.Most(b) < v || series.Bin(series.Most(b)) != b) {
			t.Fatalf("the greatest of the bin of %d is %d", v, series.Most(b))
		}
	}
}

// TestQuantile holds quantiles of bins against those of sorted values.
func TestQuantile(t *testing.T) {
	if _, ok := series.Quantile(nil, nil, 0.5); ok {
		t.Error("there is a quantile of nothing")
	}
	bins, counts := []int16{1, 5, 9}, []int64{2, 1, 1}
	for q, want := range map[float64]int64{0: 1, 0.5: 1, 0.51: 5, 0.75: 5, 0.76: 9, 1: 9} {
		if got, _ := series.Quantile(bins, counts, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	batch := randomBatch(rand.New(rand.NewPCG(1, 1)), 1<<16)
	for _, k := range series.Kinds {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			for b.Loop() {
				series.Of(batch, k, series.AllMeasures)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(1<<16), "ns/row")
		})
	}
}
