package query

import (
	"encoding/binary"
	"math/bits"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// words maps 64-bit keys to numbers by open addressing.
type words struct {
	keys []uint64
	vals []uint32 // number; 0 is free

	shift uint8 // 64 − the bits of an index
	n     int
}

func (t *words) slot(k uint64) int {
	k ^= k >> 32
	k *= 0x9e3779b97f4a7c15
	k ^= k >> 29
	return int(k * 0xbf58476d1ce4e5b9 >> t.shift)
}

// at returns a pointer to the value of k, 0 if it is new. It lasts until the
// next call.
func (t *words) at(k uint64) *uint32 {
	if 2*t.n >= len(t.keys) {
		t.grow()
	}
	for i := t.slot(k); ; i = (i + 1) & (len(t.keys) - 1) {
		if t.vals[i] == 0 {
			t.keys[i] = k
			t.n++
			return &t.vals[i] // the caller fills it in
		}
		if t.keys[i] == k {
			return &t.vals[i]
		}
	}
}

// get returns the value of k, 0 if there is none.
func (t *words) get(k uint64) uint32 {
	if t.n == 0 {
		return 0
	}
	for i := t.slot(k); t.vals[i] != 0; i = (i + 1) & (len(t.keys) - 1) {
		if t.keys[i] == k {
			return t.vals[i]
		}
	}
	return 0
}

func (t *words) grow() {
	old := *t
	size := max(64, 2*len(old.keys))
	t.shift = uint8(64 - bits.TrailingZeros(uint(size)))
	t.keys, t.vals = make([]uint64, size), make([]uint32, size)
	for j, v := range old.vals {
		if v == 0 {
			continue
		}
		i := t.slot(old.keys[j])
		for t.vals[i] != 0 {
			i = (i + 1) & (size - 1)
		}
		t.keys[i], t.vals[i] = old.keys[j], v
	}
}

func (t *words) bytes() int64 { return 12 * int64(len(t.keys)) }

// ids gives the distinct values of one expression numbers from 1 on; null is 0.
type ids struct {
	n     uint32
	small []uint32 // of whole numbers 0 to len-1
	words words
	texts textTable
	addrs map[[16]byte]uint32

	dict  *int32 // dictionary that codes is about
	codes []uint32
	only  tokenwatch.Strings // the one dictionary so far, whose texts are not in texts yet
	seen  []uint32           // codes of it, by number − 1

	lastAddr [16]byte
	lastID   uint32
	space    *expr.Space // that bySpace is about
	bySpace  []uint32    // number of each code + 1, 0: not looked up
	memo     []memo      // of words looked up before
	read     bool        // give no new numbers: what is unknown is 0
}

// memo remembers the number of one word: what comes again soon is found within
// the processor's nearest memory.
type memo struct {
	key uint64
	id  uint32 // 0: none
}

const memoSize = 1 << memoBits

const memoBits = 12

func (t *ids) next() uint32 {
	t.n++
	return t.n
}

// of writes the number of each of the n values of v.
func (t *ids) of(v *expr.Vec, n int, out []uint32) {
	if v.Const {
		id := uint32(0)
		if !v.IsNull(0) {
			var one [1]uint32
			w := *v
			w.Const = false
			t.of(&w, 1, one[:])
			id = one[0]
		}
		for i := range n {
			out[i] = id
		}
		return
	}
	switch v.Type {
	case expr.TypeInt, expr.TypeTime, expr.TypeSpan:
		t.ints(v, n, out)
	case expr.TypeText, expr.TypeJSON, expr.TypeMap:
		if v.Codes != nil {
			t.coded(v, n, out)
			return
		}
		for i := range n {
			if out[i] = 0; !v.IsNull(i) {
				if v.Type == expr.TypeMap {
					out[i] = t.text(v.Value(i).Text)
				} else {
					out[i] = t.text(v.Text.At(i))
				}
			}
		}
	case expr.TypeAddr:
		t.addresses(v, n, out)
	case expr.TypeBool:
		for i, b := range v.Bools[:n] {
			if out[i] = 0; v.Valid.At(i) {
				k := uint64(0)
				if b {
					k = 1
				}
				out[i] = t.word(k)
			}
		}
	case expr.TypeFloat:
		for i, f := range v.Floats[:n] {
			if out[i] = 0; v.Valid.At(i) {
				out[i] = t.word(floatBits(f))
			}
		}
	default:
		clear(out[:n])
	}
}

const maxSmall = 4096

func (t *ids) ints(v *expr.Vec, n int, out []uint32) {
	if v.Valid == nil && len(t.small) > 0 {
		// As long as they are small and known.
		small := t.small
		known := 0
		for known < n && uint64(v.Ints[known]) < uint64(len(small)) {
			id := small[v.Ints[known]]
			if id == 0 {
				break
			}
			out[known] = id
			known++
		}
		if known == n {
			return
		}
	}
	last, id := int64(0), uint32(0) // the value before; id 0: none
	for i, x := range v.Ints[:n] {
		if v.Valid != nil && !v.Valid.At(i) {
			out[i] = 0
			continue
		}
		if x == last && id != 0 {
			out[i] = id
			continue
		}
		if uint64(x) < uint64(len(t.small)) && t.small[x] != 0 {
			id = t.small[x]
		} else {
			id = t.int(x)
		}
		last, out[i] = x, id
	}
}

func (t *ids) int(x int64) uint32 {
	if uint64(x) >= maxSmall {
		return t.word(uint64(x))
	}
	if t.small == nil {
		t.small = make([]uint32, maxSmall)
	}
	if t.small[x] == 0 && !t.read {
		t.small[x] = t.next()
	}
	return t.small[x]
}

func (t *ids) word(k uint64) uint32 {
	if t.read {
		return t.words.get(k)
	}
	if t.memo == nil {
		t.memo = make([]memo, memoSize)
	}
	m := &t.memo[k*0x9e3779b97f4a7c15>>(64-memoBits)]
	if m.key == k && m.id != 0 {
		return m.id
	}
	p := t.words.at(k)
	if *p == 0 {
		*p = t.next()
	}
	m.key, m.id = k, *p
	return *p
}

func (t *ids) text(s string) uint32 {
	t.spill()
	id := t.texts.at(s, !t.read)
	t.n = max(t.n, id)
	return id
}

// spill puts the texts of the one dictionary in the table: another came.
func (t *ids) spill() {
	for _, c := range t.seen {
		t.texts.at(t.only.At(int(c)), true)
	}
	t.only, t.seen = tokenwatch.Strings{}, nil
}

// coded numbers the values of a dictionary that occur, each once.
func (t *ids) coded(v *expr.Vec, n int, out []uint32) {
	const unset = ^uint32(0)
	size := v.Text.Len()
	if id := &v.Text.Offsets[0]; t.dict == id && len(t.codes) < size { // it has grown
		for len(t.codes) < size {
			t.codes = append(t.codes, unset)
		}
	} else if t.dict != id {
		if len(t.seen) > 0 {
			t.spill()
		}
		t.dict = id
		if cap(t.codes) < size {
			t.codes = make([]uint32, size)
		}
		t.codes = t.codes[:size]
		for i := range t.codes {
			t.codes[i] = unset
		}
		t.codes[0] = 0
	}
	codes := t.codes
	first := v.Distinct && !t.read && (t.n == 0 || len(t.seen) > 0 && &t.only.Offsets[0] == t.dict)
	if first {
		t.only = v.Text
	}
	for i, c := range v.Codes[:n] {
		id := codes[c]
		if id == unset {
			if first { // no text of it has been seen before
				t.seen = append(t.seen, c)
				id = t.next()
			} else {
				id = t.text(v.Text.At(int(c)))
			}
			codes[c] = id
		}
		out[i] = id
	}
}

func (t *ids) addresses(v *expr.Vec, n int, out []uint32) {
	if v.Codes != nil && v.Space != nil {
		t.inSpace(v, n, out)
		return
	}
	for i := range n {
		a := *v.Addr(i)
		switch {
		case v.IsNull(i):
			out[i] = 0
		case a == t.lastAddr && t.lastID != 0:
			out[i] = t.lastID
		default:
			out[i] = t.addr(a)
			t.lastAddr, t.lastID = a, out[i]
		}
	}
}

// inSpace numbers addresses in codes that hold in other vectors, too.
func (t *ids) inSpace(v *expr.Vec, n int, out []uint32) {
	if t.space != v.Space {
		t.space, t.bySpace = v.Space, nil
	}
	for size := len(v.Addrs) / 16; len(t.bySpace) < size; {
		t.bySpace = append(t.bySpace, make([]uint32, size-len(t.bySpace))...)
	}
	for i, c := range v.Codes[:n] {
		if c == 0 {
			out[i] = 0
			continue
		}
		id := t.bySpace[c]
		if id == 0 {
			id = t.addr([16]byte(v.Addrs[16*c:])) + 1
			if t.read && id == 1 {
				out[i] = 0 // it may be known later
				continue
			}
			t.bySpace[c] = id
		}
		out[i] = id - 1
	}
}

var prefix4 = [12]byte{10: 0xff, 11: 0xff}

func (t *ids) addr(a [16]byte) uint32 {
	if [12]byte(a[:12]) == prefix4 {
		return t.word(uint64(binary.BigEndian.Uint32(a[12:])))
	}
	id, ok := t.addrs[a]
	if !ok && !t.read {
		if t.addrs == nil {
			t.addrs = make(map[[16]byte]uint32)
		}
		id = t.next()
		t.addrs[a] = id
	}
	return id
}

func (t *ids) bytes() int64 {
	return t.texts.bytes() + t.words.bytes() + int64(16*len(t.memo)) + int64(4*len(t.bySpace)+4*len(t.small)+4*len(t.codes)+40*len(t.addrs))
}

// pairs numbers pairs of numbers from 1 on.
type pairs struct {
	n      uint32
	direct [][]uint32 // of small ones, by the first; each has directWidth
	words  words
	last   uint64
	lastID uint32
}

const (
	directWidth = 256
	directRows  = 4096
)

func (p *pairs) of(a, b uint32, read bool) uint32 {
	if a < directRows && b < directWidth {
		for int(a) >= len(p.direct) {
			p.direct = append(p.direct, nil)
		}
		if p.direct[a] == nil {
			if read {
				return 0
			}
			p.direct[a] = make([]uint32, directWidth)
		}
		id := p.direct[a][b]
		if id == 0 && !read {
			p.n++
			id = p.n
			p.direct[a][b] = id
		}
		return id
	}
	k := uint64(a)<<32 | uint64(b)
	if k == p.last && p.lastID != 0 {
		return p.lastID
	}
	if read {
		return p.words.get(k)
	}
	v := p.words.at(k)
	if *v == 0 {
		p.n++
		*v = p.n
	}
	p.last, p.lastID = k, *v
	return *v
}

// all replaces each of a by the number of its pair with b.
func (p *pairs) all(a, b []uint32, read bool) {
	b = b[:len(a)]
	for i, x := range a {
		if int(x) < len(p.direct) && b[i] < directWidth {
			if row := p.direct[x]; row != nil && row[b[i]] != 0 {
				a[i] = row[b[i]]
				continue
			}
		}
		a[i] = p.of(x, b[i], read)
	}
}

func (p *pairs) bytes() int64 { return p.words.bytes() + int64(len(p.direct))*directWidth*4 }

// grouper gives rows the number of their group: of equal values of its keys.
type grouper struct {
	keys   []ids
	pairs  []pairs  // one less than keys
	groups []uint32 // number of a group + 1, by what pairs, or the only key, gives
	first  *table   // values of the keys, by group
	n      int

	buf [2][]uint32
}

func newGrouper(types []expr.Type) *grouper {
	return &grouper{keys: make([]ids, len(types)), pairs: make([]pairs, max(0, len(types)-1)), first: newTable(types)}
}

// codes returns what identifies the values of the keys in each of n rows.
func (g *grouper) codes(keys []expr.Vec, n int, read bool) []uint32 {
	for i := range g.buf {
		if cap(g.buf[i]) < n {
			g.buf[i] = make([]uint32, max(n, chunkRows))
		}
	}
	out, other := g.buf[0][:n], g.buf[1][:n]
	g.keys[0].read = read
	g.keys[0].of(&keys[0], n, out)
	for k := 1; k < len(keys); k++ {
		g.keys[k].read = read
		g.keys[k].of(&keys[k], n, other)
		g.pairs[k-1].all(out, other, read)
	}
	return out
}

// of returns the group of each of n rows; new ones are made.
func (g *grouper) of(keys []expr.Vec, n int) []uint32 {
	if len(g.keys) == 0 {
		if g.n == 0 {
			g.n, g.first.n = 1, 1
		}
		if cap(g.buf[0]) < n {
			g.buf[0] = make([]uint32, max(n, chunkRows))
		}
		return g.buf[0][:n]
	}
	out := g.codes(keys, n, false)
	for i, c := range out {
		if int(c) >= len(g.groups) {
			g.groups = append(g.groups, make([]uint32, max(int(c)+1-len(g.groups), len(g.groups), 64))...)
		}
		if g.groups[c] == 0 {
			g.first.add(keys, i)
			g.n++
			g.groups[c] = uint32(g.n)
		}
		out[i] = g.groups[c] - 1
	}
	return out
}

func (g *grouper) bytes() int64 {
	n := g.first.bytes() + int64(4*len(g.groups))
	for i := range g.keys {
		n += g.keys[i].bytes()
	}
	for i := range g.pairs {
		n += g.pairs[i].bytes()
	}
	return n
}
