package format

import (
	"bytes"
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// gitleaksCSV reads the findings of Gitleaks as comma-separated values, whose
// header names the columns of its JSON.
type gitleaksCSV struct {
	auditParser
	lines   csv // splits them
	header  []byte
	columns []*field
}

var gitleaksTable = sync.OnceValue(func() *table { return compile(&gitleaks) })

func newGitleaksCSV(Config) (Parser, error) {
	return &gitleaksCSV{auditParser: newAuditParser(gitleaksTable())}, nil
}

var gitleaksHeader = []byte("RuleID,Commit,File,")

// sniffGitleaksCSV looks for the header, or for as many columns as it names.
func sniffGitleaksCSV(record []byte) int {
	switch {
	case bytes.HasPrefix(record, gitleaksHeader):
		return 99
	case bytes.Count(record, []byte{','}) >= bytes.Count(gitleaksHeader, []byte{','})+10 && firstByte(record) != '{':
		return 4
	}
	return 0
}

// Header returns the header last read.
func (p *gitleaksCSV) Header() []byte { return p.header }

// SetHeader makes a header the last one read.
func (p *gitleaksCSV) SetHeader(header []byte) {
	p.header, p.columns = nil, nil
	if len(header) == 0 {
		return
	}
	p.header = bytes.Clone(header)
	for name := range bytes.SplitSeq(p.header, []byte{','}) {
		if len(p.columns) == maxColumns {
			break
		}
		f := &field{path: appendFolded(nil, name), full: name, ruled: true}
		f.rule = p.rules[string(f.path)]
		p.columns = append(p.columns, f)
	}
}

// Parse fills row from a line, or takes a header.
func (p *gitleaksCSV) Parse(record []byte, row *tokenwatch.Row) error {
	line := bytes.TrimRight(record, "\r\n")
	if bytes.HasPrefix(line, gitleaksHeader) {
		p.SetHeader(line)
		return ErrNoRecord
	}
	if p.columns == nil {
		return malformed("no header of a Gitleaks report came before")
	}
	p.begin(record, row)
	p.lines.comma = ','
	if !p.lines.split(row, line) || len(p.lines.fields) != len(p.columns) {
		return malformed("number of fields is not that of the header")
	}
	for i, v := range p.lines.fields {
		p.leaf(p.columns[i], v, false)
	}
	return p.complete()
}
