package history

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// leafCheck checks what leaves say, one after the other.
type leafCheck struct {
	tickGap  time.Duration
	all      bool // payloads of all log entries are demanded
	payloads *payloads
	found    problems
	broken   bool // a leaf did not keep the invariants; what follows it cannot be judged
	unknown  bool // a leaf was of a kind we do not know; ticks cannot be judged

	chains    *chains
	restored  bool // leaf 0 is a restore
	clock     uint64
	time      time.Time
	tick      time.Time // newest tick of the epoch about all tenants, or the epoch's begin
	offset    uint64    // newest in the log
	lost      []Range
	retained  []Range // dropped by retention, or there as part of a merged segment
	missing   []missing
	revisions map[[16]byte]uint64

	hashed, absent uint64
	stops          []Stop
}

// missing is a log entry without bytes in the export.
type missing struct{ offset, index uint64 }

func newLeafCheck(o Options) *leafCheck {
	return &leafCheck{
		tickGap: o.TickGap, all: o.Payloads,
		chains: newChains(), revisions: make(map[[16]byte]uint64),
	}
}

// fail notes a leaf that no honest writer writes.
func (c *leafCheck) fail(index int64, format string, args ...any) {
	c.broken = true
	c.found.add(Altered, index, format, args...)
}

// check takes the next leaf. Its error is one of reading payloads.
func (c *leafCheck) check(b []byte, index uint64) error {
	if c.broken {
		return nil
	}
	l, err := Decode(b)
	switch {
	case errors.Is(err, ErrUnknownKind):
		c.unknown = true
		c.found.add(Unverifiable, int64(index), "%v", err)
		return nil
	case err != nil:
		c.fail(int64(index), "%v", err)
		return nil
	}
	if what := c.invariants(&l, index); what != "" {
		c.fail(int64(index), "%s", what)
		return nil
	}
	c.clockOf(&l)
	switch b := l.Body.(type) {
	case *Segment:
		c.entry(index, b.Offset)
		return c.payload(index, b.Offset, b.Bytes, b.Digest)
	case *Control:
		c.entry(index, b.Offset)
		return c.payload(index, b.Offset, b.Bytes, b.Digest)
	case *Finding:
		c.revision(&l, b)
	case *Loss:
		c.loss(b)
	case *Restore:
		c.restored, c.offset = true, b.Offset
	case *Merge:
		if last := b.Ranges[len(b.Ranges)-1].Last; last > c.offset {
			c.found.add(Incomplete, int64(index), "log entries up to %d were merged, the log ends at %d", last, c.offset)
		}
		return c.merged(index, b)
	case *Retention:
		c.retained = append(c.retained, b.Ranges...)
	}
	return nil
}

// invariants checks I1 to I4 and says what is wrong.
func (c *leafCheck) invariants(l *Leaf, index uint64) string {
	key := chainKey{l.Tenant, l.Kind()}
	prev := c.chains.prev(key)
	switch {
	case l.Index != index:
		return fmt.Sprintf("it says it is leaf %d", l.Index)
	case (prev == nil) != (l.Prev == nil) || prev != nil && *prev != *l.Prev:
		return "it does not point to the leaf before it of its tenant and kind"
	case l.Clock < c.clock || l.Clock == 0:
		return "its clock epoch goes back"
	case l.Clock == c.clock && l.Time.Before(c.time):
		return "its time goes back within a clock epoch"
	case l.Kind() == KindRestore && index != 0:
		return "a restore that does not begin a history"
	}
	if t, ok := l.Body.(*Tick); ok && !c.unknown && !slices.Equal(t.Chains, c.chains.tick(l.Tenant)) {
		return "a tick that does not state where the chains are"
	}
	c.chains.add(key, index)
	return ""
}

// clockOf follows time and looks for gaps between ticks.
func (c *leafCheck) clockOf(l *Leaf) {
	watch := c.tickGap > 0
	switch {
	case l.Clock != c.clock:
		if watch && c.clock != 0 && l.Time.Sub(c.time) > c.tickGap && len(c.stops) < maxProblems {
			c.stops = append(c.stops, Stop{Index: l.Index, From: c.time, To: l.Time})
		}
		c.tick = l.Time
	case watch && l.Time.Sub(c.tick) > c.tickGap:
		c.found.add(Incomplete, int64(l.Index), "no tick for %v", l.Time.Sub(c.tick))
		c.tick = l.Time // one problem per gap
	}
	if l.Kind() == KindTick && l.Tenant == (Commitment{}) {
		c.tick = l.Time
	}
	c.clock, c.time = l.Clock, l.Time
}

// entry checks I5 for the log entry at an offset.
func (c *leafCheck) entry(index, offset uint64) {
	if offset <= c.offset {
		c.fail(int64(index), "log offset %d after %d", offset, c.offset)
		return
	}
	if c.offset+1 < offset && uncovered(c.offset+1, c.lost) < offset {
		c.found.add(Incomplete, int64(index), "log offset %d after %d", offset, c.offset)
	}
	c.offset = offset
	c.lost = slices.DeleteFunc(c.lost, func(r Range) bool { return r.Last <= offset })
}

// maxLost is how many loss reports are remembered between two log entries; an
// honest writer needs one or two.
const maxLost = 1000

// loss remembers the offsets that need no leaf.
func (c *leafCheck) loss(l *Loss) {
	if l.First > 0 && len(c.lost) < maxLost {
		c.lost = append(c.lost, Range{First: l.First, Last: l.Last})
	}
}

// uncovered returns the first offset from first on that lies in no range.
func uncovered(first uint64, ranges []Range) uint64 {
	for moved := true; moved; {
		moved = false
		for _, r := range ranges {
			if r.First <= first && first <= r.Last {
				first, moved = r.Last+1, true
			}
		}
	}
	return first
}

// revision checks I6.
func (c *leafCheck) revision(l *Leaf, f *Finding) {
	sum := sha256.Sum256(append(l.Tenant[:], f.ID...))
	key := [16]byte(sum[:16])
	last, seen := c.revisions[key]
	switch {
	case f.Revision <= last:
		c.fail(int64(l.Index), "revision %d of a finding after revision %d", f.Revision, last)
	case f.Revision != last+1 && (seen || !c.restored):
		c.found.add(Incomplete, int64(l.Index), "revision %d of a finding after revision %d", f.Revision, last)
	}
	c.revisions[key] = f.Revision
}
