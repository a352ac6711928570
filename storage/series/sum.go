package series

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// Sum adds up tables of one series.
type Sum struct {
	table Table // Ends of Bins and Addrs are filled in by Result
	dicts []dict
	keys  map[string]uint32
	cells *hashTable // of the number of the key, and the step
	key   []uint32   // number of the key, of each cell

	bins  []binCount
	pairs []uint64 // cell << 32 | address
	addrs dict
	limit int // of bins and pairs, before equal ones are made one
}

type binCount struct {
	cell uint32
	bin  int16
	n    int64
}

// dict numbers values from 1 on.
type dict struct {
	values Values
	known  map[string]uint32
}

func newDict(kind tokenwatch.Kind) dict {
	d := dict{known: make(map[string]uint32)}
	if kind == tokenwatch.KindText {
		d.values.Text.Append(nil)
	}
	return d
}

// code numbers one value of a column of keys.
func (d *dict) code(v *Values, code uint32) uint32 {
	if code == 0 {
		return 0
	}
	var buf [8]byte
	var value []byte
	switch {
	case v.Text.Offsets != nil:
		value = v.Text.Bytes[v.Text.Offsets[code]:v.Text.Offsets[code+1]]
	case v.Addrs != nil:
		value = v.Addrs[16*(code-1) : 16*code]
	default:
		value = binary.LittleEndian.AppendUint64(buf[:0], uint64(v.Ints[code-1]))
	}
	if n, ok := d.known[string(value)]; ok {
		return n
	}
	n := uint32(len(d.known) + 1)
	d.known[string(value)] = n
	switch {
	case v.Text.Offsets != nil:
		d.values.Text.Append(value)
	case v.Addrs != nil:
		d.values.Addrs = append(d.values.Addrs, value...)
	default:
		d.values.Ints = append(d.values.Ints, v.Ints[code-1])
	}
	return n
}

// NewSum returns the sum of nothing, with some measures of a series.
func NewSum(k Kind, ms Measures) *Sum {
	s := &Sum{
		table: Table{Kind: k, Measures: ms.Of(k), Keys: make([]Values, len(k.Columns()))},
		keys:  make(map[string]uint32), cells: newTable(1024), addrs: newDict(tokenwatch.KindAddr), limit: 1 << 16,
	}
	for _, c := range k.Columns() {
		s.dicts = append(s.dicts, newDict(c.Kind()))
	}
	return s
}

// Add adds cells of a table, which has at least the measures of the sum; nil is
// all of them.
func (s *Sum) Add(t *Table, cells []int32) {
	n := t.Len()
	if cells != nil {
		n = len(cells)
	}
	var last []uint32 // the key of the cell before
	var number uint32
	to := make([][]uint32, len(s.dicts)) // codes of the table to those of the sum, plus 1; 0: not known yet
	for j := range to {
		to[j] = make([]uint32, 1+size(&t.Keys[j]))
	}
	var toAddr []uint32
	if s.table.Measures.Has(Sources) {
		toAddr = make([]uint32, 1+len(t.Addrs.Addrs)/16)
	}
	key := make([]uint32, len(s.dicts))
	text := make([]byte, 0, 16)
	for i := range n {
		from := i
		if cells != nil {
			from = int(cells[i])
		}
		for j := range key {
			key[j] = t.Keys[j].Codes[from]
		}
		if last == nil || !slices.Equal(key, last) {
			text = text[:0]
			for j, code := range key {
				if to[j][code] == 0 {
					to[j][code] = s.dicts[j].code(&t.Keys[j], code) + 1
				}
				text = binary.LittleEndian.AppendUint32(text, to[j][code]-1)
			}
			var ok bool
			if number, ok = s.keys[string(text)]; !ok {
				number = uint32(len(s.keys))
				s.keys[string(text)] = number
			}
			last = append(last[:0], key...)
		}
		s.add(t, from, number, text, toAddr)
	}
	if len(s.bins) > s.limit || len(s.pairs) > s.limit {
		s.compact()
		s.limit = 2 * max(len(s.bins), len(s.pairs), s.limit/2)
	}
}

// size is how many codes a column of keys may have, null left out.
func size(v *Values) int { return max(v.Text.Len()-1, len(v.Ints), len(v.Addrs)/16, 0) }

