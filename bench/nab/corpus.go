package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// file is one series of the benchmark.
type file struct {
	name    string
	times   []time.Time
	values  []float64
	windows []span
}

// load reads the series that labels/combined_windows.json lists, in order of
// their names.
func load(dir string) ([]file, error) {
	var labels map[string][][2]string
	if err := readJSON(filepath.Join(dir, "labels", "combined_windows.json"), &labels); err != nil {
		return nil, err
	}
	var files []file
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		f := file{name: name}
		for _, w := range labels[name] {
			from, err := parse(w[0])
			if err != nil {
				return nil, err
			}
			to, err := parse(w[1])
			if err != nil {
				return nil, err
			}
			f.windows = append(f.windows, span{from, to})
		}
		if err := f.read(filepath.Join(dir, "data", filepath.FromSlash(name))); err != nil {
			return nil, err
		}
		for _, w := range f.windows {
			if !slices.ContainsFunc(f.times, w.from.Equal) || !slices.ContainsFunc(f.times, w.to.Equal) {
				return nil, fmt.Errorf("%s: a labelled window begins or ends where there is no reading", name)
			}
		}
		files = append(files, f)
	}
	return files, nil
}

func (f *file) read(path string) error {
	records, err := readCSV(path)
	if err != nil {
		return err
	}
	for _, r := range records[1:] {
		t, err := parse(r[0])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		v, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f.times, f.values = append(f.times, t), append(f.values, v)
	}
	return nil
}

// published adds up what the detectors whose results come with the data reached
// on exactly these files, in one profile: the sums of their files' scores, at the
// threshold that was best for each over all of the benchmark.
func published(dir, profile string, files []file) (map[string]float64, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "published", "*_"+profile+"_scores.csv"))
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for _, path := range paths {
		records, err := readCSV(path)
		if err != nil {
			return nil, err
		}
		byFile, detector := map[string]float64{}, ""
		for _, r := range records[1:] {
			score, err := strconv.ParseFloat(r[4], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			detector, byFile[r[2]] = r[0], score
		}
		sum, complete := 0.0, true
		for _, f := range files {
			score, ok := byFile[f.name]
			sum, complete = sum+score, complete && ok
		}
		if complete {
			sums[detector] = sum
		}
	}
	return sums, nil
}

// parse reads a time as the benchmark writes it, with or without a fraction.
func parse(s string) (time.Time, error) { return time.Parse("2006-01-02 15:04:05", s) }

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readCSV reads a file with a head of at least one line.
func readCSV(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}
