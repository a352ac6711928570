package expr

// scratch is memory of a frame that is used again after the next Reset. Whoever
// takes some fills all of it.
type scratch[T any] struct {
	bufs [][]T
	used int
}

func (s *scratch[T]) take(n int) []T {
	if s.used == len(s.bufs) {
		s.bufs = append(s.bufs, nil)
	}
	if cap(s.bufs[s.used]) < n {
		s.bufs[s.used] = make([]T, n)
	}
	s.used++
	return s.bufs[s.used-1][:n]
}

// gather is Gather into the scratch memory of f, for the common types.
func (f *Frame) gather(v *Vec, sel []int32) Vec {
	switch {
	case v.Const || v.Valid != nil:
	case v.Codes != nil:
		out := Vec{Type: v.Type, Text: v.Text, Addrs: v.Addrs, Distinct: v.Distinct, Space: v.Space, Codes: f.codes.take(len(sel))}
		fill(out.Codes, v.Codes, sel)
		return out
	case v.Ints != nil:
		out := Vec{Type: v.Type, Ints: f.ints.take(len(sel))}
		fill(out.Ints, v.Ints, sel)
		return out
	case v.Addrs != nil:
		out := Vec{Type: v.Type, Addrs: f.bytes.take(16 * len(sel))}
		for k, i := range sel {
			*(*[16]byte)(out.Addrs[16*k:]) = [16]byte(v.Addrs[16*int(i):])
		}
		return out
	}
	return v.Gather(sel)
}

func fill[T any](out, v []T, sel []int32) {
	out = out[:len(sel)]
	for k, i := range sel {
		out[k] = v[i]
	}
}
