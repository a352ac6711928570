package main

import (
	"context"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// keysCmd is about tokenwatch's own API keys.
type keysCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an API key and show it once."`
	List   keyListCmd   `cmd:"" help:"List the API keys."`
	Revoke keyRevokeCmd `cmd:"" help:"End an API key."`
}

// Help has an example.
func (keysCmd) Help() string {
	return "Example:\n\n    tokenwatch keys create --role ingest"
}

// shownKey is an API key as it is printed: without its hash.
type shownKey struct {
	ID      string    `json:"id"`
	Tenant  string    `json:"tenant"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
	Secret  string    `json:"secret,omitempty"`
}

func showKey(k storage.APIKey) shownKey {
	return shownKey{ID: k.ID, Tenant: k.Tenant, Role: k.Role, Created: k.Created, Revoked: k.Revoked}
}

type keyCreateCmd struct {
	askFlags
	Role   string `required:"" enum:"ingest,analyst,auditor,admin" help:"What the key may do: ingest, analyst, auditor or admin." placeholder:"ROLE"`
	Tenant string `help:"Tenant of the key; default that of the asking key, or default." placeholder:"NAME"`
}

// Help has an example.
func (keyCreateCmd) Help() string {
	return "The key is shown this once; only its hash is stored.\n\n" +
		"Example:\n\n    tokenwatch keys create --role analyst --tenant team-a --data ./data"
}

// Run makes a key and prints it.
func (cmd *keyCreateCmd) Run(ctx context.Context, c *console) error {
	return cmd.ask(c, "", func(d desk) error {
		key, text, err := d.createKey(ctx, tokenwatch.Role(cmd.Role), cmd.Tenant)
		if err != nil {
			return err
		}
		if c.json {
			k := showKey(key)
			k.Secret = text
			return c.print(k)
		}
		if err := say(c.stdout, "%s", text); err != nil {
			return err
		}
		return say(c.stderr, "key %s, role %s, tenant %s: it is not shown again", key.ID, key.Role, shown(key.Tenant))
	})
}

type keyListCmd struct {
	askFlags
}

// Help has an example.
func (keyListCmd) Help() string { return "Example:\n\n    tokenwatch keys list --data ./data" }

// Run prints the keys.
func (cmd *keyListCmd) Run(ctx context.Context, c *console) error {
	return cmd.ask(c, "", func(d desk) error {
		t := table{head: []string{"id", "role", "tenant", "created", "state"}, keep: []int{0, 3}}
		for key, err := range d.keys(ctx) {
			if err != nil {
				return err
			}
			if c.json {
				if err := c.print(showKey(key)); err != nil {
					return err
				}
				continue
			}
			state := "valid"
			if !key.Revoked.IsZero() {
				state = "revoked " + key.Revoked.UTC().Format(time.RFC3339)
			}
			t.add(key.ID, key.Role, key.Tenant, key.Created.UTC().Format(time.RFC3339), state)
		}
		return t.write(c)
	})
}

type keyRevokeCmd struct {
	askFlags
	ID string `arg:"" help:"Id of the key, as keys list shows it."`
}

// Help has an example.
func (keyRevokeCmd) Help() string {
	return "Example:\n\n    tokenwatch keys revoke 4qk3x7f2mzj5n6w2 --data ./data"
}

// Run revokes a key.
func (cmd *keyRevokeCmd) Run(ctx context.Context, c *console) error {
	return cmd.ask(c, "", func(d desk) error {
		key, err := d.revokeKey(ctx, cmd.ID)
		if err != nil {
			return err
		}
		if c.json {
			return c.print(showKey(key))
		}
		return say(c.stdout, "%s revoked", shown(key.ID))
	})
}
