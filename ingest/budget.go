package ingest

import (
	"sync"
	"time"
)

// budget bounds what all requests that are under way make us hold, from the
// first byte read until the answer, and keeps one tenant from taking all of it.
type budget struct {
	total, tenant int64 // limits
	after         time.Duration

	mu   sync.Mutex
	used int64
	by   map[string]int64
}

func newBudget(total int64, after time.Duration) *budget {
	// A tenant alone gets along with three quarters; a quarter is left to start
	// with for whoever comes next.
	return &budget{total: total, tenant: total - total/4, after: after, by: make(map[string]int64)}
}

// take claims n bytes for a request of a tenant, or refuses it.
func (b *budget) take(tenant string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.total || b.by[tenant]+n > b.tenant {
		return overloaded(b.after)
	}
	b.used += n
	b.by[tenant] += n
	return nil
}

// give returns n bytes.
func (b *budget) give(tenant string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.by[tenant] -= n; b.by[tenant] == 0 {
		delete(b.by, tenant)
	}
}
