package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"math"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

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
