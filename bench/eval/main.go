// Command eval measures what the detectors find, end to end, on a simulated
// company: it has the evaluation kit make the logs, runs the built `tokenwatch
// scan` over the access log and the audit trail merged by time, puts the findings
// in the scorer's words, and prints the scorer's table.
//
//	make eval                                           # seeds 2, 4 and 6, whole worlds
//	go run ./bench/eval -seeds 1 -tokens 300 -days 14 -per-kind 3   # small and quick
//	go run ./bench/eval -benign                         # nobody attacks: every finding is false
//	go run ./bench/eval -ablate -seeds 1,3 -tokens 300 -days 14 -per-kind 3   # what each detector adds
//
// The kit is not part of this repository; without it, or without python3, there is
// nothing to measure and the command says so. Labels are read by the scorer only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// world is what is asked of the simulator, and how what comes of it is scored.
type world struct {
	kit, binary, out string
	tokens, days     int
	perKind          int
	benign           bool
	file             string // overrides of the benign world; "" if none
	fixed            int
	without          string  // detectors left out, with commas between
	rate             float64 // asked of the program; 0 if it is to decide
	verbose          bool
}

func main() {
	var w world
	seeds := flag.String("seeds", "2,4,6", "worlds to simulate")
	flag.StringVar(&w.kit, "kit", filepath.Join("..", "shared", "eval"), "folder of the evaluation kit")
	flag.StringVar(&w.binary, "binary", filepath.Join("bin", "tokenwatch"), "the program to measure")
	flag.StringVar(&w.out, "out", filepath.Join("bench", "out", "eval"), "folder for what is simulated and found")
	flag.IntVar(&w.tokens, "tokens", 1200, "tokens of a world")
	flag.IntVar(&w.days, "days", 28, "days simulated")
	flag.IntVar(&w.perKind, "per-kind", 6, "attacks of each kind")
	flag.BoolVar(&w.benign, "benign", false, "nobody attacks")
	flag.StringVar(&w.file, "world", "", "JSON file that changes the benign world")
	flag.IntVar(&w.fixed, "fixed", 56, "score at which the shipped threshold stands")
	flag.Float64Var(&w.rate, "rate", 0, "false findings per token and week that the program is asked for; 0 leaves it alone")
	flag.StringVar(&w.without, "without", "", "detectors to leave out, with commas between")
	ablate := flag.Bool("ablate", false, "measure without each detector in turn, and print what it adds")
	flag.BoolVar(&w.verbose, "v", false, "print the scorer's whole table of each world")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, w, strings.Split(*seeds, ","), *ablate); err != nil {
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w world, seeds []string, ablate bool) error {
	if _, err := os.Stat(filepath.Join(w.kit, "tokensim.py")); err != nil {
		return fmt.Errorf("no evaluation kit: %w; say where it is with -kit", err)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		return fmt.Errorf("the kit needs python3: %w", err)
	}
	if _, err := os.Stat(w.binary); err != nil {
		return fmt.Errorf("no program to measure: %w; make build makes it", err)
	}
	var worlds []int
	for _, s := range seeds {
		seed, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			return fmt.Errorf("seed %q is not a number", s)
		}
		worlds = append(worlds, seed)
	}
	if ablate {
		return w.ablate(ctx, os.Stdout, worlds)
	}
	var scores []score
	for _, seed := range worlds {
		r, err := w.measure(ctx, seed)
		if err != nil {
			return fmt.Errorf("world %d: %w", seed, err)
		}
		scores = append(scores, *r)
	}
	return table(os.Stdout, scores)
}

// measure simulates a world unless an earlier run has, scans it, and scores what
// was found.
func (w world) measure(ctx context.Context, seed int) (*score, error) {
	name := fmt.Sprintf("s%d-t%d-d%d-k%d", seed, w.tokens, w.days, w.perKind)
	if w.benign {
		name += "-benign"
	}
	if w.file != "" {
		name += "-" + strings.TrimSuffix(filepath.Base(w.file), ".json")
	}
	dir := filepath.Join(w.out, name)
	if _, err := os.Stat(filepath.Join(dir, "labels.json")); err != nil {
		if err := w.simulate(ctx, dir, seed); err != nil {
			return nil, err
		}
	}
	args, err := w.scanArgs(ctx, dir)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	found := filepath.Join(dir, "findings.jsonl")
	cpu, err := command(ctx, found, w.binary, args...)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	words := filepath.Join(dir, "scorer.jsonl")
	if err := translateFile(found, words); err != nil {
		return nil, err
	}
	result := filepath.Join(dir, "score.json")
	scorer := []string{
		filepath.Join(w.kit, "score.py"), "--labels", filepath.Join(dir, "labels.json"),
		"--findings", words, "--fixed", strconv.Itoa(w.fixed), "--json", result,
	}
	if !w.verbose {
		scorer = append(scorer, "--quiet")
	}
	if _, err := command(ctx, "", "python3", scorer...); err != nil {
		return nil, err
	}
	r, err := readScore(result)
	if err != nil {
		return nil, err
	}
	r.seed, r.took, r.cpu = seed, took, cpu
	return r, nil
}

func (w world) simulate(ctx context.Context, dir string, seed int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	args := []string{
		filepath.Join(w.kit, "tokensim.py"), "--out", dir, "--seed", strconv.Itoa(seed),
		"--tokens", strconv.Itoa(w.tokens), "--days", strconv.Itoa(w.days), "--per-kind", strconv.Itoa(w.perKind),
	}
	if w.benign {
		args = append(args, "--no-attacks")
	}
	if w.file != "" {
		args = append(args, "--world", w.file)
	}
	_, err := command(ctx, "", "python3", args...)
	return err
}

// tables are the files of the kit that say what the logs do not, and the flags by
// which the program takes them.
var tables = []struct{ flag, file string }{
	{"--inventory", "inventory.json"}, {"--routes", "policy.json"}, {"--networks", "ipdb.csv"},
}

// scanArgs gives the program every table it takes.
func (w world) scanArgs(ctx context.Context, dir string) ([]string, error) {
	help, err := exec.CommandContext(ctx, w.binary, "scan", "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s what it takes: %w", w.binary, err)
	}
	args := []string{"scan", "--json"}
	if w.rate > 0 {
		args = append(args, "--rate", strconv.FormatFloat(w.rate, 'g', -1, 64))
	}
	for name := range strings.SplitSeq(w.without, ",") {
		if name != "" {
			args = append(args, "--without", name)
		}
	}
	for _, t := range tables {
		if strings.Contains(string(help), t.flag) {
			args = append(args, t.flag, filepath.Join(dir, t.file))
		}
	}
	return append(args, filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "access.jsonl")), nil
}

// command runs a program, with its output in a file if one is named, and tells the
// CPU it took.
func command(ctx context.Context, output, name string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if output != "" {
		f, err := os.Create(output)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		cmd.Stdout = f
	}
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("run %s: %w", filepath.Base(name), err)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
