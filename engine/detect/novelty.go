package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// novelty weighs what an entity did that it never did before.
//
// With p the probability that an active hour of this entity brings something new
// on an axis (baseline.View.News), ω that what is new is as little known to its peers,
// φ that as much of the hour's events is of new actions, and r that one new value is
// followed by another,
//
//	P(k new values) = p · ω · φ · r^(k−1)
//
// ω, φ and r are learned from the entity's peers. Where all that is new is usual for
// the peers, as after a deploy, ω is 1; where some is known of nobody at all, it is
// less than where some peers are known for it. φ is 1 but of actions. The values that came up first earlier on
// the same day count among the k, but for those that so many hours are expected to
// bring: what is spread over hours is seen by its day. A new network or country is
// weighed by how many of its peers' moves the new network has the kind of. New classes
// of action are another detector's. An entity without a past is judged by how much a
// first hour holds,
//
//	P(k values) = (m/(1+m))^k
//
// with m those expected of a newcomer; its signals say Learning.
type novelty struct{}

// grantLimit is the most that new actions add where a scope that was granted of
// late is used for the first time.
const grantLimit tokenwatch.Bans = 1500

// versionLimit is the most that new versions of programs add.
const versionLimit tokenwatch.Bans = 2000

// placesLimit is the most that the number of places adds of an entity without a past.
const placesLimit tokenwatch.Bans = 2000

func newNovelty(vec.Hash) Detector { return novelty{} }

// axisGroups says which axes tell of the same.
var axisGroups = [feature.NumAxes]string{
	feature.Network: groupWhere, feature.Address: groupWhere, feature.Country: groupWhere,
	feature.AgentFamily: groupClient, feature.Agent: groupClient,
	feature.Action: groupWhat, feature.Area: groupWhat,
}

func (novelty) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 {
		return out // another entity leads these events, and is judged by them
	}
	learning, granted := s.Usual.Learning(), s.granted()
	for a := range feature.NumAxes {
		if a == feature.ActionClass || s.Usual.Kind == tokenwatch.EntityAddress && axisGroups[a] == groupWhere {
			continue // an address has no other network than its own
		}
		fresh := s.strange(a)
		if len(fresh) == 0 {
			continue
		}
		var surprise tokenwatch.Bans
		var expected float64
		observed := len(fresh)
		switch {
		case learning:
			expected = s.Usual.FirstHour(a)
			surprise = geometric(observed, expected)
		default:
			p := s.Usual.News(a)
			expected = p
			surge := 0
			if a != feature.Address && a != feature.Agent { // whose number says nothing
				observed += s.Usual.NewsToday(a, s.Now)
				usual := float64(p * s.Usual.ActiveHours(s.Now.Hour) / (1 - s.Usual.More(a)))
				surge = max(0, observed-1-int(usual))
			}
			p = float64(p * s.odds(a, fresh))
			if a == feature.Action {
				p = float64(p * s.Usual.NewShare(s.Now))
			}
			surprise = bans(p) + min(newsLimit, tokenwatch.Bans(surge)*bans(s.Usual.More(a)))
			switch a {
			case feature.Network:
				surprise += kinds(s)
			case feature.Country:
				// Like that, on top of the new network that it is seen by.
				surprise = bans(s.Usual.News(feature.Network)) + bans(p/max(p, s.Usual.News(feature.Network))) + kinds(s)
			}
		}
		if a == feature.Agent {
			surprise = min(surprise, versionLimit) // a program that is not new is kept up to date
		}
		if learning && axisGroups[a] == groupWhere {
			surprise = min(surprise, placesLimit) // the key of an app comes from as many places as it has users
		}
		if !learning {
			surprise = s.settling(surprise)
		}
		if granted && axisGroups[a] == groupWhat {
			surprise = min(surprise, grantLimit)
		}
		if surprise < tokenwatch.Surprising {
			continue
		}
		out = append(out, tokenwatch.Signal{
			Row: row, Detector: "novelty", Axis: a.String(), Group: axisGroups[a], Surprise: min(surprise, newsLimit),
			Observed: int64(observed) * 1000, Expected: vec.Milli(expected),
			Learning: learning, Evidence: firsts(fresh), Attack: newsAttack(a),
		})
	}
	return out
}

// geometric is the surprise of k new values where m are expected.
func geometric(k int, m float64) tokenwatch.Bans {
	each := -vec.Log10(m / (1 + m))
	return tokenwatch.Bans(min(vec.Milli(float64(float64(k)*each)), int64(tokenwatch.MaxBans)))
}

// kinds is how much it adds of what kind the rarest of the new networks is.
func kinds(s *Subject) tokenwatch.Bans {
	var most tokenwatch.Bans
	for i := range s.Now.Origins {
		if o := &s.Now.Origins[i]; !s.Usual.Knows(feature.Network, o.Network) {
			most = max(most, bans(s.Usual.Group.KindShare(o.Kind)))
		}
	}
	return most
}

// newsAttack names the technique that new values of an axis point to.
func newsAttack(a feature.Axis) []string {
	if axisGroups[a] == groupWhat {
		return []string{"T1526"} // cloud service discovery
	}
	return []string{"T1078"} // valid accounts
}

// firsts returns where values first occurred, earliest first.
func firsts(values []window.Value) []tokenwatch.EventRef {
	refs := make([]tokenwatch.EventRef, len(values))
	for i, v := range values {
		refs[i] = v.First
	}
	slices.SortFunc(refs, tokenwatch.EventRef.Compare)
	return refs
}

var axisNouns = [feature.NumAxes][2]string{
	feature.Network:     {"network", "networks"},
	feature.Address:     {"address", "addresses"},
	feature.Country:     {"country", "countries"},
	feature.AgentFamily: {"program", "programs"},
	feature.Agent:       {"version of a program", "versions of a program"},
	feature.Action:      {"action", "actions"},
	feature.Area:        {"part of the service", "parts of the service"},
}

func (novelty) Explain(s tokenwatch.Signal, values []string) string {
	n := s.Observed / 1000
	a, _ := feature.AxisByName(s.Axis)
	noun, are := axisNouns[a][1], "are"
	if n == 1 {
		noun, are = axisNouns[a][0], "is"
	}
	shown := strings.Join(values, ", ")
	if more := int(n) - len(values); more > 0 && len(values) > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	if s.Learning {
		return fmt.Sprintf("used %d %s in one hour, where about %s would be expected of a newcomer: %s", n, noun, decimal(s.Expected), shown)
	}
	return fmt.Sprintf("used %d %s that day that %s not usual for it, where %s of 100 hours would be expected to bring any: %s", n, noun, are, decimal(s.Expected*100), shown)
}

// decimal prints thousandths with as many places as matter.
func decimal(milli int64) string {
	switch {
	case milli >= 10_000:
		return fmt.Sprint((milli + 500) / 1000)
	case milli >= 1000:
		return fmt.Sprintf("%d.%d", milli/1000, milli%1000/100)
	case milli > 0:
		return strings.TrimRight(fmt.Sprintf("0.%03d", milli), "0")
	default:
		return "0"
	}
}
