package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// merged is a merged segment in memory.
type merged struct {
	head   []byte
	chunks [][]byte
}

func (m *merged) load(n int, f func([]byte) error) error { return f(m.chunks[n]) }

func (m *merged) open(t testing.TB, d *Decoder) *Merged {
	t.Helper()
	out, err := d.OpenMerged(m.head, m.load)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// merge merges pieces with pages of a few rows.
func merge(t testing.TB, page int, pieces ...Piece) *merged {
	t.Helper()
	enc := NewEncoder()
	enc.page, enc.lavish = page, true
	m := &merged{}
	var err error
	m.head, err = enc.Merge(pieces, func(chunk []byte) error {
		m.chunks = append(m.chunks, bytes.Clone(chunk))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomEntries makes entries of one tenant; some share their tokens and texts.
func randomEntries(rng *rand.Rand, n int) []tokenwatch.Entry {
	entries := make([]tokenwatch.Entry, n)
	offset := tokenwatch.Offset(rng.IntN(3))
	for i := range entries {
		if rng.IntN(3) == 0 {
			entries[i] = *traffic(rng.IntN(300))
		} else {
			entries[i] = randomEntry(rng, rng.IntN(60))
		}
		offset += 1 + tokenwatch.Offset(rng.IntN(3))
		entries[i].Offset, entries[i].Tenant = offset, "t"
		entries[i].Time = entries[i].Time.UTC()
	}
	return entries
}

func inMemory(b []byte) Read { return func(f func([]byte) error) error { return f(b) } }

func pieces(t testing.TB, d *Decoder, entries []tokenwatch.Entry) []Piece {
	t.Helper()
	var out []Piece
	for i := range entries {
		p, err := d.NewPiece(entries[i].Offset, inMemory(encode(t, &entries[i])))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestMerge merges entries, and some of what came out again, and takes them
// apart: every entry must be as it was appended.
func TestMerge(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 40
	}
	dec := NewDecoder()
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 5))
		entries := randomEntries(rng, 1+rng.IntN(6))
		list := pieces(t, dec, entries)
		page := 1 + rng.IntN(200)
		if cut := rng.IntN(len(list) + 1); cut > 0 && rng.IntN(2) == 0 {
			first := merge(t, 1+rng.IntN(200), list[:cut]...).open(t, dec)
			list = append([]Piece{first.Piece()}, list[cut:]...)
		}
		m := merge(t, page, list...).open(t, dec)
		checkMerged(t, m, entries, fmt.Sprintf("seed %d, page %d", seed, page))
		gone := rng.IntN(len(entries))
		rest, err := m.Rest(gone)
		if err != nil {
			t.Fatal(err)
		}
		checkMerged(t, merge(t, page, rest).open(t, dec), entries[gone:], fmt.Sprintf("seed %d, page %d, without %d", seed, page, gone))
		if t.Failed() {
			return
		}
	}
}

func checkMerged(t *testing.T, m *Merged, entries []tokenwatch.Entry, what string) {
	t.Helper()
	for from := range entries {
		to := from + 1 + (len(entries)-from-1)/2
		got, err := m.Entries(from, to)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for i := range got {
			want := &entries[from+i]
			if got[i].Offset != want.Offset {
				t.Fatalf("%s: entry %d is at %d, want %d", what, from+i, got[i].Offset, want.Offset)
			}
			if diff := entryDiff(want, &got[i]); diff != "" {
				t.Fatalf("%s: entry %d: %s", what, from+i, diff)
			}
		}
	}
	all, err := m.Select(tokenwatch.AllCols, 0, m.Rows())
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for i := 1; i < all.Rows(); i++ {
		a, b := all.Text(tokenwatch.ColToken, i-1), all.Text(tokenwatch.ColToken, i)
		was, is := all.Has(tokenwatch.ColTime, i-1), all.Has(tokenwatch.ColTime, i)
		back := was && is && all.Int(tokenwatch.ColTime, i-1) > all.Int(tokenwatch.ColTime, i)
		same := a == b && all.Has(tokenwatch.ColToken, i-1) == all.Has(tokenwatch.ColToken, i) // "" is not null
		if a > b || same && (was && !is || back) {
			t.Fatalf("%s: rows %d and %d are out of order: %q at %d, %q at %d", what, i-1, i, a, all.Int(tokenwatch.ColTime, i-1), b, all.Int(tokenwatch.ColTime, i))
		}
	}
	if m.Rows() > 0 {
		rng := rand.New(rand.NewPCG(uint64(m.Rows()), 3))
		for _, c := range []tokenwatch.Col{tokenwatch.ColPath, tokenwatch.ColRequestID, tokenwatch.ColResource, tokenwatch.ColError} {
			searched(t, rng, m, c)
		}
	}
	for c := range tokenwatch.Col(tokenwatch.NumColumns) {
		lo := m.Rows() / 3
		hi := max(lo, m.Rows()*4/5)
		part, err := m.Select(tokenwatch.Cols(c), lo, hi)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := columnDiff(c, all.Slice(lo, hi), part); diff != "" {
			t.Fatalf("%s: rows %d to %d: %s", what, lo, hi, diff)
		}
		checkCounts(t, m, all, c, what)
	}
	checkSeries(t, m, all, what)
}

// checkCounts counts rows by code.
func checkCounts(t *testing.T, m *Merged, all *tokenwatch.Batch, c tokenwatch.Col, what string) {
	t.Helper()
	counts, err := m.Counts(c)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	codes, err := m.Codes(c, 0, m.Rows())
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if counts == nil {
		return
	}
	for i, code := range codes {
		if !all.Bool(tokenwatch.ColDuplicate, i) {
			counts[code]--
		}
		if (code == 0) == all.Has(c, i) {
			t.Fatalf("%s: %s of row %d has code %d", what, c, i, code)
		}
	}
	if slices.ContainsFunc(counts, func(n int) bool { return n != 0 }) {
		t.Fatalf("%s: rows of %s are counted wrong: %v %v", what, c, counts, codes)
	}
}

// TestMergeRefuses names what does not go together.
func TestMergeRefuses(t *testing.T) {
	dec, enc := NewDecoder(), NewEncoder()
	entries := randomEntries(rand.New(rand.NewPCG(3, 3)), 2)
	list := pieces(t, dec, entries)
	none := func([]byte) error { return nil }
	if _, err := enc.Merge(nil, none); err == nil {
		t.Error("nothing was merged")
	}
	if _, err := enc.Merge([]Piece{list[1], list[0]}, none); err == nil {
		t.Error("segments were merged in the wrong order")
	}
	entries[1].Tenant = "u"
	if _, err := enc.Merge(pieces(t, dec, entries), none); err == nil {
		t.Error("segments of two tenants were merged")
	}
	full := errors.New("full")
	if _, err := enc.Merge(list, func([]byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("a chunk could not be written: %v", err)
	}
}

// TestMergedNewer: a merged segment of a later layout is told from a corrupt one.
func TestMergedNewer(t *testing.T) {
	dec := NewDecoder()
	m := merge(t, 50, pieces(t, dec, randomEntries(rand.New(rand.NewPCG(1, 1)), 2))...)
	binary.LittleEndian.PutUint16(m.head[4:], MergedVersion+1)
	mend(m.head)
	if _, err := dec.OpenMerged(m.head, m.load); !errors.Is(err, ErrNewer) {
		t.Errorf("newer layout: %v", err)
	}
}

// readAll asks a merged segment everything.
func readAll(m *Merged) error {
	_, err := m.Entries(0, len(m.Parts()))
	for c := range tokenwatch.Col(tokenwatch.NumColumns) {
		_, counting := m.Counts(c)
		_, valuing := m.Values(c)
		test := &tokenwatch.TextTest{Parts: []string{"a1"}, Test: func(s string) bool { return s > "a" }}
		_, _, searching := m.Search(c, test, 0, m.Rows(), nil)
		_, _, seeking := m.PagesWith(c, []byte("x"))
		err = errors.Join(err, counting, valuing, searching, seeking)
	}
	for _, k := range series.Kinds {
		_, summing := m.Series(k, series.AllMeasures)
		err = errors.Join(err, summing)
	}
	_, _, finding := m.TokenRows("tkw_x")
	return errors.Join(err, finding)
}

// TestMergedFlips changes bits of a merged segment: an error, always, and with
// the checksums made right no panic.
func TestMergedFlips(t *testing.T) {
	dec := NewDecoder()
	dec.cells = 1 << 22
	m := merge(t, 20, pieces(t, dec, randomEntries(rand.New(rand.NewPCG(9, 9)), 3))...)
	step := 1
	if testing.Short() {
		step = 7
	}
	const some = 13 // every so many bits also under a good sum, where all must be read
	flips := 0
	for bit := 0; bit < 8*len(m.head); bit += step {
		m.head[bit/8] ^= 1 << (bit % 8)
		var corrupt *Corrupt
		if _, err := dec.OpenMerged(m.head, m.load); !errors.As(err, &corrupt) {
			t.Fatalf("bit %d of the head: %v", bit, err)
		}
		if bit%some == 0 {
			mend(m.head)
			if open, err := dec.OpenMerged(m.head, m.load); err == nil {
				readAll(open)
			}
		}
		m.head[bit/8] ^= 1 << (bit % 8)
		mend(m.head)
		flips++
	}
	for n := range m.chunks {
		for bit := 0; bit < 8*len(m.chunks[n]); bit += 61 * step {
			m.chunks[n][bit/8] ^= 1 << (bit % 8)
			var corrupt *Corrupt
			if err := readAll(m.open(t, dec)); !errors.As(err, &corrupt) {
				t.Fatalf("bit %d of chunk %d: %v", bit, n, err)
			}
			open := m.open(t, dec)
			open.head.chunks[n].Sum = crc32.Checksum(m.chunks[n], castagnoli)
			readAll(open)
			m.chunks[n][bit/8] ^= 1 << (bit % 8)
			flips++
		}
	}
	if err := readAll(m.open(t, dec)); err != nil {
		t.Fatal(err)
	}
	t.Logf("0 silent of %d flips", flips)
}

// FuzzMerged opens any head and chunks with their sums left out of account.
func FuzzMerged(f *testing.F) {
	dec := NewDecoder()
	dec.cells = 1 << 20
	for seed := range uint64(3) {
		e := randomEntry(rand.New(rand.NewPCG(seed, 77)), 4+int(seed)*12)
		e.Offset = 1
		m := merge(f, 10, pieces(f, dec, []tokenwatch.Entry{e})...)
		f.Add(m.head, bytes.Join(m.chunks, nil))
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		head = bytes.Clone(head)
		mend(head)
		var open *Merged
		open, err := dec.OpenMerged(head, func(n int, f func([]byte) error) error {
			x := open.head.chunks[n]
			if x.Offset+x.Length > len(body) {
				return &Corrupt{Part: "body"}
			}
			open.head.chunks[n].Sum = crc32.Checksum(body[x.Offset:x.Offset+x.Length], castagnoli)
			return f(body[x.Offset : x.Offset+x.Length])
		})
		if err != nil {
			var corrupt *Corrupt
			if !errors.As(err, &corrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if open.Rows() <= 1<<10 {
			readAll(open)
		}
	})
}

// FuzzShapes: strings taken apart come together again.
func FuzzShapes(f *testing.F) {
	for _, s := range []string{
		"/v1/users/12345/orders/0050d065f7436d", "/a/b\n/a/c", "/x/9b2e6c6e-7d0e-4d3a-9b1c-0a4f5e6d7c8b/y\n/x/00000000-7D0E-4D3A-9B1C-0A4F5E6D7C8B",
		"ac_Ab3dEf6hIj9Lmn\nac_ZZZZZZZZZZZZZz", "0\n00\n999999999999999999\n1000000000000000000\n18446744073709551616", "\x00\x00\x01", "",
	} {
		f.Add(s)
	}
	enc, dec := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, text string) {
		var in spans
		for _, line := range bytes.Split([]byte(text), []byte("\n")) {
			in.bytes = append(in.bytes, line...)
			in.ends = append(in.ends, int32(len(in.bytes)))
		}
		b, ok := enc.shapes(nil, in)
		if !ok {
			return
		}
		r := readerOf(dec, b)
		lengths := make([]int32, len(in.ends))
		var buf []byte
		out := r.shapes(lengths, &buf)
		if r.done() != nil || !bytes.Equal(out, in.bytes) {
			t.Fatalf("%q became %q: %v", in.bytes, out, r.err)
		}
		at := int32(0)
		for i, n := range lengths {
			if at += n; at != in.ends[i] {
				t.Fatalf("string %d ends at %d, want %d", i, at, in.ends[i])
			}
		}
		part, _, _ := strings.Cut(text[len(text)/4:len(text)/2], "\n")
		if part == "" {
			return
		}
		found := newSearch(&tokenwatch.TextTest{Parts: []string{part}}).shapes(readerOf(dec, b), len(in.ends), nil)
		for i := range in.ends {
			if _, got := slices.BinarySearch(found, int32(i)); got != strings.Contains(string(in.at(i)), part) {
				t.Fatalf("%q in %q: %v", part, in.at(i), got)
			}
		}
	})
}

// FuzzCodes: codes written in any way are read as they were.
func FuzzCodes(f *testing.F) {
	f.Add([]byte{1, 2, 1, 0, 3, 3, 2}, uint8(3))
	f.Add([]byte{}, uint8(0))
	enc, dec := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, in []byte, distinct uint8) {
		n := max(1, int(distinct))
		codes := make([]uint32, len(in))
		base := make([]uint32, len(in))
		next := uint32(1)
		for i, b := range in {
			codes[i] = min(uint32(b)%uint32(n+1), next) // values first come in order
			next = max(next, codes[i]+1)
			base[i] = uint32(b) % 3
		}
		check := func(what string, got []uint32, err error) {
			if err != nil || !slices.Equal(got, codes) {
				t.Fatalf("%s: %v became %v: %v", what, codes, got, err)
			}
		}
		var buf []byte
		got := make([]uint32, len(codes))
		r := readerOf(dec, enc.appendRecent(nil, codes, n))
		unpack(r, got, &buf)
		r.recent(got, n)
		check("recent", got, r.done())
		b, end := enc.appendNewest(nil, codes, 1)
		r = readerOf(dec, b)
		first := uint32(r.count(n + 1))
		unpack(r, got, &buf)
		r.newest(got, first)
		check("newest", got, r.done())
		if end != next {
			t.Fatalf("the next new code is %d, want %d", end, next)
		}
		to, exceptions := derive(base, codes, 2)
		r = readerOf(dec, enc.appendDerived(nil, base, codes, to))
		r.derived(got, base, to, &buf)
		check("derived", got, r.done())
		if exceptions > len(codes) {
			t.Fatal("more exceptions than rows")
		}
		r = readerOf(dec, enc.appendPlain(nil, codes))
		unpack(r, got, &buf)
		check("plain", got, r.done())
	})
}

// busy is appended segments of a busy hour, merged as a store would.
func busy(b *testing.B) (list []Piece, rows int) {
	dec := NewDecoder()
	for i := range 4 {
		e := traffic(1 << 15)
		e.Offset = tokenwatch.Offset(i + 1)
		list = append(list, pieces(b, dec, []tokenwatch.Entry{*e})...)
		rows += 1 << 15
	}
	return list, rows
}

func BenchmarkMerge(b *testing.B) {
	list, rows := busy(b)
	enc := NewEncoder()
	for b.Loop() {
		if _, err := enc.Merge(list, func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkMergedSelect(b *testing.B) {
	list, rows := busy(b)
	m := merge(b, pageRows, list...).open(b, NewDecoder())
	for _, col := range []tokenwatch.Col{
		tokenwatch.ColTime, tokenwatch.ColToken, tokenwatch.ColSrcIP, tokenwatch.ColPath, tokenwatch.ColStatus, tokenwatch.ColRequestID,
	} {
		b.Run(col.String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Select(tokenwatch.Cols(col), 0, rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
