package main

import (
	"context"
	"net/http"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// triageCmd changes how a finding is handled.
type triageCmd struct {
	askFlags
	tenantFlag
	ID      string  `arg:"" help:"Id of the finding."`
	Status  *string `help:"new, in_progress or resolved." placeholder:"STATUS"`
	Verdict *string `help:"true_positive, false_positive, benign, or empty to take it back." placeholder:"VERDICT"`
	Note    *string `help:"What whoever reads it later should know; no credentials." placeholder:"TEXT"`
}

// Help has an example.
func (triageCmd) Help() string {
	return "What is not given stays. The change is in the history before it holds. A verdict moves the detectors behind the finding, " +
		"see tokenwatch detectors --help.\n\n" +
		"Example:\n\n    tokenwatch triage fnd_4qk3x7f2mzj5n6w2c3v4b5a6 --status resolved --verdict benign"
}

// Run changes the finding and prints what it then is.
func (cmd *triageCmd) Run(ctx context.Context, c *console) error {
	body := map[string]string{}
	for name, value := range map[string]*string{"status": cmd.Status, "verdict": cmd.Verdict, "note": cmd.Note} {
		if value != nil {
			body[name] = *value
		}
	}
	if len(body) == 0 {
		return usage("nothing is to be changed: give --status, --verdict or --note")
	}
	return cmd.rest(ctx, c, cmd.Tenant, func(d *client) error {
		var m pb.Finding
		if err := d.patch(ctx, "/v1/findings/"+escapePath(cmd.ID), body, &m); err != nil {
			return err
		}
		f, err := v1.ToFinding(&m)
		if err != nil {
			return err
		}
		if c.json {
			return c.print(&f)
		}
		return say(c.stdout, "%s is %s", shown(f.ID), shown(handling(&f)))
	})
}

// patch changes the fields that body names.
func (c *client) patch(ctx context.Context, path string, body map[string]string, out *pb.Finding) error {
	return c.send(ctx, http.MethodPatch, path, nil, body, out)
}
