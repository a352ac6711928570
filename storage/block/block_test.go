package block

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// TestRoundTrip encodes random batches of every shape and compares what comes
// back through the same methods that readers use.
func TestRoundTrip(t *testing.T) {
	enc, dec := NewEncoder(), NewDecoder()
	sizes := []int{0, 1, 2, 7, 8, 9, 63, 64, 65, 129, 1000, 20_000}
	for seed := range uint64(25) {
		for _, rows := range sizes {
			if rows > 1000 && seed > 2 {
				continue
			}
			rng := rand.New(rand.NewPCG(seed, uint64(rows)))
			want := randomEntry(rng, rows)
			b, err := enc.Encode(nil, &want)
			if err != nil {
				t.Fatalf("seed %d, %d rows: %v", seed, rows, err)
			}
			dec.cells = enc.cells // a reader counts no more than the writer did
			got, err := dec.Decode(b)
			if err != nil {
				t.Fatalf("seed %d, %d rows: %v", seed, rows, err)
			}
			if diff := entryDiff(&want, &got); diff != "" {
				t.Fatalf("seed %d, %d rows: %s", seed, rows, diff)
			}
			again, err := NewEncoder().Encode([]byte("before"), &got)
			if err != nil || !bytes.Equal(again, append([]byte("before"), b...)) {
				t.Fatalf("seed %d, %d rows: what was decoded encodes to other bytes (%v)", seed, rows, err)
			}
			checkHead(t, b, want.Batch)
		}
	}
}

// TestColumns reads single columns, and the requests alone.
func TestColumns(t *testing.T) {
	want := randomEntry(rand.New(rand.NewPCG(3, 3)), 500)
	b := encode(t, &want)
	dec := NewDecoder()
	for c := range tokenwatch.Col(tokenwatch.NumColumns) {
		got, err := dec.Columns(b, c)
		if err != nil {
			t.Fatal(err)
		}
		for other := range tokenwatch.Col(tokenwatch.NumColumns) {
			if other == c {
				if diff := columnDiff(c, want.Batch, got); diff != "" {
					t.Fatal(diff)
				}
			} else if other.Kind() != tokenwatch.KindBool && got.Has(other, 0) || got.Bool(other, 0) {
				t.Fatalf("asked for %s, got %s as well", c, other)
			}
		}
	}
	requests, err := dec.Requests(b)
	if err != nil || !reflect.DeepEqual(requests, want.Requests) {
		t.Fatalf("requests differ (%v)", err)
	}
}

// TestSharesNothing overwrites the segment and the encoder's memory after
// decoding.
func TestSharesNothing(t *testing.T) {
	want := randomEntry(rand.New(rand.NewPCG(5, 5)), 300)
	b := encode(t, &want)
	dec := NewDecoder()
	got, err := dec.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	other := randomEntry(rand.New(rand.NewPCG(6, 6)), 300)
	if _, err := dec.Decode(encode(t, &other)); err != nil {
		t.Fatal(err)
	}
	if diff := entryDiff(&want, &got); diff != "" {
		t.Fatal(diff)
	}
}

// TestInputUnchanged decodes many segments with one decoder: reused memory must
// never be a piece of an input.
func TestInputUnchanged(t *testing.T) {
	dec := NewDecoder()
	for seed := range uint64(20) {
		e := randomEntry(rand.New(rand.NewPCG(seed, 9)), 400)
		b := encode(t, &e)
		before := bytes.Clone(b)
		for range 2 {
			if _, err := dec.Decode(b); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b, before) {
			t.Fatalf("seed %d: decoding changed its input", seed)
		}
	}
}

