package encode

import (
	"encoding/csv"
	"io"
	"strings"

	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// csvEncoder writes RFC 4180 with a header.
type csvEncoder struct {
	w    *csv.Writer
	line []string
}

func newCSV(w io.Writer) Encoder { return &csvEncoder{w: csv.NewWriter(w)} }

func (e *csvEncoder) Begin(columns []query.Column) error {
	e.line = make([]string, len(columns))
	for i, c := range columns {
		e.line[i] = plain(c.Name)
	}
	return e.w.Write(e.line)
}

func (e *csvEncoder) Rows(cols []expr.Vec, sel []int32, n int) error {
	err := each(sel, n, func(i int) error {
		for c := range cols {
			e.line[c] = plain(cols[c].Value(i).String())
		}
		return e.w.Write(e.line)
	})
	if err != nil {
		return err
	}
	e.w.Flush()
	return e.w.Error()
}

// visible escapes control characters and those that turn the direction of text
// as JSON does.
func visible(s string) string {
	odd := func(r rune) bool { return r < 0x20 || r >= 0x7f }
	if strings.IndexFunc(s, odd) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if odd(r) {
			q := expr.QuoteJSON(string(r))
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain keeps a spreadsheet from taking a text for a formula.
func plain(s string) string {
	s = visible(s)
	if s == "" {
		return s
	}
	switch s[0] {
	case '=', '@':
		return "'" + s
	case '+', '-':
		if len(s) > 1 && (s[1] < '0' || s[1] > '9') && s[1] != '.' {
			return "'" + s
		}
	}
	return s
}

func (e *csvEncoder) End(query.Statistics, error) error {
	e.w.Flush()
	return e.w.Error()
}
