// Package window holds what an entity did within one hour of event time.
//
// Rows come in, in any order; what a [Window] holds afterwards depends only on
// which rows they were: everything in it is a count, a set, a least or a
// greatest.
package window

import (
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// MaxValues bounds the distinct values a window keeps per axis, and MaxOrigins
// its origins. Those of the smallest hashes are kept, so that which ones does not
// depend on the order of arrival; Overflow says that there were more.
const (
	MaxValues  = 4096
	MaxOrigins = 64
)

// Window is one entity's hour.
type Window struct {
	_        struct{} `cbor:",toarray"` // stored without the names of its fields
	Hour     int32    // since 1970
	Events   uint32   // led by the entity
	Failed   uint32   // of these
	Minutes  uint64   // bit m: active in minute m
	Overflow bool
	Axes     [feature.NumAxes][]Value
	Origins  []Origin
	Passing  bool // some origin's token is a session credential
	Stored   bool `cbor:"-"` // a snapshot holds it
	// Grown says that a value or an origin came, or an origin's span grew, since
	// it was cleared. Detectors look at nothing else of a window, so one that has
	// not grown need not be judged again.
	Grown bool `cbor:"-"`
}

// Value is one value of an axis, in order of Hash.
type Value struct {
	_     struct{} `cbor:",toarray"`
	Hash  uint64
	Count uint32
	First tokenwatch.EventRef
}

// Origin is a network from which one credential was used, in order of Network
// and Token.
type Origin struct {
	_           struct{} `cbor:",toarray"`
	Network     uint64
	Token       uint64 // 0: none known
	Kind        uint64 // of network; of the first event
	Count       uint32
	Minutes     uint64 // bit m: active in minute m
	First, Last tokenwatch.EventRef
	// AgentLow and AgentHigh are the least and greatest agent family: equal and
	// not 0, there was only one.
	AgentLow, AgentHigh uint64
}

const minuteMillis = 60 * 1000

func minuteBit(millis int64) uint64 { return 1 << (millis / minuteMillis % 60) }

// Add takes in row i as one of the entity's own.
func (w *Window) Add(r *feature.Rows, i int) {
	w.Events++
	if r.Failed[i] {
		w.Failed++
	}
	w.Minutes |= minuteBit(r.Millis[i])
	for a := range r.Axes {
		if h := r.Axes[a][i]; h != 0 {
			w.addValue(feature.Axis(a), h, r, i)
		}
	}
}

func (w *Window) addValue(a feature.Axis, hash uint64, r *feature.Rows, i int) {
	values := w.Axes[a]
	at, ok := findValue(values, hash)
	if ok {
		v := &values[at]
		v.Count++
		if r.Millis[i] <= v.First.Millis {
			if ref := r.Ref(i); ref.Before(v.First) {
				v.First = ref
			}
		}
		return
	}
	w.Grown = true
	w.Axes[a] = slices.Insert(values, at, Value{Hash: hash, Count: 1, First: r.Ref(i)})
	if len(values) == MaxValues {
		w.Overflow = true
		w.Axes[a] = w.Axes[a][:MaxValues]
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

// AddOrigin notes where row i came from and with which credential; token is 0
// where that does not matter.
func (w *Window) AddOrigin(r *feature.Rows, i int, token uint64, passing bool) {
	network := r.Axes[feature.Network][i]
	if network == 0 {
		return
	}
	w.Passing = w.Passing || passing
	agent := r.Axes[feature.AgentFamily][i]
	at, ok := w.findOrigin(network, token)
	if !ok {
		ref := r.Ref(i)
		w.Origins = slices.Insert(w.Origins, at, Origin{
			Network: network, Token: token, Kind: r.Kinds[i],
			First: ref, Last: ref, AgentLow: agent, AgentHigh: agent,
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
	w.Grown = w.Grown || !ok || len(w.Origins) > 1
	o.Count++
	o.Minutes |= minuteBit(r.Millis[i])
	o.AgentLow, o.AgentHigh = min(o.AgentLow, agent), max(o.AgentHigh, agent)
	if r.Millis[i] <= o.First.Millis {
		if ref := r.Ref(i); ref.Before(o.First) {
			o.First, o.Kind = ref, r.Kinds[i]
		}
	}
	if r.Millis[i] >= o.Last.Millis {
		if ref := r.Ref(i); o.Last.Before(ref) {
			o.Last = ref
		}
	}
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

// Has tells whether a value occurred in the window.
func (w *Window) Has(a feature.Axis, hash uint64) bool {
	_, ok := findValue(w.Axes[a], hash)
	return ok
}
