package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/sigma"
)

// rulePack begins the name of a pack that comes with the program.
const rulePack = "pack:"

// readRules reads files of Sigma documents; of a folder all that end in .yml or
// .yaml, below it too, in order of name. pack:NAME is a pack that comes with the
// program, none is nothing.
func readRules(paths []string) (files []tokenwatch.RuleFile, err error) {
	for _, path := range paths {
		if path == "none" {
			continue
		}
		if name, ok := strings.CutPrefix(path, rulePack); ok {
			embedded, err := sigma.Embedded(name)
			if err != nil {
				return nil, usage("read Sigma rules: %w", err)
			}
			files = append(files, embedded...)
			continue
		}
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if ext := filepath.Ext(name); name != path && ext != ".yml" && ext != ".yaml" {
				return nil
			}
			b, err := os.ReadFile(name)
			files = append(files, tokenwatch.RuleFile{Name: filepath.ToSlash(name), Text: b})
			return err
		})
		if err != nil {
			return nil, usage("read Sigma rules: %w", err)
		}
	}
	return files, nil
}

// compileRules compiles rules to see what is wrong with them.
func compileRules(p *tokenwatch.PolicyPacks) *sigma.Pack {
	l := sigma.Loader{Placeholders: p.Placeholders}
	for _, f := range p.Rules {
		l.Load(f.Name, f.Text)
	}
	return l.Compile()
}

// rulesCmd says what becomes of Sigma rules.
type rulesCmd struct {
	Paths []string `arg:"" optional:"" name:"path" help:"Files and folders of rules, correlations and filters; default pack:attack, which comes with the program."`
}

// Help has an example.
func (rulesCmd) Help() string {
	return "Lists the rules that run, and names what does not run and why, with its place. " +
		"Exit code 1 says that something does not run.\n\nExample:\n\n    tokenwatch rules rules/cloud"
}

// Run compiles the rules and prints what became of them.
func (cmd *rulesCmd) Run(c *console) error {
	if len(cmd.Paths) == 0 {
		cmd.Paths = defaultConfig().Policy.Rules
	}
	files, err := readRules(cmd.Paths)
	if err != nil {
		return err
	}
	pack := compileRules(&tokenwatch.PolicyPacks{Rules: files})
	t := table{head: []string{"rule", "level", "logs", "title"}}
	list := func(key string, level sigma.Level, logs, title string) error {
		if c.json {
			return c.print(struct {
				Rule  string      `json:"rule"`
				Level sigma.Level `json:"level"`
				Logs  string      `json:"logs"`
				Title string      `json:"title"`
			}{key, level, logs, title})
		}
		t.add(key, string(level), logs, title)
		return nil
	}
	for _, r := range pack.Rules {
		if err := list(r.Key(), r.Level, r.Source.String(), r.Title); err != nil {
			return err
		}
	}
	for _, r := range pack.Correlations {
		if err := list(r.Key(), r.Level, "correlation", r.Title); err != nil {
			return err
		}
	}
	if !c.json {
		if err := t.write(c); err != nil {
			return err
		}
	}
	for _, p := range pack.Problems {
		if err := say(c.stderr, "%s", shown(strings.TrimSpace(p.Error()))); err != nil {
			return err
		}
	}
	if len(pack.Problems) > 0 {
		return &coded{code: exitError, err: fmt.Errorf("%s of %s cannot run", count(len(pack.Problems), "document"), count(len(files), "file"))}
	}
	return nil
}
