package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// Keep says how much of a tenant's events is kept; zero is all. What goes first
// is what came in first.
type Keep struct {
	Age   time.Duration // since they came in, whatever the time of the event
	Bytes uint64        // of segments, as stored
}

// policy names a Keep in the history.
func (k Keep) policy() string { return fmt.Sprintf("age %v, bytes %d", k.Age, k.Bytes) }

// keepOf returns what holds for a tenant.
func (s *Store) keepOf(tenant string) Keep {
	if k, ok := s.cfg.KeepTenant[tenant]; ok {
		return k
	}
	return s.cfg.Keep
}

// retains tells whether anything is ever dropped.
func (s *Store) retains() bool { return s.cfg.Keep != (Keep{}) || len(s.cfg.KeepTenant) > 0 }

// retainRanges is how many runs of offsets one leaf of a retention names.
const retainRanges = 1000

// Retain drops what is not to be kept any longer, and returns how many rows
// went. Whole segments go first; a merged one of which more than half is over is
// then written anew without that half. The engine's state, findings, history and
// control records stay, and so does what the engine may still read as evidence.
func (s *Store) Retain(ctx context.Context) (rows uint64, err error) {
	s.merges.mu.Lock()
	defer s.merges.mu.Unlock()
	if err := s.Err(); err != nil || !s.retains() {
		return 0, err
	}
	tenants, err := s.tenants()
	if err != nil {
		return 0, err
	}
	for _, tenant := range tenants {
		keep := s.keepOf(tenant)
		if keep == (Keep{}) {
			continue
		}
		n, err := s.retain(ctx, tenant, keep)
		rows += n
		if err != nil {
			return rows, fmt.Errorf("retention: %w", err)
		}
	}
	return rows, nil
}

func (s *Store) retain(ctx context.Context, tenant string, keep Keep) (rows uint64, err error) {
	pieces, err := s.old(ctx, tenant)
	if err != nil {
		return 0, err
	}
	cutoff := int64(0)
	if keep.Age > 0 {
		cutoff = s.now().Add(-keep.Age).UnixNano()
	}
	excess := uint64(0)
	if keep.Bytes > 0 {
		total, err := s.segmentBytes(tenant)
		if err != nil {
			return 0, err
		}
		excess = total - min(total, keep.Bytes)
	}
	n := 0
	for n < len(pieces) && (keep.Age > 0 && pieces[n].entry.Till < cutoff || excess > 0) {
		excess -= min(excess, pieces[n].entry.Bytes)
		n++
	}
	for at := 0; at < n; {
		end := at + 1
		for ranges := parts(&pieces[at]); end < n && ranges+parts(&pieces[end]) <= retainRanges; end++ {
			ranges += parts(&pieces[end])
		}
		gone, err := s.dropPieces(ctx, tenant, keep, pieces[at:end])
		rows += gone
		if err != nil {
			return rows, err
		}
		at = end
	}
	if keep.Age > 0 && n < len(pieces) && pieces[n].merged && pieces[n].entry.Since < cutoff {
		gone, err := s.cut(ctx, tenant, keep, &pieces[n], cutoff)
		return rows + gone, err
	}
	return rows, nil
}

// parts is at most how many runs of offsets a piece has.
func parts(p *piece) uint64 { return p.entry.Parts }

