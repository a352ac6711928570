package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// findingCmd shows one finding.
type findingCmd struct {
	askFlags
	tenantFlag
	ID string `arg:"" help:"Id of the finding, as tokenwatch findings lists it."`
}

// Help has an example.
func (findingCmd) Help() string {
	return "Example:\n\n    tokenwatch finding fnd_4qk3x7f2mzj5n6w2c3v4b5a6"
}

// Run prints the finding as a page.
func (cmd *findingCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		f, err := d.finding(ctx, cmd.ID)
		if err != nil {
			return err
		}
		if c.json {
			return c.print(&f)
		}
		return printFinding(c, &f)
	})
}

// printFinding prints a finding for a person to read from top to bottom.
func printFinding(c *console, f *tokenwatch.Finding) error {
	var b strings.Builder
	severity := fmt.Sprintf("%s %d", f.Severity, f.Score)
	if c.colour {
		severity = severityColour(f.Severity) + severity + reset
	}
	fmt.Fprintf(&b, "%s  %s\n\n%s\n\n", severity, shown(named(f)), shown(f.Summary))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", name, shown(value))
		}
	}
	field("finding", f.ID)
	field("state", state(f))
	field("handling", handling(f))
	field("time", f.Time.UTC().Format("2006-01-02 15:04:05Z"))
	field("window", f.Window.Start.UTC().Format("2006-01-02 15:04")+" to "+f.Window.End.UTC().Format("2006-01-02 15:04Z"))
	field("token", string(f.Token))
	for _, a := range f.Aliases {
		field("", string(a.Kind)+" "+a.Value)
	}
	field("actor", f.Actor)
	field("from", f.SrcIP)
	field("ATT&CK", strings.Join(f.Attack, ", "))
	field("controls", strings.Join(f.Controls, ", "))
	field("continues", f.Continues)
	field("merged into", f.MergedInto)
	field("history", "leaf "+strconv.FormatUint(f.HistoryIndex, 10)+" is about this revision")
	if len(f.Reasons) > 0 {
		b.WriteString("\nWhy\n")
	}
	for i := range f.Reasons {
		printReason(&b, &f.Reasons[i])
	}
	printMembers(&b, f)
	printSeries(&b, c, f.Series, f.Window)
	if len(f.Evidence) > 0 {
		b.WriteString("\nEvidence\n")
	}
	if _, err := io.WriteString(c.stdout, b.String()); err != nil {
		return err
	}
	return printEvidence(c, f.Evidence)
}

// shownMembers is how many members of a finding are shown.
const shownMembers = 20

// printMembers shows who shares a finding.
func printMembers(b *strings.Builder, f *tokenwatch.Finding) {
	if f.MemberCount == 0 {
		return
	}
	b.WriteString("\nWith it\n")
	listed := f.Members[:min(len(f.Members), shownMembers)]
	for _, m := range listed {
		fmt.Fprintf(b, "  %3d  %s %s\n", m.Score, m.EntityKind, shown(m.Entity))
	}
	if more := f.MemberCount - len(listed); more > 0 {
		fmt.Fprintf(b, "       and %d more\n", more)
	}
}

func state(f *tokenwatch.Finding) string {
	s := fmt.Sprintf("revision %d, ", f.Revision)
	switch {
	case f.Withdrawn:
		s += "withdrawn"
	case f.Settled:
		s += "settled"
	default:
		s += "its windows are still open"
	}
	if f.Learning {
		s += "; judged before there was a settled baseline"
	}
	return s
}

// handling is what people did about a finding.
func handling(f *tokenwatch.Finding) string {
	s := f.Status
	if f.Verdict != "" {
		s += ", " + f.Verdict
	}
	if f.Note != "" {
		s += ": " + f.Note
	}
	if f.JudgedBy != "" {
		s += " (by " + f.JudgedBy + ", " + when(f.Judged) + ")"
	}
	if f.SuppressedBy != "" {
		s += "; suppressed by " + f.SuppressedBy
	}
	return s
}

func printReason(b *strings.Builder, r *tokenwatch.Reason) {
	what := r.Detector
	if r.Axis != "" {
		what += ", " + r.Axis
	}
	fmt.Fprintf(b, "  %s\n    %s: observed %g, expected %g, 1 in %s by chance\n",
		shown(r.Text), shown(what), r.Observed, r.Expected, oneIn(r.Surprise))
}

// oneIn turns a surprise, −log10 of a probability, into a round number.
func oneIn(surprise float64) string {
	milli := int(math.Round(surprise * 1000))
	if milli >= 9000 {
		return "1000000000 or rarer"
	}
	// The exponent's fraction to one digit: 10^0.301 is 2, 10^0.477 is 3 …
	digit := 1
	for _, above := range [...]int{301, 477, 602, 699, 778, 845, 903, 954} {
		if milli%1000 >= above {
			digit++
		}
	}
	return strconv.Itoa(digit) + strings.Repeat("0", milli/1000)
}

func printEvidence(c *console, events []tokenwatch.Event) error {
	t := table{head: []string{"time", "from", "action", "outcome", "request", "resource"}, keep: []int{0, 1, 4}}
	for i := range events {
		e := &events[i]
		outcome := e.Outcome
		if e.Error != "" {
			outcome += " " + e.Error
		}
		t.add(e.Time.UTC().Format("2006-01-02 15:04:05Z"), e.SrcIP, e.Action, outcome, e.RequestID, e.Resource)
	}
	return t.write(c)
}
