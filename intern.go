package tokenwatch

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// interner gives each distinct string of a column a code, from 1 on. The strings
// themselves are in the column's dictionary: the table has only part of their
// hash and their code, so that a probe that misses reads one word.
type interner struct {
	slots []uint64 // part of a hash above a code, which is 0 if free; a power of two of them, at most half in use
	keys  hashKeys
	turn  uint64 // counts dictionaries, for [Word]
	used  int
	last  uint32 // code of the value before; runs of one value are common
	notes []Note // by code

	values, bytes int // how long the dictionary before was
}

// Note is what sealing found out about a text, 0 if nothing yet. It follows from
// the text and its column alone, so that it holds for every row that has it.
type Note uint32

// reset returns an empty interner that keeps the table's memory; values is the
// dictionary that was filled.
func (d *interner) reset(values *Strings) interner {
	if d.used > 0 {
		if d.used < len(d.slots)/64 { // what one large batch needed is not kept for ever
			d.slots = nil
		}
		clear(d.slots)
	}
	return interner{
		slots: d.slots, keys: d.keys, turn: d.turn + 1, notes: d.notes[:0],
		values: len(values.Offsets), bytes: len(values.Bytes),
	}
}

// code returns the code of b in the dictionary values, to which it adds it.
func (d *interner) code(values *Strings, b []byte) uint32 {
	slot, c := d.find(values, b)
	if c != 0 {
		return c
	}
	if values.Offsets == nil {
		values.Offsets = room(values.Offsets, 2, d.values)
		values.Offsets = append(values.Offsets, 0, 0) // code 0: null
	}
	c = uint32(values.Len())
	values.Offsets, values.Bytes = room(values.Offsets, 1, d.values), room(values.Bytes, len(b), d.bytes)
	values.Append(b)
	*slot |= uint64(c)
	d.used++
	d.last = c
	return c
}

// find returns the code of b, or if it has none 0 and a slot with its hash that
// is free but for it.
func (d *interner) find(values *Strings, b []byte) (*uint64, uint32) {
	if d.last != 0 && string(b) == values.At(int(d.last)) {
		return nil, d.last
	}
	if 2*d.used >= len(d.slots) {
		d.grow()
	}
	h := d.keys.hash(b)
	for i := h; ; i++ {
		slot := &d.slots[i&uint64(len(d.slots)-1)]
		c := uint32(*slot)
		if c == 0 {
			*slot = h << 32
			return slot, 0
		}
		if *slot>>32 == h && values.At(int(c)) == string(b) {
			d.last = c
			return nil, c
		}
	}
}

// note keeps what is known of the text with code c.
func (d *interner) note(c uint32, n Note) {
	for len(d.notes) <= int(c) {
		d.notes = append(d.notes, 0)
	}
	d.notes[c] = n
}

// grow makes the table twice as large.
func (d *interner) grow() {
	d.keys.make()
	old := d.slots
	d.slots = make([]uint64, max(16, 2*len(old)))
	for _, s := range old {
		if uint32(s) == 0 {
			continue
		}
		i := s >> 32
		for uint32(d.slots[i&uint64(len(d.slots)-1)]) != 0 {
			i++
		}
		d.slots[i&uint64(len(d.slots)-1)] = s
	}
}

// hashKeys are the keys of a hash: whoever writes a log cannot choose texts that
// collide.
type hashKeys [2]uint64

// make makes the keys, once.
func (k *hashKeys) make() {
	if k[0] == 0 {
		*k = hashKeys{rand.Uint64() | 1, rand.Uint64() | 1}
	}
}

// hash returns 32 bits. It reads sixteen bytes at a time, and the last of them
// together with some that it had.
func (k *hashKeys) hash(b []byte) uint64 {
	n := len(b)
	x, y := k[0], k[1]
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
	return fold(fold(x, y)^uint64(n)<<32, k[0]) & 0xffffffff
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

	// Note is for whoever seals, as that of a dictionary.
	Note Note
}

// NewWord returns a Word of a text.
func NewWord(text string) *Word {
	w := MakeWord(text)
	return &w
}

// MakeWord is NewWord for what holds the Word itself.
func MakeWord(text string) Word {
	return Word{text: unsafe.Slice(unsafe.StringData(text), len(text))}
}

// Text returns the text; it is not to be changed.
func (w *Word) Text() []byte { return w.text }

// String returns the text.
func (w *Word) String() string { return unsafe.String(unsafe.SliceData(w.text), len(w.text)) }

// codeOf is d.code of the text.
func (w *Word) codeOf(d *interner, values *Strings) uint32 {
	if w.dict != d || w.turn != d.turn {
		w.code, w.dict, w.turn = d.code(values, w.text), d, d.turn
	}
	return w.code
}
