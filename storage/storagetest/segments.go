package storagetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/series"
	"github.com/tokenwatch/tokenwatch/storage/series/seriestest"
)

// CheckSegments compares the segments of a store with its log: the same rows,
// and nothing said of them that does not hold.
func CheckSegments(t testing.TB, s storage.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var want, got []string
	for e, err := range s.Scan(ctx, storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Batch != nil {
			texts := rowTexts(e.Batch)
			want = append(want, texts...)
			checkRows(t, s, e.Offset, texts)
		}
	}
	last := tokenwatch.Offset(0)
	for seg, err := range s.Segments(ctx, storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seg.First() <= last {
			t.Fatalf("segment at %d after one at %d", seg.First(), last)
		}
		last = seg.First()
		got = append(got, checkSegment(ctx, t, seg)...)
	}
	slices.Sort(want)
	checkSeries(ctx, t, s)
	slices.Sort(got)
	if len(got) != len(want) {
		t.Fatalf("%d rows in segments, %d in the log", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("rows differ:\n%s\n%s", got[i], want[i])
		}
	}
}

// checkSeries adds up the series of all segments, and counts the rows of the log
// one by one.
func checkSeries(ctx context.Context, t testing.TB, s storage.Store) {
	t.Helper()
	byTenant := make(map[string][]*tokenwatch.Batch)
	for e, err := range s.Scan(ctx, storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Batch != nil {
			byTenant[e.Tenant] = append(byTenant[e.Tenant], e.Batch)
		}
	}
	for tenant, batches := range byTenant {
		for _, k := range series.Kinds {
			sum := series.NewSum(k, series.AllMeasures)
			for seg, err := range s.Segments(ctx, storage.Range{Tenant: tenant}) {
				if err != nil {
					t.Fatal(err)
				}
				table, _, err := storage.SeriesOf(ctx, seg, k, series.AllMeasures)
				if err != nil {
					t.Fatal(err)
				}
				sum.Add(table, nil)
			}
			got, want := seriestest.Lines(sum.Result()), seriestest.Naive(batches, k, series.AllMeasures)
			if !slices.Equal(got, want) {
				t.Fatalf("tenant %s: %s:\n%q\nits rows count\n%q", tenant, k, got, want)
			}
		}
	}
}

// checkRows asks for each row of an entry alone.
func checkRows(t testing.TB, s storage.Store, at tokenwatch.Offset, texts []string) {
	t.Helper()
	for i, want := range texts {
		b, row, err := s.Row(t.Context(), tokenwatch.EventRef{Offset: at, Row: uint32(i)})
		if err != nil {
			t.Fatal(err)
		}
		if got := rowText(b, row); got != want {
			t.Fatalf("row %d of entry %d is\n%s, alone it is\n%s", i, at, want, got)
		}
	}
	if _, _, err := s.Row(t.Context(), tokenwatch.EventRef{Offset: at, Row: uint32(len(texts))}); !errors.Is(err, storage.ErrNotFound) {
		t.Fatalf("a row beyond entry %d: %v", at, err)
	}
}

// rowTexts shows each row of a batch.
func rowTexts(b *tokenwatch.Batch) []string {
	out := make([]string, b.Rows())
	for i := range out {
		out[i] = rowText(b, i)
	}
	return out
}

func rowText(b *tokenwatch.Batch, i int) string {
	var text strings.Builder
	for c := range tokenwatch.NumColumns {
		writeCell(&text, b, tokenwatch.Col(c), i)
	}
	return text.String()
}

