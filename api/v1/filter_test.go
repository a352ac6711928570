package v1

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
)

var filtered = []tokenwatch.Finding{
	{
		ID: "fnd_1", EntityKind: tokenwatch.EntityToken, Entity: "tkw_a", Token: "tkw_a",
		Aliases: []tokenwatch.Alias{{Kind: tokenwatch.NameAccessKeyID, Value: "ASIA1"}},
		Actor:   `a "quoted" name`, Kind: "novelty", Class: tokenwatch.ClassAnomaly, Severity: tokenwatch.SeverityHigh,
		Status: "new", SrcIP: "2001:db8::1", Settled: true, Score: 91,
		Time: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), Raised: time.Date(2026, 3, 2, 12, 0, 1, 0, time.UTC),
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
			terms, err := FindingFilter(line, nil)
			if err != nil {
				fmt.Fprintf(&b, "%s\n  %s: %s\n", line, Reason(err), status.Convert(err).Message())
				continue
			}
			through := []string{}
			for i := range filtered {
				if terms.Match(&filtered[i]) {
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
		"", `severity = "high"`, `severity >= high (NOT score < 3 OR -kind:nov*)`, `src_ip:10.0.0.0/8 time > 2026-03-02`, `token=tkw_a AND attack:T1078.004`, `a`, `=`, `severity = "`, `status=new ANDkind=x`, `actor="\x00"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		terms, err := FindingFilter(s, nil)
		if err != nil {
			if Reason(err) != ReasonBadFilter {
				t.Errorf("%v", err)
			}
			return
		}
		for i := range filtered {
			terms.Match(&filtered[i])
		}
	})
}
