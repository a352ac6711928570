package normalize

import "hash/maphash"

// memo remembers what was found out of recent texts, in a fixed number of
// places: a log says the same few hundred over and over. Four texts whose hashes
// meet have room beside each other. Which place it is decides nothing but speed.
type memo struct {
	seed maphash.Seed
	sets [256]struct {
		places [4]remembered
		turn   uint8 // the place that is used next
	}
}

type remembered struct {
	kind  []byte // what sort of text it is, where that matters
	text  []byte
	found string
}

// Bounds of what a place may hold.
const (
	longestRemembered = 512
	longestKind       = 32
)

func newMemo() memo { return memo{seed: maphash.MakeSeed()} }

// get returns what find says of text, which depends on nothing but it and kind.
func (m *memo) get(kind, text []byte, find func() string) string {
	if len(text) == 0 || len(text) > longestRemembered || len(kind) > longestKind {
		return find()
	}
	h := maphash.Bytes(m.seed, text)
	if len(kind) > 0 {
		h += uint64(len(kind)) + 16*uint64(kind[0])
	}
	s := &m.sets[h%uint64(len(m.sets))]
	for i := range s.places {
		if p := &s.places[i]; string(p.text) == string(text) && string(p.kind) == string(kind) {
			return p.found
		}
	}
	found := find()
	p := &s.places[s.turn%uint8(len(s.places))]
	s.turn++
	p.text, p.kind, p.found = append(p.text[:0], text...), append(p.kind[:0], kind...), found
	return found
}
