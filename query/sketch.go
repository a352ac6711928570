package query

import (
	"math"
	"math/bits"
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/storage/series"
)

// sketchCount is approx_count_distinct: HyperLogLog with 2^12 registers a group,
// exact hashes while a group has few values. The standard error is 1.6 %.
type sketchCount struct {
	groups []sketch
}

type sketch struct {
	few       []uint64 // hashes in order, at most maxFew
	registers []uint8
}

const (
	sketchBits = 12
	maxFew     = 256
)

func (s *sketchCount) grow(n int) { s.groups = room(s.groups, n) }

func (s *sketchCount) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	for i, g := range groups {
		if !v.IsNull(i) {
			s.groups[g].put(hashOf(v, i))
		}
	}
}

// hashOf hashes a value; the same in every run, so that answers do not change.
func hashOf(v *expr.Vec, i int) uint64 {
	j := place(v, i)
	switch v.Type {
	case expr.TypeInt, expr.TypeTime, expr.TypeSpan:
		return mix(uint64(v.Ints[j]))
	case expr.TypeFloat:
		return mix(floatBits(v.Floats[j]))
	case expr.TypeBool:
		if v.Bools[j] {
			return mix(1)
		}
		return mix(0)
	case expr.TypeAddr:
		return mixBytes(v.Addr(i)[:])
	default:
		return mixString(v.Value(i).Text)
	}
}

// floatBits gives equal floats equal bits.
func floatBits(f float64) uint64 {
	if f == 0 {
		return 0
	}
	return math.Float64bits(f)
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func mixString(s string) uint64 {
	h := uint64(len(s))
	for len(s) >= 8 {
		h = mix(h ^ (uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56))
		s = s[8:]
	}
	last := uint64(0)
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	return mix(h ^ last)
}

func mixBytes(b []byte) uint64 { return mixString(string(b)) }

func (k *sketch) put(h uint64) {
	if k.registers == nil {
		i, found := slices.BinarySearch(k.few, h)
		if found {
			return
		}
		if len(k.few) < maxFew {
			k.few = slices.Insert(k.few, i, h)
			return
		}
		k.spill()
	}
	k.register(h)
}

func (k *sketch) spill() {
	k.registers = make([]uint8, 1<<sketchBits)
	for _, h := range k.few {
		k.register(h)
	}
	k.few = nil
}

func (k *sketch) register(h uint64) {
	i := h >> (64 - sketchBits)
	rank := uint8(bits.LeadingZeros64(h<<sketchBits|1<<(sketchBits-1))) + 1
	k.registers[i] = max(k.registers[i], rank)
}

func (k *sketch) count() int64 {
	if k.registers == nil {
		return int64(len(k.few))
	}
	m := float64(int(1) << sketchBits)
	sum, zeros := 0.0, 0
	for _, r := range k.registers {
		sum += 1 / float64(uint64(1)<<r)
		if r == 0 {
			zeros++
		}
	}
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 2.5*m && zeros > 0 {
		estimate = m * math.Log(m/float64(zeros))
	}
	return int64(math.Round(estimate))
}

func (s *sketchCount) merge(other accumulator, to []uint32) {
	for i, g := range to {
		from, mine := &other.(*sketchCount).groups[i], &s.groups[g]
		for _, h := range from.few {
			mine.put(h)
		}
		if from.registers == nil {
			continue
		}
		if mine.registers == nil {
			mine.spill()
		}
		for j, r := range from.registers {
			mine.registers[j] = max(mine.registers[j], r)
		}
	}
}

func (s *sketchCount) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: expr.TypeInt, Ints: make([]int64, n)}
	for g := range n {
		out.Ints[g] = s.groups[g].count()
	}
	return out, nil
}

func (s *sketchCount) bytes() int64 {
	n := int64(0)
	for i := range s.groups {
		n += 48 + int64(8*cap(s.groups[i].few)+len(s.groups[i].registers))
	}
	return n
}

// sketchQuantile is approx_quantile: counts in bins whose width is at most 2 % of
// their value, so that the answer is within 1 %. Whole numbers have the bins of
// series, which answer the same.
type sketchQuantile struct {
	q      float64
	typ    expr.Type
	whole  bool // of whole numbers
	groups []map[int32]int64
	bins   int64
}

var binBase = math.Log(1.01 / 0.99)

// binOf is the bin of a value: 0 of 0, negative of negative ones.
func binOf(f float64) int32 {
	const offset = 40000 // bins of values below 1 are below it
	switch {
	case f > 1e-300:
		return int32(math.Ceil(math.Log(f)/binBase)) + offset
	case f < -1e-300:
		return -int32(math.Ceil(math.Log(-f)/binBase)) - offset
	default:
		return 0
	}
}

// ofBin is a value that is within 1 % of all of its bin.
func ofBin(b int32) float64 {
	const offset = 40000
	switch {
	case b > 0:
		return 0.99 * math.Exp(float64(b-offset)*binBase)
	case b < 0:
		return -0.99 * math.Exp(float64(-b-offset)*binBase)
	default:
		return 0
	}
}

func (s *sketchQuantile) grow(n int) { s.groups = room(s.groups, n) }

func (s *sketchQuantile) add(groups []uint32, v, _ *expr.Vec, weights []int64) {
	for i, g := range groups {
		if v.IsNull(i) {
			continue
		}
		if v.Type == expr.TypeFloat {
			s.put(g, binOf(v.Floats[place(v, i)]), weight(weights, i))
		} else {
			s.put(g, int32(series.Bin(v.Ints[place(v, i)])), weight(weights, i))
		}
	}
}

func (s *sketchQuantile) put(g uint32, bin int32, n int64) {
	m := s.groups[g]
	if m == nil {
		m = make(map[int32]int64)
		s.groups[g] = m
	}
	before := len(m)
	m[bin] += n
	s.bins += int64(len(m) - before)
}

func (s *sketchQuantile) merge(other accumulator, to []uint32) {
	for i, g := range to {
		for bin, n := range other.(*sketchQuantile).groups[i] {
			s.put(g, bin, n)
		}
	}
}

func (s *sketchQuantile) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: s.typ}
	for g := range n {
		one := expr.NullOf(s.typ)
		if m := s.groups[g]; len(m) > 0 {
			v := expr.Value{Type: s.typ}
			if bin := quantileBin(m, s.q); !s.whole {
				v.Float = ofBin(bin)
			} else if v.Int = series.Value(int16(bin)); s.typ == expr.TypeFloat {
				v.Float = float64(v.Int)
			}
			one = expr.ConstOf(v)
		}
		out.Append(&one, 0, g)
	}
	return out, nil
}

// quantileBin is the bin that a quantile lies in.
func quantileBin(m map[int32]int64, q float64) int32 {
	bins, total := make([]int32, 0, len(m)), int64(0)
	for b, n := range m {
		bins, total = append(bins, b), total+n
	}
	slices.Sort(bins)
	left := int64(quantilePlace(int(total), q))
	for _, b := range bins {
		if left -= m[b]; left < 0 {
			return b
		}
	}
	return bins[len(bins)-1]
}

func (s *sketchQuantile) bytes() int64 { return 32*s.bins + int64(16*len(s.groups)) }
