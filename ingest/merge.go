package ingest

import (
	"bufio"
	"container/heap"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// Input is one of the files that Merge reads.
type Input struct {
	Name string // for errors and rejects
	Body io.Reader
}

// MergeConfig says what Merge makes of its inputs.
type MergeConfig struct {
	Tenant string
	Source string
	Format string // a format's name, or "auto": found for each input by itself
	Rows   int    // of a batch at most; default 4096

	// Reject is called for each record that could not be read; may be nil.
	Reject func(input string, r tokenwatch.Reject)
	// Chosen is called for each input with the format it is read as, "" if none
	// fits; may be nil.
	Chosen func(input, format string)
}

// futureAfter is how far ahead of the wall clock a time is not believed.
const futureAfter = 5 * time.Minute

// Merge reads inputs side by side and yields what the log would hold had they
// been sent as it happened: the record whose time is least is next, and of one
// input the order is kept, so that its late lines stay late. Batches are cut at
// every minute of event time and followed by a tick of that minute, which stands
// for all minutes since the tick before; the last entry says that no more will
// come. It needs memory for a batch and a record of each input.
//
// Entries have no offset; only ticks and the end have a time. An error ends it.
func (p *Pipeline) Merge(ctx context.Context, inputs []Input, c MergeConfig) iter.Seq2[tokenwatch.Entry, error] {
	return func(yield func(tokenwatch.Entry, error) bool) {
		m := merger{p: p, c: c, sealer: seal.New(p.c.Keys, c.Tenant, p.c.Seal), now: p.c.Now().Add(futureAfter).UnixNano(), minute: math.MinInt64}
		if m.c.Rows <= 0 {
			m.c.Rows = 4096
		}
		err := m.open(inputs)
		for err == nil && len(m.heads) > 0 {
			if err = ctx.Err(); err == nil {
				if !m.row(yield) {
					return
				}
				err = m.err
			}
		}
		if err != nil {
			yield(tokenwatch.Entry{}, err)
			return
		}
		if !m.flush(yield) {
			return
		}
		if m.err != nil {
			yield(tokenwatch.Entry{}, m.err)
			return
		}
		yield(tokenwatch.Entry{
			Tenant: c.Tenant, Time: m.time(), Control: &tokenwatch.Control{Kind: tokenwatch.ControlEnd},
		}, nil)
	}
}

// merger is one merge under way. Its heads are a heap.
type merger struct {
	p   *Pipeline
	c   MergeConfig
	now int64 // wall clock: later times are not believed

	heads   []*head
	sealer  *seal.Sealer
	builder tokenwatch.Builder
	faults  int
	rejects []tokenwatch.Reject
	minute  int64 // of the last tick, in minutes since 1970
	latest  int64 // greatest time so far that is believed
	err     error
}

// head is an input and its next record, parsed.
type head struct {
	*worker
	input  string
	order  int   // among the inputs: decides between equal times
	at     int64 // time by which it is merged
	framer frame.Framer
	record frame.Record // the one that row was parsed from
}

func (m *merger) open(inputs []Input) error {
	for i, in := range inputs {
		h := &head{input: in.Name, order: i, at: math.MinInt64}
		d := source.Delivery{Tenant: m.c.Tenant, Source: in.Name, Format: m.c.Format}
		f, r, err := m.p.format(d, bufio.NewReaderSize(in.Body, sampleBytes))
		if err != nil {
			return fmt.Errorf("read %s: %w", in.Name, err)
		}
		if m.c.Chosen != nil {
			m.c.Chosen(in.Name, f.Name)
		}
		if h.worker, err = m.p.newWorker(workerKey{m.c.Tenant, f.Name}, f); err != nil {
			return fmt.Errorf("read %s: %w", in.Name, err)
		}
		h.sealer = m.sealer // one sealer fills a builder
		h.begin(m.c.Source, m.c.Format == source.FormatAuto)
		h.framer = partsOf(frame.New(f.Frame, r, m.p.c.MaxRecord), h.parser)
		more, err := m.advance(h)
		if err != nil {
			return err
		}
		if more {
			m.heads = append(m.heads, h)
		}
	}
	heap.Init(m)
	return nil
}

// advance parses the input's next record that can be read, and tells whether
// there is one.
func (m *merger) advance(h *head) (bool, error) {
	for {
		record, err := h.framer.Next()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", h.input, err)
		}
		h.records++
		rejection := h.parse(record)
		if rejection == nil {
			if t := h.row.Int(tokenwatch.ColTime); t <= m.now {
				h.at = t
			} // a wrong time ahead of us must not hold the rest of the file back
			h.record = record
			return true, nil
		}
		if rejection == noRecord {
			continue
		}
		h.reject(record, rejection)
		m.rejected(h)
	}
}

