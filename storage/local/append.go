package local

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// The first byte of a value in the log says what follows.
const (
	tagSegment = 0
	tagControl = 1
	tagMerged  = 2
	tagDropped = 3
)

// Append stores entries; see storage.Events. While the disk is full it fails
// with storage.ErrReadOnly.
func (s *Store) Append(ctx context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	rows := 0
	for i := range entries {
		if err := checkEntry(&entries[i]); err != nil {
			return nil, fmt.Errorf("append entry %d of %d: %w", i+1, len(entries), err)
		}
		if entries[i].Batch != nil {
			rows += entries[i].Batch.Rows()
		}
	}
	var receipts []tokenwatch.Receipt
	plan := func(g *group) (err error) {
		if s.full.Load() {
			return fmt.Errorf("append: %w: %w", storage.ErrReadOnly, ErrDiskFull)
		}
		receipts = receipts[:0]
		for i := range entries {
			if receipts, err = g.append(receipts, entries[i]); err != nil {
				return fmt.Errorf("append entry %d of %d: %w", i+1, len(entries), err)
			}
		}
		return nil
	}
	if err := s.do(ctx, rows, plan); err != nil {
		return nil, err
	}
	return receipts, nil
}

// checkEntry refuses what could not be stored, before it waits for its turn.
func checkEntry(e *tokenwatch.Entry) error {
	switch {
	case len(e.Tenant) > maxTenant:
		return fmt.Errorf("tenant of %d bytes, at most %d are allowed", len(e.Tenant), maxTenant)
	case (e.Batch == nil) == (e.Control == nil):
		return errors.New("want a batch or a control record")
	case e.Control != nil:
		if len(e.Requests) != 0 {
			return errors.New("a control record has no requests")
		}
		return nil
	case e.Tenant == "":
		return errors.New("a batch needs a tenant")
	case e.Batch.Rows() > block.MaxRows:
		return fmt.Errorf("%w: %d rows", block.ErrTooLarge, e.Batch.Rows())
	}
	if len(e.Requests) == 0 {
		return nil
	}
	left := e.Batch.Rows()
	for i := range e.Requests {
		if n := e.Requests[i].Rows; n < 0 || n > left {
			return errors.New("rows of the requests do not add up to those of the batch")
		}
		left -= e.Requests[i].Rows
	}
	if left != 0 {
		return errors.New("rows of the requests do not add up to those of the batch")
	}
	return nil
}

// append adds one entry to the group, without the requests stored before.
func (g *group) append(receipts []tokenwatch.Receipt, e tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	e.Time = g.now
	e.Offset = tokenwatch.Offset(g.commit.Last + 1)
	if e.Control != nil {
		return receipts, g.control(e)
	}
	kept := make([]bool, len(e.Requests))
	dropped := 0
	for i := range e.Requests {
		r := &e.Requests[i]
		known, err := g.recall(e.Tenant, r)
		if err != nil {
			return receipts, err
		}
		if known != nil {
			receipts = append(receipts, g.repeat(e.Tenant, known, r))
			dropped++
			continue
		}
		kept[i] = true
		receipt := tokenwatch.Receipt{Offset: e.Offset, Rows: r.Rows, Rejects: r.Rejects}
		receipts = append(receipts, receipt)
		if err := g.remember(e.Tenant, r, receipt); err != nil {
			return receipts, err
		}
	}
	if dropped > 0 {
		if dropped == len(kept) {
			return receipts, nil
		}
		keep(&e, kept)
	}
	return receipts, g.segment(e)
}

// keep takes away the requests that are not kept, with their rows.
func keep(e *tokenwatch.Entry, kept []bool) {
	var batches []*tokenwatch.Batch
	var requests []tokenwatch.Request
	at := 0
	for i, r := range e.Requests {
		if kept[i] {
			batches = append(batches, e.Batch.Slice(at, at+r.Rows))
			requests = append(requests, r)
		}
		at += r.Rows
	}
	e.Batch, e.Requests = tokenwatch.Concat(batches...), requests
}

// segment stamps an entry and adds it to the log.
func (g *group) segment(e tokenwatch.Entry) error {
	stamper, err := g.stamper(e.Tenant)
	if err != nil {
		return err
	}
	e.Batch = stamper.Stamp(e.Batch, e.Time)
	value, err := g.w.encoder.Encode(append(g.w.buf[:0], tagSegment), &e)
	if err != nil {
		return err
	}
	g.w.buf = value // Set copies it
	mark := stamper.Watermark()
	tenant, err := g.tenant(e.Tenant)
	if err != nil {
		return err
	}
	at := indexEntry{Tenant: e.Tenant, Time: e.Time.UnixNano(), Prev: tenant.last}
	at.describe(&e)
	at.Greatest = mark.Greatest()
	body := &history.Segment{
		Offset: uint64(e.Offset), Rows: at.Rows, From: floorMillis(at.From), To: floorMillis(at.To),
		Digest: sha256.Sum256(value[1:]), Bytes: uint64(len(value) - 1),
	}
	if err := body.SetSources(sources(&e)); err != nil {
		return err
	}
	at.Leaf = g.leaf(e.Tenant, "", body)
	tenant.last, tenant.time = uint64(e.Offset), at.Greatest
	g.set(tenanted(keyGreatest, e.Tenant), tenant.encode())
	for _, r := range e.Requests {
		if r.Mark != nil {
			g.set(markKey(e.Tenant, r.Source, r.Mark.Input), binary.AppendVarint(nil, r.Mark.Offset))
		}
	}
	g.put(e, value, &at)
	return nil
}

// put adds an entry's bytes and index to the batch.
func (g *group) put(e tokenwatch.Entry, value []byte, at *indexEntry) {
	g.set(numbered(keyLog, uint64(e.Offset)), value)
	g.set(numbered(keyIndex, uint64(e.Offset)), at.append(nil))
	g.commit.Last = uint64(e.Offset)
	g.entries = append(g.entries, e)
}

// sources counts the rows and rejects of an entry by source.
func sources(e *tokenwatch.Entry) []history.SourceCount {
	var counts []history.SourceCount
	v := e.Batch.Column(tokenwatch.ColSource)
	rows := make([]uint64, max(1, v.Dict.Len()))
	if v.Codes == nil {
		rows[0] = uint64(e.Batch.Rows())
	}
	for _, c := range v.Codes {
		rows[c]++
	}
	for c, n := range rows {
		if n > 0 {
			name := ""
			if c > 0 {
				name = v.Dict.At(c)
			}
			counts = append(counts, history.SourceCount{Source: name, Rows: n})
		}
	}
	for i := range e.Requests {
		if n := len(e.Requests[i].Rejects); n > 0 {
			counts = append(counts, history.SourceCount{Source: e.Requests[i].Source, Rejected: uint64(n)})
		}
	}
	return counts
}

func floorMillis(nanos int64) int64 {
	ms := nanos / 1e6
	if nanos%1e6 < 0 {
		ms--
	}
	return ms
}
