package query

import (
	"container/list"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
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
	dicts  map[string]*sharedDict
	addrs  map[string]*sharedAddrs
}

type columnKey struct {
	first  tokenwatch.Offset
	rows   int
	sorted bool
	col    tokenwatch.Col
	lo, hi int // the rows, multiples of partRows; both 0: all
}

type cachedColumn struct {
	key    columnKey
	vector tokenwatch.Vector
	attrs  tokenwatch.Attributes
	narrow *narrow     // the numbers, if they fit; the vector then has none
	space  *expr.Space // of the codes, if they are those of all segments
	size   int64
}

func newColumnCache(budget int64) *columnCache {
	return &columnCache{budget: budget, known: make(map[columnKey]*list.Element), dicts: make(map[string]*sharedDict), addrs: make(map[string]*sharedAddrs)}
}

func keyOf(s storage.Segment, c tokenwatch.Col) columnKey {
	_, _, sorted := s.TokenRows("")
	return columnKey{first: s.First(), rows: s.Rows(), sorted: sorted, col: c}
}

// partRows is what parts of a column are cut at when only some rows are decoded.
const partRows = 4096

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
// memory, and for the others all rows if that is not much more, else a part.
func (c *columnCache) load(x *execution, s storage.Segment, cols tokenwatch.ColSet, lo, hi int, out *[tokenwatch.NumColumns]decoded) error {
	whole := keyOf(s, 0)
	part := whole
	part.lo, part.hi = lo/partRows*partRows, min((hi+partRows-1)/partRows*partRows, s.Rows())
	// Of a segment as it was appended all rows are decoded in any case.
	parts := whole.sorted && 4*(part.hi-part.lo) < s.Rows()
	var missing tokenwatch.ColSet
	for col := range cols.All() {
		whole.col, part.col = col, col
		have := c.get(whole)
		if have == nil && parts {
			have = c.get(part)
		}
		if have == nil {
			missing = missing.With(col)
			continue
		}
		out[col] = have.rows(lo, hi).shown(c, x.tenant)
	}
	if missing == 0 {
		return nil
	}
	if err := x.alive(); err != nil {
		return err
	}
	key := whole
	if parts {
		key = part
	}
	keep := func(one *cachedColumn) {
		one.size = sizeOf(one)
		x.decoded.Add(one.size)
		out[one.key.col] = one.rows(lo, hi).shown(c, x.tenant)
		c.put(one)
	}
	for col := range missing.All() {
		if col.Kind() != tokenwatch.KindAddr || c.budget == 0 {
			continue
		}
		key.col = col
		one, err := c.addresses(x, s, key)
		if err != nil {
			return err
		}
		if one != nil {
			missing &^= tokenwatch.Cols(col)
			keep(one)
		}
	}
	if missing == 0 {
		return nil
	}
	var b *tokenwatch.Batch
	var err error
	if parts {
		b, err = s.SelectRows(x.ctx, missing, part.lo, part.hi)
	} else {
		b, err = s.Select(x.ctx, missing)
	}
	if err != nil {
		return err
	}
	for col := range missing.All() {
		key.col = col
		one := &cachedColumn{key: key, vector: *b.Column(col)}
		switch {
		case col.Kind() == tokenwatch.KindMap:
			one.attrs = *b.Attrs()
		case c.budget == 0:
		case col == tokenwatch.ColToken && one.vector.Codes != nil:
			c.shared(x.tenant).recode(&one.vector)
		case one.vector.Addrs != nil:
			if shared := c.sharedAddrs(x.tenant); shared.recode(&one.vector) {
				one.space = &shared.space
			}
		case len(one.vector.Ints) > 0:
			if one.narrow = narrowed(one.vector.Ints); one.narrow != nil {
				one.vector.Ints = nil
			}
		}
		keep(one)
	}
	return nil
}

// addresses is a column of addresses in the codes of all segments, nil if the
// segment or the dictionary does not have them so.
func (c *columnCache) addresses(x *execution, s storage.Segment, key columnKey) (*cachedColumn, error) {
	lo, hi := key.lo, key.hi
	if lo == 0 && hi == 0 {
		hi = s.Rows()
	}
	codes, distinct, ok, err := s.Addresses(x.ctx, key.col, lo, hi)
	if err != nil || !ok {
		return nil, err
	}
	shared := c.sharedAddrs(x.tenant)
	to, ok := shared.codes(distinct)
	if !ok {
		return nil, nil
	}
	one := &cachedColumn{key: key, space: &shared.space}
	one.vector.Codes = make([]uint32, len(codes))
	for i, k := range codes {
		one.vector.Codes[i] = to[k]
	}
	return one, nil
}

