package ingest

import (
	"runtime"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// TestIdleWorkers: what a worker knows outlives the garbage collector, workers are
// kept apart by tenant and format, and only so many are kept.
func TestIdleWorkers(t *testing.T) {
	p := canaryPipeline(t)
	seal := func(tenant, format string) *worker {
		body := strings.NewReader(`{"time":"2026-03-02T00:00:00Z","token":"tok_AAAAAAAAAAAAAAAAAAAA","method":"GET","path":"/a","status":200}`)
		if _, _, err := p.Seal(source.Delivery{Tenant: tenant, Source: "edge", Format: format, Body: body}); err != nil {
			t.Fatal(err)
		}
		return p.idle.kept[len(p.idle.kept)-1]
	}
	first := seal("t", "json")
	for range 3 {
		runtime.GC() // a sync.Pool is empty after two
	}
	if seal("t", "json") != first {
		t.Error("another worker after a garbage collection")
	}
	if seal("u", "json") == first {
		t.Error("a worker of another tenant")
	}
	if seal("t", "json") != first {
		t.Error("not the worker that was idle")
	}
	for i := range 3 * maxIdle() {
		seal(string(rune('a'+i)), "json")
	}
	if n := len(p.idle.kept); n != maxIdle() {
		t.Errorf("%d workers are kept, not %d", n, maxIdle())
	}
}
