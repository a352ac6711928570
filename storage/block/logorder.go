package block

import (
	"math"

	"github.com/tokenwatch/tokenwatch"
)

// order returns for each row its place in the log among the rows of the segment.
func (m *Merged) order() ([]uint32, error) {
	n := m.head.rows
	places := make([]int64, n)
	err := m.chunk(m.head.order, "order", func(r *reader) error {
		var buf []byte
		unpack(r, places, &buf)
		if r.err != nil {
			return r.err
		}
		last := int64(-1)
		for i, x := range places {
			last += 1 + int64(uint64(x)>>1^-(uint64(x)&1))
			if last < 0 || last >= int64(n) {
				r.fail("a row has no place in the log")
				return r.err
			}
			places[i] = last
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	byTime := make([]uint32, n)
	for i := range byTime {
		byTime[i] = uint32(i)
	}
	b, err := m.Select(tokenwatch.Cols(tokenwatch.ColTime), 0, n)
	if err != nil {
		return nil, err
	}
	if times := b.Column(tokenwatch.ColTime); times.Ints != nil {
		byTime, _ = sortByTime(byTime, make([]uint32, n), func(p uint32) int64 { return times.Ints[p] }, func(p uint32) bool { return times.Valid.At(int(p)) })
	}
	out, seen := make([]uint32, n), make(tokenwatch.Bitmap, (n+7)/8)
	for k, i := range byTime {
		at := uint32(places[k])
		if seen.At(int(at)) {
			return nil, &Corrupt{Part: "order", Offset: m.head.chunks[m.head.order].Offset, Reason: "two rows have one place in the log"}
		}
		seen.Set(int(at))
		out[i] = at
	}
	return out, nil
}

// Logged returns the rows of the segment in the order of the log.
func (m *Merged) Logged() ([]uint32, error) {
	order, err := m.order()
	if err != nil {
		return nil, err
	}
	rows := make([]uint32, len(order))
	for row, at := range order {
		rows[at] = uint32(row)
	}
	return rows, nil
}

// extras calls f with what each part has besides rows.
func (m *Merged) extras(f func(part int, extras [numExtras][]byte) error) error {
	return m.chunk(m.head.extras, "extras", func(r *reader) error {
		r.unwrap()
		for i := range m.head.parts {
			extras := r.extras()
			if r.err != nil {
				return r.err
			}
			if err := f(i, extras); err != nil {
				return err
			}
		}
		return nil
	})
}

// Entries returns the entries of the parts from up to, not including, to, as
// they were appended.
func (m *Merged) Entries(from, to int) ([]tokenwatch.Entry, error) {
	parts := m.head.parts
	lo := 0
	for _, p := range parts[:from] {
		lo += p.Rows
	}
	rows := 0
	for _, p := range parts[from:to] {
		rows += p.Rows
	}
	batch, err := m.logged(lo, lo+rows)
	if err != nil {
		return nil, err
	}
	entries := make([]tokenwatch.Entry, to-from)
	at := 0
	for i := range entries {
		p := parts[from+i]
		own := make([]uint32, p.Rows)
		for k := range own {
			own[k] = uint32(at + k)
		}
		at += p.Rows
		entries[i] = tokenwatch.Entry{Offset: p.Offset, Tenant: m.head.tenant, Time: p.Time, Batch: batch.Take(own)}
	}
	err = m.extras(func(part int, extras [numExtras][]byte) error {
		if part < from || part >= to {
			return nil
		}
		return m.d.unpackExtras(&entries[part-from], parts[part].layout, extras)
	})
	return entries, err
}

// Requests returns the requests of one part and decodes nothing else.
func (m *Merged) Requests(part int) ([]tokenwatch.Request, error) {
	var out []tokenwatch.Request
	err := m.extras(func(i int, extras [numExtras][]byte) error {
		if i != part || len(extras[extraRequests]) == 0 {
			return nil
		}
		cells := m.d.cells
		r := &reader{b: extras[extraRequests], part: "extras", cells: &cells, zstd: m.d.zstd}
		r.unwrap()
		out = r.requests()
		return r.done()
	})
	return out, err
}

// unpackExtras gives an entry its requests, namings and facts.
func (d *Decoder) unpackExtras(e *tokenwatch.Entry, layout int, extras [numExtras][]byte) error {
	cells := d.cells
	for i, b := range extras {
		if len(b) == 0 {
			continue
		}
		r := &reader{b: b, part: "extras", cells: &cells, zstd: d.zstd}
		r.unwrap()
		var err error
		switch i {
		case extraRequests:
			e.Requests = r.requests()
		case extraNames:
			e.Batch = e.Batch.WithNames(r.names(layout))
		case extraFacts:
			if facts := r.facts(e.Batch.Rows()); r.err == nil {
				e.Batch, err = e.Batch.WithFacts(facts)
			}
		}
		if r.done() != nil {
			return r.err
		}
		if err != nil {
			return &Corrupt{Part: "extras", Reason: err.Error()}
		}
	}
	return nil
}

// logged returns the rows whose places in the log lie from lo up to hi, in that
// order.
func (m *Merged) logged(lo, hi int) (*tokenwatch.Batch, error) {
	order, err := m.order()
	if err != nil {
		return nil, err
	}
	var parts []*tokenwatch.Batch
	place := make([]uint32, hi-lo) // in the joined parts, by place in the log
	n := uint32(0)
	for first := 0; first < m.head.rows; first += m.head.page {
		end := min(first+m.head.page, m.head.rows)
		var rows []uint32
		for i := first; i < end; i++ {
			if at := int(order[i]); at >= lo && at < hi {
				place[at-lo] = n
				n++
				rows = append(rows, uint32(i-first))
			}
		}
		if len(rows) == 0 {
			continue
		}
		b, err := m.Select(tokenwatch.AllCols, first, end)
		if err != nil {
			return nil, err
		}
		parts = append(parts, b.Take(rows))
	}
	if n > math.MaxInt32 || len(parts) == 0 {
		var none [tokenwatch.NumColumns]tokenwatch.Vector
		return tokenwatch.NewBatch(hi-lo, none, tokenwatch.Attributes{}, nil)
	}
	return tokenwatch.Concat(parts...).Take(place), nil
}

// mergedPiece is a merged segment that is merged again.
type mergedPiece struct{ *Merged }

// Piece returns the segment to be merged with others.
func (m *Merged) Piece() Piece { return mergedPiece{m} }

func (p mergedPiece) Select(cols tokenwatch.ColSet) (*tokenwatch.Batch, error) {
	return p.Merged.Select(cols, 0, p.Rows())
}
