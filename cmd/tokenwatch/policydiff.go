package main

import (
	"context"
	"errors"

	"github.com/tokenwatch/tokenwatch/engine/replay"
)

// policyDiffCmd replays history under changed policies.
type policyDiffCmd struct {
	storeFlags
	policyFlags
	Files []string `arg:"" optional:"" name:"file" help:"Files of packs, in place of those of the configuration."`
}

// Help has an example.
func (policyDiffCmd) Help() string {
	return "The store must be stopped; nothing in it is changed. Its log is read twice: as it is, and as if the policies and rules that the " +
		"configuration, the flags and the files name had been in use from the beginning. What the second makes of it and the first does not " +
		"appears, the reverse disappears. Exit code 4 says that something does.\n\n" +
		"Example:\n\n    tokenwatch policy diff --data ./data ours.yaml"
}

// policyDiffed is what policy diff says at the end.
type policyDiffed struct {
	Entries     uint64 `json:"entries"`
	Events      uint64 `json:"events"`
	Alike       int    `json:"findings_alike"`
	Appear      int    `json:"appear"`
	Disappear   int    `json:"disappear"`
	Differ      int    `json:"differ"`
	Reproduced  int    `json:"stored_reproduced"`   // settled findings that the log as it is makes again
	Unlike      int    `json:"stored_unreproduced"` // and those it does not: another version or configuration made them
	PolicySets  int    `json:"policy_sets"`         // that were in use in turn
	Unavailable uint64 `json:"dropped_entries,omitempty"`
}

// Run replays the log twice and compares.
func (cmd *policyDiffCmd) Run(ctx context.Context, c *console) (err error) {
	past, err := openPast(c, &cmd.storeFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, past.close()) }()
	config := past.cfg.Policy
	cmd.policyFlags.override(&config)
	if len(cmd.Files) > 0 {
		config.Files = append(cmd.Policy, cmd.Files...)
	}
	policies, err := loadPolicies(config)
	if err != nil {
		return err
	}
	o := replay.Options{Engine: past.engine(), Last: past.cursor}
	was, err := past.replay(ctx, "as it was", o)
	if err != nil {
		return err
	}
	o.Policies = policies
	would, err := past.replay(ctx, "as it would be", o)
	if err != nil {
		return err
	}
	stored, err := past.findings(ctx, was.Tenants)
	if err != nil {
		return err
	}
	unlike, reproduced := replay.Compare(stored, was.Findings, replay.Settled)
	list, alike := replay.Compare(was.Findings, would.Findings, replay.Held)
	if err := printDifferences(c, list); err != nil {
		return err
	}
	out := policyDiffed{
		Entries: was.Entries, Events: was.Rows, Alike: alike, Reproduced: reproduced, Unlike: len(unlike), PolicySets: was.Packs, Unavailable: was.Dropped,
	}
	for _, d := range list {
		switch {
		case d.Before == nil:
			out.Appear++
		case d.After == nil:
			out.Disappear++
		default:
			out.Differ++
		}
	}
	if err := out.print(c); err != nil {
		return err
	}
	if len(list) > 0 {
		return &coded{code: exitDiffers}
	}
	return nil
}

func (r *policyDiffed) print(c *console) error {
	if c.json {
		return c.print(r)
	}
	if r.Unavailable > 0 {
		if err := say(c.stdout, "%d entries were dropped by retention: what was learnt from them is not in this", r.Unavailable); err != nil {
			return err
		}
	}
	if r.Unlike > 0 {
		if err := say(c.stdout, "%d settled findings are stored otherwise than the log makes them now: see tokenwatch rebuild", r.Unlike); err != nil {
			return err
		}
	}
	return say(c.stdout, "%d log entries, %d events, %s in turn: %d findings appear, %d disappear, %d differ, %d stay",
		r.Entries, r.Events, count(r.PolicySets, "policy set"), r.Appear, r.Disappear, r.Differ, r.Alike)
}
