package tokenwatch

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// randomRow fills some columns of a row, and says what it put there.
func randomRow(r *rand.Rand, row *Row) map[Col]string {
	row.Reset()
	want := map[Col]string{}
	for i := range NumColumns {
		c := Col(i)
		if r.IntN(3) == 0 {
			continue
		}
		switch c.Kind() {
		case KindTime, KindInt:
			v := r.Int64N(1000) - 500
			row.SetInt(c, v)
			want[c] = fmt.Sprint(v)
		case KindText, KindString:
			v := fmt.Sprint("v", r.IntN(20))
			row.SetString(c, v)
			want[c] = v
		case KindAddr:
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(250))})
			if r.IntN(2) == 0 {
				a = netip.MustParseAddr("2001:db8::1")
			}
			row.SetAddr(a)
			want[c] = a.String()
		case KindMap:
			for j := range r.IntN(3) {
				k, v := fmt.Sprint("k", j), fmt.Sprint(r.IntN(100))
				row.AddAttr([]byte(k), []byte(v))
				want[c] += k + "=" + v + " "
			}
		}
	}
	return want
}

// cell reads a cell of a batch back as text.
func cell(b *Batch, c Col, i int) (string, bool) {
	if !b.Has(c, i) {
		return "", false
	}
	switch c.Kind() {
	case KindTime, KindInt:
		return fmt.Sprint(b.Int(c, i)), true
	case KindAddr:
		return b.Addr(i).String(), true
	case KindMap:
		out := ""
		b.EachAttr(i, func(k, v string) { out += k + "=" + v + " " })
		return out, true
	default:
		return b.Text(c, i), true
	}
}

func checkCells(t *testing.T, b *Batch, rows []map[Col]string) {
	t.Helper()
	if b.Rows() != len(rows) {
		t.Fatalf("%d rows, want %d", b.Rows(), len(rows))
	}
	for i, want := range rows {
		for c := range Col(NumColumns) {
			if c.Kind() == KindBool {
				continue
			}
			got, has := cell(b, c, i)
			if w, ok := want[c]; got != w || has != ok {
				t.Fatalf("row %d, %s: got %q (%v), want %q (%v)", i, c, got, has, w, ok)
			}
		}
	}
}

func TestBuilderAndConcat(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all []map[Col]string
		var batches []*Batch
		for range 1 + r.IntN(4) {
			var b Builder
			var row Row
			var rows []map[Col]string
			for range r.IntN(20) {
				rows = append(rows, randomRow(r, &row))
				b.Append(&row)
			}
			batch := b.Batch()
			checkCells(t, batch, rows)
			batches = append(batches, batch)
			all = append(all, rows...)
		}
		joined := Concat(batches...)
		checkCells(t, joined, all)
		checkRecord(t, joined)
	}
}

// checkRecord reads the batch back through Arrow's own accessors.
func checkRecord(t *testing.T, b *Batch) {
	t.Helper()
	rec := b.Record()
	defer rec.Release()
	if rec.NumRows() != int64(b.Rows()) || !rec.Schema().Equal(ArrowSchema) {
		t.Fatalf("record of %d rows, schema %v", rec.NumRows(), rec.Schema())
	}
	for i := range b.Rows() {
		for c := range Col(NumColumns) {
			column := rec.Column(int(c))
			if c.Kind() == KindBool {
				if got := column.(*array.Boolean).Value(i); got != b.Bool(c, i) {
					t.Fatalf("row %d, %s: %v", i, c, got)
				}
				continue
			}
			want, has := cell(b, c, i)
			if column.IsNull(i) == has {
				t.Fatalf("row %d, %s: null %v, want %v", i, c, column.IsNull(i), !has)
			}
			if got := arrowCell(column, i); has && got != want {
				t.Fatalf("row %d, %s: %q, want %q", i, c, got, want)
			}
		}
	}
}

func arrowCell(column arrow.Array, i int) string {
	switch a := column.(type) {
	case *array.Timestamp:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.Int64:
		return fmt.Sprint(a.Value(i))
	case *array.Dictionary:
		return a.Dictionary().(*array.String).Value(a.GetValueIndex(i))
	case *array.String:
		return a.Value(i)
	case *array.FixedSizeBinary:
		return netip.AddrFrom16([16]byte(a.Value(i))).Unmap().String()
	case *array.Map:
		out := ""
		from, to := a.ValueOffsets(i)
		for j := from; j < to; j++ {
			out += a.Keys().(*array.String).Value(int(j)) + "=" + a.Items().(*array.String).Value(int(j)) + " "
		}
		return out
	default:
		return fmt.Sprintf("%T", a)
	}
}

