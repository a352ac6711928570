package encode

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// jsonEncoder writes {"columns":[…],"rows":[[…],…],"statistics":{…}}.
type jsonEncoder struct {
	w    io.Writer
	buf  []byte
	rows int
}

func newJSON(w io.Writer) Encoder { return &jsonEncoder{w: w} }

// column is how JSON describes a column.
type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (e *jsonEncoder) Begin(columns []query.Column) error {
	list := make([]column, len(columns))
	for i, c := range columns {
		list[i] = column{c.Name, c.Type.String()}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	e.buf = append(append(append(e.buf, `{"columns":`...), b...), `,"rows":[`...)
	return e.flush()
}

func (e *jsonEncoder) flush() error {
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

func (e *jsonEncoder) Rows(cols []expr.Vec, sel []int32, n int) error {
	return each(sel, n, func(i int) error {
		if e.rows++; e.rows > 1 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, '\n', '[')
		for c := range cols {
			if c > 0 {
				e.buf = append(e.buf, ',')
			}
			e.buf = appendJSON(e.buf, &cols[c], i)
		}
		if e.buf = append(e.buf, ']'); len(e.buf) > 32<<10 {
			return e.flush()
		}
		return nil
	})
}

func (e *jsonEncoder) End(s query.Statistics, failed error) error {
	e.buf = append(e.buf, "\n],\n"...)
	if failed != nil {
		e.buf = append(append(append(e.buf, `"error":`...), expr.QuoteJSON(failed.Error())...), ",\n"...)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	e.buf = append(append(append(e.buf, `"statistics":`...), b...), "}\n"...)
	return e.flush()
}

// each calls f with the rows sel, or all n.
func each(sel []int32, n int, f func(int) error) error {
	if sel == nil {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	for _, i := range sel {
		if err := f(int(i)); err != nil {
			return err
		}
	}
	return nil
}

// appendJSON writes one value. Times are RFC 3339, addresses and intervals text.
func appendJSON(b []byte, v *expr.Vec, i int) []byte {
	if v.IsNull(i) {
		return append(b, "null"...)
	}
	j := i
	if v.Const {
		j = 0
	}
	switch v.Type {
	case expr.TypeInt:
		return strconv.AppendInt(b, v.Ints[j], 10)
	case expr.TypeFloat:
		return appendFloat(b, v.Floats[j])
	case expr.TypeBool:
		return strconv.AppendBool(b, v.Bools[j])
	case expr.TypeTime:
		b = append(b, '"')
		b = time.Unix(0, v.Ints[j]).UTC().AppendFormat(b, time.RFC3339Nano)
		return append(b, '"')
	case expr.TypeText:
		return append(b, expr.QuoteJSON(v.Str(i))...)
	case expr.TypeJSON, expr.TypeMap:
		return append(b, v.Value(i).Text...)
	default:
		return append(b, expr.QuoteJSON(v.Value(i).String())...)
	}
}

// appendFloat writes a number so that it is read back as the same one.
func appendFloat(b []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.AppendFloat(b, f, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// lineEncoder writes one object a row.
type lineEncoder struct {
	jsonEncoder
	names []string // as JSON, with what stands around them
}

func newLines(w io.Writer) Encoder { return &lineEncoder{jsonEncoder: jsonEncoder{w: w}} }

func (e *lineEncoder) Begin(columns []query.Column) error {
	for i, c := range columns {
		before := ","
		if i == 0 {
			before = "{"
		}
		e.names = append(e.names, before+expr.QuoteJSON(c.Name)+":")
	}
	return nil
}

func (e *lineEncoder) Rows(cols []expr.Vec, sel []int32, n int) error {
	err := each(sel, n, func(i int) error {
		for c := range cols {
			e.buf = append(e.buf, e.names[c]...)
			e.buf = appendJSON(e.buf, &cols[c], i)
		}
		if e.buf = append(e.buf, "}\n"...); len(e.buf) > 32<<10 {
			return e.flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return e.flush()
}

func (e *lineEncoder) End(_ query.Statistics, failed error) error {
	if failed != nil {
		e.buf = append(append(append(e.buf, `{"error":`...), expr.QuoteJSON(failed.Error())...), "}\n"...)
	}
	return e.flush()
}
