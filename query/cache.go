package query

import (
	"container/list"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// columnCache keeps decoded columns of segments, those used last, within a
// budget. Segments never change, so it never has to be told of anything; it
// keeps columns, never answers.
type columnCache struct {
	mu     sync.Mutex
	budget int64
	size   int64
	known  map[columnKey]*list.Element
	used   list.List // of *cachedColumn, the one used last in front
}

type columnKey struct {
	first  tokenwatch.Offset
	rows   int
	sorted bool
	col    tokenwatch.Col
}

type cachedColumn struct {
	key    columnKey
	vector tokenwatch.Vector
	attrs  tokenwatch.Attributes
	size   int64
}

func newColumnCache(budget int64) *columnCache {
	return &columnCache{budget: budget, known: make(map[columnKey]*list.Element)}
}

func keyOf(s storage.Segment, c tokenwatch.Col) columnKey {
	_, _, sorted := s.TokenRows("")
	return columnKey{s.First(), s.Rows(), sorted, c}
}

func (c *columnCache) get(k columnKey) *cachedColumn {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.known[k]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*cachedColumn)
}

func (c *columnCache) put(col *cachedColumn) {
	if col.size > c.budget/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[col.key] != nil {
		return
	}
	c.known[col.key] = c.used.PushFront(col)
	for c.size += col.size; c.size > c.budget; {
		last := c.used.Back()
		old := c.used.Remove(last).(*cachedColumn)
		delete(c.known, old.key)
		c.size -= old.size
	}
}

// load gives columns for the rows from lo up to hi of a segment: those in
// memory, and for the others all rows if that is not much more, else only these.
func (c *columnCache) load(x *execution, s storage.Segment, cols tokenwatch.ColSet, lo, hi int, out *[tokenwatch.NumColumns]decoded) error {
	var missing tokenwatch.ColSet
	for col := range cols.All() {
		if have := c.get(keyOf(s, col)); have != nil {
			out[col] = decoded{&have.vector, &have.attrs, 0}
			// Rows are shown from multiples of 8 after lo.
			if lo%8 != 0 {
				out[col] = have.from(lo, hi)
			}
			continue
		}
		missing = missing.With(col)
	}
	if missing == 0 {
		return nil
	}
	if err := x.alive(); err != nil {
		return err
	}
	part := (hi-lo)*4 < s.Rows()
	var b *tokenwatch.Batch
	var err error
	if part {
		b, err = s.SelectRows(x.ctx, missing, lo, hi)
	} else {
		b, err = s.Select(x.ctx, missing)
	}
	if err != nil {
		return err
	}
	for col := range missing.All() {
		one := &cachedColumn{key: keyOf(s, col), vector: *b.Column(col)}
		if col.Kind() == tokenwatch.KindMap {
			one.attrs = *b.Attrs()
		}
		one.size = sizeOf(&one.vector, &one.attrs)
		x.decoded.Add(one.size)
		switch {
		case part:
			out[col] = decoded{&one.vector, &one.attrs, lo}
			continue
		case lo%8 != 0:
			out[col] = one.from(lo, hi)
		default:
			out[col] = decoded{&one.vector, &one.attrs, 0}
		}
		c.put(one)
	}
	return nil
}

// from is the column from row lo on, which is no multiple of 8: only its bits
// have to be moved.
func (c *cachedColumn) from(lo, hi int) decoded {
	v := c.vector
	switch {
	case v.Ints != nil:
		v.Ints = v.Ints[lo:hi]
	case v.Codes != nil:
		v.Codes = v.Codes[lo:hi]
	case v.Text.Offsets != nil:
		v.Text.Offsets = v.Text.Offsets[lo : hi+1]
	case v.Addrs != nil:
		v.Addrs = v.Addrs[16*lo : 16*hi]
	case v.Bools != nil:
		v.Bools = v.Bools[lo:hi]
	}
	if v.Valid != nil {
		moved := make(tokenwatch.Bitmap, (hi-lo+7)/8)
		for i := lo; i < hi; i++ {
			if v.Valid.At(i) {
				moved.Set(i - lo)
			}
		}
		v.Valid = moved
	}
	attrs := c.attrs
	if attrs.Offsets != nil {
		attrs.Offsets = attrs.Offsets[lo : hi+1]
	}
	return decoded{&v, &attrs, lo}
}

func sizeOf(v *tokenwatch.Vector, a *tokenwatch.Attributes) int64 {
	n := 8*len(v.Ints) + 4*len(v.Codes) + len(v.Addrs) + len(v.Bools) + len(v.Valid)
	for _, s := range []*tokenwatch.Strings{&v.Dict, &v.Text, &a.Dict, &a.Values} {
		n += len(s.Bytes) + 4*len(s.Offsets)
	}
	return int64(n + 4*len(a.Offsets) + 4*len(a.Keys) + 200)
}
