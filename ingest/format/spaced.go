package format

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// A format of fields in a fixed order with spaces between them is a table: the
// names of its columns, and what is done with those that are more than attrs.
// A field may be quoted or in brackets; "-" is none.
type spacedTable struct {
	shapes []string        // names of the columns, one for each number of fields that occurs
	rules  map[string]rule // by column
	// choose picks a shape by a line's fields, -1 to refuse it; nil is the first.
	choose func(fields [][]byte) int
	// finish does what needs the line as a whole; may be nil.
	finish func(p *spaced) error
}

// spaced reads lines by a spacedTable.
type spaced struct {
	walker
	t      *spacedTable
	shapes [][]*field
	fields [][]byte // of the line
	shape  int
}

func newSpaced(t *spacedTable) func(Config) (Parser, error) {
	return func(c Config) (Parser, error) {
		p := &spaced{walker: newWalker(nil), t: t}
		p.enclosed = c.enclosed
		for _, names := range t.shapes {
			p.shapes = append(p.shapes, columnsOf(strings.Fields(names), t.rules))
		}
		return p, nil
	}
}

// columnsOf makes fields of names, with the rules of some.
func columnsOf(names []string, rules map[string]rule) []*field {
	out := make([]*field, len(names))
	for i, name := range names {
		out[i] = columnOf(name, rules[name])
	}
	return out
}

func columnOf(name string, r rule) *field {
	r.incidental = r.incidental || incidentalCarriers[r.carrier]
	return &field{kept: true, ruled: true, full: []byte(name), path: []byte(fold(name)), rule: r}
}

// Parse fills row from a line.
func (p *spaced) Parse(record []byte, row *tokenwatch.Row) error {
	p.begin(record, row)
	var err error
	if p.fields, err = splitFields(row, p.fields[:0], bytes.TrimRight(record, " \r\n")); err != nil {
		return err
	}
	p.shape = 0
	if p.t.choose != nil {
		p.shape = p.t.choose(p.fields)
	} else if len(p.fields) < len(p.shapes[0]) {
		p.shape = -1
	}
	if p.shape < 0 {
		return malformed("fields are not those of the format")
	}
	p.take(p.shapes[p.shape])
	if p.t.finish != nil {
		if err := p.t.finish(p); err != nil {
			return err
		}
	}
	return p.walker.finish()
}

// take gives each field to its column. Fields behind the last are attrs by their number.
func (p *spaced) take(columns []*field) {
	for i, v := range p.fields {
		switch {
		case len(v) == 0 || string(v) == "-":
		case i < len(columns):
			p.leaf(columns[i], v, false)
		default:
			p.row.AddAttr(numbered(p.row, i+1), v)
		}
	}
}

// field returns the value of a column of the shape, nil without one.
func (p *spaced) field(name string) []byte {
	for i, f := range p.shapes[p.shape] {
		if string(f.full) == name && i < len(p.fields) && string(p.fields[i]) != "-" {
			return p.fields[i]
		}
	}
	return nil
}

// numbered is the name of a field that has none.
func numbered(row *tokenwatch.Row, n int) []byte {
	return row.Build(func(b []byte) []byte { return strconv.AppendInt(append(b, "field_"...), int64(n), 10) })
}

// splitFields cuts a line at its spaces. A field in quotes ends with a quote
// before a space, and has its escapes decoded; one in brackets ends with one. A
// list goes on behind a comma and a space.
func splitFields(row *tokenwatch.Row, out [][]byte, line []byte) ([][]byte, error) {
	for line = bytes.TrimLeft(line, " "); len(line) > 0; line = bytes.TrimLeft(line, " ") {
		if len(out) == maxFields {
			return out, reject(tokenwatch.ReasonTooManyField, "more than 256 fields")
		}
		var v []byte
		v, line = nextField(row, line)
		out = append(out, v)
	}
	return out, nil
}

func nextField(row *tokenwatch.Row, b []byte) (v, rest []byte) {
	switch b[0] {
	case '"':
		if v, rest, ok := spacedQuoted(row, b); ok {
			return v, rest
		}
	case '[':
		if i := bytes.IndexByte(b, ']'); i > 0 && (i+1 == len(b) || b[i+1] == ' ') {
			return b[1:i], b[i+1:]
		}
	}
	for i := 0; i < len(b); i++ {
		if b[i] == ' ' && (i == 0 || b[i-1] != ',') {
			return b[:i], b[i:]
		}
	}
	return b, nil
}

// spacedQuoted reads a quoted field whose closing quote stands before a space or
// at the end. A quote within it may be escaped by a backslash or not at all.
func spacedQuoted(row *tokenwatch.Row, b []byte) (v, rest []byte, ok bool) {
	for i := 1; i < len(b); {
		k := bytes.IndexByte(b[i:], '"')
		if k < 0 {
			return nil, b, false
		}
		i += k + 1
		if i < len(b) && b[i] != ' ' {
			continue
		}
		v = b[1 : i-1]
		if n := len(v); n > 0 && v[n-1] == '\\' && (n == 1 || v[n-2] != '\\') {
			continue
		}
		if bytes.IndexByte(v, '\\') >= 0 {
			raw := v
			v = row.Build(func(dst []byte) []byte { return appendUnquoted(dst, raw) })
		}
		return v, b[i:], true
	}
	return nil, b, false
}

// Rules of tables.
func toCol(c tokenwatch.Col) rule { return rule{op: toColumn, col: c} }
func toDur(unit int64) rule       { return rule{op: toDuration, unit: unit} }

// addDurations gives duration the sum of columns in seconds, if all are there.
func (p *spaced) addDurations(names ...string) {
	var sum int64
	for _, name := range names {
		d, ok := seconds(p.field(name))
		if !ok {
			return
		}
		sum += d
	}
	p.row.SetInt(tokenwatch.ColDuration, sum)
}
