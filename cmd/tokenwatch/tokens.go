package main

import (
	"context"
	"fmt"
	"iter"
	"net/http"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// tokensCmd lists tokens.
type tokensCmd struct {
	askFlags
	tenantFlag
	Filter string `help:"Only those that this filter lets through, as the API takes it." placeholder:"FILTER"`
	Order  string `help:"In the order of these fields, for example 'last_used desc'; default by id." placeholder:"FIELDS"`
	Limit  int    `help:"At most so many; 0 is all." placeholder:"N"`
}

// Help has an example.
func (tokensCmd) Help() string {
	return "Example:\n\n    tokenwatch tokens --filter state=zombie --order events --limit 20"
}

// Run prints the tokens.
func (cmd *tokensCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		t := table{head: []string{"state", "id", "called", "kind", "owner", "last used", "events"}, keep: []int{1, 5}}
		n := 0
		for r, err := range d.tokens(ctx, cmd.Filter, cmd.Order) {
			if err != nil {
				return err
			}
			if n++; cmd.Limit > 0 && n > cmd.Limit {
				break
			}
			if c.json {
				if err := c.print(&r); err != nil {
					return err
				}
				continue
			}
			t.add(string(r.State), string(r.ID), tokenCalled(&r), r.Kind, r.Owner, when(r.LastUsed), fmt.Sprint(r.Events))
		}
		return t.write(c)
	})
}

// tokens yields the tokens that a filter lets through.
func (c *client) tokens(ctx context.Context, filter, order string) iter.Seq2[tokenwatch.TokenRecord, error] {
	return pages(func(token string) ([]tokenwatch.TokenRecord, string, error) {
		var m pb.ListTokensResponse
		if err := c.call(ctx, http.MethodGet, "/v1/tokens", filterQuery(token, filter, order), nil, &m); err != nil {
			return nil, "", err
		}
		list := make([]tokenwatch.TokenRecord, len(m.GetTokens()))
		for i, r := range m.GetTokens() {
			list[i] = v1.ToToken(r)
		}
		return list, m.GetNextPageToken(), nil
	})
}

// tokenCalled is what a person would call a token, "" if it has no other name.
func tokenCalled(r *tokenwatch.TokenRecord) string {
	if r.Label != "" {
		return r.Label
	}
	for _, kind := range tokenwatch.NameKinds {
		for _, a := range r.Names {
			if a.Kind == kind && kind != tokenwatch.NameFullHash && kind != tokenwatch.NameTruncatedHash {
				return a.Value
			}
		}
	}
	return r.Lineage
}
