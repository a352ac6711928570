package tokenwatch

// Slice returns rows from up to, not including, to as a batch of its own.
// Nothing of the other rows stays in it: dictionaries hold only values that are
// used, names and facts only those of tokens and rows that occur.
func (b *Batch) Slice(from, to int) *Batch {
	rows := to - from
	var columns [NumColumns]Vector
	for c := range columns {
		columns[c] = b.columns[c].slice(from, to)
	}
	var names []Naming
	tokens := make(map[TokenID]struct{})
	for i := range rows {
		v := &columns[ColToken]
		if v.Codes != nil {
			tokens[TokenID(v.Dict.At(int(v.Codes[i])))] = struct{}{}
		}
	}
	var facts []Fact
	for _, f := range b.facts {
		if f.Row >= from && f.Row < to {
			f.Row -= from
			facts = append(facts, f)
			tokens[f.Token], tokens[f.Previous] = struct{}{}, struct{}{}
		}
	}
	for _, n := range b.names {
		if _, ok := tokens[n.Token]; ok {
			names = append(names, n)
		}
	}
	out, err := NewBatch(rows, columns, b.attrs.slice(from, to), names)
	if err == nil {
		out, err = out.WithFacts(facts)
	}
	if err != nil {
		panic("tokenwatch: slice: " + err.Error())
	}
	return out
}

func (v *Vector) slice(from, to int) Vector {
	var out Vector
	if v.Valid != nil {
		out.Valid = make(Bitmap, (to-from+7)/8)
		for i := from; i < to; i++ {
			if v.Valid.At(i) {
				out.Valid.Set(i - from)
			}
		}
	}
	switch {
	case v.Ints != nil:
		out.Ints = v.Ints[from:to]
	case v.Codes != nil:
		out.Codes, out.Dict = compact(v.Codes[from:to], v.Dict)
	case v.Text.Offsets != nil:
		out.Text = v.Text.slice(from, to)
	case v.Addrs != nil:
		out.Addrs = v.Addrs[16*from : 16*to]
	case v.Bools != nil:
		out.Bools = v.Bools[from:to]
	}
	return out
}

// compact returns codes in terms of a dictionary of the values they use.
func compact(codes []uint32, dict Strings) ([]uint32, Strings) {
	var values Strings
	values.Append(nil)
	out := make([]uint32, len(codes))
	to := make(map[uint32]uint32)
	for i, c := range codes {
		if c == 0 {
			continue
		}
		if _, ok := to[c]; !ok {
			to[c] = uint32(values.Len())
			values.Append([]byte(dict.At(int(c))))
		}
		out[i] = to[c]
	}
	return out, values
}

func (s Strings) slice(from, to int) Strings {
	var out Strings
	out.extend(Strings{}, 0)
	for i := from; i < to; i++ {
		out.Append([]byte(s.At(i)))
	}
	return out
}

func (a Attributes) slice(from, to int) Attributes {
	var out Attributes
	if a.Offsets == nil {
		return out
	}
	first, last := a.Offsets[from], a.Offsets[to]
	for _, o := range a.Offsets[from : to+1] {
		out.Offsets = append(out.Offsets, o-first)
	}
	var dict interner
	for _, k := range a.Keys[first:last] {
		out.Keys = append(out.Keys, dict.code(&out.Dict, []byte(a.Dict.At(int(k)))))
	}
	out.Values = a.Values.slice(int(first), int(last))
	return out
}
