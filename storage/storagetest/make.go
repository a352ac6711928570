package storagetest

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// start is when the clock of a test begins.
var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// Event is the part of a row that tests care about.
type Event struct {
	Time   time.Time // none if zero
	Source string
	ID     string // request_id, none if empty
	Token  string
	Path   string
}

// Batch makes a sealed batch of events, with more columns than they name, so
// that every kind of column occurs. Equal events give equal rows.
func Batch(events ...Event) *tokenwatch.Batch {
	var b tokenwatch.Builder
	for i, e := range events {
		var r tokenwatch.Row
		if !e.Time.IsZero() {
			r.SetInt(tokenwatch.ColTime, e.Time.UnixNano())
		}
		r.SetString(tokenwatch.ColSource, e.Source)
		r.SetString(tokenwatch.ColRequestID, e.ID)
		r.SetString(tokenwatch.ColToken, e.Token)
		r.SetString(tokenwatch.ColPath, e.Path)
		n := crc32.ChecksumIEEE([]byte(e.Source + e.ID + e.Path))
		r.SetInt(tokenwatch.ColStatus, int64(200+n%3))
		r.SetAddr(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}))
		r.AddAttr([]byte("n"), fmt.Append(nil, i))
		b.Append(&r)
		if e.Token != "" && i%8 == 1 {
			b.AddFact(tokenwatch.Fact{Kind: tokenwatch.FactCreated, Token: tokenwatch.TokenID(e.Token), Owner: "owner of " + e.Token, Scopes: []string{"a", "b"}})
		}
		if e.Token != "" {
			b.AddName(tokenwatch.Naming{
				Token: tokenwatch.TokenID(e.Token),
				Alias: tokenwatch.Alias{Kind: tokenwatch.NamePrefix, Value: "name of " + e.Token}, Hour: int32(i),
			})
		}
	}
	return b.Batch()
}

// Events makes n events of a source a second apart, with ids that begin with
// prefix.
func Events(n int, from time.Time, source, prefix string) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = Event{
			Time: from.Add(time.Duration(i) * time.Second), Source: source,
			ID: fmt.Sprintf("%s-%d", prefix, i), Token: fmt.Sprintf("tkw_%s", prefix),
			Path: fmt.Sprintf("/v1/%s/%d", prefix, i),
		}
	}
	return events
}

// Entry makes an entry of one request with a key.
func Entry(tenant, key string, events ...Event) tokenwatch.Entry {
	return tokenwatch.Entry{Tenant: tenant, Batch: Batch(events...), Requests: []tokenwatch.Request{
		Request(key, len(events)),
	}}
}

// Request makes a request of some rows whose content is told by its key.
func Request(key string, rows int) tokenwatch.Request {
	return tokenwatch.Request{
		Key: key, Principal: "key_1", Source: "web", Digest: sha256.Sum256([]byte(key)), Rows: rows,
	}
}

// Text shows an entry whole, so that two can be compared and read.
func Text(e tokenwatch.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "entry %d tenant %q at %v\n", e.Offset, e.Tenant, e.Time)
	if e.Control != nil {
		fmt.Fprintf(&b, "control %s %x\n", e.Control.Kind, e.Control.Body)
		return b.String()
	}
	for _, r := range e.Requests {
		fmt.Fprintf(&b, "request %q %q %q %x rows %d rejects %v", r.Key, r.Principal, r.Source, r.Digest[:4], r.Rows, r.Rejects)
		if r.Mark != nil {
			fmt.Fprintf(&b, " mark %q %d", r.Mark.Input, r.Mark.Offset)
		}
		b.WriteByte('\n')
	}
	for i := range e.Batch.Rows() {
		for c := range tokenwatch.NumColumns {
			writeCell(&b, e.Batch, tokenwatch.Col(c), i)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "names %v\n", e.Batch.Names())
	for _, f := range e.Batch.Facts() {
		fmt.Fprintf(&b, "fact %+v\n", f)
	}
	return b.String()
}

func writeCell(b *strings.Builder, batch *tokenwatch.Batch, c tokenwatch.Col, i int) {
	if !batch.Has(c, i) {
		return
	}
	switch c.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		fmt.Fprintf(b, "%s=%d ", c, batch.Int(c, i))
	case tokenwatch.KindAddr:
		fmt.Fprintf(b, "%s=%s ", c, batch.Addr(i))
	case tokenwatch.KindBool:
		if batch.Bool(c, i) {
			fmt.Fprintf(b, "%s ", c)
		}
	case tokenwatch.KindMap:
		batch.EachAttr(i, func(k, v string) { fmt.Fprintf(b, "%s=%s ", k, v) })
	default:
		fmt.Fprintf(b, "%s=%q ", c, batch.Text(c, i))
	}
}
