package main

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// desk is where questions go: a server, or a stopped store.
type desk interface {
	// rejects yields the records that could not be stored, in any order.
	rejects(ctx context.Context) iter.Seq2[storage.Rejected, error]
	// createKey makes an API key; its text is shown this once.
	createKey(ctx context.Context, role tokenwatch.Role, tenant string) (storage.APIKey, string, error)
	// keys yields the API keys.
	keys(ctx context.Context) iter.Seq2[storage.APIKey, error]
	// revokeKey ends an API key, or returns storage.ErrNotFound.
	revokeKey(ctx context.Context, id string) (storage.APIKey, error)
	close() error
}

// askFlags say whom to ask.
type askFlags struct {
	Data   string `help:"Directory of a stopped store." placeholder:"DIR"`
	Server string `help:"URL of a server, with the API key in TOKENWATCH_KEY; default $$TOKENWATCH_URL." placeholder:"URL"`
}

// tenantFlag says whose objects are asked for.
type tenantFlag struct {
	Tenant string `help:"Whose, with --data; a server tells by the API key." placeholder:"NAME"`
}

// open opens the desk that the flags and the environment say, to ask about the
// objects of a tenant.
func (f *askFlags) open(c *console, tenant string) (desk, error) {
	server := f.Server
	if tenant != "" && !validTenant(tenant) {
		return nil, usage("a tenant is 1 to 64 of a-z, 0-9, - and _")
	}
	switch {
	case server != "" && f.Data != "":
		return nil, usage("--data and --server exclude each other")
	case f.Data != "":
		store, err := openStopped(c, f.Data)
		if err != nil {
			return nil, err
		}
		return &storeDesk{c: c, store: store, tenant: cmp.Or(tenant, tokenwatch.DefaultTenant)}, nil
	case server == "":
		server = c.getenv("TOKENWATCH_URL")
	}
	if server == "" {
		return nil, usage("whom to ask? set TOKENWATCH_URL and TOKENWATCH_KEY for a server, or give --data for a stopped store")
	}
	if tenant != "" {
		return nil, usage("--tenant works with --data only: for a server it follows from the API key")
	}
	return newClient(server, c.apiKey())
}

// apiKey is the key of the environment. It often comes from a file, with its line break.
func (c *console) apiKey() string { return strings.TrimSpace(c.getenv("TOKENWATCH_KEY")) }

// storeDesk asks a stopped store.
type storeDesk struct {
	c      *console
	store  *local.Store
	tenant string
}

func (d *storeDesk) rejects(ctx context.Context) iter.Seq2[storage.Rejected, error] {
	return d.store.Rejects(ctx, d.tenant)
}

func (d *storeDesk) createKey(ctx context.Context, role tokenwatch.Role, tenant string) (storage.APIKey, string, error) {
	tenant = cmp.Or(tenant, tokenwatch.DefaultTenant)
	if !validTenant(tenant) {
		return storage.APIKey{}, "", usage("a tenant is 1 to 64 of a-z, 0-9, - and _")
	}
	text, key, err := api.NewKey(d.c.random, tenant, role, d.c.now())
	if err != nil {
		return key, "", err
	}
	err = d.store.PutKey(ctx, key, storage.Action{
		Tenant: tenant, Actor: localPrincipal, Verb: "keys.create", Object: key.ID, Detail: "role " + string(role),
	})
	return key, text, err
}

func (d *storeDesk) keys(ctx context.Context) iter.Seq2[storage.APIKey, error] {
	return d.store.Keys(ctx)
}

func (d *storeDesk) revokeKey(ctx context.Context, id string) (storage.APIKey, error) {
	for key, err := range d.store.Keys(ctx) {
		if err != nil {
			return key, err
		}
		if key.ID != id {
			continue
		}
		if !key.Revoked.IsZero() {
			return key, nil
		}
		key.Revoked = d.c.now().UTC()
		return key, d.store.PutKey(ctx, key, storage.Action{
			Tenant: key.Tenant, Actor: localPrincipal, Verb: "keys.revoke", Object: key.ID,
		})
	}
	return storage.APIKey{}, storage.ErrNotFound
}

func (d *storeDesk) close() error { return d.store.Close() }

// ask opens a desk, asks and closes it.
func (f *askFlags) ask(c *console, tenant string, question func(desk) error) error {
	d, err := f.open(c, tenant)
	if err != nil {
		return err
	}
	err = question(d)
	if errors.Is(err, storage.ErrNotFound) {
		err = errors.New("not found: it does not exist, or it is another tenant's")
	}
	return errors.Join(err, d.close())
}

// validTenant keeps tenants to what the API takes as one.
func validTenant(s string) bool {
	return s != "" && len(s) <= 64 && strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
