package baseline

import (
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Known is one value an entity was seen with.
type Known struct {
	_      struct{} `cbor:",toarray"`
	Hash   uint32   // upper half of the value's
	Born   uint16   // day it was first seen
	Day    uint16   // day it was last seen
	Weight uint8    // known from familiar on: one ordinary hour, or three anomalous ones
	Share  uint16   // of an action: its usual part of an hour's events, in 1/wholeShare
}

// Seen is the values that an entity was seen with, of all axes in one piece: they are
// asked for together, and there are a few dozen.
type Seen struct {
	_    struct{} `cbor:",toarray"`
	List []Known  // in order of axis and Hash
	Ends [feature.NumAxes]uint16
}

// On returns the values of an axis, in order of Hash. They may be changed, but not
// their number.
func (s *Seen) On(a feature.Axis) []Known { return s.List[s.start(a):s.Ends[a]] }

func (s *Seen) start(a feature.Axis) int {
	if a == 0 {
		return 0
	}
	return int(s.Ends[a-1])
}

func (s *Seen) insert(a feature.Axis, at int, k Known) {
	if len(s.List) == cap(s.List) {
		// By a quarter: it is held for long and grows seldom.
		s.List = append(make([]Known, 0, len(s.List)+len(s.List)/4+4), s.List...)
	}
	s.List = slices.Insert(s.List, s.start(a)+at, k)
	for ; a < feature.NumAxes; a++ {
		s.Ends[a]++
	}
}

func (s *Seen) remove(a feature.Axis, at int) {
	at += s.start(a)
	s.List = slices.Delete(s.List, at, at+1)
	for ; a < feature.NumAxes; a++ {
		s.Ends[a]--
	}
}

// place is where a hash stands among the values of an axis, or would.
func (s *Seen) place(a feature.Axis, hash uint32) int {
	lo, hi := s.start(a), int(s.Ends[a])
	first := lo
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.List[mid].Hash < hash {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - first
}

// find finds a value by the whole of its hash.
func (s *Seen) find(a feature.Axis, hash uint64) (*Known, bool) {
	at := s.start(a) + s.place(a, fingerprint(hash))
	if at < int(s.Ends[a]) && s.List[at].Hash == fingerprint(hash) {
		return &s.List[at], true
	}
	return nil, false
}
