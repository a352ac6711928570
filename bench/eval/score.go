package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// score is what the scorer says of one world.
type score struct {
	seed int
	took time.Duration
	cpu  time.Duration

	Findings int                 `json:"findings"`
	WarmUp   float64             `json:"warmup_findings_per_token_week"`
	Tokens   int                 `json:"tokens"`
	Evidence *float64            `json:"evidence_points_at_attack"`
	AUC      float64             `json:"auc_pr_incidents"`
	Budgets  map[string]*outcome `json:"budgets"`
	Fixed    *outcome            `json:"fixed"`
	Policy   map[string]struct {
		Recall float64 `json:"recall"`
		Truth  int     `json:"truth"`
		False  int     `json:"false"`
	} `json:"policy"`
	Weeks float64 `json:"scored_weeks"`
}

// outcome is what a threshold gives.
type outcome struct {
	Threshold  float64            `json:"threshold"`
	False      int                `json:"false_findings"`
	FalseRate  float64            `json:"false_per_token_week"`
	Macro      float64            `json:"recall_macro"`
	Chance     float64            `json:"chance_recall"`
	ByKind     map[string]string  `json:"recall_by_kind"`
	BySubtlety map[string]float64 `json:"recall_by_subtlety"`
	Delay      *float64           `json:"delay_min_p50"`
	Events     *float64           `json:"delay_events_p50"`
	PerAttack  float64            `json:"findings_per_detected_attack"`
	ByBenign   map[string]int     `json:"false_by_benign_type"`
	ByType     map[string]int     `json:"false_by_archetype"`
	ByFinding  map[string]int     `json:"false_by_finding_kind"`
	Missed     []string           `json:"missed"`
}

func readScore(path string) (*score, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s score
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the scorer's answer: %w", err)
	}
	return &s, nil
}

// table prints what the worlds have in common: means, and sums of counts.
func table(out io.Writer, scores []score) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	names := []string{"0.01", "0.05", "0.2", "fixed"}
	fmt.Fprintf(w, "\tAUC-PR\twarm-up\t")
	for _, n := range names {
		fmt.Fprintf(w, "recall %s\ts1\ts2\ts3\tfalse/tw\t", n)
	}
	fmt.Fprintf(w, "delay min\tevents\tper attack\tevidence\tCPU s\twall s\n")
	var mean [30]float64
	for _, s := range scores {
		row := s.numbers(names)
		fmt.Fprintf(w, "seed %d", s.seed)
		for i, v := range row {
			mean[i] += v / float64(len(scores))
			fmt.Fprintf(w, "\t%.3g", v)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "mean")
	for _, v := range mean[:len(scores[0].numbers(names))] {
		fmt.Fprintf(w, "\t%.3g", v)
	}
	fmt.Fprintln(w)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, n := range names {
		kinds, benign, types, finders := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
		total := map[string]int{}
		for _, s := range scores {
			o := s.outcome(n)
			for k, v := range o.ByKind {
				var found, of int
				if _, err := fmt.Sscanf(v, "%d/%d", &found, &of); err != nil {
					return fmt.Errorf("read the scorer's answer: %w", err)
				}
				kinds[k] += found
				total[k] += of
			}
			add(benign, o.ByBenign)
			add(types, o.ByType)
			add(finders, o.ByFinding)
		}
		var found []string
		for _, k := range keys(kinds) {
			found = append(found, fmt.Sprintf("%s %d/%d", k, kinds[k], total[k]))
		}
		fmt.Fprintf(out, "\nat %s: %s\n  false by cause: %s\n  by type: %s\n  by kind: %s\n",
			n, strings.Join(found, ", "), counts(benign), counts(types), counts(finders))
	}
	var policies []string
	for _, k := range keys(scores[0].Policy) {
		var recall float64
		var truth, wrong int
		for _, s := range scores {
			recall += s.Policy[k].Recall / float64(len(scores))
			truth += s.Policy[k].Truth
			wrong += s.Policy[k].False
		}
		policies = append(policies, fmt.Sprintf("%s %.2f of %d, %d false", k, recall, truth, wrong))
	}
	_, err := fmt.Fprintf(out, "\npolicies: %s\n", strings.Join(policies, "; "))
	return err
}

func (s *score) outcome(name string) *outcome {
	if name == "fixed" {
		return s.Fixed
	}
	return s.Budgets[name]
}

// numbers are a row of the table.
func (s *score) numbers(names []string) []float64 {
	row := []float64{s.AUC, s.WarmUp}
	for _, n := range names {
		o := s.outcome(n)
		row = append(row, o.Macro, o.BySubtlety["1"], o.BySubtlety["2"], o.BySubtlety["3"], o.FalseRate)
	}
	at := s.outcome("0.05")
	return append(row, value(at.Delay), value(at.Events), at.PerAttack, value(s.Evidence), s.cpu.Seconds(), s.took.Seconds())
}

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

func add(to, from map[string]int) {
	for k, v := range from {
		to[k] += v
	}
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// counts prints a map, greatest first.
func counts(m map[string]int) string {
	ks := keys(m)
	slices.SortStableFunc(ks, func(a, b string) int { return m[b] - m[a] })
	var out []string
	for _, k := range ks {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}
