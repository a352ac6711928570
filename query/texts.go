package query

import (
	"hash/maphash"

	"github.com/tokenwatch/tokenwatch"
)

// textTable gives distinct texts numbers from 1 on, by open addressing over one
// piece of memory: a map would make an object of each.
type textTable struct {
	slots []textSlot
	all   tokenwatch.Strings // text of number i+1
}

type textSlot struct {
	hash uint32
	id   uint32 // 0: free
}

var textSeed = maphash.MakeSeed()

// at returns the number of a text, and 0 if it is new and none is to be made.
func (t *textTable) at(s string, add bool) uint32 {
	if 2*t.all.Len() >= len(t.slots) {
		if !add && len(t.slots) == 0 {
			return 0
		}
		t.grow()
	}
	h := uint32(maphash.String(textSeed, s))
	for i := int(h) & (len(t.slots) - 1); ; i = (i + 1) & (len(t.slots) - 1) {
		slot := &t.slots[i]
		if slot.id == 0 {
			if !add {
				return 0
			}
			t.all.Append([]byte(s))
			*slot = textSlot{h, uint32(t.all.Len())}
			return slot.id
		}
		if slot.hash == h && t.all.At(int(slot.id-1)) == s {
			return slot.id
		}
	}
}

func (t *textTable) grow() {
	old := t.slots
	t.slots = make([]textSlot, max(64, 2*len(old)))
	for _, s := range old {
		if s.id == 0 {
			continue
		}
		i := int(s.hash) & (len(t.slots) - 1)
		for t.slots[i].id != 0 {
			i = (i + 1) & (len(t.slots) - 1)
		}
		t.slots[i] = s
	}
}

func (t *textTable) bytes() int64 {
	return int64(8*len(t.slots) + len(t.all.Bytes) + 4*len(t.all.Offsets))
}
