package detect

import (
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// routeMix notices an hour in which an entity does much of what it does rarely: the
// same routes, in other proportions.
//
// The numbers n of the hour's N events by action are compared with what the usual
// shares q let expect (multinomial G-statistic; Sokal and Rohlf, Biometry 1981),
//
//	G = 2·Σ n·ln(n/(N·q))
//
// over the actions that it is known for; new ones are novelty's. By chance alone G has the chi-squared
// distribution of d degrees of freedom. Hours are spread wider than by chance, since a
// session does much of one thing; so G is divided by how much the entity's own past
// hours are, and its tail taken by the Chernoff bound
//
//	log P(X ≥ x) ≤ −(x − d − d·ln(x/d))/2
//
// A burst of one thing is much of it as well as another mix; so the mix counts with the
// amounts, of which the strongest does.
type routeMix struct{}

func newRouteMix(vec.Hash) Detector { return routeMix{} }

const log10E = 0.4342944819032518

func (routeMix) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.Usual.Kind == tokenwatch.EntityAddress {
		return out
	}
	m, spread, ok := s.Usual.Mixed(s.Now)
	if !ok || s.granted() {
		return out
	}
	surprise := held(chiSquared(m.G/spread, m.Freedom), amountLimit)
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "route_mix", Axis: feature.Action.String(), Group: groupAmount, Surprise: surprise,
		Observed: int64(m.Most.Count) * 1000, Expected: vec.Milli(m.Expected),
		Evidence: []tokenwatch.EventRef{m.Most.First}, Attack: []string{"T1526"},
	})
}

// chiSquared is the surprise of a value of at least x of the chi-squared distribution
// of d degrees of freedom, by the Chernoff bound.
func chiSquared(x, d float64) tokenwatch.Bans {
	if x <= d {
		return 0
	}
	exponent := (float64((x-d)*log10E) - float64(d*vec.Log10(x/d))) / 2
	return min(tokenwatch.Bans(vec.Milli(exponent)), farthest)
}

func (routeMix) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("did other things than usual in one hour, above all %s %s times, where %s would be expected", join(values), decimal(s.Observed), decimal(s.Expected))
}
