package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// tokenCmd shows one token.
type tokenCmd struct {
	askFlags
	tenantFlag
	ID     string `arg:"" help:"Id of the token, or any name that logs have for it."`
	Since  string `help:"Its use since then: 24h, 7d, 2026-03-02 or a full RFC 3339 time; default the week before its last use." placeholder:"TIME"`
	Events int    `help:"Show so many of its events, the newest." default:"10" placeholder:"N"`
}

// Help has an example.
func (tokenCmd) Help() string {
	return "With --json it is the timeline as the API has it.\n\n" +
		"Example:\n\n    tokenwatch token AKIAIOSFODNN7EXAMPLE --since 30d"
}

// Run prints the token as a page.
func (cmd *tokenCmd) Run(ctx context.Context, c *console) error {
	since, err := parseSince(cmd.Since, c.now())
	if err != nil {
		return err
	}
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		line, err := d.timeline(ctx, cmd.ID, since, time.Time{}, cmd.Events)
		if err != nil {
			return err
		}
		if c.json {
			return c.printMessage(line)
		}
		var risk pb.Risk
		if err := d.call(ctx, http.MethodGet, "/v1/tokens/"+escapePath(line.GetToken().GetId())+"/risk", nil, nil, &risk); err != nil {
			return err
		}
		return printToken(c, line, &risk)
	})
}

// timeline asks for what a token did in a span; zero times are the server's choice.
func (c *client) timeline(ctx context.Context, id string, from, to time.Time, events int) (*pb.Timeline, error) {
	q := url.Values{"page_size": {fmt.Sprint(max(1, events))}}
	if !from.IsZero() {
		q.Set("from", from.UTC().Format(time.RFC3339))
	}
	if !to.IsZero() {
		q.Set("to", to.UTC().Format(time.RFC3339))
	}
	var m pb.Timeline
	if err := c.call(ctx, http.MethodGet, "/v1/tokens/"+escapePath(id)+"/timeline", q, nil, &m); err != nil {
		return nil, err
	}
	m.Events = m.GetEvents()[:min(events, len(m.GetEvents()))]
	return &m, nil
}

// printToken prints a token for a person to read from top to bottom.
func printToken(c *console, line *pb.Timeline, risk *pb.Risk) error {
	r := v1.ToToken(line.GetToken())
	var b strings.Builder
	fmt.Fprintf(&b, "%s  token %s\n\n", r.State, shown(cmp.Or(tokenCalled(&r), string(r.ID))))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-13s %s\n", name, shown(value))
		}
	}
	field("id", string(r.ID))
	for i, a := range r.Names {
		field([]string{"names", ""}[min(i, 1)], string(a.Kind)+" "+a.Value)
	}
	for i, id := range r.SameAs {
		field([]string{"also", ""}[min(i, 1)], string(id))
	}
	for _, x := range [][2]string{
		{"lineage", r.Lineage}, {"kind", r.Kind}, {"issuer", r.Issuer}, {"type", r.Type}, {"owner", r.Owner}, {"team", r.Team},
		{"purpose", r.Purpose}, {"app", r.App}, {"environment", r.Env}, {"scopes", strings.Join(r.Scopes, ", ")},
		{"scopes used", strings.Join(r.Used, ", ")}, {"from networks", strings.Join(r.Sources, ", ")},
		{"created", by(r.Created, r.CreatedBy)}, {"this secret", when(r.KeyCreated)}, {"expires", when(r.Expires)},
		{"rotated", when(r.Rotated)}, {"rotated from", string(r.RotatedFrom)}, {"rotated to", string(r.RotatedTo)},
		{"revoked", by(r.Revoked, r.RevokedBy)}, {"expired", when(r.Expired)}, {"disabled", when(r.Disabled)}, {"owner left", when(r.OwnerLeft)},
		{"first seen", sighting(r.First)}, {"last seen", sighting(r.Last)}, {"last used", when(r.LastUsed)},
	} {
		field(x[0], x[1])
	}
	if r.NeverExpires {
		field("expires", "never")
	}
	field("events", fmt.Sprint(r.Events))
	for i, e := range r.Exposed {
		field([]string{"exposed", ""}[min(i, 1)], when(e.Time)+" "+e.Place)
	}
	printUsage(&b, line)
	printRisk(&b, c, risk)
	printSteps(&b, r.Steps)
	if _, err := io.WriteString(c.stdout, b.String()); err != nil {
		return err
	}
	if len(line.GetFindings()) > 0 {
		if err := say(c.stdout, "\nFindings"); err != nil {
			return err
		}
		t := newFindingsTable()
		for _, m := range line.GetFindings() {
			f, err := v1.ToFinding(m)
			if err != nil {
				return fmt.Errorf("read a finding: %w", err)
			}
			t.finding(&f)
		}
		if err := t.write(c); err != nil {
			return err
		}
	}
	return printEvents(c, line.GetEvents())
}

