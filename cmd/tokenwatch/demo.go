package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/source"
	"github.com/tokenwatch/tokenwatch/testdata/demo"
)

// demoCmd shows a recorded attack being found.
type demoCmd struct {
	serverFlags
	Serve bool `help:"Run the server as well, and keep it running."`
}

// Help has an example.
func (demoCmd) Help() string {
	return "Takes in CloudTrail events of a real account under attack, without their user agents, " +
		"through the same pipeline as any log. Run again, it adds nothing.\n\n" +
		"Example:\n\n    tokenwatch demo --data ./data --serve"
}

// demoSource is the source of the demo's events.
const demoSource = "demo"

// Run takes the trail in and prints what is found.
func (cmd *demoCmd) Run(ctx context.Context, c *console) (err error) {
	cfg, err := cmd.config()
	if err != nil {
		return err
	}
	if cfg.Insecure || cfg.TLSCert != "" {
		return usage("the demo serves this machine only, without TLS")
	}
	if cmd.Serve {
		return serve(ctx, c, cfg, func(ctx context.Context, w *works, a addresses) error {
			return showDemo(ctx, c, w, a)
		})
	}
	log := c.logger()
	site, err := openSite(ctx, c, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.store.Close()) }()
	w, err := newWorks(ctx, site, cfg, log, options{stepEntries: 1})
	if err != nil {
		return err
	}
	show := stage{"demo", func(ctx context.Context) error { return showDemo(ctx, c, w, addresses{HTTP: cfg.HTTP}) }}
	return flow(ctx, append([]stage{show}, w.stages()...)...)
}

// showDemo takes the trail in, waits until the engine has read it, and prints
// findings and where to look further.
func showDemo(ctx context.Context, c *console, w *works, a addresses) error {
	summary, err := takeTrail(ctx, w)
	if err != nil {
		return fmt.Errorf("take in the demo's trail: %w", err)
	}
	if err := w.progress.wait(ctx, w.site.store.Last()); err != nil {
		return nil // the user has seen enough
	}
	findings, err := demoFindings(ctx, w)
	if err != nil {
		return err
	}
	if c.json {
		for i := range findings {
			if err := c.print(&findings[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.Join(
		tellTrail(c, summary),
		tellFindings(c, findings),
		tellMore(c, w, a, findings),
	)
}

// takeTrail puts the trail through the pipeline, without the user agents: the
// attacker's tool gives its name there.
func takeTrail(ctx context.Context, w *works) (summary source.Summary, err error) {
	columns, err := maskOf([]string{tokenwatch.ColUserAgent.String()})
	if err != nil {
		return summary, err
	}
	in, err := newIntake(w.site, w.site.store, w.cfg, w.log, options{mask: columns})
	if err != nil {
		return summary, err
	}
	files := source.Files{
		To: in.pipeline, Split: ingest.Split, Stdin: bytes.NewReader(demo.Trail),
		Tenant: tokenwatch.DefaultTenant, Principal: localPrincipal, Source: demoSource, Format: source.FormatAuto,
	}
	reading := stage{"trail", func(ctx context.Context) (err error) {
		summary, err = files.Run(ctx, []string{source.Stdin})
		return err
	}}
	return summary, flow(ctx, reading, stage{"batcher", in.batcher.Run})
}

// demoFindings returns the findings, highest score first, of equal ones what began
// first.
func demoFindings(ctx context.Context, w *works) ([]tokenwatch.Finding, error) {
	var list []tokenwatch.Finding
	for f, err := range w.site.store.Findings(ctx, tokenwatch.DefaultTenant) {
		if err != nil {
			return nil, err
		}
		if !f.Withdrawn {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b tokenwatch.Finding) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), since(&a).Compare(since(&b)), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func tellTrail(c *console, s source.Summary) error {
	if s.Accepted == 0 && s.Duplicate > 0 {
		return say(c.stdout, "\nThe demo's %d events were there already; nothing was added.", s.Duplicate)
	}
	return say(c.stdout, "\n%d CloudTrail events of a real account under attack taken in (2023-07-10, 28 minutes, user agents removed).", s.Accepted)
}

// demoShown is how many findings the demo prints.
const demoShown = 20

func tellFindings(c *console, findings []tokenwatch.Finding) error {
	if len(findings) == 0 {
		return say(c.stdout, "No findings: this store has later events, so the demo's come too late to be judged. Try an empty one, with --data.\n")
	}
	if err := say(c.stdout, "%s:\n", count(len(findings), "finding")); err != nil {
		return err
	}
	for i := range findings[:min(len(findings), demoShown)] {
		f := &findings[i]
		head := fmt.Sprintf("%-8s %3d", f.Severity, f.Score)
		if c.colour {
			head = severityColour(f.Severity) + head + reset
		}
		err := say(c.stdout, "%s  %s\n              since %s, from %s: %s\n              %s\n", head, shown(named(f)),
			since(f).UTC().Format("2006-01-02 15:04:05Z"), shown(cmp.Or(f.SrcIP, "nowhere known")), shown(f.Summary), f.ID)
		if err != nil {
			return err
		}
	}
	if more := len(findings) - demoShown; more > 0 {
		return say(c.stdout, "and %d more\n", more)
	}
	return nil
}

// since is when it began, as far as the evidence shows.
func since(f *tokenwatch.Finding) time.Time {
	if len(f.Evidence) > 0 && f.Evidence[0].Time.Before(f.Time) {
		return f.Evidence[0].Time
	}
	return f.Time
}

// tellMore says how to look further.
func tellMore(c *console, w *works, a addresses, findings []tokenwatch.Finding) error {
	key := w.site.secrets.adminPath()
	if !a.Ready {
		example := "ID"
		if len(findings) > 0 {
			example = findings[0].ID
		}
		return say(c.stdout, "Look further:\n\n    tokenwatch finding %s --data %s\n    tokenwatch serve --data %s",
			example, shown(w.cfg.Data), shown(w.cfg.Data))
	}
	path := ""
	if len(findings) > 0 {
		path = "/" + findings[0].ID
	}
	return say(c.stdout, "Look further:\n\n    curl -H \"Authorization: Bearer $(cat '%s')\" %s/v1/findings\n    curl -H \"Authorization: Bearer $(cat '%s')\" %s/v1/findings%s\n\n"+
		"or with a browser at %s/console: any user name, and as the password what is in that file.\n\nCtrl-C stops the server.",
		key, a.url(), key, a.url(), path, a.url())
}
