package format

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

const golden = "../../testdata/format/"

// show prints what a row holds, quoted, one value a line. Credentials show
// their carrier and length only.
func show(row *tokenwatch.Row) string {
	var b strings.Builder
	for i := range tokenwatch.NumColumns {
		c := tokenwatch.Col(i)
		if !row.Has(c) {
			continue
		}
		switch c.Kind() {
		case tokenwatch.KindTime:
			fmt.Fprintf(&b, "  %v=%s\n", c, time.Unix(0, row.Int(c)).UTC().Format(time.RFC3339Nano))
		case tokenwatch.KindInt:
			fmt.Fprintf(&b, "  %v=%d\n", c, row.Int(c))
		case tokenwatch.KindAddr:
			fmt.Fprintf(&b, "  %v=%v\n", c, row.Addr())
		default:
			fmt.Fprintf(&b, "  %v=%+q\n", c, row.Text(c))
		}
	}
	for _, n := range row.Names {
		fmt.Fprintf(&b, "  name %s %q=%q\n", n.Kind, n.Issuer, n.Value)
	}
	for _, c := range row.Credentials {
		incidental := ""
		if c.Incidental {
			incidental = ", incidental"
		}
		fmt.Fprintf(&b, "  credential %s (%d bytes%s)\n", c.Carrier, len(c.Secret.Reveal()), incidental)
	}
	for i := range row.Facts {
		showFact(&b, &row.Facts[i], row)
	}
	for _, a := range row.Attrs {
		fmt.Fprintf(&b, "  attrs[%+q]=%+q\n", a.Key, a.Value)
	}
	return b.String()
}

// showFact prints what a fact says; of its secrets only where they stand among
// the credentials.
func showFact(b *strings.Builder, f *tokenwatch.RowFact, row *tokenwatch.Row) {
	fmt.Fprintf(b, "  fact %s", f.Kind)
	for _, names := range []struct {
		as   string
		list []tokenwatch.Name
	}{{"of", f.Subject}, {"after", f.Previous}} {
		for _, n := range names.list {
			fmt.Fprintf(b, " %s %s %q=%q", names.as, n.Kind, n.Issuer, n.Value)
		}
	}
	if f.Secret > 0 {
		fmt.Fprintf(b, " of credential %s", row.Credentials[f.Secret-1].Carrier)
	}
	if f.PreviousSecret > 0 {
		fmt.Fprintf(b, " after credential %s", row.Credentials[f.PreviousSecret-1].Carrier)
	}
	for _, t := range []struct {
		name string
		text []byte
	}{{"lineage", f.Lineage}, {"owner", f.Owner}, {"label", f.Label}, {"type", f.TokenType}, {"app", f.App}, {"env", f.Env}, {"place", f.Place}} {
		if t.text != nil {
			fmt.Fprintf(b, " %s=%q", t.name, t.text)
		}
	}
	if len(f.Scopes) > 0 {
		fmt.Fprintf(b, " scopes=%q", f.Scopes)
	}
	if len(f.Removed) > 0 {
		fmt.Fprintf(b, " removed=%q", f.Removed)
	}
	switch f.Expires {
	case 0:
	case tokenwatch.Never:
		b.WriteString(" expires=never")
	default:
		fmt.Fprintf(b, " expires=%s", time.Unix(0, f.Expires).UTC().Format(time.RFC3339))
	}
	if f.Until != 0 {
		fmt.Fprintf(b, " until=%s", time.Unix(0, f.Until).UTC().Format(time.RFC3339))
	}
	b.WriteByte('\n')
}

// parse frames and parses a stream, and shows every record.
func parse(t *testing.T, f Format, cfg Config, in string) string {
	t.Helper()
	p, err := f.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var row tokenwatch.Row
	fr := frame.New(f.Frame, strings.NewReader(in), 0)
	i := 0
	for {
		rec, err := fr.Next()
		if err != nil {
			return b.String()
		}
		parts := [][]byte{rec.Bytes}
		if s, ok := p.(Splitter); ok {
			if within := s.Split(rec.Bytes); len(within) > 0 {
				parts = within
			}
		}
		for _, part := range parts {
			row.Reset()
			switch err := p.Parse(part, &row); err {
			case nil:
				fmt.Fprintf(&b, "%d\n%s", i, show(&row))
			case ErrNoRecord:
				fmt.Fprintf(&b, "%d no record\n", i)
			default:
				fmt.Fprintf(&b, "%d rejected: %v\n", i, err)
			}
			i++
		}
	}
}

// TestGolden walks the table: each format has a folder of cases, whose commands are
//
//	parse        the input, framed and parsed
//	bytes        the same, the input being a Go string literal, for bytes no text file has
//	mapping      a mapping file that later parse commands of the file use
//	detect       the name of the format chosen for the input's lines
func TestGolden(t *testing.T) {
	for _, f := range All {
		t.Run(f.Name, func(t *testing.T) {
			datadriven.Walk(t, golden+f.Name, func(t *testing.T, path string) {
				cfg := Config{Now: func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }}
				datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
					switch d.Cmd {
					case "parse":
						return parse(t, f, cfg, d.Input)
					case "bytes":
						return parse(t, f, cfg, unquote(t, d.Input))
					case "mapping":
						m, err := ParseMapping([]byte(d.Input))
						if err != nil {
							return err.Error() + "\n"
						}
						cfg.Mapping = m
						return "ok\n"
					case "detect":
						return detect(t, d.Input)
					}
					t.Fatalf("no command is called %q", d.Cmd)
					return ""
				})
			})
		})
	}
}

func detect(t *testing.T, in string) string {
	t.Helper()
	var sample [][]byte
	fr := frame.New(frame.Sniff([]byte(in)), strings.NewReader(in), 0)
	for {
		rec, err := fr.Next()
		if err != nil {
			break
		}
		sample = append(sample, append([]byte(nil), rec.Bytes...))
	}
	f, err := Detect(sample)
	if err != nil {
		return err.Error() + "\n"
	}
	return f.Name + "\n"
}
