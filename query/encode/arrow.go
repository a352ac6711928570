package encode

import (
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// arrowEncoder writes an IPC stream, one record a chunk. Addresses are text, as
// in the other formats.
type arrowEncoder struct {
	to      io.Writer
	w       *ipc.Writer
	builder *array.RecordBuilder
}

func newArrow(w io.Writer) Encoder { return &arrowEncoder{to: w} }

func arrowType(t expr.Type) arrow.DataType {
	switch t {
	case expr.TypeBool:
		return arrow.FixedWidthTypes.Boolean
	case expr.TypeInt:
		return arrow.PrimitiveTypes.Int64
	case expr.TypeFloat:
		return arrow.PrimitiveTypes.Float64
	case expr.TypeTime:
		return &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	case expr.TypeSpan:
		return arrow.FixedWidthTypes.Duration_ns
	default:
		return arrow.BinaryTypes.String
	}
}

func (e *arrowEncoder) Begin(columns []query.Column) error {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrowType(c.Type), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	e.w = ipc.NewWriter(e.to, ipc.WithSchema(schema))
	e.builder = array.NewRecordBuilder(memory.DefaultAllocator, schema)
	return nil
}

func (e *arrowEncoder) Rows(cols []expr.Vec, sel []int32, n int) error {
	for c := range cols {
		b, v := e.builder.Field(c), &cols[c]
		err := each(sel, n, func(i int) error { return appendArrow(b, v, i) })
		if err != nil {
			return err
		}
	}
	record := e.builder.NewRecord()
	defer record.Release()
	return e.w.Write(record)
}

func appendArrow(b array.Builder, v *expr.Vec, i int) error {
	if v.IsNull(i) {
		b.AppendNull()
		return nil
	}
	x := v.Value(i)
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(x.Bool)
	case *array.Int64Builder:
		b.Append(x.Int)
	case *array.Float64Builder:
		b.Append(x.Float)
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(x.Int))
	case *array.DurationBuilder:
		b.Append(arrow.Duration(x.Int))
	case *array.StringBuilder:
		b.Append(x.String())
	default:
		return fmt.Errorf("encode as Arrow: no column of type %s", b.Type())
	}
	return nil
}

func (e *arrowEncoder) End(_ query.Statistics, failed error) error {
	defer e.builder.Release()
	if failed != nil {
		return nil // without its end the stream shows that it is not whole
	}
	return e.w.Close()
}
