package ingest

import (
	"sync"

	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

type workerKey struct{ tenant, format string }

// pool holds the idle workers of a tenant and format. Tenants come from API keys
// and formats from a list, so there are only so many pools.
func (p *Pipeline) pool(tenant string, f format.Format) *sync.Pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := workerKey{tenant, f.Name}
	pool, ok := p.workers[key]
	if !ok {
		pool = new(sync.Pool)
		p.workers[key] = pool
	}
	return pool
}

// worker takes a worker from its pool, or makes one.
func (p *Pipeline) worker(pool *sync.Pool, tenant string, f format.Format) (*worker, error) {
	if w, ok := pool.Get().(*worker); ok {
		w.format.Frame = f.Frame // where no format was found it may differ
		return w, nil
	}
	return p.newWorker(tenant, f)
}

// newWorker makes a worker for records of a tenant in a format, which may be none.
func (p *Pipeline) newWorker(tenant string, f format.Format) (*worker, error) {
	w := &worker{
		config: p.c.Format,
		normal: normalize.New(),
		tables: p.c.Enrich,
		sealer: seal.New(p.c.Keys, tenant, p.c.Seal),
		log:    p.c.Logger,
		now:    p.c.Now,
	}
	return w, w.use(f)
}
