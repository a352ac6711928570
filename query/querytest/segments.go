// Package querytest has what tests of queries need: segments in memory that play
// storage.Segments in both forms, as appended and merged, random events, and an
// Output that remembers.
package querytest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// Store is segments in memory, all of one tenant.
type Store struct {
	Tenant string
	Parts  []*Segment
}

// Segments yields them; see storage.Segments. It prunes nothing.
func (s *Store) Segments(ctx context.Context, r storage.Range) iter.Seq2[storage.Segment, error] {
	return func(yield func(storage.Segment, error) bool) {
		if r.Tenant != s.Tenant {
			return
		}
		for _, p := range s.Parts {
			if !yield(p, ctx.Err()) {
				return
			}
		}
	}
}

// Add adds a batch as an appended segment, or, if it is sorted by token and
// time, as a merged one.
func (s *Store) Add(b *tokenwatch.Batch, merged bool) {
	s.Parts = append(s.Parts, &Segment{
		offset: tokenwatch.Offset(len(s.Parts) + 1), b: b, merged: merged,
		bounds: make(map[tokenwatch.Col]storage.Bounds), counts: make(map[tokenwatch.Col][]storage.ValueCount),
	})
}

// Segment is one batch. Merged ones carry counts and know where tokens lie.
type Segment struct {
	offset tokenwatch.Offset
	b      *tokenwatch.Batch
	merged bool

	mu     sync.Mutex
	bounds map[tokenwatch.Col]storage.Bounds // those asked for so far
	counts map[tokenwatch.Col][]storage.ValueCount
}

// First returns its place.
func (s *Segment) First() tokenwatch.Offset { return s.offset }

// Rows returns how many rows it has.
func (s *Segment) Rows() int { return s.b.Rows() }

// Batch returns its rows.
func (s *Segment) Batch() *tokenwatch.Batch { return s.b }

