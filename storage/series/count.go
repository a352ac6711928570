package series

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// Rows is rows to be counted. All slices have an element for each row, or are
// nil where no row has a value.
type Rows struct {
	N         int
	Out       []bool  // not to be counted: duplicates and rows without a time
	Times     []int64 // ns since 1970
	Keys      [tokenwatch.NumColumns]Codes
	Errors    []ErrorKind
	BytesIn   []int64 // 0 is null
	BytesOut  []int64
	Durations []int16 // bins; noBin is null
}

// noBin stands for no duration.
const noBin = -1 << 15

// Codes is a column of the keys of rows.
type Codes struct {
	Of       []uint32 // of each row, 0 is null; nil: every row has One
	One      uint32
	Distinct int // no code is greater
}

func (c *Codes) at(i int) uint32 {
	if c.Of == nil {
		return c.One
	}
	return c.Of[i]
}

// Measure fills in what the measures are taken from, of the rows of a batch in an
// order of their own; nil is as they are.
func (r *Rows) Measure(b *tokenwatch.Batch, order []uint32) {
	r.N = b.Rows()
	row := func(i int) int {
		if order == nil {
			return i
		}
		return int(order[i])
	}
	ints := func(c tokenwatch.Col) []int64 {
		v := b.Column(c)
		if v.Ints == nil {
			return nil
		}
		out := make([]int64, r.N)
		for i := range out {
			if j := row(i); v.Valid.At(j) {
				out[i] = v.Ints[j]
			}
		}
		return out
	}
	r.Times, r.BytesIn, r.BytesOut = ints(tokenwatch.ColTime), ints(tokenwatch.ColBytesIn), ints(tokenwatch.ColBytesOut)
	times, again := b.Column(tokenwatch.ColTime), b.Column(tokenwatch.ColDuplicate).Bools
	if times.Valid != nil || again != nil {
		r.Out = make([]bool, r.N)
		for i := range r.Out {
			j := row(i)
			r.Out[i] = !times.Valid.At(j) || again != nil && again[j]
		}
	}
	if v := b.Column(tokenwatch.ColDuration); v.Ints != nil {
		r.Durations = make([]int16, r.N)
		for i := range r.Durations {
			if j := row(i); v.Valid.At(j) {
				r.Durations[i] = Bin(v.Ints[j])
			} else {
				r.Durations[i] = noBin
			}
		}
	}
	status, outcome := b.Column(tokenwatch.ColStatus), b.Column(tokenwatch.ColOutcome)
	if status.Ints == nil && outcome.Codes == nil {
		return
	}
	r.Errors = make([]ErrorKind, r.N)
	for i := range r.Errors {
		j, code, word := row(i), int64(0), ""
		if status.Ints != nil && status.Valid.At(j) {
			code = status.Ints[j]
		}
		if code <= 0 && outcome.Codes != nil {
			word = outcome.Dict.At(int(outcome.Codes[j]))
		}
		r.Errors[i] = errorOf(code, word)
	}
}

// Count counts rows. The keys of the table have the codes of the rows, and no
// values. With limit above 0 it returns nil once there are more cells.
func (r *Rows) Count(k Kind, ms Measures, limit int) *Table {
	t := &Table{Kind: k, Measures: ms.Of(k)}
	cells, of := r.cells(k, limit)
	if cells == nil {
		return nil
	}
	n := len(cells)
	t.Steps, t.Counts = make([]int64, n), make([]int64, n)
	t.Keys = make([]Values, len(k.Columns()))
	for i := range t.Keys {
		t.Keys[i].Codes = make([]uint32, n)
	}
	for i, c := range cells {
		t.Steps[i] = c.step
		for j := range t.Keys {
			t.Keys[j].Codes[i] = r.Keys[k.Columns()[j]].at(int(c.row))
		}
	}
	r.sums(t, of)
	if !t.Measures.Has(Durations) && !t.Measures.Has(Sources) {
		return t
	}
	places := ordered(of, t.Counts)
	if t.Measures.Has(Durations) {
		t.Bins.Ends = make([]int32, n)
		if r.Durations != nil {
			r.bins(t, places)
		}
	}
	if t.Measures.Has(Sources) {
		t.Addrs.Ends = make([]int32, n)
		r.sources(t, places)
	}
	return t
}

// cell is one cell, by a row that is in it.
type cell struct {
	key  uint64
	step int64
	row  uint32
}

// none stands for the cell of a row that is in none.
const none = 1<<32 - 1

// cells finds which cells there are, in order, and that of each row; nil if there
// are more than limit.
func (r *Rows) cells(k Kind, limit int) (cells []cell, of []uint32) {
	cells = make([]cell, 0, 64)
	if r.Times == nil {
		return cells, nil
	}
	of = make([]uint32, r.N)
	keyOf := r.keys(k)
	step, table := int64(k.Step()), newTable(1024)
	var low, high, at int64 // of the step found last
	low = 1
	lastKey, lastStep, lastCell := uint64(0), int64(0), uint32(none)
	for i, t := range r.Times {
		if r.Out != nil && r.Out[i] || k.entity() && r.Keys[k.Columns()[0]].at(i) == 0 {
			of[i] = none
			continue
		}
		if t < low || t > high {
			at = floorDiv(t, step)
			low, high = at*step, at*step+step-1
		}
		key := keyOf(i)
		if key != lastKey || at != lastStep || lastCell == none {
			c, added := table.find(key, at)
			if added {
				if limit > 0 && len(cells) >= limit {
					return nil, nil
				}
				cells = append(cells, cell{key, at, uint32(i)})
			}
			lastKey, lastStep, lastCell = key, at, c
		}
		of[i] = lastCell
	}
	order := make([]uint32, len(cells))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(cells[a].key, cells[b].key), cmp.Compare(cells[a].step, cells[b].step))
	})
	to, sorted := make([]uint32, len(cells)), make([]cell, len(cells))
	for i, c := range order {
		to[c], sorted[i] = uint32(i), cells[c]
	}
	for i, c := range of {
		if c != none {
			of[i] = to[c]
		}
	}
	return sorted, of
}

