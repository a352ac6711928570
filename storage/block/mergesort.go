package block

import (
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// sort finds the order of the rows, and writes it and the tokens.
func (m *merger) sort() error {
	in, err := m.input(tokenwatch.ColToken, tokenwatch.ColTime)
	if err != nil {
		return err
	}
	places := make([]uint32, m.rows) // in the log, of each row that comes in
	order := make([]uint32, m.rows)  // rows in the order of the log
	for i, p := range m.pieces {
		own, err := p.order()
		if err != nil {
			return err
		}
		for k := range p.Rows() {
			at := k
			if own != nil {
				at = int(own[k])
			}
			places[m.starts[i]+k] = uint32(m.starts[i] + at)
			order[m.starts[i]+at] = uint32(m.starts[i] + k)
		}
	}
	times := in.Column(tokenwatch.ColTime)
	spare := make([]uint32, m.rows)
	if times.Ints != nil {
		order, spare = sortByTime(order, spare, func(p uint32) int64 { return times.Ints[p] }, func(p uint32) bool { return times.Valid.At(int(p)) })
	}
	tokens := in.Column(tokenwatch.ColToken)
	ranks, sorted := rankValues(tokens.Dict)
	if tokens.Codes != nil {
		order, spare = sortBy(order, spare, func(p uint32) uint64 { return uint64(ranks[tokens.Codes[p]]) }, uint64(len(ranks)))
	}
	m.perm = order
	if err := m.order(in, places, spare); err != nil {
		return err
	}
	if err := m.duplicates(); err != nil {
		return err
	}
	if tokens.Codes == nil {
		return nil
	}
	codes := make([]uint32, m.rows)
	for i, p := range m.perm {
		codes[i] = ranks[tokens.Codes[p]]
	}
	return m.tokens(codes, sorted)
}

// rankValues returns for each code of a dictionary the code it has once the
// values are sorted, and these; null is 0 and values that occur twice share one.
func rankValues(dict tokenwatch.Strings) (ranks []uint32, sorted spans) {
	n := dict.Len()
	list := make([]uint32, 0, n)
	for c := 1; c < n; c++ {
		list = append(list, uint32(c))
	}
	slices.SortFunc(list, func(a, b uint32) int { return strings.Compare(dict.At(int(a)), dict.At(int(b))) })
	ranks = make([]uint32, max(n, 1))
	for i, c := range list {
		if i == 0 || dict.At(int(c)) != dict.At(int(list[i-1])) {
			sorted.bytes = append(sorted.bytes, dict.At(int(c))...)
			sorted.ends = append(sorted.ends, int32(len(sorted.bytes)))
		}
		ranks[c] = uint32(len(sorted.ends))
	}
	return ranks, sorted
}

// order writes where in the log the rows stand: for the rows in the order of
// their times, those of equal times in that of their tokens, how far each stands
// from the one before. Where the log is in the order of time that is nothing.
func (m *merger) order(in *tokenwatch.Batch, places, spare []uint32) error {
	byTime := make([]uint32, m.rows)
	for i := range byTime {
		byTime[i] = uint32(i)
	}
	times := in.Column(tokenwatch.ColTime)
	if times.Ints != nil {
		byTime, _ = sortByTime(byTime, spare, func(p uint32) int64 { return times.Ints[m.perm[p]] }, func(p uint32) bool { return times.Valid.At(int(m.perm[p])) })
	}
	e := m.e
	e.words = e.words[:0]
	last := int64(-1)
	for _, i := range byTime {
		at := int64(places[m.perm[i]])
		d := at - last - 1
		e.words = append(e.words, uint64(d<<1)^uint64(d>>63))
		last = at
	}
	e.body = e.packed(e.body[:0], e.words)
	var err error
	m.head.order, err = m.chunk()
	return err
}

// duplicates notes which rows are not to be counted.
func (m *merger) duplicates() error {
	in, err := m.input(tokenwatch.ColDuplicate)
	if err != nil {
		return err
	}
	flags := in.Column(tokenwatch.ColDuplicate).Bools
	if flags == nil || !slices.Contains(flags, true) {
		return nil
	}
	m.skip = make([]bool, m.rows)
	for i, p := range m.perm {
		m.skip[i] = flags[p]
	}
	return nil
}
