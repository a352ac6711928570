package main

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// sourcesCmd lists where logs come from.
type sourcesCmd struct {
	askFlags
	tenantFlag
	Filter string `help:"Only those that this filter lets through, as the API takes it." placeholder:"FILTER"`
}

// Help has an example.
func (sourcesCmd) Help() string {
	return "A source is silent when it has sent nothing for longer than it usually does not at such times; " +
		"until it has been seen for a day, it is learning.\n\n" +
		"Example:\n\n    tokenwatch sources --filter state=silent"
}

// Run prints the sources.
func (cmd *sourcesCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		t := table{head: []string{"state", "source", "events/s", "last event", "lag", "silent since", "records", "rejects", "refused lately", "usually"}, keep: []int{0, 3}}
		for s, err := range d.sources(ctx, cmd.Filter) {
			if err != nil {
				return err
			}
			if c.json {
				if err := c.printMessage(s); err != nil {
					return err
				}
				continue
			}
			silent := ""
			if s.GetSilentSince() != nil {
				silent = when(s.GetSilentSince().AsTime())
			}
			t.add(s.GetState(), s.GetName(), fmt.Sprintf("%.2f", s.GetEventsPerSecond()), when(s.GetLastEvent().AsTime()),
				lag(s.GetLag().AsDuration()), silent, fmt.Sprint(s.GetRecords()), fmt.Sprint(s.GetRejects()),
				percent(s.GetRejectShare()), percent(s.GetUsualRejectShare()))
		}
		return t.write(c)
	})
}

// lag is a span as it tells most: old logs are days behind, others seconds.
func lag(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.Round(time.Second).String()
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// sources yields the sources that a filter lets through.
func (c *client) sources(ctx context.Context, filter string) iter.Seq2[*pb.Source, error] {
	return pages(func(token string) ([]*pb.Source, string, error) {
		var m pb.ListSourcesResponse
		err := c.call(ctx, http.MethodGet, "/v1/sources", filterQuery(token, filter, ""), nil, &m)
		return m.GetSources(), m.GetNextPageToken(), err
	})
}
