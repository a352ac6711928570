package format

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// layout is a line as a server's directive describes it: values with fixed text
// between them. It is made once and read by many.
type layout struct {
	lead   []byte // before the first value
	cells  []cell
	escape escape
}

// cell is a value of a layout.
type cell struct {
	*field
	kind  kind
	after []byte // the text behind it; nil at the end
	stop  byte   // what the next value begins with, if nothing stands between
}

// kind is what a value may look like: where the text behind it could end it in
// several places, it ends in the first that gives all values their kinds.
type kind uint8

const (
	anyText kind = iota
	noSpace
	wholeNumber // digits, or a dash
	decimal     // digits and a point, or a dash
	timestamp
	valueList // what commas or colons with spaces around them separate
)

// escape is how a server writes what would break the line.
type escape uint8

const (
	escapeX    escape = iota // \x22, \" and \n
	escapeJSON               // as JSON strings
	escapeNone
)

// Bounds of layouts.
const (
	maxCells  = 64
	maxTries  = 256 // places a match looks at
	maxLayout = 8 << 10
)

// span is where a value lies.
type span struct{ from, to int }

// builder makes a layout of text and values in turn.
type builder struct {
	layout
	text []byte
	err  error
}

func (b *builder) literal(c byte) { b.text = append(b.text, c) }

// value adds a value behind the text so far.
func (b *builder) value(name string, r rule, k kind, stop byte) {
	switch n := len(b.cells); {
	case b.err != nil:
		return
	case n == maxCells:
		b.err = fmt.Errorf("more than %d values", maxCells)
		return
	case n == 0:
		b.lead = bytes.Clone(b.text)
	case len(b.text) > 0:
		b.cells[n-1].after = bytes.Clone(b.text)
	case stop != 0:
		b.cells[n-1].stop = stop
	default:
		b.err = fmt.Errorf("nothing stands between %s and %s", b.cells[n-1].full, name)
		return
	}
	b.text = b.text[:0]
	b.cells = append(b.cells, cell{field: columnOf(name, r), kind: k})
}

// continuesTime tells whether a part of a time goes on with the last value, which
// is one: 2026-03-02T08:15:01 then .250 then +0000.
func (b *builder) continuesTime() bool {
	n := len(b.cells)
	if n == 0 || b.cells[n-1].rule.col != tokenwatch.ColTime || b.cells[n-1].kind != timestamp {
		return false
	}
	switch string(b.text) {
	case "", " ", ".", ",", "T":
		b.text = b.text[:0]
		return true
	}
	return false
}

// build returns the layout. One without a time can only be read in an envelope.
func (b *builder) build() (*layout, error) {
	if b.err != nil {
		return nil, b.err
	}
	n := len(b.cells)
	if n == 0 {
		return nil, fmt.Errorf("it holds no values")
	}
	if text := bytes.TrimRight(b.text, " \r\n"); len(text) > 0 {
		b.cells[n-1].after = bytes.Clone(text)
	}
	return &b.layout, nil
}

// match finds the values of a line.
func (l *layout) match(line []byte, spans *[maxCells]span) bool {
	if !bytes.HasPrefix(line, l.lead) {
		return false
	}
	tries := 0
	return l.from(line, 0, len(l.lead), spans, &tries)
}

// from matches the cells from i on, the first at place at.
func (l *layout) from(line []byte, i, at int, spans *[maxCells]span, tries *int) bool {
	for ; i < len(l.cells); i++ {
		c := &l.cells[i]
		last := i == len(l.cells)-1
		if c.after == nil && c.stop == 0 {
			if spans[i] = (span{at, len(line)}); !c.kind.fits(line[at:]) {
				return false
			}
			return last
		}
		quoted := len(c.after) > 0 && c.after[0] == '"' && l.escape != escapeNone
		for end := at; ; end++ {
			if *tries++; *tries > maxTries {
				return false
			}
			if end = c.end(line, end, quoted); end < 0 {
				return false
			}
			if c.kind.fits(line[at:end]) {
				next := end + len(c.after)
				if last && next != len(line) {
					continue
				}
				spans[i] = span{at, end}
				if c.kind.sure(quoted) {
					at = next
					break // it cannot end elsewhere
				}
				if last {
					return true
				}
				if l.from(line, i+1, next, spans, tries) {
					return true
				}
			} else if c.kind.sure(quoted) {
				return false
			}
		}
	}
	return true
}

