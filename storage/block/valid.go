package block

import (
	"math/bits"

	"github.com/tokenwatch/tokenwatch"
)

// validity appends the bitmap of the rows that have a value, if some have none,
// and returns how many have none. Only such rows are in the rest of the chunk.
func (e *Encoder) validity(dst []byte, valid tokenwatch.Bitmap, rows int) ([]byte, int) {
	nulls := rows - countSet(valid, rows)
	if nulls == 0 || nulls == rows {
		return dst, nulls
	}
	e.plane = append(e.plane[:0], valid...)
	if rest := rows & 7; rest != 0 {
		e.plane[len(e.plane)-1] &= 1<<rest - 1 // nobody reads the rest: make it zero
	}
	return e.section(dst, e.plane), nulls
}

func countSet(b tokenwatch.Bitmap, rows int) int {
	if b == nil {
		return rows
	}
	n := 0
	for _, x := range b[:rows>>3] {
		n += bits.OnesCount8(x)
	}
	if rest := rows & 7; rest != 0 {
		n += bits.OnesCount8(b[rows>>3] & (1<<rest - 1))
	}
	return n
}

// validity reads the bitmap of a column with nulls of rows null; nil if it has
// none.
func (r *reader) validity(rows, nulls int) tokenwatch.Bitmap {
	n := (rows + 7) / 8
	if nulls == 0 || !r.take(n, 1) {
		return nil
	}
	out := make([]byte, n)
	copy(out, r.section(n, &out))
	if r.err != nil {
		return nil
	}
	if rest := rows & 7; rest != 0 && out[n-1]>>rest != 0 || countSet(out, rows) != rows-nulls {
		r.fail("the bitmap of nulls contradicts the head")
	}
	return out
}

// spread moves the dense values at the front of v to the rows that have one,
// and makes the others zero.
func spread[T int64 | int32](v []T, valid tokenwatch.Bitmap, dense int) {
	if valid == nil {
		return
	}
	var zero T
	for i := len(v) - 1; i >= 0; i-- {
		if valid.At(i) {
			dense--
			v[i] = v[dense]
		} else {
			v[i] = zero
		}
	}
}

// flags appends the chunk of a KindBool column, of which some rows are true and
// some false.
func (e *Encoder) flags(dst []byte, v []bool) []byte {
	e.plane = grow(e.plane, (len(v)+7)/8)
	clear(e.plane)
	for i, set := range v {
		if set {
			tokenwatch.Bitmap(e.plane).Set(i)
		}
	}
	return e.section(dst, e.plane)
}

// flags reads what Encoder.flags wrote.
func (r *reader) flags(rows int, buf *[]byte) []bool {
	if !r.take(rows, 1) {
		return nil
	}
	b := tokenwatch.Bitmap(r.section((rows+7)/8, buf))
	if r.err != nil {
		return nil
	}
	out := make([]bool, rows)
	for i := range out {
		out[i] = b.At(i)
	}
	return out
}
