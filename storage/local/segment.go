package local

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// mergedSegment is a merged segment as queries see it.
type mergedSegment struct {
	s     *Store
	view  *view
	entry mergedEntry
	m     *block.Merged
}

func (s *Store) openMerged(v *view, e *mergedEntry) (*mergedSegment, error) {
	m, err := s.merged(v.snapshot, e.ID)
	if err != nil {
		return nil, broken("merged segment", tokenwatch.Offset(e.First), err)
	}
	return &mergedSegment{s, v, *e, m}, nil
}

func (g *mergedSegment) First() tokenwatch.Offset { return tokenwatch.Offset(g.entry.First) }
func (g *mergedSegment) Rows() int                { return g.m.Rows() }

// read calls f while the view is held.
func (g *mergedSegment) read(f func() error) error {
	done, err := g.s.hold(g.view)
	if err != nil {
		return err
	}
	defer done()
	if err := f(); err != nil {
		return broken("merged segment", g.First(), err)
	}
	return nil
}

func (g *mergedSegment) Bounds(col tokenwatch.Col) (storage.Bounds, bool) {
	c, constant, ok := g.m.Column(col)
	return boundsOf(&c, constant, ok, g.Rows())
}

// Counts that cannot be read are not there: Select will say why.
func (g *mergedSegment) Counts(col tokenwatch.Col) (out []storage.ValueCount, ok bool) {
	err := g.read(func() error {
		counts, err := g.m.Counts(col)
		if err != nil || counts == nil {
			return err
		}
		values, err := g.m.Values(col)
		if err != nil {
			return err
		}
		if col.Kind() != tokenwatch.KindText && col.Kind() != tokenwatch.KindInt {
			return nil
		}
		out = make([]storage.ValueCount, 0, len(counts))
		for code, n := range counts {
			switch {
			case n == 0:
			case code == 0:
				out = append(out, storage.ValueCount{Null: true, Rows: n})
			case col.Kind() == tokenwatch.KindInt:
				out = append(out, storage.ValueCount{Int: values.Ints[code-1], Rows: n})
			default:
				out = append(out, storage.ValueCount{Text: values.Text.At(code), Rows: n})
			}
		}
		if col != tokenwatch.ColToken { // tokens are sorted as they are
			slices.SortFunc(out, func(a, b storage.ValueCount) int {
				switch {
				case a.Null != b.Null && a.Null:
					return -1
				case a.Null != b.Null:
					return 1
				}
				return cmp.Or(cmp.Compare(a.Int, b.Int), cmp.Compare(a.Text, b.Text))
			})
		}
		ok = true
		return nil
	})
	return out, err == nil && ok
}

func (g *mergedSegment) Counted(col tokenwatch.Col) bool { return g.m.Counted(col) }

func (g *mergedSegment) Addresses(ctx context.Context, col tokenwatch.Col, lo, hi int) (codes []uint32, distinct []byte, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, false, err
	}
	err = g.read(func() error {
		values, err := g.m.Values(col)
		if err != nil || values == nil || values.Addrs == nil {
			return err
		}
		codes, err = g.m.Codes(col, lo, hi)
		distinct, ok = values.Addrs, codes != nil
		return err
	})
	return codes, distinct, ok, err
}

func (g *mergedSegment) Search(ctx context.Context, col tokenwatch.Col, test *tokenwatch.TextTest, lo, hi int, among []int32) (rows []int32, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	err = g.read(func() (err error) {
		rows, ok, err = g.m.Search(col, test, lo, hi, among)
		return err
	})
	return rows, ok, err
}

func (g *mergedSegment) Select(ctx context.Context, cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	return g.SelectRows(ctx, cols, 0, g.Rows())
}

func (g *mergedSegment) SelectRows(ctx context.Context, cols tokenwatch.ColSet, lo, hi int) (b *tokenwatch.Batch, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = g.read(func() (err error) {
		b, err = g.m.Select(cols, lo, hi)
		return err
	})
	return b, err
}

// TokenRows that cannot be read are not known: Select will say why.
func (g *mergedSegment) TokenRows(token tokenwatch.TokenID) (lo, hi int, ok bool) {
	err := g.read(func() (err error) {
		lo, hi, err = g.m.TokenRows(string(token))
		return err
	})
	return lo, hi, err == nil
}

func (g *mergedSegment) Series(ctx context.Context, kind series.Kind, measures series.Measures) (t *series.Table, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = g.read(func() (err error) {
		t, err = g.m.Series(kind, measures)
		return err
	})
	return t, err
}

// MayHold looks into the dictionary if the column has one.
func (g *mergedSegment) MayHold(col tokenwatch.Col, value string) bool {
	c, constant, ok := g.m.Column(col)
	if !mayHold(&c, constant, ok, value) {
		return false
	}
	may := true
	err := g.read(func() error {
		values, err := g.m.Values(col)
		if err != nil || values == nil {
			return err
		}
		switch col.Kind() {
		case tokenwatch.KindText:
			if col == tokenwatch.ColToken {
				lo, hi, err := g.m.TokenRows(value)
				may = lo < hi || value == ""
				return err
			}
			may = holds(values.Text, func(v string) bool { return v == value })
		case tokenwatch.KindAddr:
			a, err := netip.ParseAddr(value)
			if err != nil {
				return nil // mayHold has seen to that
			}
			b := a.As16()
			may = false
			for at := 0; at < len(values.Addrs) && !may; at += 16 {
				may = [16]byte(values.Addrs[at:]) == b
			}
		default:
			n, err := strconv.ParseInt(value, 10, 64)
			may = err == nil && slices.Contains(values.Ints, n)
		}
		return nil
	})
	return may || err != nil
}

// Runs that cannot be read are not known: Select will say why.
func (g *mergedSegment) Runs(col tokenwatch.Col, value string) (runs [][2]int, ok bool) {
	bytes := []byte(value)
	if col.Kind() == tokenwatch.KindAddr {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return nil, false
		}
		b := a.As16()
		bytes = b[:]
	}
	err := g.read(func() (err error) {
		runs, ok, err = g.m.PagesWith(col, bytes)
		return err
	})
	return runs, err == nil && ok
}

// MayContain looks through the dictionary if the column has one.
func (g *mergedSegment) MayContain(col tokenwatch.Col, substring string) bool {
	c, constant, ok := g.m.Column(col)
	if !mayContain(&c, constant, ok, substring) {
		return false
	}
	may := true
	err := g.read(func() error {
		values, err := g.m.Values(col)
		if err != nil || values == nil || col.Kind() != tokenwatch.KindText {
			return err
		}
		may = holds(values.Text, func(v string) bool { return strings.Contains(v, substring) })
		return nil
	})
	return may || err != nil
}

// holds tells whether a value of a dictionary, null left out, is as wanted.
func holds(s tokenwatch.Strings, wanted func(string) bool) bool {
	for i := 1; i < s.Len(); i++ {
		if wanted(s.At(i)) {
			return true
		}
	}
	return false
}
