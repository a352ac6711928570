package engine

import (
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/storage"
)

// tenant is the engine's view of one tenant: how far its time has got, what its
// entities are like together, and the shards that hold them.
type tenant struct {
	*core
	name       string
	watermark  storage.Watermark
	settled    int32 // hours before this one have settled
	epoch      *baseline.Epoch
	shards     []*shard
	lives      lives
	namesakes  namesakes
	overflows  map[int32]*overflow // what there was no room for, by hour
	guard      *guard
	health     *health
	watch      *watch
	causes     *baseline.Causes
	groupOf    map[baseline.Change]known
	openGroups map[baseline.Change]known    // of hours that have not settled
	groups     map[string]*entity           // of which something was told
	tallies    map[int32]*baseline.Tally    // of open hours
	sprayers   map[netip.Prefix][]*entity   // sources that sprayed, by their neighbourhood
	witnesses  map[tokenwatch.Event]*entity // whose finding an event is evidence of, of the hour or batches at hand
	verdicts   finding.Verdicts
	moved      bool // verdicts differ from the snapshot's
	dirty      bool // watermark, settled or epoch differ from the snapshot's
}

func newTenant(c *core, name string) *tenant {
	t := &tenant{
		core: c, name: name, watermark: storage.NewWatermark(c.lateness), epoch: &baseline.Epoch{},
		causes: &baseline.Causes{}, groupOf: map[baseline.Change]known{}, openGroups: map[baseline.Change]known{}, groups: map[string]*entity{},
		tallies: map[int32]*baseline.Tally{}, sprayers: map[netip.Prefix][]*entity{}, witnesses: map[tokenwatch.Event]*entity{},
		lives: newLives(), namesakes: newNamesakes(), overflows: map[int32]*overflow{},
	}
	t.guard, t.watch, t.health = newGuard(t), newWatch(t), newHealth(t)
	t.guard.inv.Holes = t.health.holesOf
	for i := range c.shards {
		t.shards = append(t.shards, newShard(t, i, c.shards))
	}
	return t
}

// take adds batches to the windows and judges them.
func (t *tenant) take(group []*feature.Rows) error {
	rows := 0
	for _, r := range group {
		rows += r.Batch.Rows()
		t.learnFacts(r.Batch)
		t.watermark.Observe(r.Batch)
		if err := t.guard.take(r); err != nil {
			return err
		}
		if err := t.watch.take(r); err != nil {
			return err
		}
	}
	t.dirty = true
	if err := t.relate(); err != nil {
		return err
	}
	if err := t.findHeirs(); err != nil {
		return err
	}
	if err := t.each(rows, func(s *shard) error { return s.apply(group) }); err != nil {
		return err
	}
	if err := t.judgeRemade(); err != nil {
		return err
	}
	if err := t.conclude(); err != nil {
		return err
	}
	t.tellLeft(moment(max(t.guard.latest, 0) / 1e6))
	if err := t.gather(); err != nil {
		return err
	}
	if t.guard.windowed {
		if err := t.guard.judgeWindows(); err != nil {
			return err
		}
		if err := t.guard.tell(t.guard.latest); err != nil {
			return err
		}
	}
	return t.pass()
}

// pass follows the time: it settles what is over, and looks at who is silent.
func (t *tenant) pass() error {
	if err := t.settleBefore(t.watermark.Value()); err != nil {
		return err
	}
	t.health.look()
	return nil
}

// tick lets time pass.
func (t *tenant) tick(at time.Time) error {
	if !t.watermark.Tick(at) {
		return nil
	}
	t.dirty = true
	t.guard.now.Store(t.watermark.Greatest())
	return t.pass()
}

// settleBefore settles every window that ends at or before the watermark, hour
// by hour: all entities' windows of an hour use the epoch before it, and make
// the next one together.
func (t *tenant) settleBefore(mark time.Time, ok bool) error {
	if !ok {
		return nil
	}
	end := int32(min(max(mark.Unix()/3600, 0), math.MaxInt32))
	for {
		hour := t.firstOpen()
		if hour >= end {
			break
		}
		if err := t.settleHour(hour); err != nil {
			return err
		}
	}
	if end <= t.settled {
		return nil
	}
	t.settled = end
	t.health.settle(end)
	if err := t.guard.settle(end); err != nil {
		return err
	}
	return t.watch.settle(end)
}

// end settles everything: no more events will come.
func (t *tenant) end() error {
	return t.settleBefore(time.Unix(math.MaxInt32*3600, 0), true)
}

// firstOpen is the earliest hour of an open window.
func (t *tenant) firstOpen() int32 {
	first := int32(math.MaxInt32)
	for _, s := range t.shards {
		for hour := range s.open {
			first = min(first, hour)
		}
	}
	for hour := range t.overflows {
		first = min(first, hour)
	}
	return first
}

// parallelFrom is how many rows are worth a goroutine for each shard.
const parallelFrom = 512

// each runs f on every shard, at once if there is enough to do.
func (t *tenant) each(rows int, f func(*shard) error) error {
	if rows < parallelFrom || len(t.shards) == 1 {
		for _, s := range t.shards {
			if err := f(s); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, len(t.shards))
	var wg sync.WaitGroup
	for i, s := range t.shards {
		wg.Go(func() { errs[i] = f(s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// peers returns what the judged entity's peers are like, nil if they are left
// out or too few have a past.
func (t *tenant) peers(k tokenwatch.EntityKind) *baseline.Peers {
	if t.noPeers {
		return nil
	}
	return &t.epoch.Kinds[k]
}

// group is the same of a group of peers.
func (t *tenant) group(g int) *baseline.Peers {
	if t.noPeers {
		return nil
	}
	return &t.epoch.Groups[g]
}

// rate is log₁₀ of the false findings expected at a combined surprise.
func (t *tenant) rate(u *baseline.Usual, k tokenwatch.EntityKind, hour int32, sum tokenwatch.Bans) tokenwatch.Bans {
	if t.noPeers {
		return (*baseline.Tails)(nil).Rate(u, hour, sum)
	}
	rate := t.epoch.Groups[u.Group(k)].Tails.Rate(u, hour, sum)
	if u.First != 0 && k != tokenwatch.EntityAddress { // of which there are many from the first day on
		rate += t.epoch.Reserve(hour)
	}
	return rate
}
