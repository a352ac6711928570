package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// suppressionsCmd is about findings that nobody should be told of for a while.
type suppressionsCmd struct {
	List    suppressionsListCmd    `cmd:"" help:"List the suppressions."`
	Preview suppressionsPreviewCmd `cmd:"" help:"Show which findings one would cover."`
	Create  suppressionsCreateCmd  `cmd:"" help:"Make one."`
	End     suppressionsEndCmd     `cmd:"" help:"Lift one before its time."`
}

// Help has an example.
func (suppressionsCmd) Help() string {
	return "Findings in the scope of a suppression are marked, counted and listed as before, and nobody is\n" +
		"notified of them.\n\nExample:\n\n    tokenwatch suppressions list --filter state=active"
}

func suppressionRow(x *pb.Suppression) []string {
	return []string{x.GetState(), x.GetId(), strconv.Itoa(int(x.GetFindings())), when(x.GetExpires().AsTime()), x.GetAuthor(), x.GetScope(), x.GetReason()}
}

var suppressionHead = []string{"state", "id", "findings", "expires", "author", "scope", "reason"}

type suppressionsListCmd struct {
	askFlags
	tenantFlag
	Filter string `help:"Only those that this filter lets through." placeholder:"FILTER"`
}

// Help has an example.
func (suppressionsListCmd) Help() string {
	return "Example:\n\n    tokenwatch suppressions list --filter state=active"
}

// Run prints the suppressions.
func (cmd *suppressionsListCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		t := table{head: suppressionHead, keep: []int{1, 3}}
		for x, err := range pages(func(token string) ([]*pb.Suppression, string, error) {
			var m pb.ListSuppressionsResponse
			err := d.call(ctx, http.MethodGet, "/v1/suppressions", filterQuery(token, cmd.Filter, ""), nil, &m)
			return m.GetSuppressions(), m.GetNextPageToken(), err
		}) {
			if err != nil {
				return err
			}
			if !c.json {
				t.add(suppressionRow(x)...)
			} else if err := c.printMessage(x); err != nil {
				return err
			}
		}
		return t.write(c)
	})
}

type suppressionsPreviewCmd struct {
	askFlags
	tenantFlag
	Scope string `arg:"" help:"A filter of findings."`
}

// Help has an example.
func (suppressionsPreviewCmd) Help() string {
	return "Example:\n\n    tokenwatch suppressions preview src_ip:192.0.2.0/24"
}

// Run prints what a suppression would cover.
func (cmd *suppressionsPreviewCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		var m pb.PreviewSuppressionResponse
		in := &pb.PreviewSuppressionRequest{Scope: cmd.Scope}
		if err := d.call(ctx, http.MethodPost, "/v1/suppressions:preview", nil, in, &m); err != nil {
			return err
		}
		if c.json {
			return c.printMessage(&m)
		}
		var parts []string
		for _, severity := range sortedKeys(m.GetBySeverity()) {
			parts = append(parts, fmt.Sprintf("%d %s", m.GetBySeverity()[severity], severity))
		}
		if err := say(c.stderr, "%d of %d findings would be covered, %d of them newly: %s",
			m.GetCovered(), m.GetTotal(), m.GetNewlyCovered(), strings.Join(parts, ", ")); err != nil {
			return err
		}
		t := newFindingsTable()
		for _, x := range m.GetFindings() {
			f, err := v1.ToFinding(x)
			if err != nil {
				return err
			}
			t.finding(&f)
		}
		return t.write(c)
	})
}

type suppressionsCreateCmd struct {
	askFlags
	tenantFlag
	Scope  string        `arg:"" help:"A filter of findings."`
	Reason string        `required:"" help:"Why." placeholder:"TEXT"`
	For    time.Duration `name:"for" required:"" help:"How long: 24h, 720h; a year at most." placeholder:"DURATION"`
}

// Help has an example.
func (suppressionsCreateCmd) Help() string {
	return "Example:\n\n    tokenwatch suppressions create src_ip:192.0.2.0/24 --reason drill --for 48h"
}

// Run makes a suppression.
func (cmd *suppressionsCreateCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		var m pb.Suppression
		body := map[string]string{
			"scope": cmd.Scope, "reason": cmd.Reason, "expires": c.now().Add(cmd.For).UTC().Format(time.RFC3339Nano),
		}
		if err := d.send(ctx, http.MethodPost, "/v1/suppressions", nil, body, &m); err != nil {
			return err
		}
		return c.suppression(&m)
	})
}

type suppressionsEndCmd struct {
	askFlags
	tenantFlag
	ID string `arg:"" help:"Id of the suppression."`
}

// Help has an example.
func (suppressionsEndCmd) Help() string {
	return "Example:\n\n    tokenwatch suppressions end sup_rdmozvhaudsly6fidtsfb4eu"
}

// Run ends a suppression.
func (cmd *suppressionsEndCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		var m pb.Suppression
		if err := d.call(ctx, http.MethodDelete, "/v1/suppressions/"+escapePath(cmd.ID), nil, nil, &m); err != nil {
			return err
		}
		return c.suppression(&m)
	})
}

// suppression prints one as a row.
func (c *console) suppression(m *pb.Suppression) error {
	if c.json {
		return c.printMessage(m)
	}
	t := table{head: suppressionHead, keep: []int{1, 3}}
	t.add(suppressionRow(m)...)
	return t.write(c)
}