// TestConcurrent decodes different segments with one decoder at once.
func TestConcurrent(t *testing.T) {
	dec := NewDecoder()
	var group sync.WaitGroup
	for seed := range uint64(8) {
		want := randomEntry(rand.New(rand.NewPCG(seed, 11)), 300)
		b := encode(t, &want)
		group.Go(func() {
			for range 20 {
				got, err := dec.Decode(b)
				if err != nil {
					t.Error(err)
					return
				}
				if diff := entryDiff(&want, &got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	group.Wait()
}

func TestEncodeRefuses(t *testing.T) {
	enc := NewEncoder()
	dst := []byte("kept")
	got, err := enc.Encode(dst, &tokenwatch.Entry{Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick}})
	if err == nil || string(got) != "kept" {
		t.Errorf("control record: %q, %v", got, err)
	}
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	many, err := tokenwatch.NewBatch(MaxRows+1, columns, tokenwatch.Attributes{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err = enc.Encode(dst, &tokenwatch.Entry{Batch: many})
	if !errors.Is(err, ErrTooLarge) || string(got) != "kept" {
		t.Errorf("too many rows: %q, %v", got, err)
	}
	// Few bytes stored, but more memory than a reader grants: many columns of
	// one value each.
	const rows = 8 << 20
	ones := repeat(int64(1), rows)
	codes, dict := repeat(uint32(1), rows), tokenwatch.Strings{Offsets: []int32{0, 0, 1}, Bytes: []byte("v")}
	for c := range tokenwatch.Col(tokenwatch.NumColumns) {
		switch c.Kind() {
		case tokenwatch.KindTime, tokenwatch.KindInt:
			columns[c].Ints = ones
		case tokenwatch.KindText:
			columns[c].Codes, columns[c].Dict = codes, dict
		}
	}
	large, err := tokenwatch.NewBatch(rows, columns, tokenwatch.Attributes{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = enc.Encode(dst, &tokenwatch.Entry{Batch: large}); !errors.Is(err, ErrTooLarge) || string(got) != "kept" {
		t.Errorf("too many cells: %q, %v", got, err)
	}
}

// TestColumnNumbers: each column has a number of its own.
func TestColumnNumbers(t *testing.T) {
	for c, n := range columnNumber {
		if n == 0 || columnOf[n] != tokenwatch.Col(c) {
			t.Errorf("column %s has number %d, which is that of %d", tokenwatch.Col(c), n, columnOf[n])
		}
	}
}

func TestUpperBound(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 100)
	if got, open := upperBound(long); open || got <= string(long) || len(got) > maxBound {
		t.Errorf("bound %q, open %v", got, open)
	}
	high := append(bytes.Repeat([]byte("x"), 10), bytes.Repeat([]byte{0xff}, 90)...)
	if got, open := upperBound(high); open || got != "xxxxxxxxxy" {
		t.Errorf("bound %q, open %v", got, open)
	}
	if got, open := upperBound(bytes.Repeat([]byte{0xff}, 90)); !open || got != "" {
		t.Errorf("bound %q, open %v", got, open)
	}
}

// checkHead compares the bounds of the head with every value.
func checkHead(t *testing.T, b []byte, batch *tokenwatch.Batch) {
	t.Helper()
	h, err := ReadHead(b)
	if err != nil {
		t.Fatal(err)
	}
	for col := range tokenwatch.Col(tokenwatch.NumColumns) {
		c, present := h.Column(col)
		nulls := 0
		for i := range batch.Rows() {
			if !batch.Has(col, i) {
				nulls++
				continue
			}
			if col.Kind() == tokenwatch.KindBool {
				if batch.Bool(col, i) && !present {
					t.Fatalf("%s row %d: a flag is set but has no chunk", col, i)
				}
				continue
			}
			switch col.Kind() {
			case tokenwatch.KindTime, tokenwatch.KindInt:
				v := batch.Int(col, i)
				present = present && c.Min <= v && v <= c.Max
			case tokenwatch.KindText, tokenwatch.KindString:
				present = present && c.MayHold(batch.Text(col, i))
			case tokenwatch.KindAddr:
				least, most, x := c.MinAddr.As16(), c.MaxAddr.As16(), batch.Addr(i).As16()
				present = present && bytes.Compare(least[:], x[:]) <= 0 && bytes.Compare(x[:], most[:]) <= 0
			}
			if !present {
				t.Fatalf("%s row %d is outside the bounds of the head", col, i)
			}
		}
		if present && c.Nulls != nulls {
			t.Fatalf("%s: head says %d nulls, there are %d", col, c.Nulls, nulls)
		}
	}
}

func encode(t testing.TB, e *tokenwatch.Entry) []byte {
	t.Helper()
	b, err := NewEncoder().Encode(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// entryDiff names the first difference that a reader can see, "" if none.
func entryDiff(want, got *tokenwatch.Entry) string {
	switch {
	case got.Tenant != want.Tenant || !got.Time.Equal(want.Time) || got.Time.Location() != time.UTC:
		return fmt.Sprintf("tenant or time differ: %q %v, want %q %v", got.Tenant, got.Time, want.Tenant, want.Time)
	case !reflect.DeepEqual(got.Requests, want.Requests):
		return "requests differ"
	case !reflect.DeepEqual(got.Batch.Names(), want.Batch.Names()):
		return "names differ"
	case !reflect.DeepEqual(got.Batch.Facts(), want.Batch.Facts()):
		return "facts differ"
	case got.Batch.Rows() != want.Batch.Rows():
		return fmt.Sprintf("%d rows, want %d", got.Batch.Rows(), want.Batch.Rows())
	}
	for c := range tokenwatch.Col(tokenwatch.NumColumns) {
		if diff := columnDiff(c, want.Batch, got.Batch); diff != "" {
			return diff
		}
	}
	return ""
}

func columnDiff(c tokenwatch.Col, want, got *tokenwatch.Batch) string {
	for i := range want.Rows() {
		same := want.Has(c, i) == got.Has(c, i)
		if same && want.Has(c, i) {
			switch c.Kind() {
			case tokenwatch.KindTime, tokenwatch.KindInt:
				same = want.Int(c, i) == got.Int(c, i)
			case tokenwatch.KindText, tokenwatch.KindString:
				same = want.Text(c, i) == got.Text(c, i)
			case tokenwatch.KindAddr:
				same = want.Addr(i) == got.Addr(i)
			case tokenwatch.KindBool:
				same = want.Bool(c, i) == got.Bool(c, i)
			case tokenwatch.KindMap:
				same = reflect.DeepEqual(pairs(want, i), pairs(got, i))
			}
		}
		if !same {
			return fmt.Sprintf("column %s differs in row %d of %d", c, i, want.Rows())
		}
	}
	return ""
}

func pairs(b *tokenwatch.Batch, i int) (out []string) {
	b.EachAttr(i, func(k, v string) { out = append(out, k, v) })
	return out
}

// randomEntry makes an entry in which every column has a style of its own.
func randomEntry(rng *rand.Rand, rows int) tokenwatch.Entry {
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	var attrs tokenwatch.Attributes
	for i := range columns {
		c := tokenwatch.Col(i)
		if rng.IntN(5) == 0 || rows == 0 {
			continue // null throughout
		}
		if c.Kind() == tokenwatch.KindMap {
			attrs = randomAttrs(rng, rows)
			continue
		}
		columns[c] = randomVector(rng, c.Kind(), rows)
	}
	var names []tokenwatch.Naming
	for i := range rng.IntN(4) {
		names = append(names, tokenwatch.Naming{Token: "tkw_x", Alias: tokenwatch.Alias{Kind: tokenwatch.NameJTI, Value: fmt.Sprint(i)}, Issuer: fmt.Sprint("issuer", i%2)})
	}
	batch, err := tokenwatch.NewBatch(rows, columns, attrs, names)
	if err != nil {
		panic(err)
	}
	if batch, err = batch.WithFacts(randomFacts(rng, rows)); err != nil {
		panic(err)
	}
	when := time.Unix(rng.Int64N(1<<33)-1<<32, rng.Int64N(1e9)).In(time.FixedZone("x", 3600))
	return tokenwatch.Entry{Tenant: fmt.Sprint("tenant", rng.IntN(3)), Time: when, Batch: batch, Requests: randomRequests(rng)}
}

func randomFacts(rng *rand.Rand, rows int) (out []tokenwatch.Fact) {
	for row := rng.IntN(4); row < rows; row += rng.IntN(rows + 1) {
		f := tokenwatch.Fact{
			Row: row, Kind: tokenwatch.FactKinds[rng.IntN(len(tokenwatch.FactKinds))], Token: "tkw_x", Lineage: fmt.Sprint("tok", row),
			Owner: "u", Expires: tokenwatch.Never, Until: rng.Int64(), Place: "repo",
		}
		for i := range rng.IntN(3) {
			f.Scopes, f.Removed = append(f.Scopes, fmt.Sprint(i)), append(f.Removed, "r")
		}
		if out = append(out, f); len(out) > 5 {
			break
		}
	}
	return out
}

func randomVector(rng *rand.Rand, k tokenwatch.Kind, rows int) (v tokenwatch.Vector) {
	switch rng.IntN(4) { // some validity, with rubbish in the bits beyond the rows
	case 0, 1:
		v.Valid = make(tokenwatch.Bitmap, (rows+7)/8)
		for i := range v.Valid {
			v.Valid[i] = byte(rng.Uint32())
		}
	case 2:
		v.Valid = bytes.Repeat([]byte{0xff}, (rows+7)/8)
	}
	if rng.IntN(20) == 0 {
		clear(v.Valid)
	}
	text := randomText(rng)
	number := randomNumber(rng)
	switch k {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		for range rows {
			v.Ints = append(v.Ints, number())
		}
	case tokenwatch.KindText:
		v.Valid = nil
		v.Dict.Append(nil)
		distinct := 1 + rng.IntN(rows)
		for range distinct {
			v.Dict.Append(text())
		}
		low := rng.IntN(2)
		for range rows {
			v.Codes = append(v.Codes, uint32(low+rng.IntN(distinct)))
		}
	case tokenwatch.KindString:
		for range rows {
			v.Text.Append(text())
		}
	case tokenwatch.KindAddr:
		distinct, four := 1+rng.IntN(2*rows), rng.IntN(3) > 0
		for range rows {
			var a [16]byte
			if four {
				a = [16]byte{10: 0xff, 11: 0xff}
			}
			x := rng.IntN(distinct)
			a[13], a[14], a[15] = byte(x>>16), byte(x>>8), byte(x)
			v.Addrs = append(v.Addrs, a[:]...)
		}
	case tokenwatch.KindBool:
		v.Valid = nil
		n := rng.IntN(3)
		for range rows {
			v.Bools = append(v.Bools, n > 0 && rng.IntN(n) == 0)
		}
	}
	return v
}

func randomNumber(rng *rand.Rand) func() int64 {
	last, step := rng.Int64N(1<<60), int64(1+rng.IntN(3)*500_000)
	switch rng.IntN(6) {
	case 0:
		return func() int64 { return last }
	case 1: // nearly in order, in steps
		return func() int64 { last += step * (rng.Int64N(20) - 2); return last }
	case 2:
		return func() int64 { return int64(rng.Uint64()) }
	case 3:
		return func() int64 { return []int64{math.MinInt64, math.MaxInt64, 0}[rng.IntN(3)] }
	case 4: // few large among many small
		return func() int64 { return rng.Int64N(100) << (rng.IntN(20) / 19 * rng.IntN(50)) }
	default:
		return func() int64 { return []int64{200, 200, 200, 201, 404, 500}[rng.IntN(6)] }
	}
}

func randomText(rng *rand.Rand) func() []byte {
	format := []string{"%016x%016x", "%08X-%04[1]X", "req-%012x", "k%d", "", "const", "/v1/items/%x/%d"}[rng.IntN(7)]
	switch long := rng.IntN(8); {
	case format == "" || format == "const":
		return func() []byte { return []byte(format) }
	case long == 0:
		return func() []byte { return bytes.Repeat([]byte{byte(250 + rng.IntN(6))}, rng.IntN(200)) }
	case long == 1: // digits of one alphabet
		a := alphabets[rng.IntN(len(alphabets))].digits
		n := 8 + rng.IntN(30)
		return func() []byte {
			out := []byte("tkw_")
			for range n {
				out = append(out, a[rng.IntN(len(a))])
			}
			return out
		}
	}
	return func() []byte { return fmt.Appendf(nil, format, rng.Uint32(), rng.Uint32()) }
}

func randomAttrs(rng *rand.Rand, rows int) (a tokenwatch.Attributes) {
	text := randomText(rng)
	for range 1 + rng.IntN(5) {
		a.Dict.Append(text())
	}
	a.Offsets = []int32{0}
	most := 1 + rng.IntN(4)
	for range rows {
		for range rng.IntN(most) {
			a.Keys = append(a.Keys, uint32(rng.IntN(a.Dict.Len())))
			a.Values.Append(text())
		}
		a.Offsets = append(a.Offsets, int32(len(a.Keys)))
	}
	return a
}

func randomRequests(rng *rand.Rand) (out []tokenwatch.Request) {
	for range rng.IntN(4) {
		q := tokenwatch.Request{Key: fmt.Sprint(rng.Uint32()), Principal: "key_1", Source: "edge", Rows: rng.IntN(99) - 1}
		q.Digest[7] = byte(rng.Uint32())
		if rng.IntN(2) == 0 {
			q.Mark = &tokenwatch.Mark{Input: "file:1", Offset: rng.Int64() - 1<<62}
		}
		for i := range rng.IntN(30) {
			q.Rejects = append(q.Rejects, tokenwatch.Reject{Index: i, Offset: rng.Int64N(1e6), Length: 80, Digest: "dg_x", Reason: tokenwatch.ReasonMalformed})
		}
		out = append(out, q)
	}
	return out
}
