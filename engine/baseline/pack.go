package baseline

import (
	"encoding/binary"
	"errors"

	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// A packed baseline is what is kept of an entity that does nothing just now, in memory
// and in the snapshot alike: a few hundred bytes rather than a kilobyte, since most of
// its numbers are small or none. All that a Usual holds is in it, so that one that was
// packed in between is the same as one that was not.
//
// Numbers are varints, signed ones zigzag; of an array a run of zeros is a zero and how
// many more there are. Days are told from that of Last on, hashes have all their bytes.

// Pack appends the packed baseline to b.
func (u *Usual) Pack(b []byte) []byte {
	p := packer{b: b}
	p.usual(u)
	return p.b
}

var errPacked = errors.New("a packed baseline cannot be read")

// Unpack returns the baseline that b was packed from. It is an error if b is none.
func Unpack(b []byte) (Usual, error) {
	p := packer{b: b, reads: true}
	u := New()
	p.usual(&u)
	if p.bad || len(p.b) > 0 {
		return New(), errPacked
	}
	return u, nil
}

// packer goes through a baseline and writes its numbers to b, or reads them from there:
// one walk for both, so that they cannot differ.
type packer struct {
	b     []byte
	reads bool
	bad   bool // b is no packed baseline
	day   int32
}

type number interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int32 | ~int64
}

func (p *packer) uint(x uint64) uint64 {
	if !p.reads {
		p.b = binary.AppendUvarint(p.b, x)
		return x
	}
	x, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return x
}

// num is a number that is not negative, or seldom.
func num[T number](p *packer, x *T) {
	v := p.uint(uint64(*x))
	*x = T(v)
	p.bad = p.bad || uint64(*x) != v
}

// nums are some.
func nums[T number](p *packer, xs []T) {
	for i := 0; i < len(xs); i++ {
		num(p, &xs[i])
		if xs[i] != 0 {
			continue
		}
		more := i + 1
		for !p.reads && more < len(xs) && xs[more] == 0 {
			more++
		}
		run := p.uint(uint64(more - i - 1))
		if run > uint64(len(xs)-i-1) {
			p.bad = true
			return
		}
		clear(xs[i : i+1+int(run)])
		i += int(run)
	}
}

// signed is a number that is told from another one on.
func signed[T ~int32 | ~int64](p *packer, x *T, from T) {
	d := int64(*x) - int64(from)
	z := p.uint(uint64(d<<1) ^ uint64(d>>63))
	d = int64(z>>1) ^ -int64(z&1)
	*x = T(d + int64(from))
	p.bad = p.bad || int64(*x) != d+int64(from)
}

// print is the upper half of a hash.
func (p *packer) print(x *uint32) {
	if !p.reads {
		p.b = binary.LittleEndian.AppendUint32(p.b, *x)
		return
	}
	if len(p.b) < 4 {
		p.bad, p.b = true, nil
		return
	}
	*x, p.b = binary.LittleEndian.Uint32(p.b), p.b[4:]
}

// hash is a whole one, or none.
func (p *packer) hash(x *uint64) {
	has := *x != 0
	p.flag(&has)
	if !has {
		*x = 0
		return
	}
	low, high := uint32(*x), uint32(*x>>32)
	p.print(&low)
	p.print(&high)
	*x = uint64(high)<<32 | uint64(low)
	p.bad = p.bad || *x == 0
}

func (p *packer) flag(x *bool) {
	v := uint64(0)
	if *x {
		v = 1
	}
	v = p.uint(v)
	*x = v == 1
	p.bad = p.bad || v > 1
}

// list is how many elements there are, of which there may not be more than most.
func list[T any](p *packer, s *[]T, most int) []T {
	n := p.uint(uint64(len(*s)))
	if n > uint64(most) {
		p.bad = true
		return nil
	}
	if p.reads && n > 0 {
		*s = make([]T, n)
	}
	return *s
}

func (p *packer) usual(u *Usual) {
	num(p, &u.Last)
	p.day = u.Last / 24
	signed(p, &u.First, u.Last)
	num(p, &u.Hours)
	num(p, &u.Origins)
	num(p, &u.Concurrent)
	num(p, &u.Silent)
	num(p, &u.Shared)
	num(p, &u.Refused)
	p.today(&u.Today)
	own := u.Habits != none
	p.flag(&own)
	if !own || p.bad {
		return
	}
	if p.reads {
		u.Habits = new(Habits)
	}
	h := u.Habits
	num(p, &h.Lived)
	nums(p, h.Novel[:])
	nums(p, h.Values[:])
	p.seen(&h.Seen)
	p.volume(&h.Volume)
	num(p, &h.Mix.G)
	num(p, &h.Mix.Freedom)
	least := list(p, &h.Objects.Least, maxLeast)
	for i := range least {
		p.print(&least[i])
	}
	num(p, &h.Objects.Fresh)
	num(p, &h.Objects.Hours)
	nums(p, h.Faults[:])
	places := list(p, &h.Places, maxPlaces)
	for i := range places {
		p.hash(&places[i].Network)
		p.hash(&places[i].Country)
		signed(p, &places[i].Last, int64(u.Last)*3600_000)
	}
}

func (p *packer) today(d *Day) {
	signed(p, &d.Day, p.day)
	num(p, &d.Hours)
	num(p, &d.Events)
	nums(p, d.Faults[:])
	num(p, &d.Concurrent)
	signed(p, &d.Most, 0)
	signed(p, &d.Before, 0)
	tokens := list(p, &d.Sources.Tokens, maxSources)
	for i := range tokens {
		p.print(&tokens[i].Token)
		p.flag(&tokens[i].Taken)
		num(p, &tokens[i].From)
	}
	p.flag(&d.Sources.Over)
}

// What a byte of a known value says: its Weight, whether it has a share, and how many
// days ago it was last seen, if less than farBack.
const (
	hasShare = 1 << 2
	dayShift = 3
	farBack  = 1<<5 - 1
)

func (p *packer) seen(s *Seen) {
	nums(p, s.Ends[:])
	known := list(p, &s.List, int(s.Ends[feature.NumAxes-1]))
	if p.reads && (len(known) != int(s.Ends[feature.NumAxes-1]) || !ascending(s.Ends[:])) {
		p.bad = true
		return
	}
	for i := range known {
		k := &known[i]
		p.print(&k.Hash)
		ago := p.day - int32(k.Day)
		how := k.Weight
		if k.Share != 0 {
			how |= hasShare
		}
		how |= uint8(min(uint32(ago), farBack)) << dayShift
		num(p, &how)
		k.Weight = how & (hasShare - 1)
		if how>>dayShift == farBack {
			num(p, &k.Day)
		} else {
			k.Day = uint16(p.day - int32(how>>dayShift))
		}
		age := int32(k.Day) - int32(k.Born)
		signed(p, &age, 0)
		k.Born = uint16(int32(k.Day) - age)
		if how&hasShare != 0 {
			num(p, &k.Share)
		}
	}
}

func ascending(ends []uint16) bool {
	for i := 1; i < len(ends); i++ {
		if ends[i] < ends[i-1] {
			return false
		}
	}
	return true
}

func (p *packer) volume(v *Volume) {
	nums(p, v.Events[:])
	nums(p, v.Active[:])
	nums(p, v.Days[:])
	for _, x := range [...]*uint64{&v.Total, &v.Squares, &v.Excess, &v.Log, &v.Log2, &v.Objects, &v.Counted} {
		num(p, x)
	}
	num(p, &v.Hours)
	nums(p, v.Slots[:])
	nums(p, v.Totals[:])
	signed(p, &v.Newest, p.day)
}
