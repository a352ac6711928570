package local

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
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

// merges is what merging keeps in mind. Only one of its methods runs at a time.
type merges struct {
	mu      sync.Mutex
	encoder *block.Encoder
	lastID  uint64 // of a merged segment

	reclaimed uint64 // from where on space was given back the last time
	limits    mergeLimits
}

// waiting is how much of a tenant is not merged. Under Store.mu.
type waiting struct{ segments, rows int }

// piece is a segment that may be merged with others: merged, or appended.
type piece struct {
	entry  mergedEntry // of an appended one: First = Last, Rows, Since = Till
	merged bool
	found  found // of an appended one
}

// Merge merges segments of one tenant if that is worth while, and tells whether
// it did. Only what a Step has covered, and what lies in settled hours, is merged.
func (s *Store) Merge(ctx context.Context) (bool, error) { return s.merge(ctx, false) }

// merge is Merge; of a quiet store it merges what waits for its hours to settle, too.
func (s *Store) merge(ctx context.Context, quiet bool) (bool, error) {
	s.merges.mu.Lock()
	defer s.merges.mu.Unlock()
	if err := s.Err(); err != nil {
		return false, err
	}
	if s.full.Load() {
		return false, nil
	}
	cursor, err := s.Cursor(ctx)
	if err != nil {
		return false, err
	}
	for _, tenant := range s.worthMerging(quiet) {
		pieces, err := s.plan(ctx, tenant, uint64(cursor), quiet)
		if err != nil {
			return false, err
		}
		if pieces == nil {
			continue
		}
		return true, s.mergePieces(ctx, tenant, pieces)
	}
	return false, nil
}

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

// mergePieces replaces pieces by one segment.
func (s *Store) mergePieces(ctx context.Context, tenant string, pieces []piece) error {
	w, err := s.write(ctx, pieces)
	if err != nil {
		first, last := pieces[0].entry.First, pieces[len(pieces)-1].entry.Last
		return s.mergeError(ctx, fmt.Errorf("merge entries %d to %d: %w", first, last, err))
	}
	return s.swap(ctx, tenant, pieces, w)
}

// write writes one segment of pieces. The view it reads them from must be given
// up before they can go.
func (s *Store) write(ctx context.Context, pieces []piece) (*rewritten, error) {
	v, done, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer done()
	sources := make([]block.Piece, len(pieces))
	for i := range pieces {
		if sources[i], err = s.source(v, &pieces[i]); err != nil {
			return nil, err
		}
	}
	return s.rewrite(ctx, sources)
}

// mergeError says what an error while merging means.
func (s *Store) mergeError(ctx context.Context, err error) error {
	var corrupt *block.Corrupt
	switch {
	case s.Err() != nil:
		return s.Err()
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrClosed):
		return err
	case errors.As(err, &corrupt) || errors.Is(err, pebble.ErrNotFound):
		return damaged("segment", err)
	case errors.Is(err, block.ErrNewer):
		return fmt.Errorf("%w: %w", ErrNewer, err)
	default:
		return classify("merge", err)
	}
}

// source returns a piece to be merged, once it is known to be what the history
// says: what was damaged must not be made to look whole.
func (s *Store) source(v *view, p *piece) (block.Piece, error) {
	if p.merged {
		if _, _, err := s.verifyMerged(v.snapshot, &p.entry, false); err != nil {
			return nil, err
		}
		m, err := s.merged(v.snapshot, p.entry.ID)
		if err != nil {
			return nil, err
		}
		return m.Piece(), nil
	}
	if _, err := s.verifiedIn(v.snapshot, p.found); err != nil {
		return nil, err
	}
	return s.decoder.NewPiece(p.found.at, func(f func([]byte) error) error {
		value, closer, err := v.snapshot.Get(numbered(keyLog, uint64(p.found.at)))
		if err != nil {
			return err
		}
		defer closer.Close()
		if len(value) == 0 || value[0] != tagSegment {
			return errors.New("not a segment")
		}
		return f(value[1:])
	})
}

// rewritten is a merged segment that is written but not yet part of the log.
type rewritten struct {
	entry  mergedEntry
	digest history.Digest
	ranges []history.Range
	batch  func(*group) // puts it in the batch, if it is not in a table already

	dropped func(*group) // drops what was left out; nil if nothing was
}

