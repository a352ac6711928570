package tokenwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"
)

// Batch is sealed rows as columns, in Arrow's memory layout. It never changes
// after NewBatch, and may be read from many goroutines.
type Batch struct {
	rows    int
	columns [NumColumns]Vector
	attrs   Attributes
	names   []Naming
	facts   []Fact
}

// Vector is one column of a Batch. Which fields are used follows from the
// column's Kind; the zero Vector is a column that is null in every row (for a
// KindBool: false in every row).
type Vector struct {
	Ints  []int64  // KindTime, KindInt
	Codes []uint32 // KindText: place in Dict; 0 is null
	Dict  Strings  // KindText: distinct values; value 0 is "" and stands for null
	Text  Strings  // KindString
	Addrs []byte   // KindAddr: 16 bytes a row
	Bools []bool   // KindBool
	Valid Bitmap   // KindTime, KindInt, KindString, KindAddr: rows with a value; nil is all
}

// Attributes holds the attrs column: row i has the pairs Offsets[i] to
// Offsets[i+1]. No Offsets: no row has any.
type Attributes struct {
	Offsets []int32
	Keys    []uint32 // place in Dict
	Dict    Strings
	Values  Strings
}

// Strings is a list of strings in one piece of memory.
type Strings struct {
	Offsets []int32 // one more than there are strings
	Bytes   []byte
}

// Len returns how many strings there are.
func (s Strings) Len() int { return max(0, len(s.Offsets)-1) }

