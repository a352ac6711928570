package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// exportCmd writes the history for an auditor.
type exportCmd struct {
	storeFlags
	Out        string `required:"" help:"Directory to write to; it must be empty or not exist." placeholder:"DIR"`
	NoPayloads bool   `help:"Leave out the bytes of the log: they are proven by digest only then."`
}

// Help has an example.
func (exportCmd) Help() string {
	return "The store must be stopped. The verifier key it prints is what verify is given: " +
		"keep it, and the file checkpoint, where the operator of the store cannot change them.\n\n" +
		"Example:\n\n    tokenwatch export --data ./data --out ./audit"
}

// Run exports the history up to a checkpoint signed now.
func (cmd *exportCmd) Run(ctx context.Context, c *console) (err error) {
	cfg, err := cmd.config()
	if err != nil {
		return err
	}
	made, err := local.Exists(nil, cfg.Data)
	if err != nil {
		return err
	}
	if !made {
		return usage("there is no store in %s", cfg.Data)
	}
	if found, err := os.ReadDir(cmd.Out); err == nil && len(found) > 0 {
		return usage("%s is not empty", cmd.Out)
	}
	site, err := openSite(ctx, c, cfg, c.logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.store.Close()) }()
	signed, err := site.store.Checkpoint(ctx)
	if err != nil {
		return err
	}
	var payloads iter.Seq2[history.Payload, error]
	if !cmd.NoPayloads {
		payloads = site.store.Payloads(ctx, storage.Range{})
	}
	vkey := site.secrets.signing.Verifier()
	manifest, err := history.Export(history.Dir{Path: cmd.Out}, signed, vkey, site.store.Reader(), payloads)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(struct {
			history.Manifest
			VKey string `json:"vkey"`
		}{manifest, vkey})
	}
	if err := say(c.stdout, "%s, the bytes of %d log entries, in %s", leaves(manifest.Size), manifest.Payloads, shown(cmd.Out)); err != nil {
		return err
	}
	return say(c.stdout, "verifier key: %s", vkey)
}

// verifyCmd verifies an export.
type verifyCmd struct {
	VKey       string   `name:"vkey" required:"" help:"Verifier key, from somebody you trust: never from the export." placeholder:"KEY"`
	Checkpoint []string `help:"Checkpoint kept from earlier; may repeat." placeholder:"FILE"`
	Payloads   bool     `help:"The bytes of every log entry must be there."`
	Dir        string   `arg:"" help:"Directory of the export."`
}

// Help has an example.
func (verifyCmd) Help() string {
	return "Needs no network and no store. The exit code says what is wrong; see tokenwatch help exit-codes.\n\n" +
		"Example:\n\n    tokenwatch verify ./audit --vkey \"$VKEY\" --checkpoint kept-in-march"
}

// Run prints the verdict, and what was found wrong.
func (cmd *verifyCmd) Run(c *console) error {
	o := history.Options{VKey: cmd.VKey, Payloads: cmd.Payloads}
	for _, name := range cmd.Checkpoint {
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read held checkpoint: %w", err)
		}
		o.Held = append(o.Held, b)
	}
	if _, err := os.Stat(cmd.Dir); err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	report, err := history.Verify(os.DirFS(cmd.Dir), o)
	if err != nil {
		return err
	}
	if err := printReport(c, report); err != nil {
		return err
	}
	if code := report.Verdict.ExitCode(); code != 0 {
		return &coded{code: code}
	}
	return nil
}

func leaves(n uint64) string {
	if n == 1 {
		return "1 leaf"
	}
	return fmt.Sprintf("%d leaves", n)
}

func printReport(c *console, r history.Report) error {
	if c.json {
		problems := []string{}
		for _, p := range r.Problems {
			problems = append(problems, p.String())
		}
		return c.print(struct {
			Verdict  string   `json:"verdict"`
			Index    int64    `json:"index"` // -1: none can be named
			Leaves   uint64   `json:"leaves"`
			Root     string   `json:"root"`
			Held     uint64   `json:"held"`
			Payloads uint64   `json:"payloads"`
			Absent   uint64   `json:"absent"`
			Problems []string `json:"problems"`
		}{r.Verdict.String(), r.Index, r.Leaves, r.Root.String(), r.Held, r.Payloads, r.Absent, problems})
	}
	line := fmt.Sprintf("%s: %s", r.Verdict, leaves(r.Leaves))
	if r.Index != history.NoIndex {
		line = fmt.Sprintf("%s from leaf %d on; %s", r.Verdict, r.Index, leaves(r.Leaves))
	}
	line += fmt.Sprintf(", %d log entries compared, %d not in the export", r.Payloads, r.Absent)
	if r.Held > 0 {
		line += fmt.Sprintf("; agrees with a held checkpoint of %s", leaves(r.Held))
	}
	if err := say(c.stdout, "%s", line); err != nil {
		return err
	}
	for _, p := range r.Problems {
		if err := say(c.stdout, "  %s", shown(p.String())); err != nil {
			return err
		}
	}
	for _, s := range r.Stops {
		if err := say(c.stdout, "  nothing recorded from %s to %s, before leaf %d",
			s.From.UTC().Format("2006-01-02 15:04:05Z"), s.To.UTC().Format("2006-01-02 15:04:05Z"), s.Index); err != nil {
			return err
		}
	}
	return nil
}
