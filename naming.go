package tokenwatch

import "unsafe"

// namingSet lists namings without repeats, in the order in which they came. A
// batch may have two for each of its tokens, so that the set costs as much as a
// column: it is a table of hashes and places in the list, and holds no strings of
// its own.
type namingSet struct {
	list  []Naming
	keys  hashKeys
	slots []uint64 // a hash above one more than a place in list; 0 if free; a power of two of them

	before int // how long the list was before the reset: it may well be as long again
}

// reset returns an empty set that keeps the table's memory, not the list's.
func (s *namingSet) reset() namingSet {
	if len(s.list) > 0 {
		clear(s.slots)
	}
	return namingSet{keys: s.keys, slots: s.slots, before: len(s.list)}
}

func (s *namingSet) add(n Naming) {
	if 2*len(s.list) >= len(s.slots) {
		s.grow()
	}
	h := s.hash(&n)
	for i := h; ; i++ {
		slot := &s.slots[i&uint64(len(s.slots)-1)]
		if *slot == 0 {
			*slot = h<<32 | uint64(len(s.list)+1)
			break
		}
		if *slot>>32 == h && s.list[uint32(*slot)-1] == n {
			return
		}
	}
	s.list = append(room(s.list, 1, s.before), n)
}

func (s *namingSet) hash(n *Naming) uint64 {
	token, alias := string(n.Token), n.Alias.Value
	h := s.keys.hash(unsafe.Slice(unsafe.StringData(token), len(token)))
	return (h*31 ^ s.keys.hash(unsafe.Slice(unsafe.StringData(alias), len(alias)))) & 0xffffffff
}

// grow makes the table twice as large.
func (s *namingSet) grow() {
	s.keys.make()
	old := s.slots
	s.slots = make([]uint64, max(64, 2*len(old)))
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := slot >> 32
		for s.slots[i&uint64(len(s.slots)-1)] != 0 {
			i++
		}
		s.slots[i&uint64(len(s.slots)-1)] = slot
	}
}
