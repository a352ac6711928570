package finding

import (
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

func TestScoreIsTheFormula(t *testing.T) {
	// 30 − 20·log10 q
	for rate, want := range map[tokenwatch.Bans]int{2000: 0, 1500: 0, 0: 30, -699: 44, -1301: 56, -2000: 70, -3500: 100, -90_000: 100} {
		if got := Score(rate); got != want {
			t.Errorf("Score(%d) = %d, want %d", rate, got, want)
		}
	}
}

func TestCombineCountsEachGroupOnce(t *testing.T) {
	c := Combine([]tokenwatch.Signal{
		{Detector: "novelty", Axis: "area", Group: "what", Surprise: 3000},
		{Detector: "novelty", Axis: "action", Group: "what", Surprise: 4000},
		{Detector: "novelty", Axis: "network", Group: "where", Surprise: 2500},
		{Detector: "novelty", Axis: "agent_family", Surprise: 900},
	})
	if c.Sum != 3000+1500 || len(c.Signals) != 2 || c.Signals[0].Axis != "action" {
		t.Errorf("%+v", c)
	}
}

func TestOdds(t *testing.T) {
	for sum, want := range map[tokenwatch.Bans]string{0: "1", 300: "2", 2000: "100", 3700: "5,000", 6999: "8,000,000", 13_000: "more than 1,000,000,000"} {
		if got := odds(sum); got != want {
			t.Errorf("odds(%d) = %s, want %s", sum, got, want)
		}
	}
}

func TestIDsDoNotRunTogether(t *testing.T) {
	seen := map[string]bool{}
	for _, tenant := range []string{"a", "ab", ""} {
		for _, id := range []string{"b", "", "bc"} {
			for day := range int32(3) {
				id := ID([32]byte{1}, tenant, tokenwatch.Entity{ID: id}, tokenwatch.ClassAnomaly, "", day)
				if seen[id] {
					t.Fatalf("%s twice", id)
				}
				seen[id] = true
			}
		}
	}
}
