package v1

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

var filtered = []tokenwatch.Finding{
	{
		ID: "fnd_1", EntityKind: tokenwatch.EntityToken, Entity: "tkw_a", Token: "tkw_a",
		Aliases: []tokenwatch.Alias{{Kind: tokenwatch.NameAccessKeyID, Value: "ASIA1"}},
		Actor:   `a "quoted" name`, Kind: "novelty", Class: tokenwatch.ClassAnomaly, Severity: tokenwatch.SeverityHigh,
		Status: "new", SrcIP: "2001:db8::1", Settled: true,
		Detectors: []string{"concurrent", "novelty"}, Attack: []string{"T1078.004"}, RequestIDs: []string{"r1", "r2"},
	},
	{
		ID: "fnd_2", EntityKind: tokenwatch.EntityAddress, Entity: "192.0.2.1",
		Kind: "concurrent", Class: tokenwatch.ClassAnomaly, Severity: tokenwatch.SeverityLow,
		Status: "new", SrcIP: "192.0.2.1", Learning: true, Withdrawn: true, Detectors: []string{"concurrent"},
	},
}

// TestFilter shows filters and what they let through: testdata/api/filter.
func TestFilter(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("..", "..", "testdata", "api", "filter"), func(t *testing.T, d *datadriven.TestData) string {
		var b strings.Builder
		for line := range strings.Lines(d.Input) {
			line = strings.TrimSuffix(line, "\n")
			terms, err := parseFilter(line)
			if err != nil {
				fmt.Fprintf(&b, "%s\n  %s: %v\n", line, Reason(err), err)
				continue
			}
			through := []string{}
			for i := range filtered {
				if terms.match(&filtered[i]) {
					through = append(through, filtered[i].ID)
				}
			}
			fmt.Fprintf(&b, "%s\n  %v\n", line, through)
		}
		return b.String()
	})
}

// FuzzFilter: any text is a filter or an error of the right kind, and an error
// does not repeat it.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"", `severity = "high"`, `token=tkw_a AND attack:T1078.004`, `a`, `=`, `severity = "`, `status=new ANDkind=x`, `actor="\x00"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		terms, err := parseFilter(s)
		if err != nil {
			if Reason(err) != ReasonBadFilter {
				t.Errorf("%v", err)
			}
			return
		}
		if len(terms) > maxTerms {
			t.Errorf("%d terms", len(terms))
		}
		for i := range filtered {
			terms.match(&filtered[i])
		}
	})
}
