package query

import (
	"cmp"
	"math"
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/expr"
)

// intQuantile counts how often a group has each value, as long as there are few
// values; else it keeps the values of every group.
type intQuantile struct {
	q   float64
	typ expr.Type

	numbers ids     // of values
	values  []int64 // by number − 1
	counts  [][]uint32
	size    int // of all counts
	rows    int // counted
	buf     []uint32

	listing bool
	vals    [][]int64
	n       int64
}

// maxCounts is how many counts of values are kept; they fit the processor's memory.
const maxCounts = 1 << 20

func (s *intQuantile) grow(n int) {
	if s.listing {
		s.vals = room(s.vals, n)
	} else {
		s.counts = room(s.counts, n)
	}
}

func (s *intQuantile) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	if v.Type == expr.TypeNull {
		return
	}
	if !s.listing {
		s.count(groups, v)
		if s.rows += len(groups); s.size > maxCounts || s.rows > math.MaxUint32 {
			s.list()
		}
		return
	}
	if v.Valid == nil && !v.Const {
		for i, g := range groups {
			s.vals[g] = append(s.vals[g], v.Ints[i])
		}
		s.n += int64(len(groups))
		return
	}
	for i, g := range groups {
		if !v.IsNull(i) {
			s.vals[g] = append(s.vals[g], v.Ints[place(v, i)])
			s.n++
		}
	}
}

// count counts values.
func (s *intQuantile) count(groups []uint32, v *expr.Vec) {
	for i, id := range s.numbered(v, len(groups)) {
		if id == 0 {
			continue
		}
		g := groups[i]
		if int(id) > len(s.counts[g]) {
			s.extend(g, int(id))
		}
		s.counts[g][id-1]++
	}
}

// numbered returns the number of each of n values, 0 for null.
func (s *intQuantile) numbered(v *expr.Vec, n int) []uint32 {
	if cap(s.buf) < n {
		s.buf = make([]uint32, max(n, chunkRows))
	}
	out := s.buf[:n]
	s.numbers.of(v, n, out)
	for i := 0; len(s.values) < int(s.numbers.n); i++ {
		if int(out[i]) == len(s.values)+1 {
			s.values = append(s.values, v.Ints[place(v, i)])
		}
	}
	return out
}

// extend makes room for a value's count.
func (s *intQuantile) extend(g uint32, id int) {
	c := s.counts[g]
	size := max(id, min(2*len(c), len(s.values)))
	s.size += size - len(c)
	s.counts[g] = append(c, make([]uint32, size-len(c))...)
}

// list goes over to keeping values.
func (s *intQuantile) list() {
	s.vals = make([][]int64, len(s.counts))
	for g, counts := range s.counts {
		for id, n := range counts {
			for range n {
				s.vals[g] = append(s.vals[g], s.values[id])
			}
			s.n += int64(n)
		}
	}
	s.listing = true
	s.numbers, s.values, s.counts, s.size, s.buf = ids{}, nil, nil, 0, nil
}

func (s *intQuantile) merge(other accumulator, to []uint32) {
	o := other.(*intQuantile)
	if s.listing != o.listing {
		for _, x := range []*intQuantile{s, o} {
			if !x.listing {
				x.list()
			}
		}
	}
	if s.listing {
		for i, g := range to {
			if i < len(o.vals) {
				s.vals[g] = append(s.vals[g], o.vals[i]...)
			}
		}
		s.n += o.n
		return
	}
	s.rows += o.rows
	mine := s.numbered(&expr.Vec{Type: expr.TypeInt, Ints: o.values}, len(o.values))
	for i, g := range to {
		for id, n := range o.counts[i] {
			if n == 0 {
				continue
			}
			if int(mine[id]) > len(s.counts[g]) {
				s.extend(g, int(mine[id]))
			}
			s.counts[g][mine[id]-1] += n
		}
	}
}

func (s *intQuantile) result(n int) (expr.Vec, error) {
	out := expr.Vec{Type: s.typ}
	null := expr.NullOf(s.typ)
	order := make([]int, len(s.values)) // numbers − 1 in the order of their values
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(s.values[a], s.values[b]) })
	for g := range n {
		one := null
		if x, ok := s.of(g, order); ok {
			one = expr.ConstOf(expr.Value{Type: s.typ, Int: x})
		}
		out.Append(&one, 0, g)
	}
	return out, nil
}

// of returns the quantile of a group, false if it has no values.
func (s *intQuantile) of(g int, order []int) (int64, bool) {
	if s.listing {
		if vals := s.vals[g]; len(vals) > 0 {
			return nth(vals, quantilePlace(len(vals), s.q)), true
		}
		return 0, false
	}
	counts, total := s.counts[g], 0
	for _, n := range counts {
		total += int(n)
	}
	if total == 0 {
		return 0, false
	}
	left := quantilePlace(total, s.q)
	for _, id := range order {
		if id >= len(counts) {
			continue
		}
		if left < int(counts[id]) {
			return s.values[id], true
		}
		left -= int(counts[id])
	}
	panic("query: counts do not add up")
}

func (s *intQuantile) bytes() int64 {
	return 10*s.n + int64(24*len(s.vals)+24*len(s.counts)+4*s.size+8*len(s.values)+4*cap(s.buf)) + s.numbers.bytes()
}

// quantilePlace is which of n values in order is the quantile: the first at
// which the share of those up to it reaches q.
func quantilePlace(n int, q float64) int {
	return min(max(int(math.Ceil(q*float64(n)))-1, 0), n-1)
}

// nth returns the value that would be at place k if v were in order. It changes
// the order of v.
func nth[T int64 | float64](v []T, k int) T {
	for len(v) > 32 {
		pivot := medianOf(v[0], v[len(v)/2], v[len(v)-1])
		// Three parts: below, equal to and above the pivot.
		low, i, high := 0, 0, len(v)
		for i < high {
			switch x := v[i]; {
			case x < pivot:
				v[i], v[low] = v[low], x
				low++
				i++
			case x > pivot:
				high--
				v[i], v[high] = v[high], x
			default:
				i++
			}
		}
		switch {
		case k < low:
			v = v[:low]
		case k >= high:
			v, k = v[high:], k-high
		default:
			return pivot
		}
	}
	slices.Sort(v)
	return v[k]
}

func medianOf[T int64 | float64](a, b, c T) T {
	if a > b {
		a, b = b, a
	}
	return max(a, min(b, c))
}

// floatQuantile is intQuantile of floats.
type floatQuantile struct {
	q    float64
	vals [][]float64
	n    int64
}

func (s *floatQuantile) grow(n int) { s.vals = room(s.vals, n) }

func (s *floatQuantile) add(groups []uint32, v, _ *expr.Vec, _ []int64) {
	for i, g := range groups {
		if !v.IsNull(i) {
			s.vals[g] = append(s.vals[g], v.Floats[place(v, i)])
			s.n++
		}
	}
}

func (s *floatQuantile) merge(other accumulator, to []uint32) {
	for i, g := range to {
		s.vals[g] = append(s.vals[g], other.(*floatQuantile).vals[i]...)
	}
	s.n += other.(*floatQuantile).n
}

func (s *floatQuantile) result(n int) (expr.Vec, error) {
	values := make([]float64, n)
	for g := range values {
		if vals := s.vals[g]; len(vals) > 0 {
			values[g] = nth(vals, quantilePlace(len(vals), s.q))
		}
	}
	return floats(values, func(g int) bool { return len(s.vals[g]) > 0 }), nil
}

func (s *floatQuantile) bytes() int64 { return 10*s.n + int64(24*len(s.vals)) }
