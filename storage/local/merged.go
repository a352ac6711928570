package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
)

// mergedEntry is what the index says of a merged segment.
type mergedEntry struct {
	First, Last uint64 // log offsets of its entries; others may lie between
	ID          uint64 // of its chunks
	Rows, Parts uint64
	Bytes       uint64
	Leaf        uint64 // of the history
	Since, Till int64  // first and last time of append, ns
	Times       bool   // some row has an event time; else From and To say nothing
	From, To    int64
}

var errMerged = errors.New("not the record of a merged segment")

func (e *mergedEntry) numbers() [7]*uint64 {
	return [...]*uint64{&e.First, &e.Last, &e.ID, &e.Rows, &e.Parts, &e.Bytes, &e.Leaf}
}

func (e *mergedEntry) times() [4]*int64 { return [...]*int64{&e.Since, &e.Till, &e.From, &e.To} }

func (e *mergedEntry) encode() []byte {
	b := []byte{0}
	if e.Times {
		b[0] = 1
	}
	for _, n := range e.numbers() {
		b = binary.AppendUvarint(b, *n)
	}
	for _, n := range e.times() {
		b = binary.AppendVarint(b, *n)
	}
	return b
}

func decodeMerged(b []byte) (mergedEntry, error) {
	var e mergedEntry
	if len(b) == 0 || b[0] > 1 {
		return e, errMerged
	}
	e.Times, b = b[0] == 1, b[1:]
	for _, p := range e.numbers() {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return e, errMerged
		}
		*p, b = n, b[size:]
	}
	for _, p := range e.times() {
		n, size := binary.Varint(b)
		if size <= 0 {
			return e, errMerged
		}
		*p, b = n, b[size:]
	}
	if len(b) != 0 || e.First == 0 || e.First > e.Last {
		return e, errMerged
	}
	return e, nil
}

// within is indexEntry.within.
func (e *mergedEntry) within(r storage.Range) bool {
	if r.First > tokenwatch.Offset(e.Last) || r.Last != 0 && r.Last < tokenwatch.Offset(e.First) {
		return false
	}
	at := indexEntry{Times: e.Times, From: e.From, To: e.To}
	return at.within(r.From, r.To)
}

// Chunks of a merged segment lie under its id and their number; the head comes
// last, so that what has a head is whole.
const headChunk = math.MaxUint64

func chunkKey(id, chunk uint64) []byte {
	return binary.BigEndian.AppendUint64(numbered(keyChunk, id), chunk)
}

func mergedKey(tenant string, first uint64) []byte {
	return binary.BigEndian.AppendUint64(tenanted(keyMerged, tenant), first)
}

// mergedOf yields what the index has of the merged segments of a tenant, or of
// all, in the order of tenant and offset.
func mergedOf(r pebble.Reader, tenant string) iter.Seq2[mergedEntry, error] {
	return func(yield func(mergedEntry, error) bool) {
		lower := []byte{keyMerged}
		if tenant != "" {
			lower = tenanted(keyMerged, tenant)
		}
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: prefixEnd(lower)})
		if err != nil {
			yield(mergedEntry{}, classify("store", err))
			return
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			e, err := decodeMerged(it.Value())
			if err != nil {
				yield(e, damaged("index of merged segments", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(mergedEntry{}, classify("store", err))
		}
	}
}

// frontier is up to where the entries of a tenant are merged or gone.
func frontier(r pebble.Reader, tenant string) (uint64, error) {
	b, err := get(r, tenanted(keyFrontier, tenant))
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(b) != 8 {
		err = errors.New("not a number")
	}
	if err != nil {
		return 0, damaged("index of merged segments", err)
	}
	return binary.BigEndian.Uint64(b), nil
}

// openSegments is the merged segments whose heads and dictionaries are held in
// memory. Under its own mutex.
type openSegments struct {
	mu   sync.Mutex
	byID map[uint64]*block.Merged
	rows int
}

// maxOpenRows is how many rows the segments held in memory have together: a
// dictionary of tokens and one of addresses may take some bytes of each.
const maxOpenRows = 32 << 20

// merged returns a merged segment, read by way of r.
func (s *Store) merged(r pebble.Reader, id uint64) (*block.Merged, error) {
	load := func(chunk int, f func([]byte) error) error {
		value, closer, err := r.Get(chunkKey(id, uint64(chunk)))
		if err != nil {
			return fmt.Errorf("chunk %d: %w", chunk, err)
		}
		defer closer.Close()
		return f(value)
	}
	s.opened.mu.Lock()
	m := s.opened.byID[id]
	s.opened.mu.Unlock()
	if m != nil {
		return m.With(load), nil
	}
	value, closer, err := r.Get(chunkKey(id, headChunk))
	if err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	defer closer.Close()
	if m, err = s.decoder.OpenMerged(value, load); err != nil {
		return nil, err
	}
	s.opened.keep(id, m)
	return m, nil
}

func (o *openSegments) keep(id uint64, m *block.Merged) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for other, old := range o.byID { // in no order: any may go
		if o.rows+m.Rows() <= maxOpenRows {
			break
		}
		o.rows -= old.Rows()
		delete(o.byID, other)
	}
	if o.byID[id] == nil {
		o.byID[id] = m.With(nil)
		o.rows += m.Rows()
	}
}

func (o *openSegments) forget(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := o.byID[id]; old != nil {
		o.rows -= old.Rows()
		delete(o.byID, id)
	}
}

// place is where an entry of the log lies that was merged.
type place struct {
	id   uint64
	part int
}

func (p place) encode() []byte {
	return binary.AppendUvarint(binary.AppendUvarint([]byte{tagMerged}, p.id), uint64(p.part))
}

func decodePlace(b []byte) (p place, err error) {
	id, n := binary.Uvarint(b)
	part, m := binary.Uvarint(b[max(n, 0):])
	if n <= 0 || m <= 0 || n+m != len(b) || part > math.MaxInt32 {
		return p, errors.New("not the place of a merged entry")
	}
	return place{id, int(part)}, nil
}

// unmerged is entries of a merged segment as they were appended: whoever reads
// one will want the next.
type unmerged struct {
	mu      sync.Mutex
	id      uint64
	from    int
	entries []tokenwatch.Entry
}

// unmergedRows is how many rows of a merged segment are taken apart at once.
const unmergedRows = 1 << 17

// mergedEntry returns an entry that was merged.
func (s *Store) mergedEntry(r pebble.Reader, offset uint64, p place) (tokenwatch.Entry, error) {
	u := &s.apart
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.id != p.id || p.part < u.from || p.part >= u.from+len(u.entries) {
		m, err := s.merged(r, p.id)
		if err != nil {
			return tokenwatch.Entry{}, err
		}
		parts := m.Parts()
		if p.part >= len(parts) {
			return tokenwatch.Entry{}, errors.New("it is not in its merged segment")
		}
		to, rows := p.part+1, parts[p.part].Rows
		for to < len(parts) && rows+parts[to].Rows <= unmergedRows {
			rows += parts[to].Rows
			to++
		}
		u.entries = nil // so that there is one at a time
		if u.entries, err = m.Entries(p.part, to); err != nil {
			return tokenwatch.Entry{}, err
		}
		u.id, u.from = p.id, p.part
	}
	e := u.entries[p.part-u.from]
	if uint64(e.Offset) != offset {
		return e, errors.New("another entry has its place")
	}
	return e, nil
}
