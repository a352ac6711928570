// Command crowdsec compares what `tokenwatch scan` tells of raw web logs with the alerts
// that the tests of CrowdSec's hub expect of the same logs: by the source that an alert
// is about.
//
//	make build && go run ./bench/crowdsec                  # with the rules of pack web
//	go run ./bench/crowdsec -rules none                    # detectors alone
//
// The tests are not part of this repository. Their logs are a handful of lines each, so
// that nothing in them says what is usual: this measures what rules cover, and what
// detectors make of an address that nobody saw before.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tokenwatch/tokenwatch"
)

// test is a line of the index of the tests.
type test struct {
	Name    string   `json:"test"`
	File    string   `json:"log_file"`
	Type    string   `json:"log_type"`
	Alerts  []string `json:"expected_alerts"`
	Sources []string `json:"expected_sources"`
}

// web are the kinds of logs of web servers and of what stands before them.
var web = []string{
	"apache2", "aws-alb", "bunkerweb", "caddy", "containerd", "haproxy", "litespeed", "modsecurity", "nginx",
	"nginx-proxy-manager", "traefik", "zoraxy",
}

func main() {
	dir := flag.String("data", filepath.Join("..", "shared", "data", "crowdsec-tests"), "folder of the tests")
	binary := flag.String("binary", filepath.Join("bin", "tokenwatch"), "the program to measure")
	rules := flag.String("rules", "pack:web", "rules to scan with, or none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *dir, *binary, *rules); err != nil {
		fmt.Fprintln(os.Stderr, "crowdsec:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, dir, binary, rules string) error {
	index, err := os.Open(filepath.Join(dir, "index.jsonl"))
	if err != nil {
		return fmt.Errorf("no tests: %w; say where they are with -data", err)
	}
	defer index.Close()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "test\tscenarios\texpected\ttold\tby\tnot expected")
	var expected, told, beyond int
	for lines := bufio.NewScanner(index); lines.Scan(); {
		var t test
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return fmt.Errorf("read %s: %w", index.Name(), err)
		}
		log := filepath.Join(dir, t.Name, t.File)
		if info, err := os.Stat(log); !slices.Contains(web, t.Type) || err != nil || info.Size() == 0 {
			continue
		}
		bySource, err := scan(ctx, binary, log, rules)
		if err != nil {
			return err
		}
		var found, by []string
		for _, s := range t.Sources {
			if kinds := bySource[s]; len(kinds) > 0 {
				found, by = append(found, s), append(by, kinds...)
			}
			delete(bySource, s)
		}
		expected, told, beyond = expected+len(t.Sources), told+len(found), beyond+len(bySource)
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%d\n", t.Name, strings.Join(set(t.Alerts), " "), len(t.Sources), len(found), strings.Join(set(by), " "), len(bySource))
	}
	fmt.Fprintf(w, "all\t\t%d\t%d\t\t%d\n", expected, told, beyond)
	return w.Flush()
}

// unread is what the program ends with when it could make nothing of its input.
const unread = 3

// scan has the program look at a log, and returns the kinds of its settled findings by
// the address that they are about.
func scan(ctx context.Context, binary, log, rules string) (map[string][]string, error) {
	cmd := exec.CommandContext(ctx, binary, "scan", "--json", "--rules", rules, log)
	var said bytes.Buffer
	cmd.Stderr = &said
	answer, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == unread {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w: %s", log, err, bytes.TrimSpace(said.Bytes()))
	}
	kinds := map[string][]string{}
	for dec := json.NewDecoder(bytes.NewReader(answer)); ; {
		var f tokenwatch.Finding
		if err := dec.Decode(&f); errors.Is(err, io.EOF) {
			return kinds, nil
		} else if err != nil {
			return nil, fmt.Errorf("read findings of %s: %w", log, err)
		}
		if f.Settled && !f.Withdrawn && f.SrcIP != "" {
			kinds[f.SrcIP] = append(kinds[f.SrcIP], f.Kind)
		}
	}
}

// set orders texts and drops repeats.
func set(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}