// checkSegment holds what a segment says against its rows, and returns them.
func checkSegment(ctx context.Context, t testing.TB, seg storage.Segment) []string {
	t.Helper()
	b, err := seg.Select(ctx, tokenwatch.AllCols)
	if err != nil {
		t.Fatal(err)
	}
	if b.Rows() != seg.Rows() {
		t.Fatalf("%d rows selected, the segment says %d", b.Rows(), seg.Rows())
	}
	for col := range tokenwatch.Col(tokenwatch.NumColumns) {
		checkBounds(t, seg, b, col)
		checkCounts(t, seg, b, col)
		checkAddresses(ctx, t, seg, b, col)
		checkSearch(ctx, t, seg, b, col)
		for i := range b.Rows() {
			if !b.Has(col, i) || col.Kind() == tokenwatch.KindMap {
				continue
			}
			value := valueText(b, col, i)
			if !seg.MayHold(col, value) {
				t.Fatalf("%s: said not to hold %q", col, value)
			}
			runs, ok := seg.Runs(col, value)
			in := func(r [2]int) bool { return r[0] <= i && i < r[1] && r[1] <= seg.Rows() }
			if ok && !slices.ContainsFunc(runs, in) {
				t.Fatalf("%s: row %d is said not to hold %q, only %v", col, i, value, runs)
			}
			if k := col.Kind(); k == tokenwatch.KindText || k == tokenwatch.KindString {
				from, to := i%(len(value)+1), len(value)-i%(len(value)/2+1)
				if part := value[min(from, to):to]; !seg.MayContain(col, part) {
					t.Fatalf("%s: said not to contain %q of %q", col, part, value)
				}
			}
		}
	}
	rows := rowTexts(b)
	for _, cut := range [][2]int{{0, 0}, {0, len(rows)}, {len(rows) / 3, len(rows) / 2}, {len(rows) / 2, len(rows)}} {
		part, err := seg.SelectRows(ctx, tokenwatch.AllCols, cut[0], cut[1])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rowTexts(part), rows[cut[0]:cut[1]]) {
			t.Fatalf("rows %d to %d of %d are others when selected alone", cut[0], cut[1], len(rows))
		}
	}
	if _, err := seg.SelectRows(ctx, tokenwatch.AllCols, 0, len(rows)+1); err == nil {
		t.Fatal("more rows selected than there are")
	}
	checkOneColumn(ctx, t, seg, b)
	checkTokens(t, seg, b)
	return rows
}

// checkOneColumn selects each column alone.
func checkOneColumn(ctx context.Context, t testing.TB, seg storage.Segment, b *tokenwatch.Batch) {
	t.Helper()
	for col := range tokenwatch.Col(tokenwatch.NumColumns) {
		one, err := seg.Select(ctx, tokenwatch.Cols(col))
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Rows() {
			var got, want strings.Builder
			writeCell(&got, one, col, i)
			writeCell(&want, b, col, i)
			if got.String() != want.String() {
				t.Fatalf("%s of row %d is %q, alone it is %q", col, i, want.String(), got.String())
			}
			for other := range tokenwatch.Col(tokenwatch.NumColumns) {
				if other != col && other.Kind() != tokenwatch.KindBool && one.Has(other, i) {
					t.Fatalf("%s has a value where only %s was selected", other, col)
				}
			}
		}
	}
}

// valueText is a value as MayHold takes it.
func valueText(b *tokenwatch.Batch, col tokenwatch.Col, i int) string {
	switch col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		return strconv.FormatInt(b.Int(col, i), 10)
	case tokenwatch.KindAddr:
		return b.Addr(i).String()
	case tokenwatch.KindBool:
		return strconv.FormatBool(b.Bool(col, i))
	default:
		return b.Text(col, i)
	}
}

func checkBounds(t testing.TB, seg storage.Segment, b *tokenwatch.Batch, col tokenwatch.Col) {
	t.Helper()
	bounds, ok := seg.Bounds(col)
	if !ok {
		return
	}
	nulls := 0
	for i := range b.Rows() {
		if !b.Has(col, i) {
			nulls++
			continue
		}
		inside := true
		switch col.Kind() {
		case tokenwatch.KindTime, tokenwatch.KindInt:
			n := b.Int(col, i)
			inside = bounds.Min <= n && n <= bounds.Max
		case tokenwatch.KindBool:
			n := int64(0)
			if b.Bool(col, i) {
				n = 1
			}
			inside = bounds.Min <= n && n <= bounds.Max
		case tokenwatch.KindAddr:
			inside = compareAddr(bounds.MinAddr, b.Addr(i)) <= 0 && compareAddr(b.Addr(i), bounds.MaxAddr) <= 0
		default:
			text := b.Text(col, i)
			inside = bounds.MinText <= text && (bounds.Open || text <= bounds.MaxText)
		}
		if !inside {
			t.Fatalf("%s: %s of row %d is outside %+v", col, valueText(b, col, i), i, bounds)
		}
	}
	if nulls != bounds.Nulls {
		t.Fatalf("%s: %d rows have no value, the bounds say %d", col, nulls, bounds.Nulls)
	}
}

