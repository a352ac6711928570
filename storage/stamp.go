package storage

import (
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// FutureLimit is how far after its ingest time an event may claim to have
// happened before it is flagged as future.
const FutureLimit = 5 * time.Minute

// DefaultLateness is how far behind a tenant's greatest event time events may
// come and still count.
const DefaultLateness = 3 * time.Hour

// DefaultIDMemory is how many event ids a tenant's Stamper remembers at most.
const DefaultIDMemory = 1 << 20

// Stamper gives the rows of one tenant their ingest time and their late, future
// and duplicate flags, in the order of the log. It is a function of the
// sequence of its calls: no clock, no randomness. One goroutine owns it.
//
// A repeat is an event with the request_id and the content of another, see
// content.go. The request_id alone does not do: clients may choose it, and the
// events of a trace share it. An event's id here is the 128-bit hash of both. It is
// remembered while the tenant's greatest event time is less than the lateness past
// what it was when the id was first seen: so a repeat that is not late is always
// recognised, within the bound of ids.
type Stamper struct {
	mark     Watermark
	limit    int
	known    idSet
	order    []xxh3.Uint128 // known, oldest first, from head on
	head     int
	runs     []idRun // how order falls into batches, oldest first
	overflow uint64
}

// idRun is the ids that one batch added.
type idRun struct {
	seen  int64 // the tenant's greatest event time once the batch was in
	count int
}

// NewStamper returns the Stamper of a tenant whose watermark stands at mark.
// It remembers at most limit ids; 0 is DefaultIDMemory.
func NewStamper(mark Watermark, limit int) *Stamper {
	if limit <= 0 {
		limit = DefaultIDMemory
	}
	return &Stamper{mark: mark, limit: limit}
}

// Stamp returns the batch, appended at time at, with ingest time and flags.
// What is late is decided row by row, in their order, as if each had come alone:
// so how rows are gathered into batches does not matter.
func (s *Stamper) Stamp(b *tokenwatch.Batch, at time.Time) *tokenwatch.Batch {
	now := at.UnixNano()
	if mark, started := s.mark.nanos(); started {
		s.forget(mark)
	}
	running := s.mark
	var late, future, duplicate []bool
	for i, t := range b.Column(tokenwatch.ColTime).Ints {
		switch {
		case !b.Has(tokenwatch.ColTime, i):
		case t > now+int64(FutureLimit):
			future = flag(future, b.Rows(), i)
		case running.passed(t):
			late = flag(late, b.Rows(), i)
		case t > running.Greatest():
			running.see(t)
		}
	}
	first := len(s.order)
	s.eachID(b, func(i int, id xxh3.Uint128) {
		if !s.known.add(id) {
			duplicate = flag(duplicate, b.Rows(), i)
			return
		}
		s.order = append(s.order, id)
	})
	out := b.WithIngestTime(at).WithFlags(late, future, duplicate)
	s.mark.Observe(out)
	s.close(len(s.order) - first)
	return out
}

// Replay takes up the ids of a batch stamped before, when greatest was the
// tenant's greatest event time once it was in. Batches are replayed in their
// order, before any is stamped; the watermark is not moved.
func (s *Stamper) Replay(b *tokenwatch.Batch, greatest int64) {
	first := len(s.order)
	s.eachID(b, func(i int, id xxh3.Uint128) {
		if !b.Bool(tokenwatch.ColDuplicate, i) && s.known.add(id) {
			s.order = append(s.order, id)
		}
	})
	s.runs = append(s.runs, idRun{greatest, len(s.order) - first})
	s.bound(false)
}

// Tick takes note of a tick record, and tells whether the watermark moved.
func (s *Stamper) Tick(t time.Time) bool { return s.mark.Tick(t) }

// Watermark returns a copy of the tenant's watermark.
func (s *Stamper) Watermark() Watermark { return s.mark }

// IDs returns how many ids are remembered.
func (s *Stamper) IDs() int { return s.known.count }

// Overflow returns how many ids were forgotten early for want of room.
func (s *Stamper) Overflow() uint64 { return s.overflow }

// eachID calls f with each row that has a request id, and the event's hash.
func (s *Stamper) eachID(b *tokenwatch.Batch, f func(row int, id xxh3.Uint128)) {
	ids := b.Column(tokenwatch.ColRequestID)
	if ids.Text.Offsets == nil {
		return
	}
	contents := hashContents(b)
	for i := range b.Rows() {
		if !ids.Valid.At(i) {
			continue
		}
		id := xxh3.HashString128Seed(ids.Text.At(i), contents[i])
		if id == (xxh3.Uint128{}) {
			id.Lo = 1
		}
		f(i, id)
	}
}

// close ends the run of ids of one batch.
func (s *Stamper) close(count int) {
	if count > 0 {
		s.runs = append(s.runs, idRun{s.mark.greatest, count})
	}
	s.bound(true)
}

// bound forgets the oldest ids beyond the limit.
func (s *Stamper) bound(counted bool) {
	for s.known.count > s.limit {
		n := min(s.runs[0].count, s.known.count-s.limit)
		s.drop(n)
		if counted {
			s.overflow += uint64(n)
		}
	}
}

// forget drops the ids seen when the tenant's greatest event time was before mark.
func (s *Stamper) forget(mark int64) {
	for len(s.runs) > 0 && s.runs[0].seen < mark {
		s.drop(s.runs[0].count)
	}
}

// drop forgets the n oldest ids, all of the first run.
func (s *Stamper) drop(n int) {
	for _, id := range s.order[s.head : s.head+n] {
		s.known.remove(id)
	}
	s.head += n
	if s.runs[0].count -= n; s.runs[0].count == 0 {
		s.runs = s.runs[1:]
	}
	if s.head > len(s.order)/2 {
		s.order = s.order[:copy(s.order, s.order[s.head:])]
		s.head = 0
	}
}

func flag(flags []bool, rows, i int) []bool {
	if flags == nil {
		flags = make([]bool, rows)
	}
	flags[i] = true
	return flags
}
