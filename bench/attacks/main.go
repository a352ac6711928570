// Command attacks measures what `tokenwatch scan` finds in recorded attacks on real
// cloud accounts, with the user agent taken away before anything is scored, since
// the attackers' tool names itself in it.
//
//	make build && go run ./bench/attacks          # a table
//	go run ./bench/attacks -json                  # the same for programs
//
// The trail is the CloudTrail of one account in which a tool ran its attack
// techniques beside honest work. The detonations are one file a technique, of the
// attack only, so that nothing in them says what is usual. The recordings are not part
// of this repository. Labels are read after the scan, to judge what it found.
package main

import (
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
	"strings"
	"text/tabwriter"

	"github.com/tokenwatch/tokenwatch"
)

// report is what the command prints.
type report struct {
	Trails      []trail     `json:"trails"`
	Detonations []technique `json:"detonations"`
}

// technique is one file of an attack, and what was found in it.
type technique struct {
	Technique string   `json:"technique"`
	Events    int      `json:"events"`
	Found     []string `json:"found"` // kinds of findings with their scores
}

func main() {
	dir := flag.String("data", filepath.Join("..", "shared", "data", "attacks"), "folder of the recordings")
	binary := flag.String("binary", filepath.Join("bin", "tokenwatch"), "the program to measure")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, os.Stdout, *dir, *binary, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, w io.Writer, dir, binary string, asJSON bool) error {
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("no program to measure: %w; make build makes it", err)
	}
	var rep report
	labels, err := decode[label](filepath.Join(dir, "aws-stratus-timeline", "labels.jsonl"))
	if err != nil {
		return fmt.Errorf("no recordings: %w; say where they are with -data", err)
	}
	for _, with := range []struct{ name, rules string }{{"all", "pack:attack"}, {"without rules", "none"}} {
		findings, err := scan(ctx, binary, filepath.Join(dir, "aws-stratus-timeline", "cloudtrail.jsonl.gz"), with.rules)
		if err != nil {
			return err
		}
		rep.Trails = append(rep.Trails, judge(with.name, labels, findings))
	}
	techniques, err := decode[technique](filepath.Join(dir, "stratus-detonations", "labels.jsonl"))
	if err != nil {
		return err
	}
	for _, t := range techniques {
		findings, err := scan(ctx, binary, filepath.Join(dir, "stratus-detonations", t.Technique+".jsonl"), "pack:attack")
		if err != nil {
			return err
		}
		for _, f := range findings {
			if f.Settled && !f.Withdrawn {
				t.Found = append(t.Found, fmt.Sprintf("%s %d", f.Kind, f.Score))
			}
		}
		rep.Detonations = append(rep.Detonations, t)
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rep)
	}
	return rep.print(w)
}

// scan has the program look for findings in a file, at its defaults but for
// the rules.
func scan(ctx context.Context, binary, path, rules string) ([]tokenwatch.Finding, error) {
	cmd := exec.CommandContext(ctx, binary, "scan", path, "--mask", "user_agent", "--rules", rules, "--json")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("scan %s: %w: %s", path, err, bytes.TrimSpace(said.Bytes()))
	}
	return values[tokenwatch.Finding](&out)
}

// decode reads a file of JSON values.
func decode[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out, err := values[T](f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

func values[T any](r io.Reader) ([]T, error) {
	var out []T
	for dec := json.NewDecoder(r); ; {
		var v T
		switch err := dec.Decode(&v); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
		out = append(out, v)
	}
}

func (r report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, t := range r.Trails {
		fmt.Fprintf(w, "trail, %s: %d credentials in %.2f hours\tscore\trank\tothers at or above\tminutes to the first finding\tby\n", t.With, t.Credentials, t.Hours)
		for _, a := range t.Attack {
			if a.Score == 0 {
				fmt.Fprintf(w, "  %s %s\tnot found\t\t\t\t\n", a.Role, a.Key)
				continue
			}
			fmt.Fprintf(w, "  %s %s\t%d\t%d\t%d\t%.2f\t%s\n", a.Role, a.Key, a.Score, a.Rank, a.Above, a.Minutes, strings.Join(a.Kinds, " "))
		}
		fmt.Fprintf(w, "  findings an hour on honest credentials %.1f, on ambiguous ones %.1f\n\n", t.Honest, t.Ambiguous)
	}
	found := 0
	fmt.Fprintln(w, "detonation\tevents\tfound by")
	for _, t := range r.Detonations {
		by := "-"
		if len(t.Found) > 0 {
			by = strings.Join(t.Found, ", ")
			found++
		}
		fmt.Fprintf(w, "%s\t%d\t%s\n", t.Technique, t.Events, by)
	}
	fmt.Fprintf(w, "%d of %d techniques found\n", found, len(r.Detonations))
	return w.Flush()
}
