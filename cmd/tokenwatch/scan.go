package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// scanCmd looks for findings in files, without a server and without keeping
// anything.
type scanCmd struct {
	Format  string   `help:"Name of the format; auto finds it out for each file." default:"auto" placeholder:"NAME"`
	Mapping string   `help:"File that says what the fields of JSON records are." placeholder:"FILE"`
	Formats string   `name:"formats" help:"Configuration file whose formats of one's own are looked for first." placeholder:"FILE"`
	Mask    []string `help:"Column to take away before anything is scored; may repeat." placeholder:"COLUMN"`
	tableFlags
	policyFlags
	Rate     float64  `help:"False findings to be expected per token and week." default:"0.2" placeholder:"N"`
	Without  []string `help:"Detector to leave out; may repeat." placeholder:"DETECTOR"`
	MinScore int      `help:"Leave out findings below this score." placeholder:"N"`
	Files    []string `arg:"" name:"file" help:"Files, folders, patterns, or - for standard input; .gz and .zst too."`
}

// Help has an example.
func (scanCmd) Help() string {
	return "Files are merged by time. Each revision that raises a finding is printed as a JSON line at once, " +
		"and when all is read the settled findings, with \"settled\":true.\n\n" +
		"Example:\n\n    tokenwatch scan access.log audit.jsonl.gz | jq 'select(.settled)'"
}

// builtinKey is the fingerprint key of commands that keep nothing. It is no
// secret: what they print can be compared between runs and machines.
const builtinKey = "tokenwatch: fixed key of scans only"

// builtin are the secrets of such commands.
func builtin() (*secrets, error) {
	s := &secrets{}
	return s, s.derive([]byte(builtinKey)[:seal.KeySize])
}

// sealer is a pipeline that seals and stores nothing. Formats are looked for
// before the built-in ones.
func (s *secrets) sealer(c *console, m *format.Mapping, custom []format.Format, t *tables) *ingest.Pipeline {
	cfg := defaultConfig()
	conf := cfg.ingest()
	conf.Format.Custom = custom
	conf.Keys, conf.Format.Mapping, conf.Now = s.seal, m, c.now
	if t != nil {
		conf.Enrich = &t.live
	}
	return ingest.New(nil, conf)
}

// Run scans the files.
func (cmd *scanCmd) Run(ctx context.Context, c *console) (err error) {
	columns, err := maskOf(cmd.Mask)
	if err != nil {
		return err
	}
	mapping, err := readMapping(cmd.Mapping)
	if err != nil {
		return err
	}
	for _, name := range cmd.Without {
		if !slices.ContainsFunc(detect.All, func(e detect.Entry) bool { return e.Name == name }) {
			return usage("--without %s: there is no such detector; tokenwatch detectors lists them", shown(name))
		}
	}
	custom, err := readFormats(cmd.Formats)
	if err != nil {
		return err
	}
	in, err := openInputs(c, cmd.Files)
	if err != nil {
		return err
	}
	defer in.close()
	s := &scan{c: c, cmd: cmd, mask: columns, best: map[string]int{}, reasons: map[string]int{}, clock: c.now}
	conf := local.Memory()
	conf.Clock, conf.Rand = func() time.Time { return s.clock() }, c.random
	if s.store, err = local.Open(conf); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	keys, err := builtin()
	if err != nil {
		return err
	}
	if s.tables, err = cmd.tableFlags.open(c); err != nil {
		return err
	}
	policies := defaultConfig().Policy
	cmd.policyFlags.override(&policies)
	if s.policies, err = loadPolicies(policies); err != nil {
		return err
	}
	for _, p := range compileRules(s.policies).Problems {
		if err := say(c.stderr, "%s", shown(p.Error())); err != nil {
			return err
		}
	}
	p := keys.sealer(c, mapping, custom, s.tables)
	eng := engine.New(engine.Config{Key: keys.engine, Rate: cmd.Rate, Without: cmd.Without, StepEntries: 1 << 20, Committed: s.stepped}, s.store, s.store)
	if err := s.read(ctx, p, eng, in.list); err != nil {
		return err
	}
	return s.finish(ctx)
}

// scan is one scan under way.
type scan struct {
	c        *console
	cmd      *scanCmd
	mask     mask
	store    *local.Store
	tables   *tables // to be logged before the first batch
	policies *tokenwatch.PolicyPacks
	clock    func() time.Time // of the next entry: the wall clock, but for ticks

	best     map[string]int // greatest score printed, by finding
	records  int
	rejected int
	reasons  map[string]int
	formats  []string
	failed   error // of printing
}