// shown gives a column in shared codes the dictionary as it is now.
func (d decoded) shown(c *columnCache, tenant string) decoded {
	if d.vector.Codes == nil || d.vector.Dict.Offsets != nil {
		return d
	}
	v := *d.vector
	if d.space != nil {
		v.Addrs = c.sharedAddrs(tenant).list()
	} else {
		v.Dict = c.shared(tenant).strings()
	}
	d.vector = &v
	return d
}

// rows is the column for the rows from lo up to hi, which it has.
func (c *cachedColumn) rows(lo, hi int) decoded {
	if lo%8 == 0 { // rows are shown from multiples of 8 after lo
		return decoded{&c.vector, &c.attrs, c.key.lo, c.narrow, c.space}
	}
	d := c.from(lo-c.key.lo, hi-c.key.lo)
	d.first = lo
	return d
}

// from is the column from row lo on, which is no multiple of 8: only its bits
// have to be moved.
func (c *cachedColumn) from(lo, hi int) decoded {
	v, n := c.vector, c.narrow
	switch {
	case n != nil:
		n = n.from(lo)
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
	return decoded{&v, &attrs, lo, n, c.space}
}

func sizeOf(c *cachedColumn) int64 {
	v, a := &c.vector, &c.attrs
	n := c.narrow.bytes() + 8*len(v.Ints) + 4*len(v.Codes) + len(v.Addrs) + len(v.Bools) + len(v.Valid)
	for _, s := range []*tokenwatch.Strings{&v.Dict, &v.Text, &a.Dict, &a.Values} {
		n += len(s.Bytes) + 4*len(s.Offsets)
	}
	return int64(n + 4*len(a.Offsets) + 4*len(a.Keys) + 200)
}

// counts returns the values of a column that a segment counts, null first, and how
// many rows have each.
// It is false if they cannot be read.
func (c *columnCache) counts(tenant string, s storage.Segment, col tokenwatch.Col) (expr.Vec, []int64, bool) {
	key := keyOf(s, col)
	key.lo = -1
	if have := c.get(key); have != nil { // tokens
		return expr.Vec{Type: expr.TypeText, Distinct: true, Codes: have.vector.Codes, Text: c.shared(tenant).strings()}, have.vector.Ints, true
	}
	counts, ok := s.Counts(col)
	if !ok {
		return expr.Vec{}, nil, false
	}
	weights := make([]int64, len(counts))
	for i := range counts {
		weights[i] = int64(counts[i].Rows)
	}
	if col == tokenwatch.ColToken && c.budget > 0 {
		if codes, ok := c.shared(tenant).codes(len(counts), func(i int) string { return counts[i].Text }); ok {
			c.put(&cachedColumn{key: key, vector: tokenwatch.Vector{Codes: codes, Ints: weights}, size: int64(12*len(codes) + 200)})
			return expr.Vec{Type: expr.TypeText, Distinct: true, Codes: codes, Text: c.shared(tenant).strings()}, weights, true
		}
	}
	values := expr.Vec{Type: expr.TypeOf(col.Kind())}
	if values.Type == expr.TypeText {
		values.Text.Offsets = make([]int32, 1, len(counts)+1)
	}
	for i := range counts {
		if counts[i].Null && values.Valid == nil {
			values.Valid = make(tokenwatch.Bitmap, (len(counts)+7)/8)
		}
		if values.Type == expr.TypeText {
			values.Text.Bytes = append(values.Text.Bytes, counts[i].Text...)
			values.Text.Offsets = append(values.Text.Offsets, int32(len(values.Text.Bytes)))
		} else {
			values.Ints = append(values.Ints, counts[i].Int)
		}
	}
	if values.Valid != nil {
		for i := range counts {
			if !counts[i].Null {
				values.Valid.Set(i)
			}
		}
	}
	return values, weights, true
}
