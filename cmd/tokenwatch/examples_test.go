package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/ingest/format"
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
	for _, w := range strings.Fields(line) {
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

// TestCommandNames: the commands that scripts and docs rely on exist.
func TestCommandNames(t *testing.T) {
	var grammar cli
	parser, err := newParser(&grammar, &console{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)})
	must(t, err)
	have := map[string]bool{}
	for _, leaf := range parser.Model.Leaves(false) {
		have[strings.Fields(leaf.Path())[0]] = true
	}
	for _, name := range strings.Fields("serve ingest scan parse findings finding rejects keys export verify formats detectors config demo version") {
		if !have[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

// TestReadmeTables: the README lists every format and detector, in their words.
func TestReadmeTables(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	must(t, err)
	lines := map[string]string{}
	for _, f := range format.All {
		lines[f.Name] = f.Doc
	}
	for _, d := range detect.All {
		lines[d.Name] = d.Doc
	}
	for name, doc := range lines {
		if row := "| `" + name + "` | " + doc + " |\n"; !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no line %s", row)
		}
	}
}
