package tokenwatch

import (
	"iter"
	"math/bits"
)

// ColSet is a set of columns.
type ColSet uint64

// AllCols holds every column.
const AllCols = ColSet(1)<<NumColumns - 1

// Cols makes a set of columns.
func Cols(cols ...Col) ColSet {
	var s ColSet
	for _, c := range cols {
		s |= 1 << c
	}
	return s
}

// Has tells whether column c is in the set.
func (s ColSet) Has(c Col) bool { return s&(1<<c) != 0 }

// With returns the set and c.
func (s ColSet) With(c Col) ColSet { return s | 1<<c }

// Len returns how many columns are in the set.
func (s ColSet) Len() int { return bits.OnesCount64(uint64(s)) }

// All yields the columns of the set in the order of [Schema].
func (s ColSet) All() iter.Seq[Col] {
	return func(yield func(Col) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(Col(bits.TrailingZeros64(uint64(s)))) {
				return
			}
		}
	}
}
