package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is the grammar of the command line: a field per command, in the order in
// which help lists them.
type cli struct {
	JSON bool `name:"json" help:"Print JSON, one object a line."`

	Serve  serveCmd  `cmd:"" help:"Run the server."`
	Demo   demoCmd   `cmd:"" help:"Show a recorded attack being found."`
	Ingest ingestCmd `cmd:"" help:"Take log files into a store or a server."`
	Scan   scanCmd   `cmd:"" help:"Look for findings in log files, without a store."`
	Parse  parseCmd  `cmd:"" help:"Print log records as they would be stored."`

	Query    queryCmd    `cmd:"" help:"Ask in SQL."`
	Tokens   tokensCmd   `cmd:"" help:"List tokens."`
	Token    tokenCmd    `cmd:"" help:"Show one token: what it did, beside what it usually does, its risk and its life."`
	Findings findingsCmd `cmd:"" help:"List findings."`
	Finding  findingCmd  `cmd:"" help:"Show one finding with its reasons and evidence."`
	Tail     tailCmd     `cmd:"" help:"Show events, or findings, as they come."`
	Rejects  rejectsCmd  `cmd:"" help:"List records that could not be stored."`
	Sources  sourcesCmd  `cmd:"" help:"List where logs come from, and which are silent or cannot be read."`

	Link         linkCmd         `cmd:"" help:"Say that two tokens are one, follow each other, or are two."`
	Triage       triageCmd       `cmd:"" help:"Change status, verdict or note of a finding."`
	Suppressions suppressionsCmd `cmd:"" help:"List, preview, make and end suppressions."`
	Notify       notifyCmd       `cmd:"" help:"Show whom findings are told to, and what was."`

	Keys   keysCmd   `cmd:"" help:"Create, list and revoke API keys."`
	Export exportCmd `cmd:"" help:"Write the history to a directory for an auditor."`
	Verify verifyCmd `cmd:"" help:"Verify an exported history."`

	Backup  backupCmd  `cmd:"" help:"Copy a store, and compare the copy with its history."`
	Restore restoreCmd `cmd:"" help:"Make a store of a backup."`

	Rebuild rebuildCmd `cmd:"" help:"Find everything anew from the stored log, and compare."`

	Policy    policyCmd    `cmd:"" help:"Test and list policies, and see what others would have found."`
	Rules     rulesCmd     `cmd:"" help:"Say which Sigma rules run, and what is wrong with the others."`
	Formats   formatsCmd   `cmd:"" help:"List the log formats."`
	Detectors detectorsCmd `cmd:"" help:"List the detectors."`
	Config    configCmd    `cmd:"" help:"Print the configuration with its defaults."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
	Help      helpCmd      `cmd:"" help:"Show help; help exit-codes lists the exit codes."`
}

const description = "Watches API tokens through logs, and says when one does what it should not."

// run runs the command that args say and returns its exit code.
func run(ctx context.Context, args []string, c *console) int {
	err := execute(ctx, args, c)
	var said *coded
	if err != nil && !(errors.As(err, &said) && said.err == nil) {
		for line := range strings.Lines(err.Error()) { // of several errors each has its line
			fmt.Fprintf(c.stderr, "tokenwatch: %s\n", shown(strings.TrimRight(line, "\n")))
		}
	}
	return exitCode(err)
}

func execute(ctx context.Context, args []string, c *console) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case helpShown:
			err = nil
		default:
			panic(p)
		}
	}()
	var grammar cli
	parser, err := newParser(&grammar, c)
	if err != nil {
		return fmt.Errorf("build the command line: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return unread(err)
	}
	c.json = grammar.JSON
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(c, parser)
}

// unread is the error of a command line that cannot be read, and says where to look.
func unread(err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context == nil {
		return usage("%w; see tokenwatch --help", err)
	}
	node := parse.Context.Selected()
	if node == nil || node.Type != kong.CommandNode {
		return usage("%w; tokenwatch --help lists the commands", err)
	}
	return usage("%w; see %s --help", err, node.FullPath())
}

// helpShown ends parsing once help was printed: kong goes on otherwise.
type helpShown struct{}

func newParser(grammar *cli, c *console) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("tokenwatch"),
		kong.Description(description),
		kong.Writers(c.stdout, c.stderr),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
}

// helpCmd shows help for a command or a topic.
type helpCmd struct {
	Topic string `arg:"" optional:"" help:"A command, or exit-codes."`
}

// Help has an example.
func (helpCmd) Help() string { return "Example:\n\n    tokenwatch help exit-codes" }

// Run prints help.
func (h *helpCmd) Run(c *console, parser *kong.Kong) error {
	switch h.Topic {
	case "exit-codes":
		return printExitCodes(c)
	case "":
		_, err := parser.Parse([]string{"--help"})
		return err
	default:
		if _, err := parser.Parse([]string{h.Topic, "--help"}); err != nil {
			return usage("%w", err)
		}
		return nil
	}
}

func printExitCodes(c *console) error {
	t := table{head: []string{"code", "meaning"}}
	for _, e := range exitCodes {
		if c.json {
			if err := c.print(map[string]any{"code": e.code, "meaning": e.doc}); err != nil {
				return err
			}
			continue
		}
		t.add(fmt.Sprint(e.code), e.doc)
	}
	return t.write(c)
}

// say writes a line of text.
func say(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(w, format+"\n", args...)
	return err
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprint(n) + " " + thing + "s"
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