func TestBuilderRefusesUnsealedRows(t *testing.T) {
	var row Row
	row.AddCredential("authorization", []byte("x"))
	defer func() {
		if recover() == nil {
			t.Error("a row with a credential was appended")
		}
	}()
	new(Builder).Append(&row)
}

func TestSchemaNames(t *testing.T) {
	for i, c := range Schema {
		if c.Doc == "" {
			t.Errorf("column %s has no sentence", c.Name)
		}
		if got, ok := ColumnByName(c.Name); !ok || got != Col(i) {
			t.Errorf("ColumnByName(%q) = %v, %v", c.Name, got, ok)
		}
	}
	if c, _ := ColumnByName("source.ip"); c != ColSrcIP {
		t.Errorf("source.ip is %v", c)
	}
	if _, ok := ColumnByName("nonsense"); ok {
		t.Error("nonsense is a column")
	}
}

// BenchmarkAppend appends rows such as an access log gives.
func BenchmarkAppend(b *testing.B) {
	row := new(Row)
	var builder Builder
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		row.Reset()
		row.SetInt(ColTime, int64(i)*1e6)
		row.SetAddr(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		for _, c := range []Col{ColSource, ColFormat, ColUserAgent, ColAgentFamily, ColMethod, ColHost, ColRoute, ColAction, ColActionClass, ColOutcome} {
			row.SetText(c, texts[(i*int(c))%len(texts)])
		}
		row.SetText(ColToken, tokens[(i*7919)%len(tokens)])
		row.SetText(ColPath, texts[i%len(texts)])
		row.SetText(ColRequestID, tokens[i%len(tokens)])
		row.SetInt(ColStatus, 200)
		row.SetInt(ColBytesOut, int64(i))
		row.SetInt(ColDuration, int64(i))
		builder.Append(row)
		if builder.Rows() == 20_000 {
			builder.Batch()
		}
	}
}

var texts, tokens = numbered("some-usual-text-", 40), numbered("tkw_abcdefghijklmnopqrstuvw", 20_000)

func numbered(prefix string, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Append(nil, prefix, i)
	}
	return out
}

// TestFacts joins batches with facts and takes them apart again.
func TestFacts(t *testing.T) {
	var batches []*Batch
	for n := range 3 {
		var b Builder
		for i := range n + 2 {
			var row Row
			row.SetInt(ColTime, int64(i))
			f := row.AddFact(FactCreated)
			f.Owner = []byte("x")
			row.Facts = row.Facts[:0]
			b.Append(&row)
			if i%2 == 1 {
				b.AddFact(Fact{Kind: FactCreated, Token: TokenID(fmt.Sprintf("tkw_%d%d", n, i))})
				b.AddName(Naming{Token: TokenID(fmt.Sprintf("tkw_%d%d", n, i)), Alias: Alias{NameJTI, "j"}})
			}
		}
		batches = append(batches, b.Batch())
	}
	all := Concat(batches...)
	want := []Fact{{Row: 1, Token: "tkw_01"}, {Row: 3, Token: "tkw_11"}, {Row: 6, Token: "tkw_21"}, {Row: 8, Token: "tkw_23"}}
	if len(all.Facts()) != len(want) {
		t.Fatalf("%d facts, want %d", len(all.Facts()), len(want))
	}
	for i, f := range all.Facts() {
		if f.Row != want[i].Row || f.Token != want[i].Token {
			t.Errorf("fact %d is of row %d and token %s, want %d and %s", i, f.Row, f.Token, want[i].Row, want[i].Token)
		}
	}
	part := all.Slice(3, 7)
	if f := part.Facts(); len(f) != 2 || f[0].Row != 0 || f[1].Row != 3 || len(part.Names()) != 2 {
		t.Errorf("a slice of rows 3 to 6 has facts %+v and names %v", f, part.Names())
	}
	for _, wrong := range [][]Fact{{{Row: 4}}, {{Row: 1}, {Row: 0}}, {{Row: -1}}} {
		if _, err := part.WithFacts(wrong); err == nil {
			t.Errorf("facts %+v of 4 rows: no error", wrong)
		}
	}
	if part.WithNames(nil).Facts() == nil || part.WithFlags(nil, nil, nil).Facts() == nil {
		t.Error("a batch with other names or flags has lost its facts")
	}
}