func compareAddr(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	return strings.Compare(string(x[:]), string(y[:]))
}

func checkCounts(t testing.TB, seg storage.Segment, b *tokenwatch.Batch, col tokenwatch.Col) {
	t.Helper()
	counts, ok := seg.Counts(col)
	if ok != seg.Counted(col) {
		t.Fatalf("%s: counted is %v, there are counts: %v", col, !ok, ok)
	}
	if !ok {
		return
	}
	want := make(map[storage.ValueCount]int)
	for i := range b.Rows() {
		if b.Bool(tokenwatch.ColDuplicate, i) {
			continue
		}
		v := storage.ValueCount{Null: !b.Has(col, i)}
		switch {
		case v.Null:
		case col.Kind() == tokenwatch.KindInt:
			v.Int = b.Int(col, i)
		default:
			v.Text = b.Text(col, i)
		}
		want[v]++
	}
	for i, c := range counts {
		n := c.Rows
		c.Rows = 0
		if want[c] != n {
			t.Fatalf("%s: %d rows counted with %+v, there are %d", col, n, c, want[c])
		}
		delete(want, c)
		if i > 0 && !counts[i-1].Null && counts[i-1].Int >= c.Int && counts[i-1].Text >= c.Text {
			t.Fatalf("%s: counts are not in order", col)
		}
	}
	if len(want) > 0 {
		t.Fatalf("%s: %d values are not counted", col, len(want))
	}
}

