package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// findingsCmd lists findings.
type findingsCmd struct {
	askFlags
	tenantFlag
	Since    string `help:"Only those of events since then: 24h, 7d, 2026-03-02 or a full RFC 3339 time." placeholder:"TIME"`
	MinScore int    `help:"Only those that score as high." placeholder:"N"`
	Entity   string `help:"Only those about this token, actor or address, by id or alias." placeholder:"NAME"`
	All      bool   `help:"Withdrawn ones too."`
	Filter   string `help:"Only those that this filter lets through, as the API takes it." placeholder:"FILTER"`
	Order    string `help:"In the order of these fields, for example 'score desc, time'; default the one updated last first." placeholder:"FIELDS"`
}

// Help has an example.
func (findingsCmd) Help() string {
	return "Example:\n\n    tokenwatch findings --since 24h --min-score 80"
}

// Run prints the findings.
func (cmd *findingsCmd) Run(ctx context.Context, c *console) error {
	since, err := parseSince(cmd.Since, c.now())
	if err != nil {
		return err
	}
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		t := newFindingsTable()
		for f, err := range d.findings(ctx, cmd.Filter, cmd.Order) {
			if err != nil {
				return err
			}
			switch {
			case f.Withdrawn && !cmd.All, f.Score < cmd.MinScore, f.Time.Before(since), !about(&f, cmd.Entity):
				continue
			}
			if !c.json {
				t.finding(&f)
			} else if err := c.print(&f); err != nil {
				return err
			}
		}
		return t.write(c)
	})
}

// about tells whether a finding is about what a user calls name.
func about(f *tokenwatch.Finding, name string) bool {
	if name == "" || f.Entity == name || string(f.Token) == name || f.Actor == name {
		return true
	}
	for _, a := range f.Aliases {
		if a.Value == name {
			return true
		}
	}
	return false
}

// parseSince reads a span back from now, a day or a time; "" is the beginning.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 1_000_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--since is a span like 24h or 7d, a day like 2026-03-02, or an RFC 3339 time")
}

type findingsTable struct{ table }

func newFindingsTable() *findingsTable {
	return &findingsTable{table{
		head: []string{"severity", "score", "time", "id", "about", "summary"},
		keep: []int{2, 3},
		mark: func(row []string) string { return severityColour(tokenwatch.Severity(row[0])) },
	}}
}

func (t *findingsTable) finding(f *tokenwatch.Finding) {
	summary := f.Summary
	if f.Withdrawn {
		summary = "(withdrawn) " + summary
	}
	if f.SuppressedBy != "" {
		summary = "(suppressed) " + summary
	}
	if f.Status != "" && f.Status != tokenwatch.StatusNew {
		summary = "(" + f.Status + ") " + summary
	}
	t.add(string(f.Severity), strconv.Itoa(f.Score), f.Time.UTC().Format("2006-01-02 15:04:05Z"), f.ID, named(f), summary)
}

// named returns what a person would call whom a finding is about.
func named(f *tokenwatch.Finding) string {
	name := f.Entity
	if f.EntityKind == tokenwatch.EntityToken {
		for _, kind := range tokenwatch.NameKinds {
			for _, a := range f.Aliases {
				if a.Kind == kind && kind != tokenwatch.NameFullHash && kind != tokenwatch.NameTruncatedHash {
					return fmt.Sprintf("token %s", a.Value)
				}
			}
		}
	}
	return f.EntityKind.String() + " " + name
}

func severityColour(s tokenwatch.Severity) string {
	switch s {
	case tokenwatch.SeverityCritical:
		return "\x1b[1;31m"
	case tokenwatch.SeverityHigh:
		return "\x1b[31m"
	case tokenwatch.SeverityMedium:
		return "\x1b[33m"
	default:
		return "\x1b[2m"
	}
}
