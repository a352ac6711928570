package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// TestNarrow: numbers come back, and ranges of them are found as they are kept.
func TestNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	kept := 0
	for round := range 2000 {
		n := 1 + r.IntN(40)
		base := []int64{0, -5, 1_700_000_000e9, math.MinInt64, math.MaxInt64 - 70_000, -1 << 40}[r.IntN(6)]
		span := []int64{1, 10, 60_000, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32, math.MaxUint32 + 1, 1 << 50}[r.IntN(8)]
		scale := []int64{1, 1, 1000, 1e6}[r.IntN(4)]
		v := make([]int64, n)
		for i := range v {
			v[i] = base + r.Int64N(span+1)*scale // may wrap around
		}
		x := narrowed(v)
		if x == nil {
			continue
		}
		kept++
		got := make([]int64, n)
		if x.write(got, 0); !slices.Equal(got, v) {
			t.Fatalf("%v became %v", v, got)
		}
		first := r.IntN(n)
		if got = make([]int64, n-first); n > first {
			x.from(first).write(got, 0)
		}
		if !slices.Equal(got, v[first:]) {
			t.Fatalf("%v from %d became %v", v, first, got)
		}
		low, high := v[r.IntN(n)]+int64(r.IntN(3)-1), v[r.IntN(n)]+int64(r.IntN(3)-1)
		if round%7 == 0 {
			low, high = math.MinInt64, math.MaxInt64
		}
		var want, wantAmong, sel []int32
		for i, y := range v[first:] {
			in := low <= y && y <= high
			if in {
				want = append(want, int32(i))
			}
			if i%3 != 1 {
				sel = append(sel, int32(i))
				if in {
					wantAmong = append(wantAmong, int32(i))
				}
			}
		}
		some := make([]int64, n-first)
		x.writeSome(some, first, sel)
		for _, i := range sel {
			if some[i] != v[first+int(i)] {
				t.Fatalf("row %d of %v became %d", i, v[first:], some[i])
			}
		}
		from, to, none := x.between(low, high)
		if none {
			if len(want) > 0 {
				t.Fatalf("%d to %d: none of %v", low, high, v[first:])
			}
			continue
		}
		if got := x.within(first, n-first, from, to, nil); !slices.Equal(got, want) {
			t.Fatalf("%d to %d of %v: rows %v, want %v", low, high, v[first:], got, want)
		}
		if got := x.among(sel, first, from, to); !slices.Equal(got, wantAmong) {
			t.Fatalf("%d to %d of some of %v: rows %v, want %v", low, high, v[first:], got, wantAmong)
		}
	}
	if kept < 500 {
		t.Errorf("only %d columns were narrow", kept)
	}
}

// vectors makes vectors of the same random addresses: in codes of a space, in codes
// of their own, and written out.
func vectors(r *rand.Rand, shared *sharedAddrs, n int) []expr.Vec {
	flat := expr.Vec{Type: expr.TypeAddr, Valid: make(tokenwatch.Bitmap, (n+7)/8)}
	for i := range n {
		a := [16]byte{15: byte(r.IntN(20))}
		if r.IntN(2) == 0 {
			copy(a[:], prefix4[:])
		}
		if r.IntN(8) == 0 {
			a = [16]byte{}
		} else {
			flat.Valid.Set(i)
		}
		flat.Addrs = append(flat.Addrs, a[:]...)
	}
	own := expr.Vec{Type: expr.TypeAddr, Codes: make([]uint32, n), Addrs: make([]byte, 16)}
	for i := range n {
		if flat.Valid.At(i) {
			own.Addrs = append(own.Addrs, flat.Addrs[16*i:16*i+16]...)
			own.Codes[i] = uint32(len(own.Addrs)/16 - 1)
		}
	}
	v := tokenwatch.Vector{Addrs: flat.Addrs, Valid: flat.Valid}
	shared.recode(&v)
	return []expr.Vec{flat, own, {Type: expr.TypeAddr, Codes: v.Codes, Addrs: shared.list(), Space: &shared.space}}
}

// TestAddresses counts and groups by addresses, however they are held, mixed.
func TestAddresses(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		shared := [2]sharedAddrs{}
		d, other := &distinctCount{}, &distinctCount{}
		var g ids
		groups := 1 + r.IntN(5)
		d.grow(groups)
		other.grow(groups)
		want := make([]map[string]bool, groups)
		numbers := map[string]uint32{}
		for range 1 + r.IntN(6) {
			n := 1 + r.IntN(30)
			v := vectors(r, &shared[r.IntN(2)], n)
			by := make([]uint32, n)
			out := make([]uint32, n)
			pick := &v[r.IntN(3)]
			g.of(pick, n, out)
			for i := range by {
				by[i] = uint32(r.IntN(groups))
				value := ""
				if !v[0].IsNull(i) {
					value = string(v[0].Addr(i)[:])
					if want[by[i]] == nil {
						want[by[i]] = map[string]bool{}
					}
					want[by[i]][value] = true
				} else if out[i] != 0 {
					t.Fatalf("a null has number %d", out[i])
				}
				if known, ok := numbers[value]; value != "" && ok && known != out[i] || value != "" && out[i] == 0 {
					t.Fatalf("an address has numbers %d and %d", known, out[i])
				}
				numbers[value] = out[i]
				for k := range v {
					if v[k].IsNull(i) != v[0].IsNull(i) || !v[0].IsNull(i) && *v[k].Addr(i) != *v[0].Addr(i) {
						t.Fatalf("vector %d differs in row %d", k, i)
					}
				}
			}
			if r.IntN(2) == 0 {
				d.add(by, pick, nil, nil)
			} else {
				other.add(by, pick, nil, nil)
			}
		}
		to := make([]uint32, groups)
		for i := range to {
			to[i] = uint32(i)
		}
		d.merge(other, to)
		got, _ := d.result(groups)
		for i := range want {
			if int(got.Ints[i]) != len(want[i]) {
				t.Fatalf("group %d has %d addresses, %d were counted", i, len(want[i]), got.Ints[i])
			}
		}
	}
}

