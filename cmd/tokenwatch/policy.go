package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/storage"
)

// policyFlags name packs of policies.
type policyFlags struct {
	Pack   []string `help:"Pack of policies that comes with the program; default lifecycle, none for none; may repeat." placeholder:"NAME"`
	Policy []string `help:"File of a further pack; may repeat." placeholder:"FILE"`
	Rules  []string `help:"File or folder of Sigma rules, pack:NAME for one that comes with the program, or none; default pack:attack; may repeat." placeholder:"PATH"`
}

// override has the flags win over the configuration.
func (f *policyFlags) override(c *policyConfig) {
	if len(f.Pack) == 1 && f.Pack[0] == "none" {
		c.Packs = nil
	} else if len(f.Pack) > 0 {
		c.Packs = f.Pack
	}
	if len(f.Policy) > 0 {
		c.Files = f.Policy
	}
	if len(f.Rules) > 0 {
		c.Rules = f.Rules
	}
}

// loadPolicies reads packs, and checks that they compile.
func loadPolicies(c policyConfig) (*tokenwatch.PolicyPacks, error) {
	var p tokenwatch.PolicyPacks
	for _, name := range c.Packs {
		b, err := policy.Embedded(name)
		if err != nil {
			return nil, usage("%w", err)
		}
		p.Packs = append(p.Packs, b)
	}
	for _, path := range c.Files {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("read policies: %w", err)
		}
		if _, err := policy.Compile(b); err != nil {
			return nil, badPack(path, err)
		}
		p.Packs = append(p.Packs, b)
	}
	if _, err := policy.Compile(p.Packs...); err != nil {
		return nil, usage("%w", err)
	}
	var err error
	p.Rules, err = readRules(c.Rules)
	return &p, err
}

// logPolicies puts the policies in use into the log, unless they are there
// already: they hold from there on.
func (w *works) logPolicies(ctx context.Context) error {
	p, err := loadPolicies(w.cfg.Policy)
	if err != nil {
		return err
	}
	control := p.Control()
	if w.noted[engine.NotedPolicies] == sha256.Sum256(control.Body) {
		return nil
	}
	for _, p := range compileRules(p).Problems {
		w.log.Warn("a Sigma rule does not run", "problem", p.Error())
	}
	_, err = w.site.store.Append(ctx, tokenwatch.Entry{Control: control})
	if errors.Is(err, storage.ErrReadOnly) {
		w.log.Warn("policies not logged: the store takes no entries")
		return nil
	}
	return err
}

// badPack is the error of a pack that cannot be used.
func badPack(path string, err error) error {
	return &coded{exitUsage, inFile("policies from", path, misread(err, "the packs that come with the program are examples"))}
}

// policyCmd is about policies.
type policyCmd struct {
	Test policyTestCmd `cmd:"" help:"Run the tests that stand in packs of policies."`
	List policyListCmd `cmd:"" help:"List policies."`
	Diff policyDiffCmd `cmd:"" help:"Show which findings other policies would have made of the stored log."`
}

// policyTestCmd runs the inline tests of packs.
type policyTestCmd struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files of packs; default those that come with the program."`
}

// Help has an example.
func (policyTestCmd) Help() string {
	return "Exit code 1 says that a test failed.\n\nExample:\n\n    tokenwatch policy test ours.yaml"
}

// Run runs the tests and prints what became of them.
func (cmd *policyTestCmd) Run(c *console) error {
	sets, err := policySets(cmd.Files)
	if err != nil {
		return err
	}
	passed, failed := 0, 0
	for _, set := range sets {
		for _, r := range set.Test() {
			out := struct {
				Pack   string `json:"pack"`
				Policy string `json:"policy"`
				Test   string `json:"test"`
				OK     bool   `json:"ok"`
				Error  string `json:"error,omitempty"`
			}{set.Packs[0].Name, r.Policy, r.Test, r.Err == nil, ""}
			passed++
			if r.Err != nil {
				passed--
				failed++
				out.Error = r.Err.Error()
			}
			var err error
			switch {
			case c.json:
				err = c.print(out)
			case r.Err != nil:
				err = say(c.stdout, "FAIL %s", shown(fmt.Sprintf("%s: %s: %s", r.Policy, r.Test, out.Error)))
			}
			if err != nil {
				return err
			}
		}
	}
	if !c.json {
		if err := say(c.stdout, "%s passed, %d failed", count(passed, "test"), failed); err != nil {
			return err
		}
	}
	if failed > 0 {
		return &coded{code: exitError}
	}
	return nil
}

// policySets reads packs from files, or those that come with the program, each
// by itself.
func policySets(paths []string) (sets []*policy.Set, err error) {
	add := func(name string, b []byte, err error) error {
		if err != nil {
			return usage("read policies: %w", err)
		}
		set, err := policy.Compile(b)
		if err != nil {
			return badPack(name, err)
		}
		sets = append(sets, set)
		return nil
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err := add(path, b, err); err != nil {
			return nil, err
		}
	}
	if len(paths) > 0 {
		return sets, nil
	}
	for _, name := range policy.Names() {
		b, err := policy.Embedded(name)
		if err := add(name, b, err); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// policyListCmd lists policies.
type policyListCmd struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files of packs; default those that come with the program."`
}

// Help has an example.
func (policyListCmd) Help() string { return "Example:\n\n    tokenwatch policy list" }

// Run prints the policies as a table, or as JSON lines.
func (cmd *policyListCmd) Run(c *console) error {
	sets, err := policySets(cmd.Files)
	if err != nil {
		return err
	}
	t := table{head: []string{"pack", "policy", "severity", "what must not be"}}
	for _, set := range sets {
		pack := set.Packs[0]
		for _, p := range set.Policies {
			if !c.json {
				t.add(pack.Name, p.ID, p.Severity, p.Title)
				continue
			}
			if err := c.print(struct {
				Pack     string   `json:"pack"`
				ID       string   `json:"id"`
				Title    string   `json:"title"`
				Severity string   `json:"severity"`
				Action   string   `json:"action"`
				Controls []string `json:"controls"`
				When     string   `json:"when"`
			}{pack.Name, p.ID, p.Title, p.Severity, p.Action, p.Controls, p.When}); err != nil {
				return err
			}
		}
	}
	return t.write(c)
}
