package policy

import "github.com/tokenwatch/tokenwatch"

// Rows finds the rows of a batch of which the parts that read one text of the
// event alone do not say already that the policy does not hold: a bit for each
// row, nil for all rows. Each distinct text is asked about once.
func (p *Policy) Rows(b *tokenwatch.Batch) (rows []bool, none bool) {
	for i := range p.parts {
		q := &p.parts[i]
		if q.field == "" {
			continue
		}
		if q.attr != "" {
			rows, none = q.attrRows(b, rows)
		} else {
			rows, none = q.columnRows(b, rows)
		}
		if none {
			return nil, true
		}
	}
	return rows, false
}

// columnRows keeps the rows whose text in the part's column lets it hold.
func (q *part) columnRows(b *tokenwatch.Batch, rows []bool) ([]bool, bool) {
	c, _ := tokenwatch.ColumnByName(q.field)
	v := b.Column(c)
	if v.Codes == nil {
		return rows, b.Rows() == 0 || !q.holds(&Case{Batch: b, Row: 0})
	}
	asked := make([]int8, max(1, v.Dict.Len())) // 0: not yet, 1: holds, -1: does not
	any := false
	out := make([]bool, len(v.Codes))
	for i, code := range v.Codes {
		if rows != nil && !rows[i] {
			continue
		}
		if asked[code] == 0 {
			asked[code] = -1
			if q.holds(&Case{Batch: b, Row: i}) {
				asked[code] = 1
			}
		}
		out[i] = asked[code] > 0
		any = any || out[i]
	}
	return out, !any
}

// attrRows is columnRows of an attr. A row that has none of the name never holds,
// unless the part holds of a row without attrs.
func (q *part) attrRows(b *tokenwatch.Batch, rows []bool) ([]bool, bool) {
	if q.holds(&Case{Batch: empty}) {
		return rows, false
	}
	a := b.Attrs()
	key := -1
	for i := range a.Dict.Len() {
		if a.Dict.At(i) == q.attr {
			key = i
		}
	}
	if key < 0 {
		return nil, true
	}
	asked := map[string]bool{}
	any := false
	out := make([]bool, b.Rows())
	for i := range out {
		if rows != nil && !rows[i] {
			continue
		}
		for j := a.Offsets[i]; j < a.Offsets[i+1]; j++ {
			if int(a.Keys[j]) != key {
				continue
			}
			text := a.Values.At(int(j))
			holds, ok := asked[text]
			if !ok {
				holds = q.holds(&Case{Batch: b, Row: i})
				asked[text] = holds
			}
			out[i] = holds
			any = any || holds
			break
		}
	}
	return out, !any
}

// empty is a batch of one row without values.
var empty = func() *tokenwatch.Batch {
	var b tokenwatch.Builder
	b.Append(new(tokenwatch.Row))
	return b.Batch()
}()
