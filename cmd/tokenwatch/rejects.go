package main

import (
	"context"
	"strconv"
)

// rejectsCmd lists records that could not be stored.
type rejectsCmd struct {
	askFlags
	tenantFlag
	Reason string `help:"Only those with this reason." placeholder:"CODE"`
}

// Help has an example.
func (rejectsCmd) Help() string {
	return "Of such a record nothing is kept but place, length, a keyed digest and why.\n\n" +
		"Example:\n\n    tokenwatch rejects --data ./data --reason line_too_long"
}

// Run prints the rejects.
func (cmd *rejectsCmd) Run(ctx context.Context, c *console) error {
	return cmd.ask(c, cmd.Tenant, func(d desk) error {
		t := table{head: []string{"entry", "source", "record", "offset", "length", "reason", "digest", "detail"}, keep: []int{0, 2, 3, 4, 5, 6}}
		for r, err := range d.rejects(ctx) {
			if err != nil {
				return err
			}
			if cmd.Reason != "" && r.Reason != cmd.Reason {
				continue
			}
			if c.json {
				if err := c.print(r); err != nil {
					return err
				}
				continue
			}
			t.add(strconv.FormatUint(uint64(r.Entry), 10), r.Source, strconv.Itoa(r.Index),
				strconv.FormatInt(r.Offset, 10), strconv.FormatInt(r.Length, 10), r.Reason, r.Digest, r.Detail)
		}
		return t.write(c)
	})
}
