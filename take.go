package tokenwatch

// Take returns the rows at these places, in this order, as a batch of its own,
// without namings and facts. Dictionaries hold only values that are used.
func (b *Batch) Take(rows []uint32) *Batch {
	var columns [NumColumns]Vector
	for c := range columns {
		columns[c] = b.columns[c].take(rows)
	}
	out, err := NewBatch(len(rows), columns, b.attrs.take(rows), nil)
	if err != nil {
		panic("tokenwatch: take: " + err.Error())
	}
	return out
}

func (v *Vector) take(rows []uint32) (out Vector) {
	if v.Valid != nil {
		out.Valid = make(Bitmap, (len(rows)+7)/8)
		for i, r := range rows {
			if v.Valid.At(int(r)) {
				out.Valid.Set(i)
			}
		}
	}
	switch {
	case v.Ints != nil:
		out.Ints = make([]int64, len(rows))
		for i, r := range rows {
			out.Ints[i] = v.Ints[r]
		}
	case v.Codes != nil:
		out.Codes, out.Dict = takeCodes(v, rows)
	case v.Text.Offsets != nil:
		out.Text = v.Text.take(rows)
	case v.Addrs != nil:
		out.Addrs = make([]byte, 0, 16*len(rows))
		for _, r := range rows {
			out.Addrs = append(out.Addrs, v.Addrs[16*r:16*r+16]...)
		}
	case v.Bools != nil:
		out.Bools = make([]bool, len(rows))
		for i, r := range rows {
			out.Bools[i] = v.Bools[r]
		}
	}
	return out
}

// takeCodes numbers the values of the rows in the order in which they come.
func takeCodes(v *Vector, rows []uint32) ([]uint32, Strings) {
	var values Strings
	values.Append(nil)
	codes, to := make([]uint32, len(rows)), make([]uint32, v.Dict.Len())
	for i, r := range rows {
		c := v.Codes[r]
		if c == 0 {
			continue
		}
		if to[c] == 0 {
			to[c] = uint32(values.Len())
			values.Append(v.Dict.Bytes[v.Dict.Offsets[c]:v.Dict.Offsets[c+1]])
		}
		codes[i] = to[c]
	}
	return codes, values
}

func (s Strings) take(rows []uint32) Strings {
	size := 0
	for _, r := range rows {
		size += int(s.Offsets[r+1] - s.Offsets[r])
	}
	out := Strings{make([]int32, 1, len(rows)+1), make([]byte, 0, size)}
	for _, r := range rows {
		out.Append(s.Bytes[s.Offsets[r]:s.Offsets[r+1]])
	}
	return out
}

func (a *Attributes) take(rows []uint32) (out Attributes) {
	if a.Offsets == nil {
		return out
	}
	out.Offsets = make([]int32, 1, len(rows)+1)
	var dict interner
	for _, r := range rows {
		for j := a.Offsets[r]; j < a.Offsets[r+1]; j++ {
			out.Keys = append(out.Keys, dict.code(&out.Dict, []byte(a.Dict.At(int(a.Keys[j])))))
			out.Values.Append(a.Values.Bytes[a.Values.Offsets[j]:a.Values.Offsets[j+1]])
		}
		out.Offsets = append(out.Offsets, int32(len(out.Keys)))
	}
	return out
}
