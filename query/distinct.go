package query

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// distinctCount is count(distinct x): a set of words a group. Numbers, times and
// IPv4 addresses are words as they are, other values by their number.
type distinctCount struct {
	sets   []wordSet
	size   int64  // bytes of the sets
	values ids    // of texts and IPv6 addresses
	vals   *table // the same, by number − 1, for merging
	buf    []uint32

	space *expr.Space // of the codes below; nil: none yet
	last  []uint32    // the group + 1 in which a code came last
	words []uint64    // word of each code, 0: not made yet
}

// Words of addresses are apart from each other by these bits.
const (
	word4 = 1 << 40 // IPv4, the address itself
	word6 = 1 << 41 // the number of an IPv6 address
)

// wordSet is a set of words: a list while there are few, then a table by open
// addressing in which 0 is free.
type wordSet struct {
	list []uint64
	n    int32
	hash bool
	zero bool // 0 is in the table
}

const listed = 16

// add adds a word and returns by how many bytes the set has grown.
func (s *wordSet) add(x uint64) int64 {
	if !s.hash {
		for _, v := range s.list {
			if v == x {
				return 0
			}
		}
		if len(s.list) < listed {
			before := cap(s.list)
			s.list = append(s.list, x)
			s.n++
			return int64(8 * (cap(s.list) - before))
		}
		s.rehash(4 * listed)
		return int64(8*3*listed) + s.add(x)
	}
	if x == 0 {
		if !s.zero {
			s.zero = true
			s.n++
		}
		return 0
	}
	for i := int(mix(x)) & (len(s.list) - 1); ; i = (i + 1) & (len(s.list) - 1) {
		switch s.list[i] {
		case x:
			return 0
		case 0:
			s.list[i] = x
			s.n++
			if before := len(s.list); 2*int(s.n) > before {
				s.rehash(2 * before)
				return int64(8 * before)
			}
			return 0
		}
	}
}

func (s *wordSet) rehash(size int) {
	old, wasHash := s.list, s.hash
	s.list, s.hash = make([]uint64, size), true
	for _, x := range old {
		if x == 0 {
			s.zero = s.zero || !wasHash
			continue
		}
		i := int(mix(x)) & (size - 1)
		for s.list[i] != 0 {
			i = (i + 1) & (size - 1)
		}
		s.list[i] = x
	}
}

// each calls f with every word.
func (s *wordSet) each(f func(uint64)) {
	for _, x := range s.list {
		if x != 0 || !s.hash {
			f(x)
		}
	}
	if s.zero {
		f(0)
	}
}

func (d *distinctCount) grow(n int) { d.sets = room(d.sets, n) }

func (d *distinctCount) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	put := func(i int, x uint64) { d.size += d.sets[groups[i]].add(x) }
	switch {
	case v.Type == expr.TypeInt || v.Type == expr.TypeTime || v.Type == expr.TypeSpan:
		for i := range groups {
			if !v.IsNull(i) {
				put(i, uint64(v.Ints[place(v, i)]))
			}
		}
	case v.Type == expr.TypeFloat:
		for i := range groups {
			if !v.IsNull(i) {
				put(i, floatBits(v.Floats[place(v, i)]))
			}
		}
	case v.Type == expr.TypeBool:
		for i := range groups {
			if !v.IsNull(i) {
				x := uint64(0)
				if v.Bools[place(v, i)] {
					x = 1
				}
				put(i, x)
			}
		}
	case v.Type == expr.TypeAddr && !v.Const:
		d.addresses(groups, v)
	default:
		for i, id := range d.numbers(v, len(groups)) {
			if id != 0 {
				put(i, uint64(id))
			}
		}
	}
}

// coded is addresses for codes that hold in other vectors, too. Rows of one group
// follow each other as a rule: most of its codes have come before.
func (d *distinctCount) coded(groups []uint32, v *expr.Vec) {
	size := len(v.Addrs) / 16
	if d.space != v.Space {
		d.space, d.last, d.words = v.Space, nil, nil
	}
	if len(d.last) < size {
		d.last = append(d.last, make([]uint32, size-len(d.last))...)
		d.words = append(d.words, make([]uint64, size-len(d.words))...)
	}
	last := d.last
	for i, g := range groups {
		c := v.Codes[i]
		if c == 0 || last[c] == g+1 {
			continue
		}
		last[c] = g + 1
		if d.words[c] == 0 {
			d.words[c] = d.word(v.Addrs[16*c : 16*c+16])
		}
		d.size += d.sets[g].add(d.words[c])
	}
}

// word is the word of an address.
func (d *distinctCount) word(a []byte) uint64 {
	if [12]byte(a) == prefix4 {
		return word4 | uint64(binary.BigEndian.Uint32(a[12:]))
	}
	one := expr.Vec{Type: expr.TypeAddr, Addrs: a}
	return word6 | uint64(d.numbers(&one, 1)[0])
}

func (d *distinctCount) addresses(groups []uint32, v *expr.Vec) {
	if v.Codes != nil && v.Space != nil {
		d.coded(groups, v)
		return
	}
	lastGroup, last := ^uint32(0), uint64(0)
	for i, g := range groups {
		if v.IsNull(i) {
			continue
		}
		x := d.word(v.Addr(i)[:])
		if g != lastGroup || x != last {
			d.size += d.sets[g].add(x)
			lastGroup, last = g, x
		}
	}
}

// numbers gives values numbers, and notes those that are new.
func (d *distinctCount) numbers(v *expr.Vec, n int) []uint32 {
	if cap(d.buf) < n {
		d.buf = make([]uint32, max(n, chunkRows))
	}
	if d.vals == nil {
		d.vals = newTable([]expr.Type{v.Type})
	}
	out := d.buf[:n]
	before := d.values.n
	d.values.of(v, n, out)
	if d.values.n > before {
		for i, id := range out {
			if id > before && int(id) == d.vals.n+1 {
				d.vals.add([]expr.Vec{*v}, i)
			}
		}
	}
	return out
}

func (d *distinctCount) merge(other accumulator, to []uint32) {
	o := other.(*distinctCount)
	var mine []uint32 // by number of the other
	if o.vals != nil && o.vals.n > 0 {
		mine = append([]uint32{0}, d.numbers(&o.vals.cols[0], o.vals.n)...)
	}
	addr := o.vals != nil && o.vals.cols[0].Type == expr.TypeAddr
	for g := range to {
		set := &d.sets[to[g]]
		o.sets[g].each(func(x uint64) {
			switch {
			case mine == nil || addr && x&word6 == 0:
			case addr:
				x = word6 | uint64(mine[uint32(x)])
			default:
				x = uint64(mine[x])
			}
			d.size += set.add(x)
		})
	}
}

func (d *distinctCount) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: expr.TypeInt, Ints: make([]int64, n)}
	for g := range n {
		out.Ints[g] = int64(d.sets[g].n)
	}
	return out, nil
}

func (d *distinctCount) bytes() int64 {
	n := d.values.bytes() + d.size + int64(40*len(d.sets)) + int64(4*cap(d.buf)+4*len(d.last)+8*len(d.words))
	if d.vals != nil {
		n += d.vals.bytes()
	}
	return n
}
