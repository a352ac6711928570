package block

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// small returns segments small enough to try every bit of them, with all kinds
// of columns.
func small(t testing.TB) [][]byte {
	var out [][]byte
	for seed := range uint64(4) {
		e := randomEntry(rand.New(rand.NewPCG(seed, 77)), 4+int(seed)*12)
		out = append(out, encode(t, &e))
	}
	return out
}

// TestEveryBitFlip: a segment with one bit changed is an error, always.
func TestEveryBitFlip(t *testing.T) {
	dec := NewDecoder()
	flips := 0
	for _, b := range small(t) {
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			_, err := dec.Decode(b)
			var corrupt *Corrupt
			if !errors.As(err, &corrupt) {
				t.Fatalf("bit %d of %d bytes: %v", bit, len(b), err)
			}
			if corrupt.Part == "" || corrupt.Offset < 0 || corrupt.Offset > len(b) {
				t.Fatalf("bit %d: no place in %v", bit, err)
			}
			b[bit/8] ^= 1 << (bit % 8)
			flips++
		}
		if _, err := dec.Decode(b); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("0 silent of %d flips", flips)
}

// TestEveryCut: a segment that lost its end, or got more, is an error.
func TestEveryCut(t *testing.T) {
	dec := NewDecoder()
	for _, b := range small(t) {
		for n := range len(b) {
			if _, err := dec.Decode(b[:n]); err == nil {
				t.Fatalf("cut to %d of %d bytes: no error", n, len(b))
			}
		}
		if _, err := dec.Decode(append(b, 0)); err == nil {
			t.Fatal("a byte more: no error")
		}
	}
}

// TestFlipsUnderGoodSums flips every bit and then makes the checksums right, as
// somebody would who can write to the store: no panic, and what decodes has the
// shape of a batch.
func TestFlipsUnderGoodSums(t *testing.T) {
	dec := NewDecoder()
	dec.cells = 1 << 22
	for _, b := range small(t)[:2] {
		h, err := ReadHead(b)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			mend(b)
			if e, err := decodeAnyway(dec, b, &h); err == nil {
				touch(e)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// mend makes the head's checksum right.
func mend(b []byte) {
	if len(b) < preludeSize {
		return
	}
	size := binary.LittleEndian.Uint32(b[6:])
	if uint64(size) <= uint64(len(b)-preludeSize) {
		binary.LittleEndian.PutUint32(b[10:], headSum(b[:preludeSize+int(size)]))
	}
}

// decodeAnyway decodes the chunks of b without regard to their sums: those of h
// if the head of b is still the same, else those of the new head.
func decodeAnyway(d *Decoder, b []byte, h *Head) (*tokenwatch.Batch, error) {
	now, err := ReadHead(b)
	if err != nil {
		return nil, err
	}
	cells := d.cells
	buf := new(scratch)
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	var attrs tokenwatch.Attributes
	for i := range now.Columns {
		c := &now.Columns[i]
		r := &reader{b: b[c.Offset : c.Offset+c.Length], part: c.Col.String(), base: c.Offset, cells: &cells, zstd: d.zstd}
		if c.Codec == CodecPairs {
			attrs = r.attrs(now.Rows, buf)
		} else {
			columns[c.Col] = r.vector(c, now.Rows, buf)
		}
		if err := r.done(); err != nil {
			return nil, err
		}
	}
	if len(now.Columns) > 0 && now.Rows != h.Rows && now.Rows == 0 {
		return nil, errors.New("rows without columns")
	}
	return tokenwatch.NewBatch(now.Rows, columns, attrs, nil)
}

// touch reads all of a batch.
func touch(b *tokenwatch.Batch) (n int) {
	for i := range b.Rows() {
		for c := range tokenwatch.Col(tokenwatch.NumColumns) {
			if b.Has(c, i) && c.Kind() != tokenwatch.KindAddr && c.Kind() != tokenwatch.KindMap {
				n += len(b.Text(c, i))
			}
		}
		n += b.Addr(i).BitLen() + len(pairs(b, i))
	}
	return n
}

// TestNewer: a whole segment of a later layout is told from a corrupt one.
func TestNewer(t *testing.T) {
	e := randomEntry(rand.New(rand.NewPCG(1, 1)), 5)
	b := encode(t, &e)
	binary.LittleEndian.PutUint16(b[4:], Version+1)
	if _, err := NewDecoder().Decode(b); errors.Is(err, ErrNewer) {
		t.Error("a changed version without its checksum passes for a newer one")
	}
	mend(b)
	if _, err := NewDecoder().Decode(b); !errors.Is(err, ErrNewer) {
		t.Errorf("newer layout: %v", err)
	}
	binary.LittleEndian.PutUint16(b[4:], 0)
	mend(b)
	var corrupt *Corrupt
	if _, err := ReadHead(b); !errors.As(err, &corrupt) {
		t.Errorf("layout 0: %v", err)
	}
}

// TestBombs: a few bytes cannot claim much memory.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 64<<20)
	enc, dec := NewEncoder(), NewDecoder()
	raw := enc.zstd.EncodeAll(zeros, nil)
	bomb := binary.AppendUvarint([]byte{methodZstd}, uint64(len(zeros)))
	bomb = append(binary.AppendUvarint(bomb, uint64(len(raw))), raw...)
	cells := dec.cells
	r := &reader{b: bomb, part: "bomb", cells: &cells, zstd: dec.zstd}
	var buf []byte
	if r.section(len(zeros), &buf); r.err == nil || buf != nil {
		t.Error("a section that claims too much was opened")
	}
	r = &reader{b: bomb, part: "bomb", cells: &cells, zstd: dec.zstd}
	if n := r.sectionSize(); n != 0 || r.err == nil {
		t.Errorf("a section of %d bytes was believed", n)
	}

	// The same zeros, written by the encoder, come back.
	honest := enc.section(nil, zeros)
	r = &reader{b: honest, part: "zeros", cells: &cells, zstd: dec.zstd}
	if out := r.section(r.sectionSize(), &buf); r.done() != nil || len(out) != len(zeros) {
		t.Errorf("%d zeros came back: %v", len(out), r.err)
	}
	if limit := len(zeros)/MaxRatio + 32; len(honest) > limit {
		t.Errorf("zeros take %d bytes, more than %d", len(honest), limit)
	}

	// Numbers of no bits at all cost nothing to write: they count as cells.
	cells = 1 << 10
	r = &reader{b: []byte{stringsPlain, 0, 0, methodRaw, 0}, part: "empty strings", cells: &cells, zstd: dec.zstd}
	if r.strings(1<<24, 0, nil, 0, &buf); r.err == nil {
		t.Error("sixteen million strings out of five bytes")
	}
}
