package encode

import (
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// parquetEncoder writes Parquet with zstd. Columns may be null.
type parquetEncoder struct {
	to    io.Writer
	w     *parquet.GenericWriter[any]
	place []int // of a column among those of the schema, which are in order of name
	row   parquet.Row
}

func newParquet(w io.Writer) Encoder { return &parquetEncoder{to: w} }

func parquetNode(t expr.Type) parquet.Node {
	switch t {
	case expr.TypeBool:
		return parquet.Leaf(parquet.BooleanType)
	case expr.TypeInt, expr.TypeSpan:
		return parquet.Int(64)
	case expr.TypeFloat:
		return parquet.Leaf(parquet.DoubleType)
	case expr.TypeTime:
		return parquet.Timestamp(parquet.Nanosecond)
	case expr.TypeJSON:
		return parquet.JSON()
	default:
		return parquet.String()
	}
}

func (e *parquetEncoder) Begin(columns []query.Column) error {
	group := parquet.Group{}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = unique(group, c.Name)
		group[names[i]] = parquet.Optional(parquet.Compressed(parquetNode(c.Type), &parquet.Zstd))
	}
	schema := parquet.NewSchema("answer", group)
	at := make(map[string]int)
	for i, f := range schema.Fields() {
		at[f.Name()] = i
	}
	e.place = make([]int, len(columns))
	for i, n := range names {
		e.place[i] = at[n]
	}
	e.row = make(parquet.Row, len(columns))
	e.w = parquet.NewGenericWriter[any](e.to, schema)
	return nil
}

// unique is a name that no other column has.
func unique(have parquet.Group, name string) string {
	if name == "" {
		name = "column"
	}
	for have[name] != nil {
		name += "_"
	}
	return name
}

func (e *parquetEncoder) Rows(cols []expr.Vec, sel []int32, n int) error {
	return each(sel, n, func(i int) error {
		for c := range cols {
			at := e.place[c]
			if cols[c].IsNull(i) {
				e.row[at] = parquet.NullValue().Level(0, 0, at)
				continue
			}
			e.row[at] = parquetValue(cols[c].Value(i)).Level(0, 1, at)
		}
		_, err := e.w.WriteRows([]parquet.Row{e.row})
		return err
	})
}

func parquetValue(x expr.Value) parquet.Value {
	switch x.Type {
	case expr.TypeBool:
		return parquet.BooleanValue(x.Bool)
	case expr.TypeInt, expr.TypeSpan, expr.TypeTime:
		return parquet.Int64Value(x.Int)
	case expr.TypeFloat:
		return parquet.DoubleValue(x.Float)
	default:
		return parquet.ByteArrayValue([]byte(x.String()))
	}
}

func (e *parquetEncoder) End(_ query.Statistics, failed error) error {
	if failed != nil {
		return nil // without its index the file shows that it is not whole
	}
	return e.w.Close()
}
