package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tokenwatch/tokenwatch/engine/detect"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// detectorsCmd lists the detectors.
type detectorsCmd struct {
	Data   string `help:"Directory of a stopped store, whose verdicts are shown." placeholder:"DIR"`
	Server string `help:"URL of a server whose verdicts are shown, with the API key in TOKENWATCH_KEY." placeholder:"URL"`
	tenantFlag
}

// Help has an example.
func (detectorsCmd) Help() string {
	return "With a store or a server, it says how far verdicts on findings move each detector: the shift is taken off the " +
		"logarithm of how improbable it finds something, from the verdict on. It is log10((false positives + benign + 1) / " +
		"(true positives + 1)), but neither below 0 nor above 1; a verdict that is taken back moves it back.\n\n" +
		"Example:\n\n    tokenwatch detectors --data ./data"
}

// Run prints the table of detectors.
func (cmd *detectorsCmd) Run(ctx context.Context, c *console) error {
	if cmd.Data == "" && cmd.Server == "" {
		if cmd.Tenant != "" {
			return usage("--tenant works with --data only")
		}
		var t namesAndDocs
		for _, d := range detect.All {
			t.add(d.Name, d.Doc)
		}
		return t.write(c)
	}
	asked := askFlags{Data: cmd.Data, Server: cmd.Server}
	return asked.rest(ctx, c, cmd.Tenant, func(d *client) error {
		var m pb.ListDetectorsResponse
		if err := d.call(ctx, http.MethodGet, "/v1/detectors", nil, nil, &m); err != nil {
			return err
		}
		t := table{head: []string{"name", "shift", "false positives", "benign", "true positives", "what it is"}, keep: []int{0, 1, 2, 3, 4}}
		for _, x := range m.GetDetectors() {
			if c.json {
				if err := c.printMessage(x); err != nil {
					return err
				}
				continue
			}
			t.add(x.GetName(), fmt.Sprintf("%.3f", x.GetShift()), fmt.Sprint(x.GetFalsePositives()), fmt.Sprint(x.GetBenign()),
				fmt.Sprint(x.GetTruePositives()), x.GetDescription())
		}
		return t.write(c)
	})
}
