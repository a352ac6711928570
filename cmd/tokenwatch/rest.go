package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/proto"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// rest asks a question over REST: of a server, or of a stopped store, for which
// this process answers itself.
func (f *askFlags) rest(ctx context.Context, c *console, tenant string, question func(*client) error) error {
	d, err := f.open(c, tenant)
	if err != nil {
		return err
	}
	var asked *client
	stop := func() error { return nil }
	switch d := d.(type) {
	case *client:
		asked = d
	case *storeDesk:
		if asked, stop, err = restOf(ctx, c, d.store, d.tenant); err != nil {
			return errors.Join(err, d.close())
		}
	}
	err = question(asked)
	if errors.Is(err, storage.ErrNotFound) {
		err = errors.New("not found: it does not exist, or it is another tenant's")
	}
	return errors.Join(err, stop(), d.close())
}

// restOf answers from a stopped store, in this process and to it alone.
func restOf(ctx context.Context, c *console, store *local.Store, tenant string) (*client, func() error, error) {
	// Cursors and digests are of this run only.
	passing := make([]byte, seal.KeySize)
	if _, err := c.random.Read(passing); err != nil {
		return nil, nil, err
	}
	keys, err := seal.NewKeys(passing)
	if err != nil {
		return nil, nil, err
	}
	stored := &storedTokens{store: store}
	conf := api.Config{
		Store: store, Segments: store, Tokens: stored, Baselines: stored, Sources: stored, Detectors: stored, CursorKey: passing, Random: c.random, Now: c.now, Logger: c.logger(),
		Operator: tenant, Holds: newWall(keys).holds,
	}
	conf.Version, conf.Commit = build()
	server, err := api.New(conf)
	if err != nil {
		return nil, nil, err
	}
	transport, stop, err := server.Local(ctx, tokenwatch.Principal{ID: localPrincipal, Tenant: tenant, Role: tokenwatch.RoleAdmin})
	if err != nil {
		return nil, nil, err
	}
	return &client{url: "http://" + tenant, http: &http.Client{Transport: transport, Timeout: clientTimeout}}, stop, nil
}

// filterQuery is the query of a page of a list.
func filterQuery(token, filter, order string) url.Values {
	q := pageQuery(token)
	if filter != "" {
		q.Set("filter", filter)
	}
	if order != "" {
		q.Set("order_by", order)
	}
	return q
}

func escapePath(s string) string { return url.PathEscape(s) }

// printMessage prints an answer as the API has it, a line of JSON.
func (c *console) printMessage(m proto.Message) error {
	b, err := api.JSON(m)
	if err != nil {
		return err
	}
	return say(c.stdout, "%s", escapeJSON(string(b)))
}
