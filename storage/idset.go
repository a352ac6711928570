package storage

import "github.com/zeebo/xxh3"

// idSet is a set of hashes in one piece of memory, probed in line: the hashes
// are their own place, so nothing is hashed again. The zero hash stands for an
// empty place; an id that hashes to it is kept as 1.
type idSet struct {
	slots []xxh3.Uint128 // a power of two, at most half in use
	count int
}

// add adds a hash, and tells whether it was not there.
func (s *idSet) add(h xxh3.Uint128) bool {
	if 2*(s.count+1) > len(s.slots) {
		s.grow()
	}
	i, there := s.find(h)
	if there {
		return false
	}
	s.slots[i] = h
	s.count++
	return true
}

// remove takes a hash away that is there, and moves up those that had to give
// way to it.
func (s *idSet) remove(h xxh3.Uint128) {
	mask := len(s.slots) - 1
	hole, _ := s.find(h)
	s.count--
	for i := (hole + 1) & mask; s.slots[i] != (xxh3.Uint128{}); i = (i + 1) & mask {
		home := int(s.slots[i].Lo) & mask
		if (i-home)&mask >= (i-hole)&mask {
			s.slots[hole] = s.slots[i]
			hole = i
		}
	}
	s.slots[hole] = xxh3.Uint128{}
}

// find returns where h is, or where it would go.
func (s *idSet) find(h xxh3.Uint128) (int, bool) {
	mask := len(s.slots) - 1
	for i := int(h.Lo) & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return i, true
		case xxh3.Uint128{}:
			return i, false
		}
	}
}

func (s *idSet) grow() {
	old := s.slots
	s.slots = make([]xxh3.Uint128, max(64, 2*len(old)))
	for _, h := range old {
		if h != (xxh3.Uint128{}) {
			i, _ := s.find(h)
			s.slots[i] = h
		}
	}
}
