package block

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// searched compares what a search finds in a column with what its strings say.
func searched(t *testing.T, rng *rand.Rand, m *Merged, col tokenwatch.Col) {
	t.Helper()
	b, err := m.Select(tokenwatch.Cols(col), 0, m.Rows())
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		lo := rng.IntN(m.Rows() + 1)
		hi := lo + rng.IntN(m.Rows()-lo+1)
		test := randomTest(rng, b.Text(col, rng.IntN(m.Rows())))
		var among []int32
		if rng.IntN(2) == 0 {
			among = []int32{}
			for i := range hi - lo {
				if rng.IntN(3) > 0 {
					among = append(among, int32(i))
				}
			}
		}
		got, ok, err := m.Search(col, test, lo, hi, among)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}

		var want []int32
		for i := lo; i < hi; i++ {
			if _, asked := slices.BinarySearch(among, int32(i-lo)); among != nil && !asked {
				continue
			}
			if b.Has(col, i) && fulfils(test, b.Text(col, i)) {
				want = append(want, int32(i-lo))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s, rows %d to %d with %q: %v, want %v", col, lo, hi, test.Parts, got, want)
		}
	}

}

// randomTest makes a test that the text s, or something like it, fulfils.
func randomTest(rng *rand.Rand, s string) *tokenwatch.TextTest {
	part := func() string {
		from := rng.IntN(len(s) + 1)
		return s[from : from+rng.IntN(min(len(s)-from, 12)+1)]
	}
	if rng.IntN(2) == 0 {
		p := []byte(part())
		if len(p) > 1 && rng.IntN(3) == 0 {
			p[rng.IntN(len(p))] = "a0Z/"[rng.IntN(4)]
		}
		if len(p) == 0 {
			p = []byte("/")
		}
		return &tokenwatch.TextTest{Parts: []string{string(p)}}
	}
	test := &tokenwatch.TextTest{Parts: []string{part(), part()}, Suffix: s[len(s)-rng.IntN(min(len(s), 3)+1):]}
	parts, suffix := test.Parts, test.Suffix
	test.Test = func(s string) bool {
		return strings.Contains(s, parts[0]) && strings.Contains(s, parts[1]) && strings.HasSuffix(s, suffix)
	}
	return test
}

func fulfils(test *tokenwatch.TextTest, s string) bool {
	if test.Test == nil {
		return strings.Contains(s, test.Parts[0])
	}
	return test.Test(s)
}

// randomPaths are strings of a few shapes, with numbers and ids of every alphabet.
func randomPaths(rng *rand.Rand, n int) (out []string) {
	id := func(kind int) string {
		switch kind {
		case 0:
			return fmt.Sprint(rng.IntN(1 << rng.IntN(30)))
		case 1:
			return fmt.Sprintf("%012x", rng.Uint64()>>16)
		case 2:
			return fmt.Sprintf("%08X", rng.Uint32())
		default: // few letters, so that they make up what is looked for by chance
			b := []byte("Z0..........")
			for i := range b[2:] {
				b[2+i] = "aZorts0"[rng.IntN(7)]
			}
			return string(b)
		}
	}
	var shapes [][]string // text, kind of id, text …
	for range 1 + rng.IntN(6) {
		s := []string{[]string{"/v1/exports/", "/v1/reports/x_", "/ports", "/v2/a_"}[rng.IntN(4)]}
		for range rng.IntN(3) {
			s = append(s, fmt.Sprint(rng.IntN(4)), []string{"/", "/comments", "-", "/sorts/"}[rng.IntN(4)])
		}
		shapes = append(shapes, s)
	}
	for range n {
		shape := shapes[rng.IntN(len(shapes))]
		text := shape[0]
		for i := 1; i < len(shape); i += 2 {
			text += id(int(shape[i][0]-'0')) + shape[i+1]
		}
		out = append(out, text)
	}
	return out
}

// TestSearchShapes looks for texts in strings written as shapes.
func TestSearchShapes(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	enc, dec := NewEncoder(), NewDecoder()
	tried, probed := 0, 0
	for range 400 {
		paths := randomPaths(rng, 40+rng.IntN(400))
		var in spans
		for _, p := range paths {
			in.bytes = append(in.bytes, p...)
			in.ends = append(in.ends, int32(len(in.bytes)))
		}
		b, ok := enc.shapes(nil, in)
		if !ok {
			continue
		}
		for range 8 {
			test := randomTest(rng, paths[rng.IntN(len(paths))])
			if rng.IntN(2) == 0 {
				test = &tokenwatch.TextTest{Parts: []string{[]string{"ports/", "orts/c", "ts/", "s/comm", "Z/", "o"}[rng.IntN(6)]}}
			}
			cells := dec.cells
			r := &reader{b: b, part: "test", cells: &cells, zstd: dec.zstd}
			s := newSearch(test)
			got := s.shapes(r, len(paths), nil)
			if r.err != nil {
				t.Fatal(r.err)
			}
			var want []int32
			for i, p := range paths {
				if fulfils(test, p) {
					want = append(want, int32(i))
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q %q: rows %v, want %v", test.Parts, test.Suffix, got, want)
			}
			tried++
			for _, v := range s.known {
				if v.parts != nil {
					probed++
					break
				}
			}
		}
	}
	if tried < 500 || probed < 50 {
		t.Errorf("%d searches, %d by digits", tried, probed)
	}
}

// TestDecimals compares what clues say of numbers with what their digits say.
func TestDecimals(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	held := 0
	for range 200_000 {
		n := rng.Int64N(1 << (1 + rng.IntN(59)))
		if n >= 1e18 {
			continue
		}
		s := fmt.Sprint(n)
		from := rng.IntN(len(s))
		text := s[from : from+1+rng.IntN(len(s)-from)]
		switch rng.IntN(4) {
		case 0:
			text = "0" + text
		case 1:
			text = fmt.Sprint(rng.IntN(30))
		}
		first, last := rng.IntN(2) == 0, rng.IntN(2) == 0
		want := strings.Contains(s, text)
		switch {
		case first && last:
			want = s == text
		case first:
			want = strings.HasPrefix(s, text)
		case last:
			want = strings.HasSuffix(s, text)
		}
		c := decimals(0, text, first, last)
		if got := c.fits(n); got != want {
			t.Fatalf("%q in %s, first %v, last %v: %v", text, s, first, last, got)
		}
		if want {
			held++
		}
	}
	if held < 20_000 {
		t.Errorf("%d held", held)
	}
}

// TestWaysEnd looks for texts in shapes that no writer makes, of numbers without
// anything between them.
func TestWaysEnd(t *testing.T) {
	sh, ok := parseShape(strings.Repeat("\x00\x00\x00", 40))
	if !ok {
		t.Fatal("not a shape")
	}
	for _, text := range []string{strings.Repeat("1", 60), strings.Repeat("1", 60) + "/"} {
		if _, ok := sh.ways(text); ok {
			t.Errorf("all ways of %q are known", text)
		}
	}
}
