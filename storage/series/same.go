package series

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Same tells whether two tables of one series and the same measures count the
// same, in whatever codes and order they have it.
func Same(a, b *Table) bool {
	if a.Kind != b.Kind || a.Measures != b.Measures {
		return false
	}
	return slices.Equal(a.texts(), b.texts())
}

// texts spells all that the table has of each cell, in an order of its own.
func (t *Table) texts() []string {
	s := NewSum(t.Kind, t.Measures)
	s.Add(t, nil)
	t = s.Result()
	out := make([]string, t.Len())
	var b []byte
	for i := range out {
		b = binary.AppendVarint(b[:0], t.Steps[i])
		for j := range t.Keys {
			b = t.Keys[j].append(b, t.Keys[j].Codes[i])
		}
		b = binary.AppendVarint(b, t.Counts[i])
		for _, m := range [...][]int64{t.Errors[0], t.Errors[1], t.Errors[2], t.Errors[3], t.Errors[4], t.Errors[5], t.BytesIn, t.BytesOut} {
			if m != nil {
				b = binary.AppendVarint(b, m[i])
			}
		}
		if t.Measures.Has(Durations) {
			bins, counts := t.Bins.Of(i)
			for k, bin := range bins {
				b = binary.AppendVarint(binary.AppendVarint(b, int64(bin)), counts[k])
			}
		}
		if t.Measures.Has(Sources) {
			lo, hi := span(t.Addrs.Ends, i)
			var addrs []string
			for _, code := range t.Addrs.Codes[lo:hi] {
				addrs = append(addrs, string(t.Addrs.Addrs[16*(code-1):16*code]))
			}
			slices.Sort(addrs)
			b = append(b, strings.Join(addrs, "")...)
		}
		out[i] = string(b)
	}
	slices.Sort(out)
	return out
}

// append spells one value.
func (v *Values) append(b []byte, code uint32) []byte {
	switch {
	case code == 0:
		return append(b, 0)
	case v.Text.Offsets != nil:
		text := v.Text.At(int(code))
		return append(binary.AppendUvarint(b, uint64(len(text))+1), text...)
	case v.Addrs != nil:
		return append(append(b, 1), v.Addrs[16*(code-1):16*code]...)
	default:
		return binary.AppendVarint(append(b, 1), v.Ints[code-1])
	}
}
