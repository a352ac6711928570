package main

import (
	"context"
	"net/http"

	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// linkCmd says how two tokens belong together.
type linkCmd struct {
	askFlags
	tenantFlag
	A      string `arg:"" help:"Id of a token, or any name that logs have for it."`
	B      string `arg:"" help:"The same of another one."`
	Kind   string `help:"same: they are one; follows: the second is what the first was rotated to; apart: they are two, whatever was said before." default:"same" enum:"same,follows,apart"`
	Reason string `help:"What whoever reads it later should know; no credentials." placeholder:"TEXT"`
}

// Help has an example.
func (linkCmd) Help() string {
	return "A token that was joined to another one keeps an id of its own, by which it is taken apart again: tokenwatch token shows it as also.\n\n" +
		"Example:\n\n    tokenwatch link tkw_fthh3kcaaa5b7a2pgcvbr2ocqa AKIAIOSFODNN7EXAMPLE --kind apart"
}

// Run puts the link into the log.
func (cmd *linkCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		var m pb.TokenLink
		body := map[string]string{"a": cmd.A, "b": cmd.B, "kind": cmd.Kind, "reason": cmd.Reason}
		if err := d.send(ctx, http.MethodPost, "/v1/tokens:link", nil, body, &m); err != nil {
			return err
		}
		if c.json {
			return c.printMessage(&m)
		}
		return say(c.stdout, "%s %s %s", shown(m.GetA()), m.GetKind(), shown(m.GetB()))
	})
}
