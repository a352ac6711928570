package tokenwatch

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Record returns the batch as an Arrow record of [ArrowSchema]. Its buffers are
// the batch's own memory, but for flags and validity bits; the caller releases
// the record.
func (b *Batch) Record() arrow.Record {
	columns := make([]arrow.Array, NumColumns)
	for i := range columns {
		data := b.arrowData(Col(i))
		columns[i] = array.MakeFromData(data)
		data.Release()
	}
	record := array.NewRecord(ArrowSchema, columns, int64(b.rows))
	for _, c := range columns {
		c.Release()
	}
	return record
}

func (b *Batch) arrowData(c Col) arrow.ArrayData {
	v, n := &b.columns[c], b.rows
	valid, nulls := b.validity(c)
	typ := arrowTypes[c.Kind()]
	switch c.Kind() {
	case KindTime, KindInt:
		return array.NewData(typ, n, []*memory.Buffer{valid, buffer(orZeros(v.Ints, n))}, nil, nulls, 0)
	case KindText:
		dict := v.Dict
		if dict.Len() == 0 {
			dict.Append(nil)
		}
		values := stringData(dict)
		defer values.Release()
		return array.NewDataWithDictionary(typ, n, []*memory.Buffer{valid, buffer(orZeros(v.Codes, n))}, nulls, 0, values)
	case KindString:
		if v.Text.Offsets == nil {
			return array.NewData(typ, n, []*memory.Buffer{valid, buffer(make([]int32, n+1)), buffer([]byte{})}, nil, nulls, 0)
		}
		return array.NewData(typ, n, []*memory.Buffer{valid, buffer(v.Text.Offsets), buffer(v.Text.Bytes)}, nil, nulls, 0)
	case KindAddr:
		return array.NewData(typ, n, []*memory.Buffer{valid, buffer(orZeros(v.Addrs, 16*n))}, nil, nulls, 0)
	case KindBool:
		bits := make([]byte, bitutil.BytesForBits(int64(n)))
		for i, set := range v.Bools {
			bitutil.SetBitTo(bits, i, set)
		}
		return array.NewData(typ, n, []*memory.Buffer{nil, buffer(bits)}, nil, 0, 0)
	default: // KindMap
		return b.attrData(typ, valid, nulls)
	}
}

// validity returns the bits of the rows that have a value in column c, nil if
// all have, and how many have none.
func (b *Batch) validity(c Col) (*memory.Buffer, int) {
	bits := make([]byte, bitutil.BytesForBits(int64(b.rows)))
	nulls := 0
	for i := range b.rows {
		if b.Has(c, i) {
			bitutil.SetBit(bits, i)
		} else {
			nulls++
		}
	}
	if nulls == 0 {
		return nil, 0
	}
	return buffer(bits), nulls
}

func (b *Batch) attrData(typ arrow.DataType, valid *memory.Buffer, nulls int) arrow.ArrayData {
	a := &b.attrs
	offsets := a.Offsets
	if offsets == nil {
		offsets = make([]int32, b.rows+1)
	}
	var keys Strings
	keys.extend(Strings{}, 0)
	for _, k := range a.Keys {
		keys.Append([]byte(a.Dict.At(int(k))))
	}
	values := a.Values
	if values.Offsets == nil {
		values.extend(Strings{}, 0)
	}
	keyData, valueData := stringData(keys), stringData(values)
	defer keyData.Release()
	defer valueData.Release()
	entry := typ.(*arrow.MapType).Elem()
	pairs := array.NewData(entry, len(a.Keys), []*memory.Buffer{nil}, []arrow.ArrayData{keyData, valueData}, 0, 0)
	defer pairs.Release()
	return array.NewData(typ, b.rows, []*memory.Buffer{valid, buffer(offsets)}, []arrow.ArrayData{pairs}, nulls, 0)
}

func stringData(s Strings) *array.Data {
	return array.NewData(arrow.BinaryTypes.String, s.Len(), []*memory.Buffer{nil, buffer(s.Offsets), buffer(s.Bytes)}, nil, 0, 0)
}

// buffer shows a slice's memory to Arrow.
func buffer[T int64 | int32 | uint32 | byte](s []T) *memory.Buffer {
	var zero T
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(zero)))
	return memory.NewBufferBytes(b)
}
