package ingest

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// TestPlanted puts a credential of a known form in place of a word of the golden
// records of every format, whatever the word was. Read or refused, as what it is or
// as another format, nothing of it is kept.
func TestPlanted(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 1))
	p := canaryPipeline(t)
	known := []func() string{
		func() string { return "ghp_" + pick(r, 36, alnums) },
		func() string { return shapes["jwt"](r) },
		func() string { return "xoxb-" + pick(r, 12, "123456789") + "-" + pick(r, 24, alnums) },
		func() string { return "sk_live_" + pick(r, 24, alnums) },
	}
	turns := 8
	if testing.Short() {
		turns = 2
	}
	placed, read, leaks := 0, 0, map[string]int{}
	datadriven.Walk(t, "../testdata/format", func(t *testing.T, path string) {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "../testdata/format/"), "/")
		if _, ok := format.ByName(name); !ok {
			name = source.FormatAuto
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			for range turns {
				places := wordsOf(d.Input)
				if len(places) == 0 {
					break
				}
				at := places[r.IntN(len(places))]
				secret := known[r.IntN(len(known))]()
				body := d.Input[:at[0]] + secret + d.Input[at[1]:]
				as := name
				if r.IntN(4) == 0 {
					as = source.FormatAuto
				}
				s, _, err := p.Seal(source.Delivery{Tenant: "t", Source: "canary", Format: as, Body: strings.NewReader(body + "\n")})
				if err != nil {
					if refusal := (*tokenwatch.Refusal)(nil); !errors.As(err, &refusal) || strings.Contains(err.Error(), secret[:trace]) {
						t.Fatal(err)
					}
					continue
				}
				placed++
				read += min(1, s.Batch.Rows())
				if found := leak(kept(s), traces(secret)); found != "" {
					if leaks[name]++; leaks[name] <= 2 {
						t.Errorf("%s as %s: %q of %q is kept of\n%s", path, as, found, secret, body)
					}
				}
			}
			return d.Expected
		})
	})
	t.Logf("%d placements, in %d something was read; with a trace: %v", placed, read, slices.Sorted(maps.Keys(leaks)))
	if placed < 300 || read < placed/2 {
		t.Errorf("only %d placements, of which %d were read", placed, read)
	}
}

// wordsOf returns the bounds of the words of a text.
func wordsOf(text string) (out [][2]int) {
	start := -1
	for i := 0; i <= len(text); i++ {
		if i < len(text) && strings.IndexByte(alnums, text[i]) >= 0 {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && i-start >= 3 {
			out = append(out, [2]int{start, i})
		}
		start = -1
	}
	return out
}
