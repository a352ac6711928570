package ingest

import (
	"runtime"
	"slices"
	"sync"

	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

type workerKey struct{ tenant, format string }

// idle holds the workers that have nothing to do. What they know of credentials and
// texts is worth keeping, so the latest few stay whatever the garbage collector
// does; of the others it decides how long they are worth their memory.
type idle struct {
	mu   sync.Mutex
	kept []*worker // the one that came last is last

	// Tenants come from API keys and formats from a list, so there are only so many.
	others map[workerKey]*sync.Pool
}

// maxIdle is how many workers stay: as many as are at work at a time in a server
// of few tenants and formats. One that has filled its caches takes some 5 MB.
func maxIdle() int { return max(8, 2*runtime.GOMAXPROCS(0)) }

// take returns an idle worker, nil if there is none.
func (i *idle) take(key workerKey) *worker {
	i.mu.Lock()
	defer i.mu.Unlock()
	for at := len(i.kept) - 1; at >= 0; at-- {
		if w := i.kept[at]; w.key == key {
			i.kept = slices.Delete(i.kept, at, at+1)
			return w
		}
	}
	if pool, ok := i.others[key]; ok {
		w, _ := pool.Get().(*worker)
		return w
	}
	return nil
}

// put takes a worker back.
func (i *idle) put(w *worker) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept = append(i.kept, w); len(i.kept) <= maxIdle() {
		return
	}
	w = i.kept[0]
	i.kept = slices.Delete(i.kept, 0, 1)
	pool, ok := i.others[w.key]
	if !ok {
		pool = new(sync.Pool)
		if i.others == nil {
			i.others = make(map[workerKey]*sync.Pool)
		}
		i.others[w.key] = pool
	}
	pool.Put(w)
}

// worker takes an idle worker, or makes one.
func (p *Pipeline) worker(tenant string, f format.Format) (*worker, error) {
	key := workerKey{tenant, f.Name}
	if w := p.idle.take(key); w != nil {
		w.format.Frame = f.Frame // where no format was found it may differ
		return w, nil
	}
	return p.newWorker(key, f)
}

// newWorker makes a worker for records of a tenant in a format, which may be none.
func (p *Pipeline) newWorker(key workerKey, f format.Format) (*worker, error) {
	w := &worker{
		key:    key,
		config: p.c.Format,
		normal: normalize.New(),
		tables: p.c.Enrich,
		sealer: seal.New(p.c.Keys, key.tenant, p.c.Seal),
		log:    p.c.Logger,
		now:    p.c.Now,
	}
	return w, w.use(f)
}
