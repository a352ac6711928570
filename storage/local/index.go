package local

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// indexEntry is what the index says of one offset of the log, so that readers
// need not touch the entry itself to leave it out.
type indexEntry struct {
	Control  bool
	Tenant   string
	Time     int64  // wall clock of the append, ns
	Leaf     uint64 // of the history
	Prev     uint64 // offset of the tenant's segment before this one, 0 if there is none
	Rows     uint64
	IDs      uint64 // rows whose id the Stamper took up
	Rejects  uint64
	Times    bool  // some row has an event time; else From and To say nothing
	From, To int64 // least and greatest event time, ns
	Greatest int64 // of the tenant, once the entry was in, ns
}

var errIndex = errors.New("not an index entry")

// append appends the encoding: a byte of flags, the tenant, numbers as varints.
func (e *indexEntry) append(b []byte) []byte {
	flags := byte(0)
	if e.Control {
		flags |= 1
	}
	if e.Times {
		flags |= 2
	}
	b = appendTenant(append(b, flags), e.Tenant)
	for _, n := range [...]uint64{e.Leaf, e.Prev, e.Rows, e.IDs, e.Rejects} {
		b = binary.AppendUvarint(b, n)
	}
	for _, n := range [...]int64{e.Time, e.From, e.To, e.Greatest} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

func decodeIndex(b []byte) (indexEntry, error) {
	var e indexEntry
	if len(b) == 0 {
		return e, errIndex
	}
	e.Control, e.Times = b[0]&1 != 0, b[0]&2 != 0
	tenant, rest, ok := tenantOf(b[1:])
	if !ok {
		return e, errIndex
	}
	e.Tenant = tenant
	for _, p := range [...]*uint64{&e.Leaf, &e.Prev, &e.Rows, &e.IDs, &e.Rejects} {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			return e, errIndex
		}
		*p, rest = n, rest[size:]
	}
	for _, p := range [...]*int64{&e.Time, &e.From, &e.To, &e.Greatest} {
		n, size := binary.Varint(rest)
		if size <= 0 {
			return e, errIndex
		}
		*p, rest = n, rest[size:]
	}
	if len(rest) != 0 {
		return e, errIndex
	}
	return e, nil
}

// describe fills in what a stamped batch says of itself.
func (e *indexEntry) describe(entry *tokenwatch.Entry) {
	b := entry.Batch
	e.Rows = uint64(b.Rows())
	e.From, e.To = math.MaxInt64, math.MinInt64
	times := b.Column(tokenwatch.ColTime)
	for i, t := range times.Ints {
		if times.Valid.At(i) {
			e.From, e.To, e.Times = min(e.From, t), max(e.To, t), true
		}
	}
	if !e.Times {
		e.From, e.To = 0, 0
	}
	duplicate := b.Column(tokenwatch.ColDuplicate).Bools
	if ids := b.Column(tokenwatch.ColRequestID); ids.Text.Offsets != nil {
		for i := range b.Rows() {
			if ids.Valid.At(i) && (duplicate == nil || !duplicate[i]) {
				e.IDs++
			}
		}
	}
	for i := range entry.Requests {
		e.Rejects += uint64(len(entry.Requests[i].Rejects))
	}
}

// within tells whether the entry may hold an event in [from, to); zero times
// do not restrict.
func (e *indexEntry) within(from, to time.Time) bool {
	if from.IsZero() && to.IsZero() {
		return true
	}
	return e.Times &&
		(from.IsZero() || e.To >= clampNano(from)) &&
		(to.IsZero() || e.From < clampNano(to))
}

// clampNano is UnixNano for any time, also those it is not defined for.
func clampNano(t time.Time) int64 {
	switch s := t.Unix(); {
	case s >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	case s <= math.MinInt64/int64(time.Second):
		return math.MinInt64
	default:
		return t.UnixNano()
	}
}
