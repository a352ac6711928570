package local

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// mergeLimits say what is merged with what. Appended segments of a tenant wait
// until they are many, by rows or by number; merged ones that are still small
// until there are several of about their size: so a row is written a few times at
// most, and a busy tenant's rows once.
type mergeLimits struct {
	rows    uint64        // of a merged segment, about; more make no better one
	wait    int           // appended segments that are worth merging, however few their rows
	fan     uint64        // merged segments of a size that become one of the next
	least   uint64        // rows of the smallest size
	parts   uint64        // appended segments in a merged one, at most
	ranges  uint64        // runs of offsets in a merged one, at most: its leaf names them
	span    time.Duration // between the first and the last append in a merged one
	backlog uint64        // rows that may wait for their hours to settle
	small   int           // bytes up to which a merged segment goes the way of all writes

	// A store to which nothing comes for so long is quiet: what waits is merged,
	// settled or not, so that who asks then finds it sorted. It has to be that many rows.
	quiet     time.Duration
	quietRows int
}

var defaultLimits = mergeLimits{
	rows: 1 << 19, wait: 32, fan: 8, least: 1 << 11, parts: 4096, ranges: 1000,
	span: 24 * time.Hour, backlog: 4 << 20, small: 1 << 20, quiet: 10 * time.Second, quietRows: 1 << 14,
}

// waiting is how much of a tenant is not merged. Under Store.mu.
type waiting struct{ segments, rows int }

// worthMerging lists the tenants of whom enough is waiting.
func (s *Store) worthMerging(quiet bool) (tenants []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.merges.limits
	for tenant, w := range s.waiting {
		if w.segments >= l.wait || w.rows >= int(l.rows) || quiet && w.segments > 1 && w.rows >= l.quietRows {
			tenants = append(tenants, tenant)
		}
	}
	slices.Sort(tenants)
	return tenants
}

// plan chooses what to merge of a tenant, nil if nothing.
func (s *Store) plan(ctx context.Context, tenant string, cursor uint64, quiet bool) ([]piece, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	var pieces []piece
	for e, err := range mergedOf(v.snapshot, tenant) {
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece{entry: e, merged: true})
	}
	edge, err := frontier(v.snapshot, tenant)
	if err != nil {
		return nil, err
	}
	if cursor == 0 || cursor <= edge {
		return s.merges.limits.choose(pieces, quiet), nil
	}
	settled, err := s.settled(v.snapshot, tenant)
	if err != nil {
		return nil, err
	}
	waited := s.now().Add(-s.cfg.Lateness - settleAtLast).UnixNano()
	backlog := s.backlog(tenant)
	r := storage.Range{Tenant: tenant, First: tokenwatch.Offset(edge + 1), Last: tokenwatch.Offset(cursor)}
	for f, err := range s.offsetsIn(ctx, v, r) {
		if err != nil {
			return nil, err
		}
		if f.index.Control {
			continue
		}
		if !quiet && f.index.Times && f.index.To >= settled && f.index.Time > waited && backlog <= s.merges.limits.backlog {
			break // what comes after it waits too: segments are merged in the order of the log
		}
		backlog -= min(backlog, f.index.Rows)
		at := uint64(f.at)
		pieces = append(pieces, piece{found: f, entry: mergedEntry{
			First: at, Last: at, Rows: f.index.Rows, Parts: 1, Since: f.index.Time, Till: f.index.Time,
			Times: f.index.Times, From: f.index.From, To: f.index.To,
		}})
	}
	return s.merges.limits.choose(pieces, quiet), nil
}

// Events wait to be merged until the hour they fall into is settled: that is
// when the engine reads those of an hour again, and in a merged segment these lie
// apart. They do not wait beyond the backlog, nor for a watermark that does not
// come, nor where the store is quiet: then somebody may ask, and the engine has time.
const (
	settleAfter  = time.Hour      // the watermark has passed them by
	settleAtLast = 26 * time.Hour // they were appended, besides the lateness
)

// backlog is how many rows of a tenant are not merged.
func (s *Store) backlog(tenant string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.waiting[tenant]; w != nil {
		return uint64(max(0, w.rows))
	}
	return 0
}

// settled is the time before which a tenant's events lie in settled hours.
func (s *Store) settled(r pebble.Reader, tenant string) (int64, error) {
	b, err := get(r, tenanted(keyGreatest, tenant))
	if err != nil {
		return math.MinInt64, broken("tenant", 0, err)
	}
	t, err := decodeGreatest(b)
	if err != nil {
		return math.MinInt64, damaged("tenant", err)
	}
	mark := storage.WatermarkAt(s.cfg.Lateness, t.time)
	at, ok := mark.Value()
	if !ok {
		return math.MinInt64, nil
	}
	return clampNano(at.Add(-settleAfter)), nil
}

// choose returns the pieces to merge, which follow each other. Of a quiet store two
// that were appended are enough.
func (l *mergeLimits) choose(pieces []piece, quiet bool) []piece {
	tail := len(pieces) // from here on they are small, or not merged at all
	for tail > 0 && (!pieces[tail-1].merged || pieces[tail-1].entry.Rows < l.rows/2) {
		tail--
	}
	small := pieces[tail:]
	for at := 0; at < len(small); {
		run := l.fitting(small[at:])
		// One with appended segments that cannot grow any more is not passed over:
		// segments are merged in the order of the log.
		full := at+len(run) < len(small) && !run[len(run)-1].merged
		if worthwhile(run) && (full || sum(run) >= l.rows*3/4) {
			return run
		}
		at += len(run)
	}
	// Of the tiers of sizes, from the smallest on: the end of the list that
	// belongs to it or a lower one. What cannot grow any more is merged too.
	first := l.wait
	if quiet {
		first = 2
	}
	for limit, need := uint64(0), first; limit < l.rows/2; limit, need = max(limit*l.fan, l.least), int(l.fan) {
		n := len(small)
		for n > 0 && (!small[n-1].merged || small[n-1].entry.Rows <= limit) {
			n--
		}
		if len(small)-n < need {
			continue
		}
		for at := n; at < len(small); {
			run := l.fitting(small[at:])
			if end := at + len(run); worthwhile(run) && (len(run) >= need || end < len(small)) {
				return run
			}
			at += len(run)
		}
	}
	return nil
}

// worthwhile: one merged segment alone would come out as it was.
func worthwhile(run []piece) bool { return len(run) > 1 || !run[0].merged }

func sum(pieces []piece) (rows uint64) {
	for i := range pieces {
		rows += pieces[i].entry.Rows
	}
	return rows
}

// fitting returns the first of the pieces that make one segment.
func (l *mergeLimits) fitting(pieces []piece) []piece {
	var rows, parts, ranges uint64
	for i := range pieces {
		e := &pieces[i].entry
		rows += e.Rows
		parts += e.Parts
		if i == 0 || pieces[i-1].entry.Last+1 != e.First {
			ranges++
		}
		if e.Parts > 1 {
			ranges += min(e.Parts, e.Last-e.First+1-e.Parts) // others' entries may lie between
		}
		long := e.Till-pieces[0].entry.Since > int64(l.span)
		if i > 0 && (rows > l.rows || parts > l.parts || ranges > l.ranges || long) {
			return pieces[:i]
		}
	}
	return pieces
}
