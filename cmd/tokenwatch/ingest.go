package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// ingestCmd takes files into a store or a server.
type ingestCmd struct {
	storeFlags
	Server  string   `help:"URL of a server to send to, with the API key in TOKENWATCH_KEY; default $$TOKENWATCH_URL." placeholder:"URL"`
	Format  string   `help:"Name of the format; auto finds it out." default:"auto" placeholder:"NAME"`
	Source  string   `help:"Which input the records belong to." default:"default" placeholder:"NAME"`
	Tenant  string   `help:"Whose records they are, with --data." default:"default" placeholder:"NAME"`
	Mapping string   `help:"File that says what the fields of JSON records are, with --data." placeholder:"FILE"`
	Mask    []string `help:"Column to take away before anything is stored, with --data; may repeat." placeholder:"COLUMN"`
	Files   []string `arg:"" name:"file" help:"Files, folders, patterns, or - for standard input; .gz and .zst too."`
}

// Help has an example.
func (ingestCmd) Help() string {
	return "The same file again adds nothing: chunks are recognised by place and content.\n\n" +
		"Example:\n\n    tokenwatch ingest --data ./data --source web /var/log/nginx/access.log*"
}

// Run takes the files in and prints what became of them.
func (cmd *ingestCmd) Run(ctx context.Context, c *console) error {
	files := source.Files{
		Split: ingest.Split, Stdin: c.stdin, Tenant: cmd.Tenant, Principal: localPrincipal,
		Source: cmd.Source, Format: cmd.Format,
	}
	server := cmd.Server
	if server == "" && cmd.Data == "" {
		server = c.getenv("TOKENWATCH_URL")
	}
	if err := cmd.check(server); err != nil {
		return err
	}
	names, err := source.ExpandNames(cmd.Files)
	if err != nil {
		return err
	}
	meter := newMeter(c)
	files.Progress = meter.show
	var summary source.Summary
	if server != "" {
		files.To, err = source.NewSender(source.SenderConfig{URL: server, Key: c.apiKey()})
		if err != nil {
			return usage("%w", err)
		}
		summary, err = files.Run(ctx, names)
	} else {
		summary, err = cmd.intoStore(ctx, c, &files, names)
	}
	meter.clear()
	if summary.Files == 0 {
		return err // it did not begin
	}
	return errors.Join(reportIngest(c, summary), err, accepted(summary))
}

// localPrincipal is who sends what commands put into a store directly.
const localPrincipal = "cli"

func (cmd *ingestCmd) check(server string) error {
	switch {
	case cmd.Server != "" && cmd.Data != "":
		return usage("--data and --server exclude each other")
	case !validTenant(cmd.Tenant):
		return usage("a tenant is 1 to 64 of a-z, 0-9, - and _")
	case cmd.Source == "" || len(cmd.Source) > 256 || shown(cmd.Source) != cmd.Source:
		return usage("a source is 1 to 256 visible characters")
	case server == "":
		return nil
	case cmd.Mapping != "" || len(cmd.Mask) > 0 || cmd.Tenant != tokenwatch.DefaultTenant:
		return usage("--mapping, --mask and --tenant work with --data only")
	}
	return nil
}

// intoStore opens the store and runs its works until all files are in and scored.
func (cmd *ingestCmd) intoStore(ctx context.Context, c *console, files *source.Files, names []string) (summary source.Summary, err error) {
	cfg, err := cmd.config()
	if err != nil {
		return summary, err
	}
	var o options
	if o.mask, err = maskOf(cmd.Mask); err != nil {
		return summary, err
	}
	if o.mapping, err = readMapping(cmd.Mapping); err != nil {
		return summary, err
	}
	site, err := openSite(ctx, c, cfg, c.logger())
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, site.store.Close()) }()
	w, err := newWorks(ctx, site, cfg, c.logger(), o)
	if err != nil {
		return summary, err
	}
	files.To = w.pipeline
	reading := stage{"files", func(ctx context.Context) (err error) {
		summary, err = files.Run(ctx, names)
		return err
	}}
	return summary, flow(ctx, append([]stage{reading}, w.untilRead(ctx)...)...)
}

// readFormats returns the formats of one's own of a configuration file, "" for none.
func readFormats(path string) ([]format.Format, error) {
	cfg, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	return cfg.Ingest.custom, nil
}

// readMapping reads a mapping file, "" for none.
func readMapping(path string) (*format.Mapping, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("read mapping: %w", err)
	}
	m, err := format.ParseMapping(b)
	if err != nil {
		return nil, usage("%w", err)
	}
	return m, nil
}

// accepted is an error if there were records and none was taken.
func accepted(s source.Summary) error {
	if s.Accepted+s.Duplicate == 0 && s.Rejected > 0 {
		return &coded{code: exitNothing}
	}
	return nil
}

// reportIngest prints what became of all records.
func reportIngest(c *console, s source.Summary) error {
	formats := slices.Sorted(maps.Keys(s.Formats))
	if c.json {
		return c.print(struct {
			Files     int            `json:"files"`
			Records   int            `json:"records"`
			Accepted  int            `json:"accepted"`
			Duplicate int            `json:"duplicate"`
			Rejected  int            `json:"rejected"`
			Reasons   map[string]int `json:"reasons"`
			Formats   []string       `json:"formats"`
		}{s.Done, s.Accepted + s.Duplicate + s.Rejected, s.Accepted, s.Duplicate, s.Rejected, s.Reasons, append([]string{}, formats...)})
	}
	line := fmt.Sprintf("%d of %s, %s: %d accepted, %d stored before, %d rejected", s.Done, count(s.Files, "file"),
		count(s.Accepted+s.Duplicate+s.Rejected, "record"), s.Accepted, s.Duplicate, s.Rejected)
	if len(s.Reasons) > 0 {
		var reasons []string
		for _, r := range slices.Sorted(maps.Keys(s.Reasons)) {
			reasons = append(reasons, fmt.Sprintf("%s %d", r, s.Reasons[r]))
		}
		line += " (" + strings.Join(reasons, ", ") + ")"
	}
	if len(formats) > 0 {
		line += "; read as " + strings.Join(formats, ", ")
	}
	if err := say(c.stdout, "%s", shown(line)); err != nil {
		return err
	}
	if s.Duplicate > 0 && s.Accepted == 0 {
		return say(c.stdout, "nothing added: these records were there already")
	}
	return nil
}