// Bounds looks at all rows of a column of numbers, times or flags.
func (s *Segment) Bounds(col tokenwatch.Col) (storage.Bounds, bool) {
	switch col.Kind() {
	case tokenwatch.KindMap, tokenwatch.KindText, tokenwatch.KindString, tokenwatch.KindAddr:
		return storage.Bounds{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out, ok := s.bounds[col]
	if !ok {
		out = s.look(col)
		s.bounds[col] = out
	}
	return out, true
}

func (s *Segment) look(col tokenwatch.Col) storage.Bounds {
	var out storage.Bounds
	first := true
	for i := range s.b.Rows() {
		v := int64(0)
		if col.Kind() != tokenwatch.KindBool {
			v = s.b.Int(col, i)
		}
		switch {
		case col.Kind() == tokenwatch.KindBool:
			if s.b.Bool(col, i) {
				v = 1
			}
		case !s.b.Has(col, i):
			out.Nulls++
			continue
		}
		if first || v < out.Min {
			out.Min = v
		}
		if first || v > out.Max {
			out.Max = v
		}
		first = false
	}
	return out
}

// Counts counts the values of the columns that a store would count.
func (s *Segment) Counts(col tokenwatch.Col) ([]storage.ValueCount, bool) {
	if !s.merged || col != tokenwatch.ColStatus && col != tokenwatch.ColToken && col != tokenwatch.ColMethod && col != tokenwatch.ColHost {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[col] == nil {
		s.counts[col] = s.count(col)
	}
	return s.counts[col], true
}

// Counted tells of which columns Counts counts the values.
func (s *Segment) Counted(col tokenwatch.Col) bool {
	_, ok := s.Counts(col)
	return ok
}

// Addresses is what a store would give of a merged segment.
func (s *Segment) Addresses(_ context.Context, col tokenwatch.Col, lo, hi int) (codes []uint32, distinct []byte, ok bool, err error) {
	v := s.b.Column(col)
	if !s.merged || v.Addrs == nil {
		return nil, nil, false, nil
	}
	places := make(map[[16]byte]uint32)
	for i := lo; i < hi; i++ {
		a := [16]byte(v.Addrs[16*i:])
		switch {
		case !v.Valid.At(i):
			codes = append(codes, 0)
			continue
		case places[a] == 0:
			distinct = append(distinct, a[:]...)
			places[a] = uint32(len(distinct) / 16)
		}
		codes = append(codes, places[a])
	}
	return codes, distinct, true, nil
}

// Search is what a store would give of a merged segment.
func (s *Segment) Search(_ context.Context, col tokenwatch.Col, test *tokenwatch.TextTest, lo, hi int, among []int32) (rows []int32, ok bool, err error) {
	if !s.merged || col.Kind() != tokenwatch.KindString {
		return nil, false, nil
	}
	for i := lo; i < hi; i++ {
		if _, asked := slices.BinarySearch(among, int32(i-lo)); !s.b.Has(col, i) || among != nil && !asked {
			continue
		}
		text := s.b.Text(col, i)
		if test.Test == nil && strings.Contains(text, test.Parts[0]) || test.Test != nil && test.Test(text) {
			rows = append(rows, int32(i-lo))
		}
	}
	return rows, true, nil
}

func (s *Segment) count(col tokenwatch.Col) []storage.ValueCount {
	at := make(map[storage.ValueCount]int)
	for i := range s.b.Rows() {
		if s.b.Bool(tokenwatch.ColDuplicate, i) {
			continue
		}
		k := storage.ValueCount{Null: !s.b.Has(col, i)}
		if col.Kind() == tokenwatch.KindInt {
			k.Int = s.b.Int(col, i)
		} else {
			k.Text = s.b.Text(col, i)
		}
		at[k]++
	}
	out := []storage.ValueCount{}
	for k, n := range at {
		k.Rows = n
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b storage.ValueCount) int {
		if a.Null != b.Null {
			return map[bool]int{true: -1, false: 1}[a.Null]
		}
		return cmp.Or(cmp.Compare(a.Int, b.Int), strings.Compare(a.Text, b.Text))
	})
	return out
}

// Select returns the columns, of all rows.
func (s *Segment) Select(ctx context.Context, cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	var attrs tokenwatch.Attributes
	for c := range cols.All() {
		columns[c] = *s.b.Column(c)
	}
	if cols.Has(tokenwatch.ColAttrs) {
		attrs = *s.b.Attrs()
	}
	b, err := tokenwatch.NewBatch(s.b.Rows(), columns, attrs, nil)
	if err != nil {
		return nil, fmt.Errorf("select columns: %w", err)
	}
	return b, ctx.Err()
}

// SelectRows returns the columns, of some rows.
func (s *Segment) SelectRows(ctx context.Context, cols tokenwatch.ColSet, lo, hi int) (*tokenwatch.Batch, error) {
	b, err := s.Select(ctx, cols)
	if err != nil {
		return nil, err
	}
	return b.Slice(lo, hi), nil
}

// TokenRows searches the rows of a merged segment.
func (s *Segment) TokenRows(token tokenwatch.TokenID) (lo, hi int, ok bool) {
	if !s.merged {
		return 0, 0, false
	}
	at := func(i int) string { return s.b.Text(tokenwatch.ColToken, i) }
	n := s.b.Rows()
	lo = sort.Search(n, func(i int) bool { return at(i) >= string(token) })
	hi = sort.Search(n, func(i int) bool { return at(i) > string(token) })
	return lo, hi, true
}

// Series counts the rows of a merged segment.
func (s *Segment) Series(ctx context.Context, kind series.Kind, measures series.Measures) (*series.Table, error) {
	if !s.merged {
		return nil, ctx.Err()
	}
	return series.Of(s.b, kind, measures), ctx.Err()
}

// MayHold looks at the rows.
func (s *Segment) MayHold(col tokenwatch.Col, value string) bool {
	for i := range s.b.Rows() {
		if !s.b.Has(col, i) {
			continue
		}
		v := s.b.Text(col, i)
		switch col.Kind() {
		case tokenwatch.KindTime, tokenwatch.KindInt:
			v = strconv.FormatInt(s.b.Int(col, i), 10)
		case tokenwatch.KindAddr:
			v = s.b.Addr(i).String()
		case tokenwatch.KindBool:
			v = strconv.FormatBool(s.b.Bool(col, i))
		}
		if v == value {
			return true
		}
	}
	return false
}

// Runs are of a few rows each: those that have the value, and some that have not.
func (s *Segment) Runs(col tokenwatch.Col, value string) (runs [][2]int, ok bool) {
	if !s.merged || col.Kind() != tokenwatch.KindString && col.Kind() != tokenwatch.KindAddr && col != tokenwatch.ColActor {
		return nil, false
	}
	const rows = 5
	for lo := 0; lo < s.b.Rows(); lo += rows {
		hi := min(lo+rows, s.b.Rows())
		any := lo%7 == 3
		for i := lo; i < hi; i++ {
			if !s.b.Has(col, i) {
				continue
			}
			if col.Kind() == tokenwatch.KindAddr {
				any = any || s.b.Addr(i).String() == value
			} else {
				any = any || s.b.Text(col, i) == value
			}
		}
		if n := len(runs); any && n > 0 && runs[n-1][1] == lo {
			runs[n-1][1] = hi
		} else if any {
			runs = append(runs, [2]int{lo, hi})
		}
	}
	return runs, true
}

// MayContain looks at the rows.
func (s *Segment) MayContain(col tokenwatch.Col, sub string) bool {
	for i := range s.b.Rows() {
		if s.b.Has(col, i) && strings.Contains(s.b.Text(col, i), sub) {
			return true
		}
	}
	return false
}

// Start is the time of the earliest random event.
const Start = 1_772_409_600_000_000_000 // 2026-03-02T00:00:00Z

// Token is the id of the i-th random token.
func Token(i int) string { return fmt.Sprintf("tkw_%026d", i) }

// Hosts and Paths are what random events ask for.
var (
	Hosts = []string{"a.example", "B.example", "api.example", "", "é.example"}
	Paths = []string{"/v1/users/7", "/v1/reports/1", "/exports/", "/", "/a%20b", "/v1/Users/8?x=1", ""}
)

// Random returns rows events by chance: values repeat, every column has nulls,
// some rows are duplicates. With merged they are in the order of token and time.
func Random(r *rand.Rand, rows int, merged bool) *tokenwatch.Batch {
	type event struct {
		token string
		time  int64
	}
	keys := make([]event, rows)
	for i := range keys {
		keys[i] = event{Token(r.IntN(12)), Start + r.Int64N(48)*1800e9 + r.Int64N(5)*1e6}
		if r.IntN(9) == 0 {
			keys[i].token = ""
		}
	}
	if merged {
		slices.SortFunc(keys, func(a, b event) int {
			return cmp.Or(strings.Compare(a.token, b.token), cmp.Compare(a.time, b.time))
		})
	}
	var b tokenwatch.Builder
	var row tokenwatch.Row
	for _, k := range keys {
		row.Reset()
		row.SetInt(tokenwatch.ColTime, k.time)
		row.SetString(tokenwatch.ColToken, k.token)
		maybe := func(n int, set func()) {
			if r.IntN(n) != 0 {
				set()
			}
		}
		maybe(8, func() { row.SetInt(tokenwatch.ColStatus, []int64{200, 200, 200, 201, 404, 403, 500, 503}[r.IntN(8)]) })
		maybe(8, func() { row.SetString(tokenwatch.ColHost, Hosts[r.IntN(len(Hosts))]) })
		maybe(8, func() { row.SetString(tokenwatch.ColMethod, []string{"GET", "POST", "DELETE"}[r.IntN(3)]) })
		maybe(8, func() { row.SetString(tokenwatch.ColPath, Paths[r.IntN(len(Paths))]) })
		maybe(8, func() { row.SetInt(tokenwatch.ColBytesOut, r.Int64N(2000)-500) })
		maybe(8, func() { row.SetInt(tokenwatch.ColDuration, r.Int64N(40)*1e6) })
		maybe(4, func() {
			a := netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), 0, byte(r.IntN(5))})
			if r.IntN(6) == 0 {
				a = netip.MustParseAddr("2001:db8::" + strconv.Itoa(1+r.IntN(3)))
			}
			row.SetAddr(a)
		})
		maybe(3, func() { row.AddAttr([]byte("x"), []byte(strconv.Itoa(r.IntN(6)))) })
		maybe(2, func() { row.AddAttr([]byte("note"), []byte(Paths[r.IntN(len(Paths)-1)])) })
		b.Append(&row)
	}
	batch := b.Batch()
	duplicate, late := make([]bool, rows), make([]bool, rows)
	for i := range rows {
		duplicate[i], late[i] = r.IntN(10) == 0, r.IntN(5) == 0
	}
	return batch.WithFlags(late, nil, duplicate)
}

// Rand is a source of chance that gives the same every time.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
