package block

import "github.com/tokenwatch/tokenwatch"

// Values is the dictionary of a column of a merged segment, in no order but
// that of tokens, which are sorted. Value i has code i+1, null code 0.
type Values struct {
	Len   int
	Text  tokenwatch.Strings // KindText; value 0 is "" and stands for null
	Ints  []int64            // KindInt
	Addrs []byte             // KindAddr, 16 bytes each
}

// Values returns the dictionary of a column, nil if it has none. It is only to
// be read.
func (m *Merged) Values(col tokenwatch.Col) (*Values, error) {
	c := m.head.column(col)
	if c == nil || c.form != formCoded {
		return nil, nil
	}
	return m.values(c)
}

func (m *Merged) values(c *mergedColumn) (*Values, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.dicts[c.Col]; v != nil {
		return v, nil
	}
	v := &Values{Len: c.distinct}
	err := m.chunk(c.dict, c.Col.String(), func(r *reader) error {
		var buf []byte
		switch c.Col.Kind() {
		case tokenwatch.KindText:
			v.Text = r.strings(c.distinct, 1, nil, 0, &buf)
		case tokenwatch.KindAddr:
			v.Addrs = r.addrDict(c.distinct, &buf)
		default:
			if r.take(c.distinct, 8) {
				v.Ints = make([]int64, c.distinct)
				unpack(r, v.Ints, &buf)
				for i := range v.Ints {
					v.Ints[i] = int64(uint64(v.Ints[i]) + uint64(c.Min))
				}
			}
		}
		return r.err
	})
	if err != nil {
		return nil, err
	}
	m.dicts[c.Col] = v
	return v, nil
}

// addrDict reads what Encoder.addrDict wrote.
func (r *reader) addrDict(n int, buf *[]byte) []byte {
	size := int(r.byte())
	if r.err == nil && size != 4 && size != 16 {
		r.fail("addresses are written in an unknown way")
	}
	if !r.take(n, 16) {
		return nil
	}
	values := r.section(n*size, buf)
	if r.err != nil {
		return nil
	}
	out := make([]byte, 16*n)
	for i := range n {
		a := out[16*i : 16*i+16]
		copy(a, prefix4[:])
		copy(a[16-size:], values[size*i:size*i+size])
	}
	return out
}

// Counts returns how many rows that are no duplicates have each code of a
// column's dictionary, nil if the segment does not say.
func (m *Merged) Counts(col tokenwatch.Col) ([]int, error) {
	c := m.head.column(col)
	if c == nil || c.form != formCoded {
		return nil, nil
	}
	if c.counts < 0 {
		if c.method != codesRuns {
			return nil, nil
		}
		starts, err := m.tokenStarts(c)
		if err != nil {
			return nil, err
		}
		out := make([]int, c.distinct+1)
		for i := range out {
			out[i] = starts[i+1] - starts[i]
		}
		return out, nil
	}
	out := make([]int64, c.distinct+1)
	err := m.chunk(c.counts, c.Col.String(), func(r *reader) error {
		var buf []byte
		unpack(r, out, &buf)
		return r.err
	})
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(out))
	for i, n := range out {
		if n < 0 || n > int64(m.head.rows) {
			return nil, &Corrupt{Part: c.Col.String(), Offset: m.head.chunks[c.counts].Offset, Reason: "more rows are counted than there are"}
		}
		counts[i] = int(n)
	}
	return counts, nil
}

// Counted tells whether Counts says something of a column of texts or numbers.
func (m *Merged) Counted(col tokenwatch.Col) bool {
	c := m.head.column(col)
	return c != nil && c.form == formCoded && (c.counts >= 0 || c.method == codesRuns) &&
		(col.Kind() == tokenwatch.KindText || col.Kind() == tokenwatch.KindInt)
}

// tokenStarts returns where the rows of each token begin, null first, and at
// last where they end.
func (m *Merged) tokenStarts(c *mergedColumn) ([]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs != nil {
		return m.runs, nil
	}
	starts := make([]int, c.distinct+2)
	err := m.chunk(c.aux, c.Col.String(), func(r *reader) error {
		runs := make([]int32, c.distinct+1)
		var buf []byte
		unpack(r, runs, &buf)
		at := 0
		for i, n := range runs {
			at += int(n)
			starts[i+1] = at
		}
		if at != m.head.rows {
			r.fail("the rows of the tokens do not add up")
		}
		return r.err
	})
	if err != nil {
		return nil, err
	}
	m.runs = starts
	return starts, nil
}

// TokenRows returns where the rows of a token lie; lo = hi if it has none.
func (m *Merged) TokenRows(token string) (lo, hi int, err error) {
	c := m.head.column(tokenwatch.ColToken)
	if c == nil || token == "" {
		return 0, 0, nil
	}
	if c.form == formConst {
		if c.MinText == token {
			return 0, m.head.rows, nil
		}
		return 0, 0, nil
	}
	v, err := m.values(c)
	if err != nil {
		return 0, 0, err
	}
	starts, err := m.tokenStarts(c)
	if err != nil {
		return 0, 0, err
	}
	low, high := 1, c.distinct+1
	for low < high {
		if mid := (low + high) / 2; v.Text.At(mid) < token {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low > c.distinct || v.Text.At(low) != token {
		return 0, 0, nil
	}
	return starts[low], starts[low+1], nil
}
