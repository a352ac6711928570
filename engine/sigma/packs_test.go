package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

// TestPacks: every rule that comes with the program compiles, and has an event that
// it matches and one that it does not among the cases of testdata/rules.
func TestPacks(t *testing.T) {
	matched, spared := map[string]bool{}, map[string]bool{}
	for _, name := range Packs() {
		files, err := Embedded(name)
		must(t, err)
		var l Loader
		for _, f := range files {
			l.Load(f.Name, f.Text)
		}
		pack := l.Compile()
		for _, p := range pack.Problems {
			t.Error(p)
		}
		datadriven.Walk(t, "../../testdata/rules/"+name, func(t *testing.T, path string) {
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				v := NewView(events(t, d.Input))
				var out strings.Builder
				found := map[string][]int{}
				for _, r := range pack.Rules {
					rows := r.Match(v)
					found[r.Key()] = rows
					matched[r.Key()] = matched[r.Key()] || len(rows) > 0
					spared[r.Key()] = spared[r.Key()] || len(rows) < v.rows
					if len(rows) > 0 && !r.Silent {
						fmt.Fprintln(&out, r.Key(), rows)
					}
				}
				f := Follow(pack)
				f.Take(v, found, func(row int) tokenwatch.EventRef {
					return tokenwatch.EventRef{Millis: v.batch.Int(tokenwatch.ColTime, row) / 1e6, Row: uint32(row)}
				}, func(int) tokenwatch.Entity { return tokenwatch.Entity{} })
				fired := map[string]bool{}
				for _, x := range f.Fired() {
					fired[x.By.Key()] = true
					fmt.Fprintln(&out, x.By.Key(), "after", len(x.Events))
				}
				for _, c := range pack.Correlations {
					matched[c.Key()] = matched[c.Key()] || fired[c.Key()]
					spared[c.Key()] = spared[c.Key()] || !fired[c.Key()]
				}
				return out.String()
			})
		})
		for _, r := range pack.Rules {
			if !matched[r.Key()] || !spared[r.Key()] {
				t.Errorf("no case shows what %s matches, or what it does not", r.Key())
			}
		}
		for _, c := range pack.Correlations {
			if !matched[c.Key()] || !spared[c.Key()] {
				t.Errorf("no case shows when %s comes true, or when it does not", c.Key())
			}
		}
	}
}
