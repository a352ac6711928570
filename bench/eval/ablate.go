package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"text/tabwriter"
)

// ablate measures the worlds with all detectors, and then without each in turn: what
// one adds is what is missing without it.
func (w world) ablate(ctx context.Context, out io.Writer, seeds []int) error {
	names, err := w.detectors(ctx)
	if err != nil {
		return err
	}
	all, err := w.means(ctx, seeds)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tAUC-PR\trecall 0.01\t0.05\t0.2\tsubtle 0.05\tfixed\tfalse/tw fixed\tfalse/tw all\twarm-up\tCPU s")
	all.row(t, "all", means{}, "%.3f")
	for _, name := range names {
		without := w
		without.without = name
		if w.without != "" {
			without.without += "," + w.without
		}
		m, err := without.means(ctx, seeds)
		if err != nil {
			return err
		}
		all.row(t, name, m, "%+.3f")
	}
	return t.Flush()
}

// detectors lists what the program has.
func (w world) detectors(ctx context.Context) ([]string, error) {
	b, err := exec.CommandContext(ctx, w.binary, "detectors", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its detectors: %w", w.binary, err)
	}
	var names []string
	for dec := json.NewDecoder(bytes.NewReader(b)); dec.More(); {
		var d struct {
			Name string `json:"name"`
		}
		if err := dec.Decode(&d); err != nil {
			return nil, fmt.Errorf("read the list of detectors: %w", err)
		}
		names = append(names, d.Name)
	}
	return names, nil
}

// means are means over worlds, in the order of the table's columns.
type means [10]float64

func (w world) means(ctx context.Context, seeds []int) (m means, err error) {
	for _, seed := range seeds {
		s, err := w.measure(ctx, seed)
		if err != nil {
			return m, fmt.Errorf("world %d without %q: %w", seed, w.without, err)
		}
		for i, v := range [...]float64{
			s.AUC, s.Budgets["0.01"].Macro, s.Budgets["0.05"].Macro, s.Budgets["0.2"].Macro, s.Budgets["0.05"].BySubtlety["3"],
			s.Fixed.Macro, s.Fixed.FalseRate, s.Budgets["0.2"].FalseRate, s.WarmUp, s.cpu.Seconds(),
		} {
			m[i] += v / float64(len(seeds))
		}
	}
	return m, nil
}

// row prints how much m has more than less.
func (m means) row(out io.Writer, name string, less means, format string) {
	fmt.Fprint(out, name)
	for i := range m {
		fmt.Fprintf(out, "\t"+format, m[i]-less[i])
	}
	fmt.Fprintln(out)
}
