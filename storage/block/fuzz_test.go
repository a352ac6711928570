package block

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// FuzzReadHead puts any head under a good checksum.
func FuzzReadHead(f *testing.F) {
	for _, b := range small(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := bytes.Clone(in)
		mend(b)
		h, err := ReadHead(b)
		if err != nil {
			var corrupt *Corrupt
			if !errors.As(err, &corrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		end := 0
		for _, c := range h.Columns {
			if c.Length > 0 {
				if c.Offset < end || c.Offset+c.Length > len(b) {
					t.Fatalf("column %s lies at %d to %d of %d bytes", c.Col, c.Offset, c.Offset+c.Length, len(b))
				}
				end = c.Offset + c.Length
			}
		}
	})
}

// FuzzDecode decodes any bytes with the sums of chunks left out of account, and
// encodes again what decodes.
func FuzzDecode(f *testing.F) {
	for _, b := range small(f) {
		f.Add(b)
	}
	dec := NewDecoder()
	dec.cells = 1 << 20
	f.Fuzz(func(t *testing.T, in []byte) {
		b := bytes.Clone(in)
		mend(b)
		if _, err := dec.Decode(b); err != nil {
			var corrupt *Corrupt
			if !errors.As(err, &corrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("untyped error %v", err)
			}
		}
		h, err := ReadHead(b)
		if err != nil {
			return
		}
		batch, err := decodeAnyway(dec, b, &h)
		if err != nil || batch.Rows() > 1<<16 {
			return
		}
		again(t, dec, batch)
	})
}

// FuzzChunk feeds any bytes to the codec of any column.
func FuzzChunk(f *testing.F) {
	for _, b := range small(f) {
		h, err := ReadHead(b)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range h.Columns {
			f.Add(uint8(c.Col), uint8(c.Codec), uint16(h.Rows), uint16(c.Nulls), b[c.Offset:c.Offset+c.Length])
		}
	}
	dec := NewDecoder()
	dec.cells = 1 << 20
	f.Fuzz(func(t *testing.T, col, codec uint8, rows, nulls uint16, chunk []byte) {
		c := Column{Col: tokenwatch.Col(col), Codec: Codec(codec), Nulls: int(nulls)}
		if int(col) >= tokenwatch.NumColumns || !c.Codec.fits(c.Col.Kind()) || nulls >= rows {
			return
		}
		cells := dec.cells
		r := &reader{b: chunk, part: "chunk", cells: &cells, zstd: dec.zstd}
		var columns [tokenwatch.NumColumns]tokenwatch.Vector
		var attrs tokenwatch.Attributes
		if c.Codec == CodecPairs {
			attrs = r.attrs(int(rows), new(scratch))
		} else {
			columns[col] = r.vector(&c, int(rows), new(scratch))
		}
		if r.done() != nil {
			return
		}
		batch, err := tokenwatch.NewBatch(int(rows), columns, attrs, nil)
		if err != nil {
			return
		}
		again(t, dec, batch)
	})
}

// FuzzRequests feeds any bytes to the readers of requests, namings and facts.
func FuzzRequests(f *testing.F) {
	e := randomEntry(rand.New(rand.NewPCG(2, 2)), 1)
	enc, dec := NewEncoder(), NewDecoder()
	f.Add(enc.requests(nil, e.Requests))
	f.Add(enc.names(nil, []tokenwatch.Naming{{Token: "tkw_a", Alias: tokenwatch.Alias{Kind: tokenwatch.NameJTI, Value: "b"}}}))
	f.Add(enc.facts(nil, e.Batch.Facts()))
	f.Fuzz(func(t *testing.T, chunk []byte) {
		r := readerOf(dec, chunk)
		r.unwrap()
		if facts := r.facts(1 << 10); r.done() == nil {
			back := readerOf(dec, enc.facts(nil, facts))
			back.unwrap()
			if got := back.facts(1 << 10); back.done() != nil || !reflect.DeepEqual(got, facts) {
				t.Fatalf("%d facts became %d: %v", len(facts), len(got), back.err)
			}
		}
		r = readerOf(dec, chunk)
		r.unwrap()
		if requests := r.requests(); r.done() == nil {
			back := readerOf(dec, enc.requests(nil, requests))
			back.unwrap()
			if got := back.requests(); back.done() != nil || len(got) != len(requests) {
				t.Fatalf("%d requests became %d: %v", len(requests), len(got), back.err)
			}
		}
		r = readerOf(dec, chunk)
		r.unwrap()
		if names := r.names(Version); r.done() == nil {
			back := readerOf(dec, enc.names(nil, names))
			back.unwrap()
			if got := back.names(Version); back.done() != nil || len(got) != len(names) {
				t.Fatalf("%d names became %d: %v", len(names), len(got), back.err)
			}
		}
	})
}

// again encodes what was decoded, decodes it once more and compares.
func again(t *testing.T, dec *Decoder, batch *tokenwatch.Batch) {
	t.Helper()
	touch(batch)
	want := tokenwatch.Entry{Batch: batch}
	b, err := NewEncoder().Encode(nil, &want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := NewDecoder().Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := entryDiff(&want, &got); diff != "" {
		t.Fatal(diff)
	}
}
