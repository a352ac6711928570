package query

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenwatch/tokenwatch/storage"
)

// Limits bound one statement. Zero fields take their defaults.
type Limits struct {
	Time   time.Duration // to run; default 60 s
	Memory int64         // bytes of state: groups, sets, rows to sort; default 512 MiB
	Read   int64         // rows read; default 10 G
	Rows   int64         // rows answered; default 10 M
	Bytes  int64         // bytes answered, before their encoding; default 4 GiB
}

func (l Limits) withDefaults() Limits {
	for v, to := range map[*int64]int64{&l.Memory: 512 << 20, &l.Read: 10e9, &l.Rows: 10e6, &l.Bytes: 4 << 30} {
		if *v <= 0 {
			*v = to
		}
	}
	if l.Time <= 0 {
		l.Time = time.Minute
	}
	return l
}

// LimitError says which limit a statement passed, and what to do about it.
type LimitError struct {
	What  string // time, memory, read, rows, bytes
	Limit string
	Help  string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the query passes its limit of %s: %s", e.Limit, e.Help)
}

// Statistics tell what a statement took.
type Statistics struct {
	Segments  int           `json:"segments"`           // there are, of the tenant
	Pruned    int           `json:"segments_pruned"`    // not looked at
	ByCounts  int           `json:"segments_by_counts"` // answered from the counts they carry
	BySeries  int           `json:"segments_by_series"` // answered from the series they carry
	RowsTotal int64         `json:"rows_total"`         // in those segments
	RowsRead  int64         `json:"rows_read"`          // looked at
	BytesRead int64         `json:"bytes_read"`         // of decoded columns looked at
	Decoded   int64         `json:"bytes_decoded"`      // of them decoded now; the others were in memory
	Rows      int64         `json:"rows"`               // answered
	Memory    int64         `json:"memory_bytes"`       // of state, about
	Elapsed   time.Duration `json:"elapsed_ns"`
}

// execution is one statement on its way.
type execution struct {
	ctx     context.Context
	engine  *Engine
	tenant  string
	auditor bool
	now     int64
	limits  Limits
	workers int

	memory, peak, read, bytesRead, decoded, pruned, byCounts, bySeries atomic.Int64

	once     sync.Once
	segments []storage.Segment
	total    int64 // rows of them
	segErr   error
}

// charge takes memory, or gives it back.
func (x *execution) charge(bytes int64) error {
	now := x.memory.Add(bytes)
	for old := x.peak.Load(); now > old && !x.peak.CompareAndSwap(old, now); old = x.peak.Load() {
	}
	if now > x.limits.Memory {
		return &LimitError{"memory", fmt.Sprintf("%d MiB of memory", x.limits.Memory>>20),
			"ask for less time, fewer groups or fewer distinct values, or use approx_count_distinct and approx_quantile"}
	}
	return nil
}

// took counts rows read, and ends what has no more time.
func (x *execution) took(rows int) error {
	if x.read.Add(int64(rows)) > x.limits.Read {
		return &LimitError{"read", fmt.Sprintf("%d rows read", x.limits.Read), "ask for less time, or name a token"}
	}
	return x.alive()
}

func (x *execution) alive() error {
	if x.ctx.Err() == nil {
		return nil
	}
	return context.Cause(x.ctx)
}

// allSegments are the segments of the tenant, as they are when they are first
// asked for: all parts of a statement see the same.
func (x *execution) allSegments() ([]storage.Segment, error) {
	x.once.Do(func() {
		for s, err := range x.engine.config.Events.Segments(x.ctx, storage.Range{Tenant: x.tenant}) {
			if err != nil {
				x.segErr = err
				return
			}
			x.segments = append(x.segments, s)
			x.total += int64(s.Rows())
		}
	})
	return x.segments, x.segErr
}

// parallel calls f with 0 to n-1 on as many goroutines as the execution has, and
// returns the first error. worker tells the goroutines apart.
func (x *execution) parallel(n int, f func(worker, i int) error) error {
	workers := min(x.workers, n)
	if workers <= 1 {
		for i := range n {
			if err := f(0, i); err != nil {
				return err
			}
		}
		return nil
	}
	var next atomic.Int64
	var once sync.Once
	var failed error
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(w, i); err != nil {
					once.Do(func() { failed = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wait.Wait()
	return failed
}

func defaultWorkers() int { return runtime.GOMAXPROCS(0) }
