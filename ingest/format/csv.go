package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// csv reads comma-separated values (semicolons and tabs too) with a header: the
// first line, or a later one that is as good as one. Quoted fields may hold
// separators and doubled quotes, but no line breaks. What a column is called says
// what it is, as in JSON objects.
type csv struct {
	walker
	header  []byte
	comma   byte
	columns []*field
	fields  [][]byte
}

func newCSV(c Config) (Parser, error) {
	p := &csv{walker: newWalker(nil)}
	p.enclosed = c.enclosed
	return p, nil
}

// sniffCSV looks for a header, which tells most, or for many separators.
func sniffCSV(record []byte) int {
	comma := csvComma(record)
	if comma == 0 || firstByte(record) == '{' || firstByte(record) == '[' || firstByte(record) == '<' {
		return 0
	}
	if isHeader(record, comma) {
		return 70
	}
	if bytes.Count(record, []byte{comma}) >= 4 {
		return 5
	}
	return 0
}

// csvComma returns what separates a line's fields, 0 if it has no two.
func csvComma(line []byte) byte {
	best, most := byte(0), 0
	for _, c := range []byte{',', '\t', ';'} {
		if n := bytes.Count(line, []byte{c}); n > most {
			best, most = c, n
		}
	}
	return best
}

// isHeader tells whether a line is one of names: each of them could be one, and
// one of them is a time's.
func isHeader(line []byte, comma byte) bool {
	names, time := 0, false
	for name := range bytes.SplitSeq(bytes.TrimPrefix(bytes.TrimRight(line, "\r\n"), []byte("\xef\xbb\xbf")), []byte{comma}) {
		name = bytes.Trim(name, `" `)
		if len(name) == 0 || len(name) > 64 || name[0] >= '0' && name[0] <= '9' {
			return false
		}
		for _, c := range name {
			if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !bytes.ContainsRune([]byte("_-. @/()"), rune(c)) {
				return false
			}
		}
		r := csvRule(name)
		time = time || (r.op == toColumn || r.op == toWeak) && r.col == tokenwatch.ColTime
		names++
	}
	return names >= 2 && time
}

// csvRule returns the rule of a column.
func csvRule(name []byte) rule {
	folded := fold(string(bytes.ReplaceAll(name, []byte(" "), []byte("_"))))
	if r, ok := jsonRules[folded]; ok {
		if r.op == toMessage {
			return rule{}
		}
		return r
	}
	if i := bytes.LastIndexByte([]byte(folded), '.'); i >= 0 {
		folded = folded[i+1:]
	}
	return leafRules[folded]
}

// Header returns the header last read.
func (p *csv) Header() []byte { return p.header }

// SetHeader makes a header the last one read.
func (p *csv) SetHeader(header []byte) {
	p.header, p.columns = nil, nil
	if len(header) > 0 {
		p.setHeader(header)
	}
}

func (p *csv) setHeader(line []byte) {
	line = bytes.Clone(bytes.TrimPrefix(bytes.TrimRight(line, "\r\n"), []byte("\xef\xbb\xbf")))
	p.header, p.comma, p.columns = line, csvComma(line), nil
	if p.comma == 0 {
		p.comma = ','
	}
	for name := range bytes.SplitSeq(line, []byte{p.comma}) {
		if len(p.columns) == maxColumns {
			break
		}
		name = bytes.Trim(name, `" `)
		p.columns = append(p.columns, columnOf(string(name), csvRule(name)))
	}
}

// Parse fills row from a line, or takes a header.
func (p *csv) Parse(record []byte, row *tokenwatch.Row) error {
	line := bytes.TrimRight(record, "\r\n")
	if comma := csvComma(line); comma != 0 && isHeader(line, comma) {
		p.setHeader(line)
		return ErrNoRecord
	}
	if p.columns == nil {
		return malformed("no header with a column of times came before")
	}
	p.begin(record, row)
	if !p.split(row, line) || len(p.fields) != len(p.columns) {
		return malformed("number of fields is not that of the header")
	}
	for i, v := range p.fields {
		if len(v) > 0 && string(v) != "-" {
			p.leaf(p.columns[i], v, false)
		}
	}
	return p.walker.finish()
}

// split cuts a line into fields.
func (p *csv) split(row *tokenwatch.Row, line []byte) bool {
	p.fields = p.fields[:0]
	for {
		if len(p.fields) == maxColumns {
			return false
		}
		if len(line) > 0 && line[0] == '"' {
			v, rest, ok := csvQuoted(row, line)
			if !ok || len(rest) > 0 && rest[0] != p.comma {
				return false
			}
			p.fields = append(p.fields, v)
			if len(rest) == 0 {
				return true
			}
			line = rest[1:]
			continue
		}
		i := bytes.IndexByte(line, p.comma)
		if i < 0 {
			p.fields = append(p.fields, bytes.TrimSpace(line))
			return true
		}
		p.fields = append(p.fields, bytes.TrimSpace(line[:i]))
		line = line[i+1:]
	}
}

// csvQuoted reads a quoted field, in which two quotes are one.
func csvQuoted(row *tokenwatch.Row, b []byte) (v, rest []byte, ok bool) {
	doubled := false
	for i := 1; i < len(b); i++ {
		if b[i] != '"' {
			continue
		}
		if i+1 < len(b) && b[i+1] == '"' {
			doubled = true
			i++
			continue
		}
		v = b[1:i]
		if doubled {
			raw := v
			v = row.Build(func(dst []byte) []byte {
				for i := 0; i < len(raw); i++ {
					dst = append(dst, raw[i])
					if raw[i] == '"' {
						i++
					}
				}
				return dst
			})
		}
		return v, b[i+1:], true
	}
	return nil, b, false
}