// TestCountLanes counts rows of few and of many groups.
func TestCountLanes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, groups := range []int{1, 3, laneGroups, laneGroups + 1} {
		c := &counter{all: true}
		c.grow(groups)
		want := make([]int64, groups)
		for _, n := range []int{0, 5, 4*laneGroups - 1, 4*laneGroups + 3, chunkRows} {
			rows := make([]uint32, n)
			for i := range rows {
				rows[i] = uint32(r.IntN(groups))
				want[rows[i]]++
			}
			c.add(rows, nil, nil, nil)
		}
		if got, _ := c.result(groups); fmt.Sprint(got.Ints) != fmt.Sprint(want) {
			t.Errorf("%d groups: counted %v, want %v", groups, got.Ints, want)
		}
	}
}

// TestIntQuantile takes quantiles of few and of many values, counted and listed, and
// merged from both.
func TestIntQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, c := range []struct{ groups, distinct, rows int }{{1, 1, 5}, {7, 50, 3000}, {40, 3000, 100_000}, {600, 1 << 40, 300_000}, {1500, 2000, 1_500_000}} {
		q := []float64{0, 0.5, 0.99, 1}[r.IntN(4)]
		parts := []*intQuantile{{q: q, typ: expr.TypeInt}, {q: q, typ: expr.TypeInt}, {q: q, typ: expr.TypeInt}}
		to := make([]uint32, c.groups)
		for i := range to {
			to[i] = uint32((i * 7) % c.groups)
		}
		if c.groups%7 == 0 {
			for i := range to {
				to[i] = uint32(i)
			}
		}
		want := make([][]int64, c.groups)
		for _, p := range parts {
			p.grow(c.groups)
		}
		for done := 0; done < c.rows; done += 1000 {
			k := r.IntN(3)
			if done > c.rows/2 {
				k = r.IntN(2) // one has few
			}
			v := expr.Vec{Type: expr.TypeInt, Ints: make([]int64, 1000)}
			if r.IntN(2) == 0 {
				v.Valid = make(tokenwatch.Bitmap, 125)
			}
			groups := make([]uint32, 1000)
			for i := range groups {
				groups[i] = uint32(r.IntN(c.groups))
				v.Ints[i] = r.Int64N(int64(c.distinct))*1e6 - 5e6
				if v.Valid != nil && r.IntN(3) == 0 {
					v.Ints[i] = 0
					continue
				}
				if v.Valid != nil {
					v.Valid.Set(i)
				}
				g := groups[i]
				if k > 0 {
					g = to[g]
				}
				want[g] = append(want[g], v.Ints[i])
			}
			parts[k].add(groups, &v, nil, nil)
		}
		for _, p := range parts[1:] {
			parts[0].merge(p, to)
		}
		got, err := parts[0].result(c.groups)
		if err != nil {
			t.Fatal(err)
		}
		for g, vals := range want {
			slices.Sort(vals)
			if len(vals) == 0 != got.IsNull(g) || len(vals) > 0 && got.Ints[g] != vals[quantilePlace(len(vals), q)] {
				t.Fatalf("%+v: group %d has another %v-quantile", c, g, q)
			}
		}
		t.Logf("%+v: listing %v", c, parts[0].listing)
	}
}

// TestRuns joins and overlaps runs of rows, and cuts lists of rows.
func TestRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	const rows = 60
	random := func() (runs [][2]int, in [rows]bool) {
		for range r.IntN(6) {
			lo := r.IntN(rows)
			hi := lo + 1 + r.IntN(rows-lo)
			runs = append(runs, [2]int{lo, min(hi, lo+12)})
			for i := lo; i < min(hi, lo+12); i++ {
				in[i] = true
			}
		}
		return joinedRuns(runs), in
	}
	for range 3000 {
		a, inA := random()
		b, inB := random()
		var got [rows]bool
		last := -1
		for _, run := range overlap(a, b) {
			if run[0] < last || run[0] >= run[1] {
				t.Fatalf("%v and %v overlap in %v", a, b, run)
			}
			for last = run[0]; last < run[1]; last++ {
				got[last] = true
			}
		}
		for i := range got {
			if got[i] != (inA[i] && inB[i]) {
				t.Fatalf("%v and %v: row %d is %v", a, b, i, got[i])
			}
		}
		var list, want []int32
		first := r.IntN(rows)
		for i := range rows {
			if inA[i] && i >= first {
				list = append(list, int32(i))
			}
		}
		n := r.IntN(rows - first + 1)
		for _, i := range list {
			if int(i) < first+n {
				want = append(want, i-int32(first))
			}
		}
		rest := list
		if got := foundIn(&rest, first, n, nil); !slices.Equal(got, want) || len(rest) != len(list)-len(want) {
			t.Fatalf("of %v the rows %d to %d are %v", list, first, first+n, got)
		}
	}
}
