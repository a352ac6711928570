package tokenwatch

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// interner gives each distinct string of a column a code, from 1 on. The strings
// themselves are in the column's dictionary: the table has only part of their
// hash and their code, so that a probe that misses reads one word.
type interner struct {
	slots []uint64  // part of a hash above a code; 0 if free; a power of two of them, at most half in use
	keys  [2]uint64 // of the hash: whoever writes a log cannot choose texts that collide
	turn  uint64    // counts dictionaries, for [Word]
	used  int
	last  uint32 // code of the value before; runs of one value are common
}

// reset returns an empty interner that keeps the table's memory.
func (d *interner) reset() interner {
	if d.used > 0 {
		if d.used < len(d.slots)/64 { // what one large batch needed is not kept for ever
			d.slots = nil
		}
		clear(d.slots)
	}
	return interner{slots: d.slots, keys: d.keys, turn: d.turn + 1}
}

// code returns the code of b in the dictionary values, to which it adds it.
func (d *interner) code(values *Strings, b []byte) uint32 {
	if d.last != 0 && string(b) == values.At(int(d.last)) {
		return d.last
	}
	if values.Offsets == nil {
		values.Append(nil) // code 0: null
	}
	if 2*d.used >= len(d.slots) {
		d.grow()
	}
	h := d.hash(b)
	for i := h; ; i++ {
		slot := &d.slots[i&uint64(len(d.slots)-1)]
		switch {
		case *slot == 0:
			c := uint32(values.Len())
			values.Append(b)
			*slot = h<<32 | uint64(c)
			d.used++
			d.last = c
			return c
		case *slot>>32 == h:
			if c := uint32(*slot); values.At(int(c)) == string(b) {
				d.last = c
				return c
			}
		}
	}
}

// grow makes the table twice as large.
func (d *interner) grow() {
	if d.keys[0] == 0 {
		d.keys = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}
	}
	old := d.slots
	d.slots = make([]uint64, max(16, 2*len(old)))
	for _, s := range old {
		if s == 0 {
			continue
		}
		i := s >> 32
		for d.slots[i&uint64(len(d.slots)-1)] != 0 {
			i++
		}
		d.slots[i&uint64(len(d.slots)-1)] = s
	}
}

// hash returns 32 bits. It reads sixteen bytes at a time, and the last of them
// together with some that it had.
func (d *interner) hash(b []byte) uint64 {
	n := len(b)
	x, y := d.keys[0], d.keys[1]
	switch {
	case n > 16:
		for t := b; len(t) > 16; t = t[16:] {
			y = fold(binary.LittleEndian.Uint64(t)^x, binary.LittleEndian.Uint64(t[8:])^y)
		}
		t := b[n-16:]
		x, y = x^binary.LittleEndian.Uint64(t), y^binary.LittleEndian.Uint64(t[8:])
	case n >= 8:
		x, y = x^binary.LittleEndian.Uint64(b), y^binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		x, y = x^uint64(binary.LittleEndian.Uint32(b)), y^uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		x ^= uint64(b[0])<<16 | uint64(b[n/2])<<8 | uint64(b[n-1])
	}
	return fold(fold(x, y)^uint64(n)<<32, d.keys[0]) & 0xffffffff
}

// fold multiplies and takes the halves together.
func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

// Word is a text that comes again and again. It remembers its code in the
// dictionary to which it was last added, so that it is looked up once a batch and
// not once a row. It belongs to one goroutine.
type Word struct {
	text []byte
	dict *interner
	turn uint64
	code uint32
}

// NewWord returns a Word of a text, which must not change.
func NewWord(text string) *Word { return &Word{text: []byte(text)} }

// Text returns the text; it is not to be changed.
func (w *Word) Text() []byte { return w.text }

// codeOf is d.code of a text that is w.
func (w *Word) codeOf(d *interner, values *Strings, b []byte) uint32 {
	if w.dict != d || w.turn != d.turn {
		w.code, w.dict, w.turn = d.code(values, b), d, d.turn
	}
	return w.code
}
