package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// enumeration notices objects being counted through by sequential ids: numbers of one
// action that lie next to each other, a quarter or more of a run of 64, in whatever
// order they are asked for.
//
// The number of such objects in an active hour is taken to be negative binomial
// around the entity's own mean, with a small shape, since those who count at all
// count far (atLeast).
type enumeration struct{}

func newEnumeration(vec.Hash) Detector { return enumeration{} }

const countingShape = 0.3

func (enumeration) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	n := float64(baseline.Counted(s.Now))
	if n == 0 || s.Usual.Learning() {
		return out
	}
	mean := s.Usual.Usual.Volume.MeanCounted()
	surprise := held(atLeast(n, mean, countingShape), amountLimit)
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "enumeration", Group: groupAmount, Surprise: surprise,
		Observed: vec.Milli(n), Expected: vec.Milli(mean), Evidence: samples(s.Now), Attack: []string{"T1530"},
	})
}

func (enumeration) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("counted through %s objects in one hour, where %s would be expected", decimal(s.Observed), decimal(s.Expected))
}
