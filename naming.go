package tokenwatch

import "hash/maphash"

// namingSet lists namings without repeats, in the order in which they came. A
// batch may have two for each of its tokens, so that the set costs as much as a
// column: it is a table of places in the list, and holds no strings of its own.
type namingSet struct {
	list  []Naming
	seed  maphash.Seed
	slots []int32 // one more than a place in list; 0 if free; a power of two of them

	before int // how long the list was before the reset: it may well be as long again
}

// reset returns an empty set that keeps the table's memory, not the list's.
func (s *namingSet) reset() namingSet {
	clear(s.slots)
	return namingSet{seed: s.seed, slots: s.slots, before: len(s.list)}
}

func (s *namingSet) add(n Naming) {
	if 2*len(s.list) >= len(s.slots) {
		s.grow()
	}
	slot := s.find(n)
	if *slot == 0 {
		if s.list == nil {
			s.list = make([]Naming, 0, s.before)
		}
		s.list = append(s.list, n)
		*slot = int32(len(s.list))
	}
}

// find returns the slot of n, or a free one for it.
func (s *namingSet) find(n Naming) *int32 {
	h := maphash.String(s.seed, string(n.Token))*0x9e3779b97f4a7c15 ^ maphash.String(s.seed, n.Alias.Value)
	for {
		slot := &s.slots[h&uint64(len(s.slots)-1)]
		if *slot == 0 || s.list[*slot-1] == n {
			return slot
		}
		h++
	}
}

// grow makes the table twice as large.
func (s *namingSet) grow() {
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
	}
	s.slots = make([]int32, max(64, 2*len(s.slots)))
	for i, n := range s.list {
		*s.find(n) = int32(i + 1)
	}
}