// end returns the first place from which the text behind the value stands, -1 if
// there is none. Escaped quotes are part of the value.
func (c *cell) end(line []byte, from int, quoted bool) int {
	if c.stop != 0 && len(c.after) == 0 {
		if i := bytes.IndexByte(line[min(from, len(line)):], c.stop); i >= 0 {
			return from + i
		}
		return -1
	}
	for from <= len(line) {
		i := bytes.Index(line[from:], c.after)
		if i < 0 {
			return -1
		}
		from += i
		if !quoted || !escapedAt(line, from) {
			return from
		}
		from++
	}
	return -1
}

// escapedAt tells whether an odd number of backslashes stands before place i.
func escapedAt(line []byte, i int) bool {
	n := 0
	for i-n > 0 && line[i-n-1] == '\\' {
		n++
	}
	return n%2 == 1
}

// sure tells whether the first end of a value is the only one. A quoted value may
// have quotes of its own, where a server does not escape them.
func (k kind) sure(quoted bool) bool { return k != anyText && k != valueList && k != timestamp }

// fits tells whether a value may be of the kind.
func (k kind) fits(v []byte) bool {
	switch k {
	case noSpace:
		return bytes.IndexByte(v, ' ') < 0
	case wholeNumber, decimal:
		if len(v) == 0 || string(v) == "-" {
			return true
		}
		for i, c := range v {
			if (c < '0' || c > '9') && (k == wholeNumber || c != '.') && (i > 0 || c != '-') {
				return false
			}
		}
	case valueList: // 10.0.0.1:80, 10.0.0.2:80 : 10.0.1.1:80
		for i, c := range v {
			if c == ' ' && (i == 0 || v[i-1] != ',' && v[i-1] != ':') && (i+1 == len(v) || v[i+1] != ':') {
				return false
			}
		}
		if n := len(v); n > 0 && (v[n-1] == ',' || v[n-1] == ':') {
			return false
		}
	case timestamp:
		_, ok := normalize.ParseTime(v)
		return ok
	}
	return true
}

// laid reads lines by layouts, the first that matches.
type laid struct {
	walker
	layouts []*layout
	spans   [maxCells]span
}

// newLaid returns the maker of parsers for layouts.
func newLaid(layouts ...*layout) func(Config) (Parser, error) {
	return func(c Config) (Parser, error) {
		p := &laid{walker: newWalker(nil), layouts: layouts}
		p.enclosed = c.enclosed
		return p, nil
	}
}

// sniffLaid returns a Sniff for layouts.
func sniffLaid(look int, layouts ...*layout) func([]byte) int {
	return func(record []byte) int {
		var spans [maxCells]span
		line := bytes.TrimRight(record, " \r\n")
		for _, l := range layouts {
			if l.match(line, &spans) {
				return look
			}
		}
		return 0
	}
}

// Parse fills row from a line.
func (p *laid) Parse(record []byte, row *tokenwatch.Row) error {
	line := bytes.TrimRight(record, " \r\n")
	for _, l := range p.layouts {
		if l.match(line, &p.spans) {
			p.begin(record, row)
			for i := range l.cells {
				v := l.decode(row, line[p.spans[i].from:p.spans[i].to])
				if len(v) > 0 && string(v) != "-" {
					p.leaf(l.cells[i].field, v, false)
				}
			}
			return p.finish()
		}
	}
	return malformed("not as the format describes it")
}

// decode undoes the server's escapes.
func (l *layout) decode(row *tokenwatch.Row, v []byte) []byte {
	if l.escape == escapeNone || bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	return row.Build(func(b []byte) []byte {
		if l.escape == escapeX {
			return appendUnquoted(b, v)
		}
		before := len(b)
		quoted := append(append(append(b[len(b):len(b):len(b)], '"'), v...), '"')
		out, err := jsontext.AppendUnquote(b, quoted)
		if err != nil {
			return append(out[:before], v...)
		}
		return out
	})
}

// described makes a format of layouts.
func described(name, doc string, look int, layouts ...*layout) Format {
	return Format{Name: name, Doc: doc, Frame: frame.Lines, New: newLaid(layouts...), Sniff: sniffLaid(look, layouts...)}
}
