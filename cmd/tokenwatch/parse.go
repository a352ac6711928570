package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/shape"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// parseCmd prints records as they would be stored.
type parseCmd struct {
	Format string `help:"Name of the format; auto finds it out for each file." default:"auto" placeholder:"NAME"`
	As     string `help:"What the records are printed as: native, ecs or ocsf." default:"native" placeholder:"SCHEMA"`
	Source string `help:"Which input the records belong to." default:"default" placeholder:"NAME"`
	tableFlags
	Mapping string   `help:"File that says what the fields of JSON records are." placeholder:"FILE"`
	Formats string   `name:"formats" help:"Configuration file whose formats of one's own are looked for first." placeholder:"FILE"`
	Grok    string   `help:"Grok pattern that whole lines match." placeholder:"PATTERN"`
	Nginx   string   `help:"nginx log_format directive, or its string, that the lines were written by." placeholder:"TEXT"`
	Apache  string   `help:"Apache LogFormat directive, or its string, that the lines were written by." placeholder:"TEXT"`
	Files   []string `arg:"" name:"file" help:"Files, folders, patterns, or - for standard input; .gz and .zst too."`
}

// Help has an example.
func (parseCmd) Help() string {
	return "Credentials are sealed with a fixed key: the ids are not those of a store. " +
		"Records that cannot be read go to standard error by position and reason.\n\n" +
		"Example:\n\n    tokenwatch parse --as ecs access.log\n" +
		"    tokenwatch parse --grok '%{COMBINEDAPACHELOG} %{NUMBER:request_time}' access.log"
}

// Run prints every record of the files as a JSON object a line.
func (cmd *parseCmd) Run(ctx context.Context, c *console) error {
	document, err := documents(cmd.As)
	if err != nil {
		return err
	}
	mapping, err := readMapping(cmd.Mapping)
	if err != nil {
		return err
	}
	custom, err := readFormats(cmd.Formats)
	if err != nil {
		return err
	}
	described, err := cmd.described()
	if err != nil {
		return err
	}
	keys, err := builtin()
	if err != nil {
		return err
	}
	in, err := openInputs(c, cmd.Files)
	if err != nil {
		return err
	}
	defer in.close()
	tables, err := cmd.tableFlags.open(c)
	if err != nil {
		return err
	}
	return cmd.print(ctx, c, keys.sealer(c, mapping, append(custom, described...), tables), in.list, document)
}

// described is the format that a flag describes, if one does: the lines are of it.
func (cmd *parseCmd) described() (out []format.Format, err error) {
	for _, d := range []format.Custom{
		{Name: "grok", Grok: cmd.Grok}, {Name: "nginx", Nginx: cmd.Nginx}, {Name: "apache", Apache: cmd.Apache},
	} {
		if d.Grok+d.Nginx+d.Apache == "" {
			continue
		}
		f, err := d.Format()
		if err != nil {
			return nil, usage("--%s: %w", d.Name, err)
		}
		if cmd.Format != source.FormatAuto {
			return nil, usage("--format, --grok, --nginx and --apache exclude each other")
		}
		out, cmd.Format = append(out, f), d.Name
	}
	return out, nil
}

// print prints what inputs are read as, and names what cannot be read.
func (cmd *parseCmd) print(ctx context.Context, c *console, pipeline *ingest.Pipeline, inputs []ingest.Input, document document) error {
	out := bufio.NewWriter(c.stdout)
	rows, rejects := 0, 0
	for _, input := range inputs {
		// One file at a time, so that the order is that of the files.
		merged := pipeline.Merge(ctx, []ingest.Input{input}, ingest.MergeConfig{
			Tenant: tokenwatch.DefaultTenant, Source: cmd.Source, Format: cmd.Format,
			Reject: func(_ string, r tokenwatch.Reject) {
				rejects++
				reportReject(c, input.Name, r)
			},
		})
		for entry, err := range merged {
			if err != nil {
				return err
			}
			if entry.Batch == nil {
				continue
			}
			rows += entry.Batch.Rows()
			if err := printRows(out, entry.Batch, document); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return fmt.Errorf("print records: %w", err)
			}
		}
	}
	if rows == 0 && rejects > 0 {
		return &coded{code: exitNothing}
	}
	return nil
}

// reportReject tells of a record that could not be read: where, not what.
func reportReject(c *console, input string, r tokenwatch.Reject) {
	if c.json {
		writeJSON(c.stderr, struct {
			Input string `json:"input"`
			tokenwatch.Reject
		}{input, r})
		return
	}
	line := fmt.Sprintf("%s: record %d at offset %d, %d bytes: %s", input, r.Index, r.Offset, r.Length, r.Reason)
	if r.Detail != "" {
		line += ", " + r.Detail
	}
	fmt.Fprintln(c.stderr, shown(line))
}

// document returns row i of a batch as what is printed of it.
type document func(b *tokenwatch.Batch, i int) (string, error)

// documents returns how rows are printed.
func documents(as string) (document, error) {
	switch as {
	case "native":
		return native, nil
	case "ecs":
		return func(b *tokenwatch.Batch, i int) (string, error) { return encode(shape.ECS(b, i)) }, nil
	case "ocsf":
		return func(b *tokenwatch.Batch, i int) (string, error) { return encode(shape.OCSF(b, i)) }, nil
	default:
		return nil, usage("--as is native, ecs or ocsf")
	}
}

// printRows prints rows as JSON, one a line.
func printRows(w io.Writer, b *tokenwatch.Batch, as document) error {
	for i := range b.Rows() {
		line, err := as(b, i)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, escapeJSON(line)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// native is a row by our own names, fields in the order of the schema. Fields
// without a value, and flags that are not set, are left out.
func native(b *tokenwatch.Batch, i int) (string, error) {
	var line strings.Builder
	sep := "{"
	add := func(name string, value any) error {
		encoded, err := encode(value)
		fmt.Fprintf(&line, "%s%q:%s", sep, name, encoded)
		sep = ","
		return err
	}
	for c, column := range tokenwatch.Schema {
		if value, ok := cell(b, tokenwatch.Col(c), i); ok {
			if err := add(column.Name, value); err != nil {
				return "", err
			}
		}
	}
	var told []toldFact
	for _, f := range shape.Facts(b, i) {
		told = append(told, tell(f))
	}
	if told != nil {
		if err := add("facts", told); err != nil {
			return "", err
		}
	}
	if sep == "{" {
		line.WriteString(sep)
	}
	return line.String() + "}", nil
}

// encode is JSON without escapes for HTML.
func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// cell returns row i of a column; false if there is nothing to show.
func cell(b *tokenwatch.Batch, c tokenwatch.Col, i int) (any, bool) {
	if !b.Has(c, i) {
		return nil, false
	}
	switch c.Kind() {
	case tokenwatch.KindTime:
		return time.Unix(0, b.Int(c, i)).UTC().Format(time.RFC3339Nano), true
	case tokenwatch.KindInt:
		return b.Int(c, i), true
	case tokenwatch.KindAddr:
		return b.Addr(i).String(), true
	case tokenwatch.KindBool:
		return true, b.Bool(c, i)
	case tokenwatch.KindMap:
		attrs := make(map[string]string)
		b.EachAttr(i, func(key, value string) { attrs[key] = value })
		return attrs, true
	default:
		return b.Text(c, i), true
	}
}