// add adds a cell whose key has a number; key has its codes.
func (s *Sum) add(t *Table, from int, number uint32, key []byte, toAddr []uint32) {
	out := &s.table
	c, added := s.cells.find(uint64(number), t.Steps[from])
	if added {
		s.key = append(s.key, number)
		out.Steps = append(out.Steps, t.Steps[from])
		out.Counts = append(out.Counts, 0)
		for j := range out.Keys {
			out.Keys[j].Codes = append(out.Keys[j].Codes, binary.LittleEndian.Uint32(key[4*j:]))
		}
		if out.Measures.Has(Errors) {
			for e := range out.Errors {
				out.Errors[e] = append(out.Errors[e], 0)
			}
		}
		if out.Measures.Has(BytesIn) {
			out.BytesIn = append(out.BytesIn, 0)
		}
		if out.Measures.Has(BytesOut) {
			out.BytesOut = append(out.BytesOut, 0)
		}
	}
	out.Counts[c] += t.Counts[from]
	if out.Measures.Has(Errors) {
		for e := range out.Errors {
			out.Errors[e][c] += t.Errors[e][from]
		}
	}
	if out.Measures.Has(BytesIn) {
		out.BytesIn[c] = add(out.BytesIn[c], t.BytesIn[from])
	}
	if out.Measures.Has(BytesOut) {
		out.BytesOut[c] = add(out.BytesOut[c], t.BytesOut[from])
	}
	if out.Measures.Has(Durations) {
		bins, counts := t.Bins.Of(from)
		for i, b := range bins {
			s.bins = append(s.bins, binCount{c, b, counts[i]})
		}
	}
	if out.Measures.Has(Sources) {
		lo, hi := span(t.Addrs.Ends, from)
		for _, code := range t.Addrs.Codes[lo:hi] {
			if toAddr[code] == 0 {
				toAddr[code] = s.addrs.code(&Values{Addrs: t.Addrs.Addrs}, code)
			}
			s.pairs = append(s.pairs, uint64(c)<<32|uint64(toAddr[code]))
		}
	}
}

// compact makes one of equal bins and of equal addresses of a cell.
func (s *Sum) compact() {
	slices.SortFunc(s.bins, func(a, b binCount) int { return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(a.bin, b.bin)) })
	kept := s.bins[:0]
	for _, b := range s.bins {
		if n := len(kept); n > 0 && kept[n-1].cell == b.cell && kept[n-1].bin == b.bin {
			kept[n-1].n += b.n
			continue
		}
		kept = append(kept, b)
	}
	s.bins = kept
	slices.Sort(s.pairs)
	s.pairs = slices.Compact(s.pairs)
}

// Bytes is about how much memory the sum takes.
func (s *Sum) Bytes() int64 {
	t := &s.table
	n := 24*len(s.cells.slots) + 16*cap(s.bins) + 8*cap(s.pairs) + 80*len(s.keys) + 64*len(s.addrs.known)
	n += len(t.Steps) * (20 + 4*len(t.Keys) + 8*(int(NumErrors)+2))
	for i := range s.dicts {
		n += 64*len(s.dicts[i].known) + 2*len(s.dicts[i].values.Text.Bytes)
	}
	return int64(n)
}

// Result returns what was added up. The sum is not to be used again.
func (s *Sum) Result() *Table {
	s.compact()
	t := &s.table
	n := len(t.Steps)
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(s.key[a], s.key[b]), cmp.Compare(t.Steps[a], t.Steps[b]))
	})
	out := &Table{
		Kind: t.Kind, Measures: t.Measures, Keys: make([]Values, len(t.Keys)),
		Steps: take(t.Steps, order), Counts: take(t.Counts, order), BytesIn: take(t.BytesIn, order), BytesOut: take(t.BytesOut, order),
	}
	for j := range out.Keys {
		out.Keys[j] = s.dicts[j].values
		out.Keys[j].Codes = take(t.Keys[j].Codes, order)
	}
	for e := range out.Errors {
		out.Errors[e] = take(t.Errors[e], order)
	}
	if t.Measures.Has(Durations) {
		starts := make([]int, n+1) // of the bins of each cell
		for _, b := range s.bins {
			starts[b.cell+1]++
		}
		for i := range n {
			starts[i+1] += starts[i]
		}
		for _, c := range order {
			for _, b := range s.bins[starts[c]:starts[c+1]] {
				out.Bins.Bin, out.Bins.Counts = append(out.Bins.Bin, b.bin), append(out.Bins.Counts, b.n)
			}
			out.Bins.Ends = append(out.Bins.Ends, int32(len(out.Bins.Bin)))
		}
	}
	if t.Measures.Has(Sources) {
		starts := make([]int, n+1)
		for _, p := range s.pairs {
			starts[p>>32+1]++
		}
		for i := range n {
			starts[i+1] += starts[i]
		}
		for _, c := range order {
			for _, p := range s.pairs[starts[c]:starts[c+1]] {
				out.Addrs.Codes = append(out.Addrs.Codes, uint32(p))
			}
			out.Addrs.Ends = append(out.Addrs.Ends, int32(len(out.Addrs.Codes)))
		}
		out.Addrs.Addrs = s.addrs.values.Addrs
	}
	return out
}

func take[T any](from []T, order []uint32) []T {
	if from == nil {
		return nil
	}
	out := make([]T, len(order))
	for i, c := range order {
		out[i] = from[c]
	}
	return out
}