// read puts the merged records into the store, and has the engine take each
// entry before the next one is read.
func (s *scan) read(ctx context.Context, p *ingest.Pipeline, eng *engine.Engine, in []ingest.Input) error {
	config := ingest.MergeConfig{
		Tenant: tokenwatch.DefaultTenant, Source: "scan", Format: s.cmd.Format,
		Reject: func(_ string, r tokenwatch.Reject) {
			s.rejected++
			s.reasons[r.Reason]++
		},
		Chosen: func(input, format string) {
			if format == "" {
				format = "no known format"
			}
			s.formats = append(s.formats, input+" as "+format)
		},
	}
	taken := tokenwatch.Offset(0)
	for entry, err := range p.Merge(ctx, in, config) {
		if err != nil {
			return err
		}
		s.clock = s.c.now
		if entry.Batch != nil {
			if err := s.logTables(ctx, p, entry.Batch); err != nil {
				return err
			}
			s.records += entry.Batch.Rows()
			if entry.Batch, err = s.mask.apply(entry.Batch); err != nil {
				return err
			}
		} else if !entry.Time.IsZero() {
			s.clock = func() time.Time { return entry.Time }
		}
		if _, err := s.store.Append(ctx, entry); err != nil {
			return err
		}
		// Batches are scored one by one; ticks between them only with the next.
		if last := s.store.Last(); last > taken && (entry.Batch != nil || entry.Control.Kind == tokenwatch.ControlEnd) {
			if err := eng.RunTo(ctx, last); err != nil {
				return err
			}
			taken = last
		}
		if s.failed != nil {
			return s.failed
		}
	}
	return nil
}

// logTables puts the policies and tables into the log once, as of the first event.
func (s *scan) logTables(ctx context.Context, p *ingest.Pipeline, b *tokenwatch.Batch) error {
	tables := s.tables
	if s.tables = nil; tables == nil {
		return nil
	}
	at := b.Int(tokenwatch.ColTime, 0)
	for i := range b.Rows() {
		at = min(at, b.Int(tokenwatch.ColTime, i))
	}
	s.clock = func() time.Time { return time.Unix(0, at).UTC() }
	defer func() { s.clock = s.c.now }()
	entries := append([]tokenwatch.Entry{{Control: s.policies.Control()}}, tables.entries(p, tokenwatch.DefaultTenant)...)
	for _, entry := range entries {
		if _, err := s.store.Append(ctx, entry); err != nil {
			return err
		}
	}
	return nil
}

// stepped prints the revisions that raise a finding.
func (s *scan) stepped(_ tokenwatch.Offset, findings []tokenwatch.Finding) {
	for i := range findings {
		f := &findings[i]
		if before, ok := s.best[f.ID]; f.Settled || f.Withdrawn || f.Score < s.cmd.MinScore || ok && f.Score <= before {
			continue
		}
		s.best[f.ID] = f.Score
		s.failed = errors.Join(s.failed, s.c.print(f))
	}
}

// finish prints the settled findings, and for people a summary.
func (s *scan) finish(ctx context.Context) error {
	var settled []tokenwatch.Finding
	for f, err := range s.store.Findings(ctx, tokenwatch.DefaultTenant) {
		if err != nil {
			return err
		}
		if f.Settled && !f.Withdrawn && f.Score >= s.cmd.MinScore {
			settled = append(settled, f)
		}
	}
	slices.SortFunc(settled, func(a, b tokenwatch.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	for i := range settled {
		if err := s.c.print(&settled[i]); err != nil {
			return err
		}
	}
	if err := s.summary(settled); err != nil {
		return err
	}
	if s.records == 0 && s.rejected > 0 {
		return &coded{code: exitNothing}
	}
	return nil
}

// summary is for people: it goes to standard error, unless --json.
func (s *scan) summary(settled []tokenwatch.Finding) error {
	if s.c.json {
		return nil
	}
	for _, f := range s.formats {
		if err := say(s.c.stderr, "read %s", shown(f)); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%s, %d rejected", count(s.records, "record"), s.rejected)
	for _, reason := range sortedKeys(s.reasons) {
		line += fmt.Sprintf(", %s %d", reason, s.reasons[reason])
	}
	if err := say(s.c.stderr, "%s; %s", line, count(len(settled), "finding")); err != nil {
		return err
	}
	slices.SortStableFunc(settled, func(a, b tokenwatch.Finding) int { return cmp.Compare(b.Score, a.Score) })
	for i := range settled {
		f := &settled[i]
		if err := say(s.c.stderr, "%3d %-8s %s  %s", f.Score, f.Severity, shown(named(f)), shown(f.Summary)); err != nil {
			return err
		}
	}
	return nil
}
