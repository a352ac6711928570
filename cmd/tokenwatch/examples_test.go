package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// TestExamples: every command has help with an example, and what the examples
// and the README say is a command line that the program takes.
func TestExamples(t *testing.T) {
	var grammar cli
	parser, err := newParser(&grammar, &console{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)})
	must(t, err)
	leaves := parser.Model.Leaves(false)
	if len(leaves) < 17 {
		t.Fatalf("%d commands only", len(leaves))
	}
	for _, leaf := range leaves {
		lines := commandLines(leaf.Detail)
		if leaf.Detail == "" {
			lines = commandLines(leaf.Parent.Detail)
		}
		if len(lines) == 0 {
			t.Errorf("%s: no example in its help", leaf.Path())
		}
		for _, line := range lines {
			parseExample(t, line)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, line := range commandLines(string(readme)) {
		parseExample(t, line)
	}
}

// commandLines finds the indented lines that run tokenwatch.
func commandLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "    ") {
			continue
		}
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		line = strings.TrimPrefix(line, "./")
		if rest, ok := strings.CutPrefix(line, "tokenwatch "); ok && !strings.HasPrefix(rest, "ready ") {
			lines = append(lines, rest)
		}
	}
	return lines
}

// parseExample parses what a shell would pass on of a line.
func parseExample(t *testing.T, line string) {
	var grammar cli
	parser, err := newParser(&grammar, &console{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)})
	must(t, err)
	var words []string
	for _, w := range shellWords(line) {
		if w == "|" || w == ">" || w == "#" || w == "&" {
			break
		}
		words = append(words, strings.Trim(w, `"'`))
	}
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(helpShown); !ok {
				panic(p)
			}
		}
	}()
	var command *kong.Context
	if command, err = parser.Parse(words); err != nil {
		t.Errorf("example %q: %v", line, err)
	} else if command.Command() == "" {
		t.Errorf("example %q runs nothing", line)
	}
}

// shellWords splits at spaces, but for those between double quotes.
func shellWords(line string) []string {
	quoted := false
	return strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
}

// TestCommandNames: the commands that scripts and docs rely on exist.
func TestCommandNames(t *testing.T) {
	var grammar cli
	parser, err := newParser(&grammar, &console{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)})
	must(t, err)
	have := map[string]bool{}
	for _, leaf := range parser.Model.Leaves(false) {
		have[strings.Fields(leaf.Path())[0]] = true
	}
	for _, name := range strings.Fields("serve ingest scan parse query findings finding rejects keys export verify formats detectors config demo version") {
		if !have[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

// TestLists: the lists of what there is stand as tables beside the code, in the
// words of the code. `make golden` rewrites them.
func TestLists(t *testing.T) {
	var formats, detectors, protocols [][2]string
	for _, f := range format.All {
		formats = append(formats, [2]string{f.Name, f.Doc})
	}
	for _, d := range detect.All {
		detectors = append(detectors, [2]string{d.Name, d.Doc})
	}
	for _, e := range source.Endpoints {
		protocols = append(protocols, [2]string{strings.Join(e.Routes, "`, `"), e.Doc})
	}
	protocols = append(protocols, [2]string{source.WebhookRoute, "GitHub's webhooks, for each that is configured; known by its signature, not by an API key"})
	for path, list := range map[string]struct {
		title string
		head  [2]string
		rows  [][2]string
	}{
		"ingest/format/FORMATS.md":   {"Log formats", [2]string{"format", "what it reads"}, formats},
		"engine/detect/DETECTORS.md": {"Detectors", [2]string{"detector", "what it notices"}, detectors},
		"ingest/source/PROTOCOLS.md": {"Protocols over HTTP", [2]string{"where", "what it takes"}, protocols},
	} {
		var b strings.Builder
		fmt.Fprintf(&b, "# %s\n\n| %s | %s |\n|---|---|\n", list.title, list.head[0], list.head[1])
		for _, row := range list.rows {
			fmt.Fprintf(&b, "| `%s` | %s |\n", row[0], strings.ReplaceAll(row[1], "|", "\\|"))
		}
		file := filepath.Join("..", "..", filepath.FromSlash(path))
		if flag.Lookup("rewrite").Value.String() == "true" {
			must(t, os.WriteFile(file, []byte(b.String()), 0o644))
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != b.String() {
			t.Errorf("%s is not what the code lists: make golden (%v)", path, err)
		}
	}
}
