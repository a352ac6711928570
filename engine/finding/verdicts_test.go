package finding

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

func TestShiftIsTheFormula(t *testing.T) {
	for tally, want := range map[Tally]tokenwatch.Bans{
		{}: 0, {FalsePositive: 1}: 301, {Benign: 1}: 301, {FalsePositive: 1, Benign: 2}: 602, {FalsePositive: 1, TruePositive: 1}: 0,
		{FalsePositive: 5, TruePositive: 1}: 477, {TruePositive: 50}: 0, {FalsePositive: 9}: 1000, {Benign: 1000}: 1000,
	} {
		if got := tally.Shift(); got != want {
			t.Errorf("%+v: shift %d, want %d", tally, got, want)
		}
	}
}

// TestVerdictsAreTheLastOnes: whatever was said before, and whether it was stored in
// between, only the last verdict on each finding counts.
func TestVerdictsAreTheLastOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	detectors := [][]string{nil, {"novelty"}, {"novelty", "volume"}, {"travel", "volume"}}
	var v Verdicts
	last := map[string]tokenwatch.Verdict{}
	for i := range 2000 {
		said := tokenwatch.Verdicts[r.IntN(len(tokenwatch.Verdicts))]
		record := tokenwatch.Verdict{Finding: fmt.Sprint("f", r.IntN(20)), Verdict: &said, Detectors: detectors[r.IntN(len(detectors))]}
		if r.IntN(5) == 0 {
			record.Verdict = nil // a note
		} else {
			last[record.Finding] = record
		}
		v.Take(&record)
		if r.IntN(50) == 0 {
			stored := v.Last()
			v = Verdicts{}
			v.Restore(stored)
		}
		var want Verdicts
		for _, record := range last {
			want.Take(&record)
		}
		if !reflect.DeepEqual(v.tally, want.tally) {
			t.Fatalf("after %d verdicts: %+v, want %+v", i+1, v.tally, want.tally)
		}
	}
	none := tokenwatch.VerdictNone
	for id := range last {
		v.Take(&tokenwatch.Verdict{Finding: id, Verdict: &none})
	}
	if len(v.tally)+len(v.last) != 0 {
		t.Errorf("taken back, and there are still %+v of %+v", v.tally, v.last)
	}
}