// checkTokens checks where the rows of each token lie, if the segment says so.
// checkSearch looks for a part of a string of a column in some of the rows.
func checkSearch(ctx context.Context, t testing.TB, seg storage.Segment, b *tokenwatch.Batch, col tokenwatch.Col) {
	t.Helper()
	if col.Kind() != tokenwatch.KindString || b.Rows() == 0 {
		return
	}
	value := b.Text(col, b.Rows()/2)
	part := value[len(value)/3:]
	if part == "" {
		part = "/"
	}
	lo := b.Rows() / 4
	for _, test := range []*tokenwatch.TextTest{{Parts: []string{part}}, {Parts: []string{part}, Test: func(s string) bool { return strings.HasSuffix(s, part) }, Suffix: part}} {
		rows, ok, err := seg.Search(ctx, col, test, lo, b.Rows(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		var want []int32
		for i := lo; i < b.Rows(); i++ {
			s := b.Text(col, i)
			if b.Has(col, i) && strings.Contains(s, part) && (test.Test == nil || test.Test(s)) {
				want = append(want, int32(i-lo))
			}
		}
		if !slices.Equal(rows, want) {
			t.Fatalf("%s: %q was found in rows %v, it is in %v", col, part, rows, want)
		}
	}
}

// checkAddresses compares the places of addresses with the addresses of a part of the
// rows.
func checkAddresses(ctx context.Context, t testing.TB, seg storage.Segment, b *tokenwatch.Batch, col tokenwatch.Col) {
	t.Helper()
	lo, hi := b.Rows()/3, b.Rows()
	codes, distinct, ok, err := seg.Addresses(ctx, col, lo, hi)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return
	}
	if col.Kind() != tokenwatch.KindAddr || len(codes) != hi-lo {
		t.Fatalf("%s: %d places of addresses for %d rows", col, len(codes), hi-lo)
	}
	for i, c := range codes {
		has := b.Has(col, lo+i)
		if (c != 0) != has || has && b.Addr(lo+i) != netip.AddrFrom16([16]byte(distinct[16*(c-1):])).Unmap() {
			t.Fatalf("%s: row %d has another address", col, lo+i)
		}
	}
}

func checkTokens(t testing.TB, seg storage.Segment, b *tokenwatch.Batch) {
	t.Helper()
	rows := make(map[string][]int)
	for i := range b.Rows() {
		token := b.Text(tokenwatch.ColToken, i)
		rows[token] = append(rows[token], i)
	}
	delete(rows, "")
	for token, at := range rows {
		lo, hi, ok := seg.TokenRows(tokenwatch.TokenID(token))
		if !ok {
			return
		}
		if at[0] != lo || at[len(at)-1] != hi-1 || len(at) != hi-lo {
			t.Fatalf("rows of %s said to be %d to %d, they are %v", token, lo, hi, at)
		}
		for i := lo + 1; i < hi; i++ {
			a, z := b.Has(tokenwatch.ColTime, i-1), b.Has(tokenwatch.ColTime, i)
			if a && !z || a && z && b.Int(tokenwatch.ColTime, i-1) > b.Int(tokenwatch.ColTime, i) {
				t.Fatalf("rows of %s are not in the order of their times", token)
			}
		}
	}
	for _, absent := range []string{"", "tkw_", "tkw_absent", "zzz"} {
		if lo, hi, ok := seg.TokenRows(tokenwatch.TokenID(absent)); ok && lo != hi {
			t.Fatalf("%q has rows %d to %d", absent, lo, hi)
		}
	}
}

func segments(s *suite) {
	CheckSegments(s, s.Store)
	day := 24 * time.Hour
	long := Events(300, start, "web", "long")
	for i := range long {
		long[i].Token = fmt.Sprintf("tkw_%d", i%7)
	}
	long[7].Time = time.Time{}
	long[8] = Event{}
	s.add(Entry("a", "1", long...))
	s.add(Entry("b", "2", Events(2, start.Add(2*day), "web", "y")...))
	s.add(tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	s.add(Entry("a", "3", Events(4, start.Add(-day), "app", "z")...))
	s.add(tokenwatch.Entry{Tenant: "a", Batch: Batch()})
	s.add(Entry("a", "4", long[:40]...)) // duplicates
	CheckSegments(s, s.Store)
	for _, test := range []struct {
		r    storage.Range
		want int // rows that must be among those found
		most int // rows that may be
	}{
		{storage.Range{}, 346, 346},
		{storage.Range{Tenant: "b"}, 2, 2},
		{storage.Range{Tenant: "c"}, 0, 0},
		{storage.Range{Tenant: "a", From: start}, 338, 344},
		{storage.Range{Tenant: "b", To: start}, 0, 0},
		{storage.Range{First: 6}, 40, 344},
	} {
		rows := 0
		for seg, err := range s.Segments(s.ctx, test.r) {
			s.must(err)
			rows += seg.Rows()
		}
		if rows < test.want || rows > test.most {
			s.Fatalf("%+v: %d rows, want %d to %d", test.r, rows, test.want, test.most)
		}
	}
	segmentLives(s)
}

// segmentLives holds a segment while the log goes on, and beyond its context.
func segmentLives(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	var held []storage.Segment
	for seg, err := range s.Segments(ctx, storage.Range{Tenant: "a"}) {
		s.must(err)
		held = append(held, seg)
	}
	s.add(Entry("a", "5", Events(4, start, "web", "later")...))
	var wg sync.WaitGroup
	for _, seg := range held {
		wg.Go(func() {
			if b, err := seg.Select(ctx, tokenwatch.Cols(tokenwatch.ColPath)); err != nil || b.Rows() != seg.Rows() {
				s.Errorf("%d rows: %v", seg.Rows(), err)
			}
		})
	}
	wg.Wait()
	cancel()
	if _, err := held[0].Select(ctx, tokenwatch.Cols(tokenwatch.ColPath)); err == nil {
		s.Fatal("a segment is read after its context has ended")
	}
	for _, err := range s.Segments(ctx, storage.Range{}) {
		if err == nil {
			s.Fatal("segments are found after the context has ended")
		}
	}
}
