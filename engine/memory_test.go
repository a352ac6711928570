package engine_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
)

var memoryResident = flag.Int("resident", 0, "memory for packed baselines there; 0 is the default, and less than that is left to the state")

var memoryDays = flag.Int("days", 3, "days of it")

var memoryTokens = flag.Int("tokens", 10_000, "tokens whose settled state TestMemory measures")

// maxPerEntity is what the settled state of an entity may take: of all tokens, their
// addresses and actors on the average, with what the inventory holds and all maps.
const maxPerEntity = 1 << 10

// buffers is what is held for the next batch, however many entities there are.
const buffers = 4 << 20

// TestMemory settles some days of tokens, each with an address, two versions of a
// program and eight actions of its own out of two hundred, active in three hours a
// day, an actor behind ten of them; and measures what the engine holds afterwards, when
// nothing is open any more. What is left to the state does not count.
//
//	go test ./engine -run TestMemory -v -tokens 1000000 -days 1 -timeout 2h
func TestMemory(t *testing.T) {
	const size = 1 << 16 // rows of a batch
	n := *memoryTokens
	log := &enginetest.Log{Clock: enginetest.Start.AddDate(0, 0, *memoryDays)}
	e := engine.New(engine.Config{Windows: 8 * n, ResidentBytes: *memoryResident}, log, log)
	var offset tokenwatch.Offset
	take := func(entry tokenwatch.Entry) {
		t.Helper()
		offset++
		entry.Tenant, entry.Offset, entry.Time = tenant, offset, log.Clock
		if err := e.Take(context.Background(), entry); err != nil {
			t.Fatal(err)
		}
	}
	var b tokenwatch.Builder
	var row tokenwatch.Row
	r := rand.New(rand.NewPCG(3, 3))
	for hour := range 24 * *memoryDays {
		if hour%8 != 2 {
			continue
		}
		for k := range n {
			for range 3 {
				row.Reset()
				row.SetInt(tokenwatch.ColTime, enginetest.Start.Add(time.Duration(hour)*time.Hour+time.Duration(r.IntN(3600_000))*time.Millisecond).UnixNano())
				row.SetString(tokenwatch.ColToken, fmt.Sprintf("tkw_%026d", k))
				row.SetString(tokenwatch.ColActor, fmt.Sprintf("user-%d@org", k/10))
				row.SetAddr(netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)}))
				row.SetString(tokenwatch.ColAgentFamily, fmt.Sprint("agent", k%17))
				row.SetString(tokenwatch.ColUserAgent, fmt.Sprintf("agent%d/%d", k%17, r.IntN(2)))
				route := fmt.Sprintf("/v1/thing%d/{id}", (k*7+r.IntN(8))%212)
				row.SetString(tokenwatch.ColRoute, route)
				row.SetString(tokenwatch.ColAction, "GET "+route)
				row.SetString(tokenwatch.ColActionClass, "read")
				row.SetString(tokenwatch.ColOutcome, "success")
				b.Append(&row)
			}
			if b.Rows() >= size || k == n-1 {
				take(tokenwatch.Entry{Batch: b.Batch()})
			}
		}
	}
	take(tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd}})
	entities := n + n + n/10
	held := int(heap())
	runtime.KeepAlive(e)
	e, take = nil, nil
	held -= int(heap())
	t.Logf("%d tokens, %d entities: %d bytes each, %d MiB in all", n, entities, held/entities, held>>20)
	if per := (held - buffers) / entities; per > maxPerEntity {
		t.Errorf("the settled state of an entity takes %d bytes, more than %d", per, maxPerEntity)
	}
	runtime.KeepAlive(log)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
