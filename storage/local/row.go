package local

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
)

// rowCache holds what was decoded for single rows last: whoever asks for one asks
// for its neighbours as well.
type rowCache struct {
	mu      sync.Mutex
	batches []rowBatch // the one used last comes last
	orders  []rowOrder
}

// How many batches, and orders of merged segments, the cache holds.
const (
	rowBatches = 8
	rowOrders  = 8
)

// rowBatch is an entry that was appended, or a page of a merged segment.
type rowBatch struct {
	offset uint64 // 0 for a page
	id, lo int
	batch  *tokenwatch.Batch
}

// rowOrder is the rows of a merged segment in the order of the log.
type rowOrder struct {
	id   int
	rows []uint32
}

// Row returns a batch that holds a row of the log, and its place; see
// storage.Rows.
func (s *Store) Row(ctx context.Context, ref tokenwatch.EventRef) (*tokenwatch.Batch, int, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	e, held := s.tail.at(ref.Offset)
	s.mu.Unlock()
	if held {
		return within(e.Batch, ref)
	}
	v, done, err := s.acquire()
	if err != nil {
		return nil, 0, err
	}
	defer done()
	if ref.Offset == 0 || ref.Offset > s.Last() {
		return nil, 0, fmt.Errorf("log offset %d: %w", ref.Offset, storage.ErrNotFound)
	}
	value, err := s.logAt(v.snapshot, uint64(ref.Offset))
	if err != nil {
		return nil, 0, err
	}
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	switch value[0] {
	case tagMerged:
		var at place
		if at, err = decodePlace(value[1:]); err != nil {
			return nil, 0, broken("log", ref.Offset, err)
		}
		m, err := s.merged(v.snapshot, at.id)
		if err != nil {
			return nil, 0, broken("merged segment", ref.Offset, err)
		}
		if parts := m.Parts(); at.part >= len(parts) || int64(ref.Row) >= int64(parts[at.part].Rows) {
			return nil, 0, fmt.Errorf("log offset %d has no such row: %w", ref.Offset, storage.ErrNotFound)
		}
		b, row, err := s.rows.merged(m, at, int(ref.Row))
		if err != nil {
			return nil, 0, broken("merged segment", ref.Offset, err)
		}
		return b, row, nil
	case tagSegment:
		b, err := s.rows.get(rowBatch{offset: uint64(ref.Offset)}, func() (*tokenwatch.Batch, error) {
			e, err := s.decoder.Decode(value[1:])
			return e.Batch, err
		})
		if err != nil {
			return nil, 0, broken("segment", ref.Offset, err)
		}
		return within(b, ref)
	default:
		return nil, 0, fmt.Errorf("log offset %d has no such row: %w", ref.Offset, storage.ErrNotFound)
	}
}

// within checks that a batch has the row.
func within(b *tokenwatch.Batch, ref tokenwatch.EventRef) (*tokenwatch.Batch, int, error) {
	if b == nil || int64(ref.Row) >= int64(b.Rows()) {
		return nil, 0, fmt.Errorf("log offset %d has no such row: %w", ref.Offset, storage.ErrNotFound)
	}
	return b, int(ref.Row), nil
}

// get returns what is held under the place of key, or makes it.
func (c *rowCache) get(key rowBatch, read func() (*tokenwatch.Batch, error)) (*tokenwatch.Batch, error) {
	at := slices.IndexFunc(c.batches, func(h rowBatch) bool {
		return h.offset == key.offset && h.id == key.id && h.lo == key.lo
	})
	if at >= 0 {
		key = c.batches[at]
		c.batches = slices.Delete(c.batches, at, at+1)
	} else {
		var err error
		if key.batch, err = read(); err != nil {
			return nil, err
		}
		if len(c.batches) >= rowBatches {
			c.batches = slices.Delete(c.batches, 0, 1)
		}
	}
	c.batches = append(c.batches, key)
	return key.batch, nil
}

// merged returns the page that holds a row of a part of a merged segment.
func (c *rowCache) merged(m *block.Merged, at place, row int) (*tokenwatch.Batch, int, error) {
	for _, p := range m.Parts()[:at.part] {
		row += p.Rows
	}
	logged, err := c.order(m, int(at.id))
	if err != nil {
		return nil, 0, err
	}
	lo, hi := m.Page(int(logged[row]))
	b, err := c.get(rowBatch{id: int(at.id), lo: lo}, func() (*tokenwatch.Batch, error) {
		return m.Select(tokenwatch.AllCols, lo, hi)
	})
	return b, int(logged[row]) - lo, err
}

func (c *rowCache) order(m *block.Merged, id int) ([]uint32, error) {
	if at := slices.IndexFunc(c.orders, func(o rowOrder) bool { return o.id == id }); at >= 0 {
		return c.orders[at].rows, nil
	}
	rows, err := m.Logged()
	if err != nil {
		return nil, err
	}
	if len(c.orders) >= rowOrders {
		c.orders = slices.Delete(c.orders, 0, 1)
	}
	c.orders = append(c.orders, rowOrder{id, rows})
	return rows, nil
}
