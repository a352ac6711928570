// Command nab measures the detectors of amounts on the Numenta Anomaly Benchmark:
// series of readings of other people's systems, with labelled anomalies, and the
// results of published detectors on the same files.
//
//	go run ./bench/nab                 # a table
//	go run ./bench/nab -json           # the same for programs
//	go run ./bench/nab -files          # and what was found in each file
//
// The data are not part of this repository. All files are read with one
// configuration, the first 15 % of each (no more than 750 readings) are not scored,
// and labels are read by the scorer only.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// profiles are the benchmark's three, by their names there.
var profiles = []string{"standard", "reward_low_FP_rate", "reward_low_FN_rate"}

// thresholds are those that ship: what `tokenwatch scan` shows, one false finding
// in five entity-weeks, and the usual promise of one in twenty.
var thresholds = []float64{44, 56}

// profile is what was measured in one of the profiles.
type profile struct {
	Profile   string             `json:"profile"`
	Hindsight result             `json:"hindsight"` // at the best threshold for this corpus
	Fixed     []result           `json:"fixed"`     // at the thresholds that ship
	Published map[string]float64 `json:"published"`
}

// report is what the command prints.
type report struct {
	Files    int       `json:"files"`
	Windows  int       `json:"windows"`
	Readings int       `json:"readings"` // that were scored
	Profiles []profile `json:"profiles"`
}

func main() {
	dir := flag.String("data", filepath.Join("..", "shared", "data", "nab"), "folder with data, labels, config and published")
	asJSON := flag.Bool("json", false, "print JSON")
	each := flag.Bool("files", false, "print what was found in each file at the best threshold of the standard profile")
	flag.Parse()
	if err := measure(os.Stdout, *dir, *asJSON, *each); err != nil {
		fmt.Fprintln(os.Stderr, "nab:", err)
		os.Exit(1)
	}
}

func measure(w io.Writer, dir string, asJSON, each bool) error {
	files, err := load(dir)
	if err != nil {
		return fmt.Errorf("no benchmark to run: %w; say where it is with -data", err)
	}
	var config map[string]struct{ CostMatrix weights }
	if err := readJSON(filepath.Join(dir, "config", "profiles.json"), &config); err != nil {
		return err
	}
	rep := report{Files: len(files)}
	var rows []row
	perFile := make([][]row, len(files))
	for i, f := range files {
		perFile[i] = judge(f.times, run(f.times, f.values), f.windows, rep.Windows)
		rep.Windows += len(f.windows)
		rows = append(rows, perFile[i]...)
	}
	rep.Readings = len(rows)
	for _, name := range profiles {
		c, ok := config[name]
		if !ok {
			return fmt.Errorf("config/profiles.json has no profile %s", name)
		}
		results := sweep(rows, rep.Windows, c.CostMatrix)
		p := profile{Profile: name, Hindsight: hindsight(results), Published: map[string]float64{}}
		for _, t := range thresholds {
			p.Fixed = append(p.Fixed, fixed(results, t))
		}
		sums, err := published(dir, name, files)
		if err != nil {
			return err
		}
		for detector, sum := range sums {
			p.Published[detector] = normalised(sum, rep.Windows, c.CostMatrix)
		}
		rep.Profiles = append(rep.Profiles, p)
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rep)
	}
	if each {
		if err := printFiles(w, files, perFile, rep.Profiles[0].Hindsight.Threshold); err != nil {
			return err
		}
	}
	return rep.print(w)
}

func (r report) print(out io.Writer) error {
	fmt.Fprintf(out, "%d files, %d labelled windows, %d readings scored\n\n", r.Files, r.Windows, r.Readings)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "tokenwatch\tprofile\tthreshold\tscore\twindows found\tfalse alarms")
	for _, p := range r.Profiles {
		fmt.Fprintf(w, "in hindsight\t%s\t%.2f\t%.1f\t%d\t%d\n", p.Profile, p.Hindsight.Threshold, p.Hindsight.Score, p.Hindsight.Windows, p.Hindsight.False)
	}
	for i := range thresholds {
		for _, p := range r.Profiles {
			f := p.Fixed[i]
			fmt.Fprintf(w, "as it ships\t%s\t%.2f\t%.1f\t%d\t%d\n", p.Profile, f.Threshold, f.Score, f.Windows, f.False)
		}
	}
	fmt.Fprintln(w, "\npublished, same files\tstandard\treward_low_FP_rate\treward_low_FN_rate")
	standard := r.Profiles[0].Published
	names := slices.SortedFunc(maps.Keys(standard), func(a, b string) int {
		return cmp.Or(-cmp.Compare(standard[a], standard[b]), cmp.Compare(a, b))
	})
	for _, n := range names {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\n", n, standard[n], r.Profiles[1].Published[n], r.Profiles[2].Published[n])
	}
	return w.Flush()
}

// printFiles tells for each file how many of its windows were found and what was
// told outside.
func printFiles(out io.Writer, files []file, rows [][]row, threshold float64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "file\twindows\tfound\tfalse alarms")
	for i, f := range files {
		found, alarms := map[int]bool{}, 0
		for _, r := range rows[i] {
			switch {
			case r.score < threshold:
			case r.window >= 0:
				found[r.window] = true
			default:
				alarms++
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", f.name, len(f.windows), len(found), alarms)
	}
	fmt.Fprintln(w)
	return w.Flush()
}