// rewrite writes a merged segment. Its chunks are in the store then, or go
// there with the group that makes it part of the log; without that they mean
// nothing, and are removed when the store is opened.
func (s *Store) rewrite(ctx context.Context, sources []block.Piece) (*rewritten, error) {
	if s.merges.encoder == nil {
		s.merges.encoder = block.NewEncoder()
	}
	s.merges.lastID++
	out := &rewritten{entry: mergedEntry{
		ID: s.merges.lastID, Since: math.MaxInt64, Till: math.MinInt64, From: math.MaxInt64, To: math.MinInt64,
	}}
	e := &out.entry
	w := &chunkWriter{s: s, id: e.ID, sum: sha256.New()}
	defer w.abort()
	head, err := s.merges.encoder.Merge(sources, func(chunk []byte) error {
		if err := errors.Join(ctx.Err(), s.Err()); err != nil {
			return err
		}
		return w.add(chunk)
	})
	if err == nil {
		err = w.end(head)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range sources {
		e.Rows += uint64(p.Rows())
		for _, part := range p.Parts() {
			at := uint64(part.Offset)
			if n := len(out.ranges); n > 0 && out.ranges[n-1].Last+1 == at {
				out.ranges[n-1].Last = at
			} else {
				out.ranges = append(out.ranges, history.Range{First: at, Last: at})
			}
			e.Parts++
			e.Since, e.Till = min(e.Since, part.Time.UnixNano()), max(e.Till, part.Time.UnixNano())
		}
	}
	e.First, e.Last = out.ranges[0].First, out.ranges[len(out.ranges)-1].Last
	e.Bytes = w.bytes
	copy(out.digest[:], w.sum.Sum(nil))
	m, err := s.decoder.OpenMerged(head, nil)
	if err != nil {
		return nil, err
	}
	if c, _, ok := m.Column(tokenwatch.ColTime); ok {
		e.Times, e.From, e.To = true, c.Min, c.Max
	} else {
		e.From, e.To = 0, 0
	}
	out.batch = w.batch()
	return out, nil
}

// chunkWriter writes the chunks of a merged segment: the first ones are held,
// and if it grows large all go into a table of their own, past the write-ahead
// log.
type chunkWriter struct {
	s      *Store
	id     uint64
	sum    hash.Hash
	n      uint64
	bytes  uint64
	held   [][]byte
	size   int
	path   string
	table  *sstable.Writer
	closed bool
}

func (w *chunkWriter) add(chunk []byte) error {
	w.sum.Write(chunk)
	w.bytes += uint64(len(chunk))
	w.n++
	if w.table != nil {
		return w.table.Set(chunkKey(w.id, w.n-1), chunk)
	}
	w.held = append(w.held, append([]byte(nil), chunk...))
	if w.size += len(chunk); w.size <= w.s.merges.limits.small {
		return nil
	}
	return w.spill()
}

// spill moves what is held into a table.
func (w *chunkWriter) spill() error {
	w.path = w.s.path(mergeFile)
	f, err := w.s.gate.Create(w.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{
		TableFormat: w.s.db.TableFormat(), Compression: sstable.NoCompression,
	})
	for i, chunk := range w.held {
		if err := w.table.Set(chunkKey(w.id, uint64(i)), chunk); err != nil {
			return err
		}
	}
	w.held = nil
	return nil
}

// end writes the head, which comes last, and takes a table into the store.
func (w *chunkWriter) end(head []byte) error {
	w.sum.Write(head)
	w.bytes += uint64(len(head))
	if w.table == nil {
		w.held = append(w.held, head)
		return nil
	}
	if err := w.table.Set(chunkKey(w.id, headChunk), head); err != nil {
		return err
	}
	w.closed = true
	if err := w.table.Close(); err != nil {
		return err
	}
	if err := w.s.Err(); err != nil {
		return err // the gate has told of a write that did not happen
	}
	return w.s.db.Ingest(context.Background(), []string{w.path})
}

// batch returns what puts held chunks in a group.
func (w *chunkWriter) batch() func(*group) {
	if w.table != nil {
		return func(*group) {}
	}
	held, id := w.held, w.id
	return func(g *group) {
		for i, chunk := range held[:len(held)-1] {
			g.set(chunkKey(id, uint64(i)), chunk)
		}
		g.set(chunkKey(id, headChunk), held[len(held)-1])
	}
}

// abort leaves no file behind.
func (w *chunkWriter) abort() {
	if w.table == nil {
		return
	}
	if !w.closed {
		w.table.Close()
	}
	w.s.gate.Remove(w.path) // gone already if it was taken in
}

// mergeFile is a table that is being written. One that is there when the store
// opens was not finished.
const mergeFile = "merge.sst"

// swap makes a rewritten segment part of the log in place of what it was made
// of, in one group with the leaf that says so.
func (s *Store) swap(ctx context.Context, tenant string, pieces []piece, w *rewritten) error {
	err := s.do(context.WithoutCancel(ctx), int(w.entry.Parts), func(g *group) error {
		e := w.entry
		e.Leaf = g.leaf(tenant, "", &history.Merge{Ranges: w.ranges, Rows: e.Rows, Digest: w.digest, Bytes: e.Bytes})
		edge, err := frontier(s.db, tenant)
		if err != nil {
			return err
		}
		for i := range pieces {
			g.dropPiece(tenant, &pieces[i])
		}
		w.batch(g)
		if w.dropped != nil {
			w.dropped(g)
		}
		g.set(mergedKey(tenant, e.First), e.encode())
		part := 0
		for _, r := range w.ranges {
			for at := r.First; at <= r.Last; at++ {
				g.set(numbered(keyLog, at), place{e.ID, part}.encode())
				part++
			}
		}
		if e.Last > edge {
			g.set(tenanted(keyFrontier, tenant), binary.BigEndian.AppendUint64(nil, e.Last))
		}
		g.replaced = append(g.replaced, replaced{tenant, pieces})
		return nil
	})
	if err != nil {
		return err
	}
	s.reclaim(ctx, pieces[0].entry.First, w.entry.Last, pieces)
	return nil
}

// dropPiece takes a piece out of the index. What the log says of its entries is
// for the caller to say.
func (g *group) dropPiece(tenant string, p *piece) {
	if !p.merged {
		return
	}
	g.delete(mergedKey(tenant, p.entry.First))
	if err := g.batch.DeleteRange(numbered(keyChunk, p.entry.ID), numbered(keyChunk, p.entry.ID+1), nil); err != nil && g.failed == nil {
		g.failed = err
	}
}

// replaced is what a group took out of the log's index.
type replaced struct {
	tenant string
	pieces []piece
}

// reclaim gives back the space of what was replaced: Pebble would let it lie
// until something else is written there, which is never. What a reader still sees
// cannot be given back; so it waits for those that are about to end, and tries the
// range of the time before once more.
func (s *Store) reclaim(ctx context.Context, first, last uint64, pieces []piece) {
	s.awaitReaders(ctx)
	from := first
	if before := s.merges.reclaimed; before != 0 {
		from = min(from, before)
	}
	s.merges.reclaimed = first
	err := s.compact(ctx, numbered(keyLog, from), numbered(keyLog, last+1))
	for i := range pieces {
		if pieces[i].merged {
			id := pieces[i].entry.ID
			s.opened.forget(id)
			err = errors.Join(err, s.compact(ctx, numbered(keyChunk, id), numbered(keyChunk, id+1)))
		}
	}
	if err != nil && ctx.Err() == nil && s.Err() == nil {
		s.cfg.Logger.Warn("space not given back yet", "err", err)
	}
}

// readerPatience is how long reclaim waits for readers of what was replaced.
const readerPatience = time.Second

// awaitReaders returns once nobody reads in an older view than the newest.
func (s *Store) awaitReaders(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readerPatience)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for s.db.Metrics().Snapshots.Count > 1 {
		select {
		case <-look.C:
		case <-s.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

// errCannotWrite ends a compaction that Pebble would try for ever.
var errCannotWrite = errors.New("compaction: the store takes no writes")

// compact compacts a range of keys. It ends when the store cannot write.
func (s *Store) compact(ctx context.Context, lower, upper []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		for !s.full.Load() {
			select {
			case <-look.C:
			case <-s.stopped:
				cancel(errCannotWrite)
				return
			case <-ctx.Done():
				return
			}
		}
		cancel(errCannotWrite)
	}()
	err := s.db.Compact(ctx, lower, upper, false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return classify("compaction", err)
}