// rejected hands on the input's newest reject.
func (m *merger) rejected(h *head) {
	r := h.rejects[len(h.rejects)-1]
	h.rejects = h.rejects[:0]
	m.rejects = append(m.rejects, r)
	if m.c.Reject != nil {
		m.c.Reject(h.input, r)
	}
}

// row moves the least head into the batch, and yields what that completes.
func (m *merger) row(yield func(tokenwatch.Entry, error) bool) bool {
	h := m.heads[0]
	if h.at != math.MinInt64 {
		minute := h.at / int64(time.Minute)
		if m.minute == math.MinInt64 {
			m.minute = minute
			m.latest = h.at
		} else if minute > m.minute && !m.tick(minute, yield) {
			return false
		}
		m.latest = max(m.latest, h.at)
	}
	if m.builder.Rows() >= m.c.Rows && !m.flush(yield) {
		return false
	}
	if m.err != nil {
		return true
	}
	if rejection := h.seal(&m.builder); rejection != nil {
		m.faults++
		h.reject(h.record, rejection)
		m.rejected(h)
	}
	more, err := m.advance(h)
	switch {
	case err != nil:
		m.err = err
	case more:
		heap.Fix(m, 0)
	default:
		heap.Pop(m)
	}
	return true
}

// tick ends the minutes before minute.
func (m *merger) tick(minute int64, yield func(tokenwatch.Entry, error) bool) bool {
	if !m.flush(yield) {
		return false
	}
	if m.err != nil {
		return true
	}
	m.minute = minute
	return yield(tokenwatch.Entry{
		Tenant:  m.c.Tenant,
		Time:    time.Unix(0, minute*int64(time.Minute)).UTC(),
		Control: &tokenwatch.Control{Kind: tokenwatch.ControlTick},
	}, nil)
}

// flush yields the batch so far.
func (m *merger) flush(yield func(tokenwatch.Entry, error) bool) bool {
	if m.builder.Rows() == 0 && len(m.rejects) == 0 {
		return true
	}
	var batch *tokenwatch.Batch
	if batch, m.err = takeBatch(&m.builder, m.faults); m.err != nil {
		return true
	}
	m.sealer.TakeNamed().Stored() // who ranges over the entries sees this one before the next
	e := tokenwatch.Entry{Tenant: m.c.Tenant, Batch: batch, Requests: []tokenwatch.Request{{
		Source: m.c.Source, Rows: batch.Rows(), Rejects: m.rejects,
	}}}
	m.rejects = nil
	return yield(e, nil)
}

// time is the greatest time so far, zero if there is none.
func (m *merger) time() time.Time {
	if m.minute == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, m.latest).UTC()
}

// Len, Less, Swap, Push and Pop make the heads a heap.
func (m *merger) Len() int { return len(m.heads) }

// Less puts the earlier time first, and of equal times the earlier input.
func (m *merger) Less(i, j int) bool {
	a, b := m.heads[i], m.heads[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

// Swap swaps two heads.
func (m *merger) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }

// Push adds a head.
func (m *merger) Push(h any) { m.heads = append(m.heads, h.(*head)) }

// Pop removes the last head.
func (m *merger) Pop() any {
	h := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return h
}