// old lists the segments of a tenant that may go, oldest first: those the engine
// has no use for any more.
func (s *Store) old(ctx context.Context, tenant string) (pieces []piece, err error) {
	cursor, err := s.Cursor(ctx)
	if err != nil {
		return nil, err
	}
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	settled, err := s.settled(v.snapshot, tenant)
	if err != nil {
		return nil, err
	}
	settled -= int64(24 * time.Hour) // windows of a day
	waited := s.now().Add(-s.cfg.Lateness - settleAtLast).UnixNano()
	found, err := s.findSegments(ctx, v, storage.Range{Tenant: tenant, Last: cursor})
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		if !p.merged {
			if err := s.describe(v, &p); err != nil {
				return nil, err
			}
		}
		e := &p.entry
		if e.Last > uint64(cursor) || e.Till > waited && (!e.Times || e.To >= settled) {
			break
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// describe fills in what is known of an appended segment.
func (s *Store) describe(v *view, p *piece) error {
	value, err := s.logAt(v.snapshot, uint64(p.found.at))
	if err != nil {
		return err
	}
	at, x := uint64(p.found.at), p.found.index
	p.entry = mergedEntry{
		First: at, Last: at, Rows: x.Rows, Parts: 1, Bytes: uint64(len(value)), Since: x.Time, Till: x.Time,
		Times: x.Times, From: x.From, To: x.To,
	}
	return nil
}

// segmentBytes is how many bytes the segments of a tenant take.
func (s *Store) segmentBytes(tenant string) (total uint64, err error) {
	v, done, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer done()
	found, err := s.findSegments(context.Background(), v, storage.Range{Tenant: tenant})
	if err != nil {
		return 0, err
	}
	for i := range found {
		if !found[i].merged {
			if err := s.describe(v, &found[i]); err != nil {
				return 0, err
			}
		}
		total += found[i].entry.Bytes
	}
	return total, nil
}

// dropPieces takes whole segments out of the log.
func (s *Store) dropPieces(ctx context.Context, tenant string, keep Keep, pieces []piece) (rows uint64, err error) {
	ranges, rows, err := s.rangesOf(pieces)
	if err != nil {
		return 0, err
	}
	last := pieces[len(pieces)-1].entry.Last
	err = s.do(ctx, len(pieces), func(g *group) error {
		g.drop(tenant, keep, ranges, rows)
		edge, err := frontier(s.db, tenant)
		if err != nil {
			return err
		}
		for i := range pieces {
			g.dropPiece(tenant, &pieces[i])
		}
		if last > edge {
			g.set(tenanted(keyFrontier, tenant), binary.BigEndian.AppendUint64(nil, last))
		}
		g.replaced = append(g.replaced, replaced{tenant, pieces})
		return nil
	})
	if err != nil {
		return 0, err
	}
	s.reclaim(ctx, pieces[0].entry.First, last, pieces)
	return rows, nil
}

// drop says of entries that they are not there any more, and in the history why.
func (g *group) drop(tenant string, keep Keep, ranges []history.Range, rows uint64) {
	g.dropped = true
	leaf := g.leaf(tenant, "", &history.Retention{Policy: keep.policy(), Ranges: ranges, Rows: rows})
	value := binary.BigEndian.AppendUint64([]byte{tagDropped}, leaf)
	for _, r := range ranges {
		for at := r.First; at <= r.Last; at++ {
			g.set(numbered(keyLog, at), value)
		}
	}
}

// rangesOf lists the entries of pieces, and counts their rows.
func (s *Store) rangesOf(pieces []piece) (ranges []history.Range, rows uint64, err error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, 0, err
	}
	defer done()
	for i := range pieces {
		p := &pieces[i]
		rows += p.entry.Rows
		if !p.merged {
			ranges = addOffset(ranges, p.entry.First)
			continue
		}
		m, err := s.merged(v.snapshot, p.entry.ID)
		if err != nil {
			return nil, 0, broken("merged segment", tokenwatch.Offset(p.entry.First), err)
		}
		for _, part := range m.Parts() {
			ranges = addOffset(ranges, uint64(part.Offset))
		}
	}
	return ranges, rows, nil
}

// addOffset adds an offset beyond all of the ranges.
func addOffset(ranges []history.Range, at uint64) []history.Range {
	if n := len(ranges); n > 0 && ranges[n-1].Last+1 == at {
		ranges[n-1].Last = at
		return ranges
	}
	return append(ranges, history.Range{First: at, Last: at})
}

// cut writes a merged segment anew without the entries that are over, if these
// have more than half of its rows.
func (s *Store) cut(ctx context.Context, tenant string, keep Keep, p *piece, cutoff int64) (rows uint64, err error) {
	var gone []history.Range
	w, err := func() (*rewritten, error) {
		v, done, err := s.acquire()
		if err != nil {
			return nil, err
		}
		defer done()
		if _, _, err := s.verifyMerged(v.snapshot, &p.entry, false); err != nil {
			return nil, err
		}
		m, err := s.merged(v.snapshot, p.entry.ID)
		if err != nil {
			return nil, err
		}
		n := 0
		for _, part := range m.Parts() {
			if part.Time.UnixNano() >= cutoff {
				break
			}
			rows += uint64(part.Rows)
			gone = addOffset(gone, uint64(part.Offset))
			n++
		}
		if 2*rows <= p.entry.Rows {
			return nil, nil
		}
		rest, err := m.Rest(n)
		if err != nil {
			return nil, err
		}
		return s.rewrite(ctx, []block.Piece{rest})
	}()
	if err != nil {
		return 0, s.mergeError(ctx, fmt.Errorf("cut segment at %d: %w", p.entry.First, err))
	}
	if w == nil {
		return 0, nil
	}
	w.dropped = func(g *group) { g.drop(tenant, keep, gone, rows) }
	return rows, s.swap(ctx, tenant, []piece{*p}, w)
}
