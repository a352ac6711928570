package querytest

import (
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// Answer is an Output that remembers what it was given.
type Answer struct {
	Columns []query.Column
	Values  [][]expr.Value
}

// Begin notes the columns.
func (a *Answer) Begin(columns []query.Column) error {
	a.Columns = columns
	return nil
}

// Rows notes rows.
func (a *Answer) Rows(cols []expr.Vec, sel []int32, n int) error {
	if sel == nil {
		for i := range n {
			sel = append(sel, int32(i))
		}
	}
	for _, i := range sel {
		row := make([]expr.Value, len(cols))
		for c := range cols {
			row[c] = cols[c].Value(int(i))
			row[c].Text = string(append([]byte(nil), row[c].Text...))
		}
		a.Values = append(a.Values, row)
	}
	return nil
}