// keys returns a function that joins the codes of a row to one number.
func (r *Rows) keys(k Kind) func(i int) uint64 {
	width, same := 0, true
	for _, c := range k.Columns() {
		width += bits.Len(uint(r.Keys[c].Distinct))
		same = same && r.Keys[c].Of == nil
	}
	if width > 64 { // only dictionaries with values that no row has get there
		var codes [3]uint32
		table := newTable(1024)
		return func(i int) uint64 {
			for j, c := range k.Columns() {
				codes[j] = r.Keys[c].at(i)
			}
			id, _ := table.find(uint64(codes[0])<<32|uint64(codes[1]), int64(codes[2]))
			return uint64(id)
		}
	}
	join := func(i int) (key uint64) {
		for _, c := range k.Columns() {
			key = key<<bits.Len(uint(r.Keys[c].Distinct)) | uint64(r.Keys[c].at(i))
		}
		return key
	}
	if same {
		one := join(0)
		return func(int) uint64 { return one }
	}
	return join
}

// sums adds up what is one number a cell.
func (r *Rows) sums(t *Table, of []uint32) {
	n := len(t.Steps)
	if t.Measures.Has(Errors) {
		for e := range t.Errors {
			t.Errors[e] = make([]int64, n)
		}
	}
	for i, c := range of {
		if c == none {
			continue
		}
		t.Counts[c]++
		if t.Measures.Has(Errors) && r.Errors != nil && r.Errors[i] != noError {
			t.Errors[r.Errors[i]][c]++
		}
	}
	total := func(m Measures, from []int64) (out []int64) {
		if !t.Measures.Has(m) {
			return nil
		}
		out = make([]int64, n)
		if from == nil {
			return out
		}
		for i, c := range of {
			if c != none {
				out[c] = add(out[c], from[i])
			}
		}
		return out
	}
	t.BytesIn, t.BytesOut = total(BytesIn, r.BytesIn), total(BytesOut, r.BytesOut)
}

// ordered lists the rows by their cells, as they are within one.
func ordered(of []uint32, counts []int64) []uint32 {
	next, total := make([]uint32, len(counts)), uint32(0)
	for i, n := range counts {
		next[i] = total
		total += uint32(n)
	}
	places := make([]uint32, total)
	for i, c := range of {
		if c != none {
			places[next[c]] = uint32(i)
			next[c]++
		}
	}
	return places
}

// bins fills in how durations are spread.
func (r *Rows) bins(t *Table, places []uint32) {
	at := 0
	var own []int16
	for i, n := range t.Counts {
		own = own[:0]
		for _, row := range places[at : at+int(n)] {
			if b := r.Durations[row]; b != noBin {
				own = append(own, b)
			}
		}
		at += int(n)
		slices.Sort(own)
		for j, b := range own {
			if j > 0 && b == own[j-1] {
				t.Bins.Counts[len(t.Bins.Counts)-1]++
				continue
			}
			t.Bins.Bin = append(t.Bins.Bin, b)
			t.Bins.Counts = append(t.Bins.Counts, 1)
		}
		t.Bins.Ends[i] = int32(len(t.Bins.Bin))
	}
}

// sources fills in which addresses events came from.
func (r *Rows) sources(t *Table, places []uint32) {
	from := &r.Keys[tokenwatch.ColSrcIP]
	at := 0
	var own []uint32
	for i, n := range t.Counts {
		own = own[:0]
		for _, row := range places[at : at+int(n)] {
			if code := from.at(int(row)); code != 0 && (len(own) == 0 || own[len(own)-1] != code) {
				own = append(own, code)
			}
		}
		at += int(n)
		slices.Sort(own)
		t.Addrs.Codes = append(t.Addrs.Codes, slices.Compact(own)...)
		t.Addrs.Ends[i] = int32(len(t.Addrs.Codes))
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// hashTable numbers pairs of a key and a step in the order in which they come.
type hashTable struct {
	slots []slot // a power of two, at most half in use
	n     uint32
}

type slot struct {
	key  uint64
	step int64
	id   uint32 // 0: empty; else the number + 1
}

func newTable(n int) *hashTable { return &hashTable{slots: make([]slot, n)} }

// find returns the number of a pair, and whether it was not there before.
func (h *hashTable) find(key uint64, step int64) (id uint32, added bool) {
	s := h.place(key, step)
	if s.id != 0 {
		return s.id - 1, false
	}
	if 2*int(h.n+1) > len(h.slots) {
		old := h.slots
		h.slots = make([]slot, 2*len(old))
		for _, o := range old {
			if o.id != 0 {
				*h.place(o.key, o.step) = o
			}
		}
		s = h.place(key, step)
	}
	h.n++
	*s = slot{key, step, h.n}
	return h.n - 1, true
}

// place is where a pair is, or would go.
func (h *hashTable) place(key uint64, step int64) *slot {
	x := (key ^ bits.RotateLeft64(uint64(step), 32)) * 0x9e3779b97f4a7c15
	x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	mask := uint64(len(h.slots) - 1)
	for i := x >> 32 & mask; ; i = (i + 1) & mask {
		s := &h.slots[i]
		if s.id == 0 || s.key == key && s.step == step {
			return s
		}
	}
}