// At returns string i without copying it.
func (s Strings) At(i int) string {
	b := s.Bytes[s.Offsets[i]:s.Offsets[i+1]]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Append adds a string.
func (s *Strings) Append(b []byte) {
	if len(s.Offsets) == 0 {
		if s.Offsets == nil {
			s.Offsets = make([]int32, 0, 16)
		}
		s.Offsets = append(s.Offsets, 0)
	}
	s.Bytes = append(s.Bytes, b...)
	s.Offsets = append(s.Offsets, int32(len(s.Bytes)))
}

// Bitmap is one bit a row, least significant first, as in Arrow; nil means
// that every bit is set.
type Bitmap []byte

// At tells bit i.
func (b Bitmap) At(i int) bool { return b == nil || b[i>>3]&(1<<(i&7)) != 0 }

// Set sets bit i of a bitmap that is long enough.
func (b Bitmap) Set(i int) { b[i>>3] |= 1 << (i & 7) }

// NewBatch makes a batch of columns and checks that they fit together: lengths,
// codes within dictionaries, offsets in order. It keeps the slices.
func NewBatch(rows int, columns [NumColumns]Vector, attrs Attributes, names []Naming) (*Batch, error) {
	for i := range columns {
		if err := columns[i].check(rows, Col(i).Kind()); err != nil {
			return nil, fmt.Errorf("column %s: %w", Col(i), err)
		}
	}
	if err := attrs.check(rows); err != nil {
		return nil, fmt.Errorf("column %s: %w", ColAttrs, err)
	}
	return &Batch{rows: rows, columns: columns, attrs: attrs, names: names}, nil
}

var errShape = errors.New("lengths or offsets do not fit together")

func (v *Vector) check(rows int, k Kind) error {
	if v.Valid != nil && len(v.Valid) != (rows+7)/8 {
		return errShape
	}
	var n int
	switch k {
	case KindTime, KindInt:
		n = len(v.Ints)
	case KindText:
		n = len(v.Codes)
		if err := v.Dict.check(); err != nil {
			return err
		}
		limit := uint32(v.Dict.Len())
		for _, c := range v.Codes {
			if c >= limit {
				return errShape
			}
		}
		if limit > 0 && v.Dict.At(0) != "" {
			return errShape
		}
	case KindString:
		n = v.Text.Len()
		if err := v.Text.check(); err != nil {
			return err
		}
	case KindAddr:
		n = len(v.Addrs) / 16
		if len(v.Addrs)%16 != 0 {
			return errShape
		}
	case KindBool:
		n = len(v.Bools)
	}
	if n == 0 {
		*v = Vector{} // null in every row has one form only
	} else if n != rows {
		return errShape
	}
	return nil
}

func (s Strings) check() error {
	if len(s.Offsets) == 0 {
		if len(s.Bytes) != 0 {
			return errShape
		}
		return nil
	}
	last := int32(0)
	for _, o := range s.Offsets {
		if o < last {
			return errShape
		}
		last = o
	}
	if s.Offsets[0] != 0 || int(last) != len(s.Bytes) {
		return errShape
	}
	return nil
}

func (a *Attributes) check(rows int) error {
	if len(a.Offsets) == 0 {
		if len(a.Keys) != 0 || a.Values.Len() != 0 {
			return errShape
		}
		*a = Attributes{} // no row has any: one form only
		return nil
	}
	if err := errors.Join(a.Dict.check(), a.Values.check()); err != nil {
		return err
	}
	last := int32(0)
	for _, o := range a.Offsets {
		if o < last {
			return errShape
		}
		last = o
	}
	if len(a.Offsets) != rows+1 || a.Offsets[0] != 0 || int(last) != len(a.Keys) || len(a.Keys) != a.Values.Len() {
		return errShape
	}
	for _, k := range a.Keys {
		if int(k) >= a.Dict.Len() {
			return errShape
		}
	}
	return nil
}

// Rows returns how many rows the batch has.
func (b *Batch) Rows() int { return b.rows }

// Column returns a column to read.
func (b *Batch) Column(c Col) *Vector { return &b.columns[c] }

// Attrs returns the attrs column to read.
func (b *Batch) Attrs() *Attributes { return &b.attrs }

// Names returns what the batch says of its tokens' other names; no pair twice.
func (b *Batch) Names() []Naming { return b.names }

// Facts returns what the batch says about the lives of tokens, in order of rows.
func (b *Batch) Facts() []Fact { return b.facts }

// Has tells whether row i has a value in column c.
func (b *Batch) Has(c Col, i int) bool {
	v := &b.columns[c]
	switch c.Kind() {
	case KindText:
		return v.Codes != nil && v.Codes[i] != 0
	case KindTime, KindInt:
		return v.Ints != nil && v.Valid.At(i)
	case KindString:
		return v.Text.Offsets != nil && v.Valid.At(i)
	case KindAddr:
		return v.Addrs != nil && v.Valid.At(i)
	case KindBool:
		return true
	default: // KindMap
		return b.attrs.Offsets != nil && b.attrs.Offsets[i+1] > b.attrs.Offsets[i]
	}
}

// Text returns row i of a text column, "" where it is null. The string shares
// the batch's memory.
func (b *Batch) Text(c Col, i int) string {
	v := &b.columns[c]
	switch {
	case v.Codes != nil:
		return v.Dict.At(int(v.Codes[i]))
	case v.Text.Offsets != nil:
		return v.Text.At(i)
	default:
		return ""
	}
}

// Int returns row i of an integer or time column, 0 where it is null.
func (b *Batch) Int(c Col, i int) int64 {
	if !b.Has(c, i) {
		return 0
	}
	return b.columns[c].Ints[i]
}

// Bool returns row i of a flag.
func (b *Batch) Bool(c Col, i int) bool {
	v := b.columns[c].Bools
	return v != nil && v[i]
}

// Addr returns src_ip of row i, invalid where it is null.
func (b *Batch) Addr(i int) netip.Addr {
	if !b.Has(ColSrcIP, i) {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(b.columns[ColSrcIP].Addrs[16*i:])).Unmap()
}

// EachAttr calls f with each field of row i that no column took.
func (b *Batch) EachAttr(i int, f func(key, value string)) {
	a := &b.attrs
	if a.Offsets == nil {
		return
	}
	for j := a.Offsets[i]; j < a.Offsets[i+1]; j++ {
		f(a.Dict.At(int(a.Keys[j])), a.Values.At(int(j)))
	}
}

// WithFlags returns the batch with its three flag columns replaced; nil is
// false in every row. The rest is shared.
func (b *Batch) WithFlags(late, future, duplicate []bool) *Batch {
	c := *b
	c.columns[ColLate] = Vector{Bools: late}
	c.columns[ColFuture] = Vector{Bools: future}
	c.columns[ColDuplicate] = Vector{Bools: duplicate}
	return &c
}

// WithIngestTime returns the batch with t as the ingest time of every row. The
// rest is shared.
func (b *Batch) WithIngestTime(t time.Time) *Batch {
	c := *b
	times := make([]int64, b.rows)
	for i, n := 0, t.UnixNano(); i < len(times); i++ {
		times[i] = n
	}
	c.columns[ColIngestTime] = Vector{Ints: times}
	return &c
}

// WithNames returns the batch with other namings. The rest is shared.
func (b *Batch) WithNames(names []Naming) *Batch {
	c := *b
	c.names = names
	return &c
}

// WithFacts returns the batch with other facts; it is an error if they are not
// in order of rows, or cite rows that the batch has not. The rest is shared.
func (b *Batch) WithFacts(facts []Fact) (*Batch, error) {
	last := 0
	for i := range facts {
		if facts[i].Row < last || facts[i].Row >= b.rows {
			return nil, fmt.Errorf("fact %d: %w", i, errShape)
		}
		last = facts[i].Row
	}
	c := *b
	c.facts = facts
	return &c, nil
}
