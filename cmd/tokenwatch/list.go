package main

import (
	"runtime"
	"runtime/debug"

	"github.com/tokenwatch/tokenwatch/ingest/format"
)

// formatsCmd lists the log formats.
type formatsCmd struct{}

// Help has an example.
func (formatsCmd) Help() string { return "Example:\n\n    tokenwatch formats" }

// Run prints the table of formats.
func (formatsCmd) Run(c *console) error {
	var t namesAndDocs
	for _, f := range format.All {
		t.add(f.Name, f.Doc)
	}
	return t.write(c)
}

type nameAndDoc struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

type namesAndDocs []nameAndDoc

func (t *namesAndDocs) add(name, doc string) { *t = append(*t, nameAndDoc{name, doc}) }

func (t namesAndDocs) write(c *console) error {
	out := table{head: []string{"name", "what it is"}}
	for _, line := range t {
		if c.json {
			if err := c.print(line); err != nil {
				return err
			}
			continue
		}
		out.add(line.Name, line.Doc)
	}
	return out.write(c)
}

// versionCmd prints which tokenwatch this is.
type versionCmd struct{}

// Help has an example.
func (versionCmd) Help() string { return "Example:\n\n    tokenwatch version --json" }

// Run prints the version.
func (versionCmd) Run(c *console) error {
	version, commit := build()
	if c.json {
		return c.print(map[string]string{"version": version, "commit": commit, "go": runtime.Version()})
	}
	if commit != "" {
		version += " (" + commit + ")"
	}
	return say(c.stdout, "tokenwatch %s %s", version, runtime.Version())
}

// build returns version and commit as the build noted them; the commit is ""
// where it did not.
func build() (version, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel", ""
	}
	version = info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return version, commit
}
