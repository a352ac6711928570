package block

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

// TestGolden shows the bytes of small segments, so that a change of the layout
// is seen, and decodes segments that older programs wrote. The commands:
//
//	encode    rows as "column=value …", one a line, to head and bytes; a fact
//	          follows its row
//	decode    bytes in hex to head and rows; once made, an input here stays
//	merge     the rows of entries, set apart by a line "entry", to columns and chunks
//	unmerge   chunks in hex, one a line, and at last the head, to entries; once
//	          made, an input here stays
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "../../testdata/block", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "encode":
				b, err := NewEncoder().Encode(nil, parseEntry(t, d.Input))
				if err != nil {
					return err.Error() + "\n"
				}
				return showHead(b) + hex.Dump(b)
			case "decode":
				b, err := hex.DecodeString(strings.Join(strings.Fields(d.Input), ""))
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				e, err := NewDecoder().Decode(b)
				if err != nil {
					return err.Error() + "\n"
				}
				return showHead(b) + showEntry(&e)
			case "merge":
				return showMerged(t, d.Input)
			case "unmerge":
				return showUnmerged(t, d.Input)
			default:
				d.Fatalf(t, "no such command: %s", d.Cmd)
				return ""
			}
		})
	})
}

// parseEntry reads rows of "column=value" words. attrs.k=v is a pair, and a
// line that begins with "request" or "name" adds one of these.
func parseEntry(t *testing.T, input string) *tokenwatch.Entry {
	e := &tokenwatch.Entry{Tenant: "acme", Time: time.Date(2026, 3, 2, 12, 0, 0, 500, time.UTC)}
	var builder tokenwatch.Builder
	for line := range strings.Lines(input) {
		words := strings.Fields(line)
		switch words[0] {
		case "request":
			q := tokenwatch.Request{Key: words[1], Principal: "key_1", Source: "edge", Rows: 1, Mark: &tokenwatch.Mark{Input: "f1", Offset: 300}}
			q.Digest[0], q.Digest[31] = 0xd1, 0x9e
			q.Rejects = []tokenwatch.Reject{{Index: 1, Offset: 90, Length: 30, Digest: "dg_a", Reason: tokenwatch.ReasonNoTime}}
			e.Requests = append(e.Requests, q)
			continue
		case "fact":
			builder.AddFact(tokenwatch.Fact{
				Kind: tokenwatch.FactKind(words[1]), Token: tokenwatch.TokenID(words[2]), Lineage: words[3],
				Owner: "ann", Scopes: []string{"a:read", "b:read"}, Expires: tokenwatch.Never,
			})
			continue
		case "name":
			n := tokenwatch.Naming{Token: tokenwatch.TokenID(words[1]), Alias: tokenwatch.Alias{Kind: tokenwatch.NameJTI, Value: words[2]}, Issuer: "idp"}
			if len(words) > 3 {
				hour, err := strconv.ParseInt(words[3], 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				n.Hour = int32(hour)
			}
			builder.AddName(n)
			continue
		}
		var row tokenwatch.Row
		for _, word := range words {
			name, value, _ := strings.Cut(word, "=")
			if key, ok := strings.CutPrefix(name, "attrs."); ok {
				row.AddAttr([]byte(key), []byte(value))
				continue
			}
			c, ok := tokenwatch.ColumnByName(name)
			if !ok {
				continue // a line of nothing but "-" is an empty row
			}
			switch c.Kind() {
			case tokenwatch.KindTime, tokenwatch.KindInt:
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				row.SetInt(c, n)
			case tokenwatch.KindAddr:
				row.SetAddr(netip.MustParseAddr(value))
			default:
				row.SetString(c, value)
			}
		}
		builder.Append(&row)
	}
	e.Batch = builder.Batch()
	return e
}

func showHead(b []byte) string {
	h, err := ReadHead(b)
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "layout %d, tenant %s, %s, %d rows, %d bytes\n", h.Version, h.Tenant, h.Time.Format(time.RFC3339Nano), h.Rows, len(b))
	for _, c := range h.Columns {
		fmt.Fprintf(&out, "%-12s codec %d, nulls %d, bytes %d to %d", c.Col, c.Codec, c.Nulls, c.Offset, c.Offset+c.Length)
		switch c.Col.Kind() {
		case tokenwatch.KindTime, tokenwatch.KindInt:
			fmt.Fprintf(&out, ", %d to %d", c.Min, c.Max)
		case tokenwatch.KindAddr:
			fmt.Fprintf(&out, ", %s to %s", c.MinAddr, c.MaxAddr)
		case tokenwatch.KindText, tokenwatch.KindString:
			fmt.Fprintf(&out, ", %q to %q", c.MinText, c.MaxText)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func showEntry(e *tokenwatch.Entry) string {
	var out strings.Builder
	b := e.Batch
	for i := range b.Rows() {
		for c := range tokenwatch.Col(tokenwatch.NumColumns) {
			if !b.Has(c, i) {
				continue
			}
			switch c.Kind() {
			case tokenwatch.KindTime, tokenwatch.KindInt:
				fmt.Fprintf(&out, "%s=%d ", c, b.Int(c, i))
			case tokenwatch.KindAddr:
				fmt.Fprintf(&out, "%s=%s ", c, b.Addr(i))
			case tokenwatch.KindText, tokenwatch.KindString:
				fmt.Fprintf(&out, "%s=%s ", c, b.Text(c, i))
			case tokenwatch.KindBool:
				if b.Bool(c, i) {
					fmt.Fprintf(&out, "%s ", c)
				}
			}
		}
		b.EachAttr(i, func(k, v string) { fmt.Fprintf(&out, "attrs.%s=%s ", k, v) })
		out.WriteString("\n")
	}
	for _, q := range e.Requests {
		fmt.Fprintf(&out, "request %s %s %s %x… rows %d mark %+v rejects %+v\n", q.Key, q.Principal, q.Source, q.Digest[:2], q.Rows, *q.Mark, q.Rejects)
	}
	for _, n := range b.Names() {
		fmt.Fprintf(&out, "name %s %s %s", n.Token, n.Alias.Kind, n.Alias.Value)
		if n.Hour != 0 {
			fmt.Fprintf(&out, " hour %d", n.Hour)
		}
		out.WriteByte('\n')
	}
	for _, f := range b.Facts() {
		fmt.Fprintf(&out, "fact %+v\n", f)
	}
	return out.String()
}

// showMerged merges entries and shows what is written, and the rows as they
// are then sorted.
func showMerged(t *testing.T, input string) string {
	dec := NewDecoder()
	var list []Piece
	for i, text := range strings.Split(input, "entry\n") {
		p, err := dec.NewPiece(tokenwatch.Offset(i+1), inMemory(encode(t, parseEntry(t, text))))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	written := merge(t, 4, list...)
	m := written.open(t, dec)
	var out strings.Builder
	fmt.Fprintf(&out, "%d rows of %d segments, pages of %d\n", m.Rows(), len(m.Parts()), m.head.page)
	for i := range m.head.columns {
		c := &m.head.columns[i]
		fmt.Fprintf(&out, "%-12s form %d, nulls %d", c.Col, c.form, c.Nulls)
		if c.form == formCoded {
			fmt.Fprintf(&out, ", %d values, method %d", c.distinct, c.method)
			if c.method == codesDerived {
				fmt.Fprintf(&out, " from %s", c.base)
			}
			fmt.Fprintf(&out, ", dictionary %d, auxiliary %d, counts %d", c.dict, c.aux, c.counts)
		}
		fmt.Fprintf(&out, ", pages %d\n", c.pages)
	}
	b, err := m.Select(tokenwatch.AllCols, 0, m.Rows())
	if err != nil {
		t.Fatal(err)
	}
	out.WriteString(showEntry(&tokenwatch.Entry{Batch: b}))
	out.WriteString(showSeries(t, m))
	for i, chunk := range written.chunks {
		fmt.Fprintf(&out, "chunk %d: %x\n", i, chunk)
	}
	return out.String() + hex.Dump(written.head)
}

// showUnmerged shows the entries of a merged segment that an older program wrote.
func showUnmerged(t *testing.T, input string) string {
	written := &merged{}
	for line := range strings.Lines(input) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		written.chunks = append(written.chunks, b)
	}
	last := len(written.chunks) - 1
	written.head, written.chunks = written.chunks[last], written.chunks[:last]
	m := written.open(t, NewDecoder())
	entries, err := m.Entries(0, len(m.Parts()))
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	for i := range entries {
		e := &entries[i]
		fmt.Fprintf(&out, "entry %d, tenant %s, %s\n%s", e.Offset, e.Tenant, e.Time.Format(time.RFC3339Nano), showEntry(e))
	}
	return out.String() + showSeries(t, m)
}
