package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwatch/tokenwatch"
)

// manySources is an engine that knows more sources than are named.
type manySources int

func (manySources) Tenants() []string { return []string{"t"} }

func (n manySources) Sources(context.Context, string) ([]tokenwatch.SourceRecord, error) {
	var list []tokenwatch.SourceRecord
	for i := range int(n) {
		r := tokenwatch.SourceRecord{Tenant: "t", Name: fmt.Sprintf("s%03d", i), Records: int64(i), State: tokenwatch.SourceReporting, Last: time.Unix(int64(i), 0)}
		if i == 3 {
			r.State = tokenwatch.SourceSilent
		}
		list = append(list, r)
	}
	return list, nil
}

// TestSourceMetricsAreBounded: sources are named by whoever sends, so that only so
// many have series of their own; what is wrong with another still shows.
func TestSourceMetricsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(sourceMetrics{manySources(1000)})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) == 0 {
		t.Fatal("no metrics")
	}
	var silent []string
	for _, f := range families {
		if n := len(f.GetMetric()); n != namedSources+1 {
			t.Errorf("%s has %d series, not %d", f.GetName(), n, namedSources+1)
		}
		for _, m := range f.GetMetric() {
			if f.GetName() == "tokenwatch_source_silent" && m.GetGauge().GetValue() == 1 {
				silent = append(silent, m.GetLabel()[0].GetValue())
			}
		}
	}
	if !slices.Equal(silent, []string{otherSources}) {
		t.Errorf("silent: %q", silent)
	}
}
