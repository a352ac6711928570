package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
)

// mask is columns that are taken away from rows before they are stored and
// scored: to see what detection does without them, or to keep less.
type mask []tokenwatch.Col

// derived are the columns that go with another one, since they come from it.
var derived = map[tokenwatch.Col][]tokenwatch.Col{
	tokenwatch.ColUserAgent: {tokenwatch.ColAgentFamily},
	tokenwatch.ColPath:      {tokenwatch.ColRoute},
	tokenwatch.ColSrcIP:     {tokenwatch.ColSrcPort, tokenwatch.ColSrcASN, tokenwatch.ColSrcCountry, tokenwatch.ColSrcCloud},
}

// maskOf reads the names of columns. Those that rows cannot do without are refused.
func maskOf(names []string) (mask, error) {
	var m mask
	for _, name := range names {
		col, ok := tokenwatch.ColumnByName(name)
		switch {
		case !ok:
			return nil, usage("--mask: no column is called %q", name)
		case col == tokenwatch.ColTime || col.Kind() == tokenwatch.KindBool:
			return nil, usage("--mask: %s cannot be taken away", col)
		}
		m = append(append(m, col), derived[col]...)
	}
	return m, nil
}

// String lists the columns.
func (m mask) String() string {
	names := make([]string, len(m))
	for i, c := range m {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}

// apply returns the batch without the columns.
func (m mask) apply(b *tokenwatch.Batch) (*tokenwatch.Batch, error) {
	if len(m) == 0 {
		return b, nil
	}
	var columns [tokenwatch.NumColumns]tokenwatch.Vector
	for i := range columns {
		columns[i] = *b.Column(tokenwatch.Col(i))
	}
	attrs, names, facts := *b.Attrs(), b.Names(), b.Facts()
	for _, c := range m {
		columns[c] = tokenwatch.Vector{}
		switch c {
		case tokenwatch.ColAttrs:
			attrs = tokenwatch.Attributes{}
		case tokenwatch.ColToken:
			names, facts = nil, nil // they are the tokens'
		}
	}
	out, err := tokenwatch.NewBatch(b.Rows(), columns, attrs, names)
	if err == nil {
		out, err = out.WithFacts(facts)
	}
	if err != nil {
		return nil, fmt.Errorf("mask columns: %w", err)
	}
	return out, nil
}

// over returns a sink that masks what it hands on.
func (m mask) over(sink ingest.Sink) ingest.Sink {
	if len(m) == 0 {
		return sink
	}
	return masked{m, sink}
}

type masked struct {
	mask mask
	to   ingest.Sink
}

// Append hands the entries on without the masked columns.
func (s masked) Append(ctx context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	out := make([]tokenwatch.Entry, len(entries))
	for i, e := range entries {
		if e.Batch != nil {
			var err error
			if e.Batch, err = s.mask.apply(e.Batch); err != nil {
				return nil, err
			}
		}
		out[i] = e
	}
	return s.to.Append(ctx, out...)
}
