package block

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// readerOf reads one chunk with plenty of cells.
func readerOf(d *Decoder, b []byte) *reader {
	cells := 1 << 26
	return &reader{b: b, part: "test", cells: &cells, zstd: d.zstd}
}

// bitsAt is the plain reading of packed bits: one bit after the other.
func bitsAt(b []byte, from, width int) (v uint64) {
	for i := range width {
		v |= uint64(b[(from+i)/8]>>((from+i)%8)&1) << i
	}
	return v
}

// TestBits compares the fast reading of bits with the plain one.
func TestBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for width := range maxWidth + 1 {
		for _, n := range []int{0, 1, 2, 7, 8, 63, 100} {
			b := make([]byte, (n*width+7)/8)
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			got := make([]int64, n)
			loadBits(got, b, width)
			for i, v := range got {
				if want := bitsAt(b, i*width, width); uint64(v) != want {
					t.Fatalf("width %d, number %d of %d: %x, want %x", width, i, n, v, want)
				}
			}
		}
	}
}

// TestPackedChoosesSmaller: neither few wide numbers nor skewed values cost all
// the others their width.
func TestPackedChoosesSmaller(t *testing.T) {
	enc := NewEncoder()
	rng := rand.New(rand.NewPCG(1, 3))
	wide := make([]uint64, 10_000)
	skewed := make([]uint64, 10_000)
	for i := range wide {
		wide[i] = rng.Uint64N(1 << 9)
		if i%1000 == 0 {
			wide[i] = rng.Uint64()
		}
		if i%20 == 0 {
			skewed[i] = rng.Uint64N(8)
		}
	}
	if got, plain := len(enc.packed(nil, wide)), 10_000*9/8; got > plain+plain/20 {
		t.Errorf("nine bits and ten exceptions: %d bytes, plainly %d", got, plain)
	}
	if got, plain := len(enc.packed(nil, skewed)), 10_000*3/8; got > plain*2/3 {
		t.Errorf("mostly zero: %d bytes, plainly %d", got, plain)
	}
}

// TestNumbersThatDoNotFit: a number wider than its place is an error, not cut.
func TestNumbersThatDoNotFit(t *testing.T) {
	enc, dec := NewEncoder(), NewDecoder()
	for _, v := range []uint64{1 << 31, 1 << 32, 1 << 40, math.MaxUint64} {
		for _, n := range []int{1, 2, 100} {
			list := make([]uint64, n)
			list[n-1] = v
			b := enc.packed(nil, list)
			var buf []byte
			r := readerOf(dec, b)
			if unpack(r, make([]int32, n), &buf); r.err == nil {
				t.Errorf("%x was read as an int32", v)
			}
			r = readerOf(dec, b)
			if unpack(r, make([]uint32, n), &buf); (r.err == nil) != (v <= math.MaxUint32) {
				t.Errorf("%x as an uint32: %v", v, r.err)
			}
			r = readerOf(dec, b)
			got := make([]int64, n)
			if unpack(r, got, &buf); r.done() != nil || uint64(got[n-1]) != v {
				t.Errorf("%x came back as %x: %v", v, got[n-1], r.err)
			}
		}
	}
}

func FuzzPacked(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint8(0))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 1}, 90), uint8(60))
	f.Add(bytes.Repeat([]byte{7, 0, 0, 0, 0, 0, 1, 1}, 90), uint8(33))
	enc, dec := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, b []byte, shift uint8) {
		var want []uint64
		for ; len(b) >= 8; b = b[8:] {
			want = append(want, binary.LittleEndian.Uint64(b)>>(shift&63))
		}
		var buf []byte
		got := make([]int64, len(want))
		r := readerOf(dec, enc.packed(nil, want))
		unpack(r, got, &buf)
		if err := r.done(); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if uint64(got[i]) != want[i] {
				t.Fatalf("number %d: %x, want %x", i, got[i], want[i])
			}
		}
	})
}

func FuzzInts(f *testing.F) {
	f.Add([]byte("0123456789abcdef01234567"), int64(1_000_000), true)
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0x80}, 80), int64(1), false)
	enc, dec := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, b []byte, scale int64, ordered bool) {
		var want []int64
		for ; len(b) >= 8; b = b[8:] {
			want = append(want, int64(binary.LittleEndian.Uint64(b))*scale)
		}
		if len(want) == 0 {
			return
		}
		least := slices.Min(want)
		out, codec := enc.ints(nil, want, least, ordered)
		var buf []byte
		got := make([]int64, len(want))
		r := readerOf(dec, out)
		r.ints(got, least, codec, &buf)
		if err := r.done(); err != nil || !slices.Equal(got, want) {
			t.Fatalf("codec %d: %v, want %v (%v)", codec, got, want, err)
		}
	})
}