func by(at time.Time, who string) string {
	if who == "" || at.IsZero() {
		return when(at)
	}
	return when(at) + " by " + who
}

func sighting(s *tokenwatch.Sighting) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(when(s.Time) + " " + s.SrcIP + " " + s.Action)
}

// usageWidth is how many bars a line of use has at most.
const usageWidth = 72

// printUsage draws how much the token was used, and under it how much it usually is.
func printUsage(b *strings.Builder, line *pb.Timeline) {
	var now, usual []float64
	total, expected := int64(0), 0.0
	known := false
	for _, w := range line.GetWindows() {
		now, usual = append(now, float64(w.GetEvents())), append(usual, float64(w.GetUsual()))
		total += w.GetEvents()
		expected += float64(w.GetUsual())
		known = known || w.Usual != nil
	}
	if len(now) == 0 {
		return
	}
	now, usual = squeeze(now, usageWidth), squeeze(usual, usageWidth)
	most := 1.0
	for i := range now {
		most = max(most, now[i], usual[i])
	}
	fmt.Fprintf(b, "\nUse from %s to %s\n", when(line.GetFrom().AsTime()), when(line.GetTo().AsTime()))
	fmt.Fprintf(b, "  events  |%s| %d\n", spark(now, most), total)
	if known {
		fmt.Fprintf(b, "  usual   |%s| %.0f\n", spark(usual, most), expected)
	}
}

func printRisk(b *strings.Builder, c *console, risk *pb.Risk) {
	severity := fmt.Sprintf("%s %d", risk.GetSeverity(), risk.GetScore())
	if c.colour {
		severity = severityColour(tokenwatch.Severity(risk.GetSeverity())) + severity + reset
	}
	fmt.Fprintf(b, "\nRisk %s\n", severity)
	for _, f := range risk.GetFactors() {
		fmt.Fprintf(b, "  %2.0f  %-9s %s %s %s\n", 100*f.GetWeight()*f.GetDecay(), f.GetGroup(), shown(f.GetName()), shown(f.GetText()), shown(f.GetFinding()))
	}
}

func printSteps(b *strings.Builder, steps []tokenwatch.TokenStep) {
	if len(steps) == 0 {
		return
	}
	b.WriteString("\nLifecycle\n")
	for _, s := range steps {
		text := string(s.Kind)
		if s.By != "" {
			text += " by " + s.By
		}
		if s.Detail != "" {
			text += ": " + s.Detail
		}
		fmt.Fprintf(b, "  %s  %s  (log %d row %d)\n", when(s.Time), shown(text), s.Offset, s.Row)
	}
}

func printEvents(c *console, list []*pb.Event) error {
	if len(list) == 0 {
		return nil
	}
	if err := say(c.stdout, "\nNewest events"); err != nil {
		return err
	}
	events := make([]tokenwatch.Event, len(list))
	for i, e := range list {
		events[i] = v1.ToEvent(e)
	}
	return printEvidence(c, events)
}
