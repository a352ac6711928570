package replay

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// sorted is a log by the times of its events: hour by hour a batch of each
// tenant, none of them late. What steers (policies, tables, links) holds from the
// beginning; a last tick lets settle what had settled when the log ended.
type sorted struct {
	*reader
	hours   map[hourOf]bool
	control []tokenwatch.Entry
	end     time.Time
	batches []hourOf // of the batches sent, by their number; tenant "" for controls
	recent  struct {
		hour  hourOf
		batch *tokenwatch.Batch
	}
}

type hourOf struct {
	tenant string
	hour   int64
}

// newSorted goes through the log once, to know which hours there are.
func newSorted(ctx context.Context, r *reader) (*sorted, error) {
	s := &sorted{reader: r, hours: map[hourOf]bool{}}
	for e, err := range r.stored(ctx) {
		if err != nil {
			return nil, err
		}
		s.end = e.Time
		switch {
		case e.Batch != nil:
			last := hourOf{hour: -1 << 62}
			for i, t := range e.Batch.Column(tokenwatch.ColTime).Ints {
				if !e.Batch.Has(tokenwatch.ColTime, i) {
					r.left++
				} else if h := (hourOf{e.Tenant, hourAt(t)}); h != last {
					s.hours[h] = true
					last = h
				}
			}
			if e.Batch.Column(tokenwatch.ColTime).Ints == nil {
				r.left += uint64(e.Batch.Rows())
			}
		case e.Control.Kind == tokenwatch.ControlTick:
		default:
			if p := r.replaced(&e); p != nil {
				s.control = append(s.control, *p)
			}
			s.control = append(s.control, e)
		}
	}
	if r.o.Policies != nil && !r.used {
		s.control = append(s.control, tokenwatch.Entry{Time: s.end, Control: r.o.Policies.Control()})
	}
	return s, nil
}

func hourAt(ns int64) int64 {
	h := ns / int64(time.Hour)
	if ns%int64(time.Hour) < 0 {
		h--
	}
	return h
}

func (s *sorted) Follow(ctx context.Context, from tokenwatch.Offset) iter.Seq2[tokenwatch.Entry, error] {
	return s.Scan(ctx, storage.Range{First: from})
}

// Scan yields the whole log; it is called once.
func (s *sorted) Scan(ctx context.Context, _ storage.Range) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		send := func(e tokenwatch.Entry, h hourOf) bool {
			s.batches = append(s.batches, h)
			e.Offset = tokenwatch.Offset(len(s.batches))
			return yield(e, nil)
		}
		for _, e := range s.control {
			if e.Control.Kind != tokenwatch.ControlEnd && !send(e, hourOf{}) {
				return
			}
		}
		order := slices.SortedFunc(maps.Keys(s.hours), func(a, b hourOf) int {
			return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.tenant, b.tenant))
		})
		for _, h := range order {
			b, err := s.batch(ctx, h)
			if err != nil {
				yield(tokenwatch.Entry{}, err)
				return
			}
			if !send(tokenwatch.Entry{Tenant: h.tenant, Time: s.end, Batch: b}, h) {
				return
			}
		}
		kind := tokenwatch.ControlTick
		if slices.ContainsFunc(s.control, func(e tokenwatch.Entry) bool { return e.Control.Kind == tokenwatch.ControlEnd }) {
			kind = tokenwatch.ControlEnd
		}
		send(tokenwatch.Entry{Time: s.end, Control: &tokenwatch.Control{Kind: kind}}, hourOf{})
	}
}

// batch gathers the events of one hour, in the order of their times.
func (s *sorted) batch(ctx context.Context, h hourOf) (*tokenwatch.Batch, error) {
	if s.recent.batch != nil && s.recent.hour == h {
		return s.recent.batch, nil
	}
	var parts []*tokenwatch.Batch
	from := time.Unix(0, h.hour*int64(time.Hour))
	for e, err := range s.log.Scan(ctx, storage.Range{Tenant: h.tenant, Last: s.o.Last, From: from, To: from.Add(time.Hour)}) {
		if err != nil {
			return nil, err
		}
		if e.Batch == nil {
			continue
		}
		var rows []uint32
		for i, t := range e.Batch.Column(tokenwatch.ColTime).Ints {
			if e.Batch.Has(tokenwatch.ColTime, i) && hourAt(t) == h.hour {
				rows = append(rows, uint32(i))
			}
		}
		if len(rows) == e.Batch.Rows() {
			parts = append(parts, e.Batch)
		} else if len(rows) > 0 {
			part, err := pick(e.Batch, rows)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
	}
	all := tokenwatch.Concat(parts...)
	order := make([]uint32, all.Rows())
	for i := range order {
		order[i] = uint32(i)
	}
	times := all.Column(tokenwatch.ColTime).Ints
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(times[a], times[b]) })
	b, err := pick(all, order)
	if err != nil {
		return nil, err
	}
	b = b.WithFlags(nil, b.Column(tokenwatch.ColFuture).Bools, b.Column(tokenwatch.ColDuplicate).Bools)
	s.recent.hour, s.recent.batch = h, b
	return b, nil
}

// pick is Batch.Take with what the batch says of the tokens' names and lives.
func pick(b *tokenwatch.Batch, rows []uint32) (*tokenwatch.Batch, error) {
	at := make(map[int][]int, len(rows))
	if len(b.Facts()) > 0 {
		for i, r := range rows {
			at[int(r)] = append(at[int(r)], i)
		}
	}
	var facts []tokenwatch.Fact
	for _, f := range b.Facts() {
		for _, i := range at[f.Row] {
			f.Row = i
			facts = append(facts, f)
		}
	}
	slices.SortStableFunc(facts, func(a, b tokenwatch.Fact) int { return cmp.Compare(a.Row, b.Row) })
	return b.Take(rows).WithNames(b.Names()).WithFacts(facts)
}

// Row makes the batch of an hour anew.
func (s *sorted) Row(ctx context.Context, ref tokenwatch.EventRef) (*tokenwatch.Batch, int, error) {
	if ref.Offset < 1 || int(ref.Offset) > len(s.batches) || s.batches[ref.Offset-1].tenant == "" {
		return nil, 0, storage.ErrNotFound
	}
	b, err := s.batch(ctx, s.batches[ref.Offset-1])
	return b, int(ref.Row), err
}
