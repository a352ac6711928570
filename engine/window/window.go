// Package window holds what an entity did within one hour of event time.
//
// Rows come in, in any order; what a [Window] holds afterwards depends only on
// which rows they were: everything in it is a count, a sum, a set, a least or a
// greatest.
package window

import (
	"math/bits"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// What a window keeps at most. Of values, origins, visitors and runs those of the
// smallest hashes are kept, so that which ones does not depend on the order of
// arrival; Overflow says that there were more.
const (
	MaxValues   = 4096
	MaxOrigins  = 64
	MaxVisitors = 256
	MaxRuns     = 128
)

// Window is one entity's hour.
type Window struct {
	Hour     int32 // since 1970
	Overflow bool
	Passing  bool // some origin's token is a session credential
	Stored   bool // a snapshot holds it
	// Begun says that the first event came since it was cleared.
	Begun bool
	// Grown says that there is something to judge that was not there when it was
	// cleared: a fault, an origin besides another, a visitor, an
	// eighth more events and no fewer than eight, or four times as many bytes.
	Grown bool
	// Fresh has a bit for each axis that has a value which was not there when it was
	// cleared.
	Fresh uint8
	// FreshSlots has a bit for each slot in which nothing had been done.
	FreshSlots uint16
	judged     uint32 // events when Grown was last set by their number
	weighed    uint8  // the same of bytes: half of the length of their number
	Origins    []Origin
	Visitors   []Visitor // of an address
	*Own
}

// Own is what a window holds of events that the entity leads. Most windows of
// addresses and many of actors hold none: they share one Own, which stays empty.
type Own struct {
	_       struct{} `cbor:",toarray"` // stored without the names of its fields
	Events  uint32
	Bytes   uint64 // of the answers
	Faults  [feature.NumFaults]uint32
	Axes    [feature.NumAxes][]Value
	Wrong   []Fault // how the first of each kind of fault looked
	Slots   []Slot
	Objects Distinct
	Runs    []Run
	Places  []Place // of a token
	Shown   []Shown // while it is open: how it differs from what is usual,
	Calm    bool    // and whether that is in where it comes from only
}

var none = new(Own)

// New opens a window of an hour.
func New(hour int32) *Window { return &Window{Hour: hour, Own: none} }

// fewer is up to how many more events are no reason to judge a window again.
const fewer = 8

// Pool keeps windows that have settled for others to come. The zero Pool is empty.
type Pool struct {
	windows []*Window
	own     []*Own
}

// New opens a window of an hour.
func (p *Pool) New(hour int32) *Window {
	if n := len(p.windows); n > 0 {
		w := p.windows[n-1]
		p.windows = p.windows[:n-1]
		*w = Window{Hour: hour, Own: none, Origins: w.Origins[:0], Visitors: w.Visitors[:0]}
		return w
	}
	return New(hour)
}

// roomy is how much a window may hold of anything to be kept: most hold less, and
// few that held more shall not take the memory for ever.
const roomy = 32

// maxPooled is how many windows are kept at most, and four times as many as of those
// with events of the entity's own.
const maxPooled = 1 << 15

// Put takes back a window that nobody will ask any more.
func (p *Pool) Put(w *Window) {
	if cap(w.Origins) > roomy || cap(w.Visitors) > roomy {
		w.Origins, w.Visitors = nil, nil
	}
	if w.Own != none {
		p.put(w.Own)
		w.Own = none
	}
	if len(p.windows) < maxPooled {
		p.windows = append(p.windows, w)
	}
}

func (p *Pool) put(o *Own) {
	if len(p.own) == maxPooled/4 {
		return
	}
	if cap(o.Runs) > roomy {
		o.Runs = nil
	}
	if cap(o.Places) > roomy {
		o.Places = nil
	}
	axes := o.Axes
	for a := range axes {
		if axes[a] = axes[a][:0]; cap(axes[a]) > roomy {
			axes[a] = nil
		}
	}
	*o = Own{Axes: axes, Wrong: o.Wrong[:0], Slots: o.Slots[:0], Objects: Distinct{Hashes: o.Objects.Hashes[:0]}, Runs: o.Runs[:0], Places: o.Places[:0]}
	p.own = append(p.own, o)
}

// lead makes room for events of the entity's own.
func (p *Pool) lead(w *Window) {
	if w.Own != none {
		return
	}
	if n := len(p.own); n > 0 {
		w.Own, p.own = p.own[n-1], p.own[:n-1]
		return
	}
	w.Own = new(Own)
	room := make([]Value, allFirst)
	for a := range w.Axes {
		n := first[a]
		w.Axes[a], room = room[:0:n], room[n:]
	}
}

// first is how many values of each axis there is room for from the start.
var first = [feature.NumAxes]int{feature.Network: 1, feature.Address: 2, feature.AgentFamily: 1, feature.Agent: 1, feature.Action: 3, feature.ActionClass: 2, feature.Area: 2}

const allFirst = 12

// Value is one value of an axis, in order of Hash.
type Value struct {
	_      struct{} `cbor:",toarray"`
	Hash   uint64
	Count  uint32
	Denied uint32 // of these events
	First  tokenwatch.EventRef
}

// Fault is a kind of fault that occurred, in order of Kind.
type Fault struct {
	_     struct{} `cbor:",toarray"`
	Kind  feature.Fault
	First tokenwatch.EventRef
}

// Slot is twelve slots of five minutes, those in which something was done: the
// short ring in which bursts show. Sample is one of its events, whichever comes
// first by a digest of its time.
type Slot struct {
	_      struct{} `cbor:",toarray"`
	Slot   uint8
	Events uint32
	Sample tokenwatch.EventRef
}

// Shown is a change that others may share, see baseline.Change.
type Shown struct {
	_      struct{} `cbor:",toarray"`
	Change uint64
	First  tokenwatch.EventRef // that shows it
}

const slotMillis = 5 * 60 * 1000

// Origin is a network from which one credential was used, in order of Network
// and Token.
type Origin struct {
	_       struct{} `cbor:",toarray"`
	Network uint64
	Token   uint64 // 0: none known
	Kind    uint64 // of network; of the first event
	Country uint64 // likewise
	Count   uint32
	Minutes uint64 // bit m: active in minute m
	First   tokenwatch.EventRef
	Last    int64 // event time, UTC milliseconds
	// AgentLow and AgentHigh are the least and greatest agent family: equal and
	// not 0, there was only one.
	AgentLow, AgentHigh uint64
}

// Visitor is a token that came from an address, in order of Token.
type Visitor struct {
	_      struct{} `cbor:",toarray"`
	Token  uint64
	Count  uint32
	Failed uint32 // of these, the credential was not taken
	From   uint16 // least digest of the addresses it came from: a window may be about several
	First  tokenwatch.EventRef
}

const minuteMillis = 60 * 1000

func minuteBit(millis int64) uint64 { return 1 << (millis / minuteMillis % 60) }

// Add takes in row i as one of the entity's own; p is where the window came from.
func (w *Window) Add(p *Pool, r *feature.Rows, i int) {
	p.lead(w)
	w.Events++
	e := &r.Events[i]
	w.Bytes += uint64(e.Bytes)
	w.Begun = w.Begun || w.Events == 1
	w.grow()
	fault := e.Fault
	w.Faults[fault]++
	if fault != feature.Fine {
		w.addFault(fault, r, i)
	}
	denied := fault == feature.Unknown || fault == feature.Denied || fault == feature.NotFound
	for a, h := range e.Axes {
		if h != 0 {
			w.addValue(feature.Axis(a), h, denied, r, i)
		}
	}
	w.addSlot(r, i)
	if e.Object != 0 {
		w.Objects.Add(e.Object)
		if e.Number >= 0 {
			w.addRun(e.Axes[feature.Action], e.Number)
		}
	}
}

// grow tells whether there is so much more that it is to be judged.
func (w *Window) grow() {
	if w.Events >= w.judged+max(w.judged/8, fewer) {
		w.judged, w.Grown = w.Events, true
	}
	if n := uint8(bits.Len64(w.Bytes) / 2); n > w.weighed {
		w.weighed, w.Grown = n, true
	}
}

func (w *Window) addValue(a feature.Axis, hash uint64, denied bool, r *feature.Rows, i int) {
	values := w.Axes[a]
	at, ok := findValue(values, hash)
	if !ok {
		w.Fresh |= 1 << a
		values = slices.Insert(values, at, Value{Hash: hash, First: r.Ref(i)})
		w.Axes[a] = values
		if len(values) > MaxValues {
			w.Overflow = true
			w.Axes[a] = values[:MaxValues]
			if at == MaxValues {
				return
			}
		}
		if a == feature.Address && r.Events[i].Lead == tokenwatch.EntityToken {
			w.addPlace(hash, r.Batch.Addr(i))
		}
	}
	v := &values[at]
	v.Count++
	if denied {
		v.Denied++
	}
	if r.Events[i].Millis <= v.First.Millis {
		if ref := r.Ref(i); ref.Before(v.First) {
			v.First = ref
		}
	}
}

// findValue is slices.BinarySearchFunc without the call per comparison: this is
// the engine's innermost loop.
func findValue(values []Value, hash uint64) (int, bool) {
	lo, hi := 0, len(values)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if values[mid].Hash < hash {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(values) && values[lo].Hash == hash
}

func (w *Window) addFault(kind feature.Fault, r *feature.Rows, i int) {
	w.Grown = w.Grown || w.Faults[kind] <= 8 || w.Faults[kind]&7 == 0
	at := 0
	for at < len(w.Wrong) && w.Wrong[at].Kind < kind {
		at++
	}
	if at == len(w.Wrong) || w.Wrong[at].Kind != kind {
		w.Wrong = slices.Insert(w.Wrong, at, Fault{Kind: kind, First: r.Ref(i)})
		return
	}
	if f := &w.Wrong[at]; r.Events[i].Millis <= f.First.Millis {
		if ref := r.Ref(i); ref.Before(f.First) {
			f.First = ref
		}
	}
}

func (w *Window) addSlot(r *feature.Rows, i int) {
	slot := uint8(r.Events[i].Millis / slotMillis % 12)
	at := len(w.Slots)
	for at > 0 && w.Slots[at-1].Slot >= slot {
		at--
	}
	if at == len(w.Slots) || w.Slots[at].Slot != slot {
		w.FreshSlots |= 1 << slot
		w.Slots = slices.Insert(w.Slots, at, Slot{Slot: slot, Sample: r.Ref(i)})
	}
	s := &w.Slots[at]
	s.Events++
	if a, b := scatter(r.Events[i].Millis), scatter(s.Sample.Millis); a < b {
		s.Sample = r.Ref(i)
	} else if a == b {
		if ref := r.Ref(i); ref.Before(s.Sample) {
			s.Sample = ref
		}
	}
}

// scatter is a one-to-one digest of a time, for samples that are spread over a slot.
func scatter(millis int64) uint64 {
	x := uint64(millis)
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// AddOrigin notes where row i came from and with which credential; token is 0
// where that does not matter.
func (w *Window) AddOrigin(r *feature.Rows, i int, token uint64, passing bool) {
	e := &r.Events[i]
	network := e.Axes[feature.Network]
	if network == 0 {
		return
	}
	w.Passing = w.Passing || passing
	agent := e.Axes[feature.AgentFamily]
	at, ok := w.findOrigin(network, token)
	if !ok {
		ref := r.Ref(i)
		w.Origins = slices.Insert(w.Origins, at, Origin{
			Network: network, Token: token, Kind: e.Kind, Country: e.Axes[feature.Country],
			First: ref, Last: ref.Millis, AgentLow: agent, AgentHigh: agent,
		})
		if len(w.Origins) > MaxOrigins {
			w.Overflow = true
			w.Origins = w.Origins[:MaxOrigins]
			if at == MaxOrigins {
				return
			}
		}
	}
	o := &w.Origins[at]
	w.Grown = w.Grown || !ok && w.Own == none || len(w.Origins) > 1 && (!ok || o.Last < e.Millis && o.Count < 32)
	o.Count++
	o.Minutes |= minuteBit(e.Millis)
	o.AgentLow, o.AgentHigh = min(o.AgentLow, agent), max(o.AgentHigh, agent)
	if e.Millis <= o.First.Millis {
		if ref := r.Ref(i); ref.Before(o.First) {
			o.First, o.Kind, o.Country = ref, e.Kind, e.Axes[feature.Country]
		}
	}
	o.Last = max(o.Last, e.Millis)
}

// findOrigin searches in order: there are one or two, as a rule.
func (w *Window) findOrigin(network, token uint64) (int, bool) {
	for i := range w.Origins {
		o := &w.Origins[i]
		if o.Network > network || o.Network == network && o.Token >= token {
			return i, o.Network == network && o.Token == token
		}
	}
	return len(w.Origins), false
}

// AddVisitor notes that row i's token came from the window's address.
func (w *Window) AddVisitor(r *feature.Rows, i int) {
	e := &r.Events[i]
	token, from := e.Token, uint16(e.Axes[feature.Address])
	at, ok := slices.BinarySearchFunc(w.Visitors, token, func(v Visitor, t uint64) int {
		switch {
		case v.Token < t:
			return -1
		case v.Token > t:
			return 1
		default:
			return 0
		}
	})
	if !ok {
		w.Grown = true
		w.Visitors = slices.Insert(w.Visitors, at, Visitor{Token: token, From: from, First: r.Ref(i)})
		if len(w.Visitors) > MaxVisitors {
			w.Overflow = true
			w.Visitors = w.Visitors[:MaxVisitors]
			if at == MaxVisitors {
				return
			}
		}
	}
	v := &w.Visitors[at]
	v.Count++
	v.From = min(v.From, from)
	if e.Fault == feature.Unknown {
		v.Failed++
	}
	if e.Millis <= v.First.Millis {
		if ref := r.Ref(i); ref.Before(v.First) {
			v.First = ref
		}
	}
}

// Warm reads a little of everything that the window holds; what it returns means nothing.
func (w *Window) Warm() uint64 {
	sum := uint64(w.Events)
	if len(w.Origins) > 0 {
		sum += w.Origins[0].Network + uint64(w.Origins[len(w.Origins)-1].Last)
	}
	if len(w.Visitors) > 0 {
		sum += w.Visitors[0].Token
	}
	if w.Own == none {
		return sum
	}
	for a := range w.Axes {
		if n := len(w.Axes[a]); n > 0 {
			sum += w.Axes[a][n-1].Hash
		}
	}
	if n := len(w.Slots); n > 0 {
		sum += uint64(w.Slots[n-1].Events)
	}
	if n := len(w.Objects.Hashes); n > 0 {
		sum += w.Objects.Hashes[n-1]
	}
	if n := len(w.Runs); n > 0 {
		sum += w.Runs[n-1].Seen
	}
	return sum
}

// Empty tells whether the window holds nothing at all.
func (w *Window) Empty() bool { return w.Events == 0 && len(w.Origins) == 0 && len(w.Visitors) == 0 }

// Has tells whether a value occurred in the window.
func (w *Window) Has(a feature.Axis, hash uint64) bool {
	_, ok := findValue(w.Axes[a], hash)
	return ok
}

// Wanted is how many events were not refused for the service's own failing: those
// are sent again and again.
func (w *Window) Wanted() uint32 { return w.Events - w.Faults[feature.Unavailable] }
