package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// bulkRead notices objects by the hundred that the entity never touched before, through
// routes that it uses every day: somebody takes what there is.
//
// The least hashes of all objects an entity ever touched are a sample of them
// (baseline.Objects). Of the hour's objects that fall into the sample n are new to it,
// where its own hours let m expect; n is negative binomial with a small shape, since
// new objects come in batches (atLeast). A load test or a rerun touches what was touched
// before, however much it is; a program that always touches new things has a great m.
type bulkRead struct{}

func newBulkRead(vec.Hash) Detector { return bulkRead{} }

const (
	bulkShape = 0.5
	// bulkHours is how many hours' objects must be known.
	bulkHours = 12
)

func (bulkRead) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.Usual.Kind == tokenwatch.EntityAddress {
		return out
	}
	if s.Usual.Usual.Objects.Hours < bulkHours*baseline.Unit {
		return out
	}
	n, expected, share := s.Usual.FreshObjects(s.Now)
	if n < 3 {
		return out
	}
	surprise := held(atLeast(float64(n), expected, bulkShape), amountLimit)
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "bulk_read", Group: groupAmount, Surprise: surprise,
		Observed: vec.Milli(min(float64(n)/share, float64(s.Now.Objects.Count()))), Expected: vec.Milli(expected / share),
		Evidence: samples(s.Now), Attack: []string{"T1530"},
	})
}

func (bulkRead) Explain(s tokenwatch.Signal, _ []string) string {
	return fmt.Sprintf("touched about %s objects in one hour that it never touched before, where %s would be expected", decimal(s.Observed), decimal(s.Expected))
}