func FuzzStrings(f *testing.F) {
	f.Add([]byte("4c7f8a9b01d2\n4c7f8a9b01d3\nffffffffffff"), uint8(0))
	f.Add([]byte("0F8fAD5b-d9cb-469f\n0F8fAD5b-d9cb-469e\n0F8fAD5b-d9cb-1234"), uint8(1))
	f.Add([]byte("tkw_abcdefghijklmnopqrstuvwxyz\ntkw_zyxwvutsrqponmlkjihgfedcba"), uint8(0))
	f.Add([]byte("a\n\nbcd\n"), uint8(5))
	enc, dec := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, b []byte, nulls uint8) {
		var s tokenwatch.Strings
		for part := range bytes.SplitSeq(b, []byte("\n")) {
			s.Append(part)
		}
		valid := make(tokenwatch.Bitmap, (s.Len()+7)/8)
		null := 0
		for i := range s.Len() {
			if nulls>>(i%8)&1 == 0 {
				valid.Set(i)
			} else {
				null++
			}
		}
		want := spansOf(s, 0)
		if null > 0 {
			want = enc.present(want, valid)
		}
		var buf []byte
		r := readerOf(dec, enc.strings(nil, want))
		got := r.strings(s.Len(), 1, valid, null, &buf)
		if err := r.done(); err != nil {
			t.Fatal(err)
		}
		for i := range s.Len() {
			if v := got.At(i + 1); valid.At(i) && v != s.At(i) || !valid.At(i) && v != "" {
				t.Fatalf("string %d: %q, want %q", i, v, s.At(i))
			}
		}
	})
}

// TestPattern compares pattern with the plain reading of its digits, and looks
// at what is recognised.
func TestPattern(t *testing.T) {
	for _, c := range []struct {
		strings  []string
		alphabet int // -1: no pattern
		digits   int
	}{
		{[]string{"0123456789abcdef", "fedcba9876543210"}, 0, 16},
		{[]string{"0123456789ABCDEF", "FEDCBA9876543210"}, 1, 16},
		{[]string{"01234567-89ab-4def-8000-000000000000", "fedcba98-7654-4210-9fff-ffffffffffff"}, 0, 31},
		{[]string{"tkw_abcdefghijklm2", "tkw_zyxwvutsrqpon7"}, 2, 14},
		{[]string{"01ARZ3NDEKTSV4RRFFQ69G5FAV", "98BSY2QFDMVTW5SSGGR79H6GBW"}, 4, 25},
		{[]string{"Aa0-_bbb", "Bb1_-ccc"}, 5, 8},
		{[]string{"Aa0-_bbb", "Bb1_-cc~"}, -1, 0},
		{[]string{"0123456789abcdef", "fedcba98765432100"}, -1, 0},
		{[]string{"0123456789abcdef", "0123456789abcdee"}, -1, 0},
		{[]string{"0123456789abcdef"}, -1, 0},
		{nil, -1, 0},
	} {
		var s tokenwatch.Strings
		for _, v := range c.strings {
			s.Append([]byte(v))
		}
		list := spansOf(s, 0)
		p, ok := findPattern(list)
		if ok != (c.alphabet >= 0) {
			t.Errorf("%q: recognised %v", c.strings, ok)
		}
		if !ok {
			continue
		}
		if p.alphabet != c.alphabet && c.alphabet >= 0 || len(p.digits) != c.digits {
			t.Errorf("%q: alphabet %d, %d digits", c.strings, p.alphabet, len(p.digits))
		}
		dec := NewDecoder()
		var buf []byte
		b := NewEncoder().pattern(nil, list, p)
		length, text := readerOf(dec, b).pattern(len(c.strings), &buf)
		a := alphabets[p.alphabet]
		packed := b[len(b)-(len(c.strings)*len(p.digits)*a.width+7)/8:] // raw: too short to compress
		for i, want := range c.strings {
			plain := slices.Clone(p.template)
			for k, j := range p.digits {
				plain[j] = a.digits[bitsAt(packed, (i*len(p.digits)+k)*a.width, a.width)]
			}
			if got := string(text[i*length : (i+1)*length]); got != want || string(plain) != want {
				t.Errorf("%q came back as %q, plainly %q", want, got, plain)
			}
		}
	}
}

func FuzzAddrs(f *testing.F) {
	f.Add([]byte("\x0a\x00\x00\x01\x0a\x00\x00\x01\x0a\x00\x00\x02\xc0\xa8\x00\x01"), true, uint8(0))
	f.Add([]byte("0123456789abcdef0123456789abcdefsome other bytes"), false, uint8(2))
	enc, dec := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, b []byte, four bool, nulls uint8) {
		var v []byte
		for ; len(b) >= 16; b = b[4:] {
			if four {
				v = append(append(v, prefix4[:]...), b[:4]...)
			} else {
				v = append(v, b[:16]...)
			}
		}
		rows := len(v) / 16
		valid := make(tokenwatch.Bitmap, (rows+7)/8)
		null := 0
		for i := range rows {
			if nulls>>(i%8)&1 == 0 {
				valid.Set(i)
			} else {
				null++
			}
		}
		out, least, most := enc.addrs(nil, v, valid, rows)
		r := readerOf(dec, out)
		got := r.addrs(rows, valid, null, new(scratch))
		if err := r.done(); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			x, want := got[16*i:16*i+16], v[16*i:16*i+16]
			if valid.At(i) && (!bytes.Equal(x, want) || bytes.Compare(x, least[:]) < 0 || bytes.Compare(x, most[:]) > 0) {
				t.Fatalf("address %d: %x, want %x between %x and %x", i, x, want, least, most)
			}
		}
	})
}
