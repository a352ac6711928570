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
// on an axis (baseline.View.News), ω that what is new is not usual for its peers
// either, and r that one new value is followed by another,
//
//	P(k new values) = p · ω · r^(k−1)
//
// ω and r are learned from the entity's peers. Where all that is new is usual for
// the peers, as after a deploy, ω is left out. A new class of action comes with a new
// action, and adds only how rarely that brings a new class. The values that came up first
// earlier on the same day count among the k, but for those that so many hours are
// expected to bring: what is spread over hours is seen by its day. For a class of action, what is new is weighed by how rarely entities are
// given to it: a first deletion means more than a first read; for a network or
// country, of how many of its peers' moves the new network has the kind. An entity without a
// past is judged by how much a first hour holds,
//
//	P(k values) = (m/(1+m))^k
//
// with m those expected of a newcomer; its signals say Learning.
type novelty struct {
	classes map[uint64]class
}

type class struct {
	name string
	// inFirstHour is the share of entities that do this in their first hour;
	// asNovelty the share among all later first times of a class. Both are set by
	// judgement, not measured; what matters is their order.
	inFirstHour, asNovelty float64
	attack                 string
}

var classes = []class{
	{"read", 0.9, 0.50, "T1526"},
	{"list", 0.8, 0.50, "T1526"},
	{"write", 0.6, 0.40, ""},
	{"auth", 0.5, 0.20, "T1078"},
	{"delete", 0.2, 0.10, "T1485"},
	{"export", 0.1, 0.06, "T1537"},
	{"admin", 0.15, 0.04, "T1098"},
	{"credential", 0.1, 0.03, "T1552"},
}

// grantLimit is the most that new actions add where a scope that was granted of
// late is used for the first time.
const grantLimit tokenwatch.Bans = 1500

// versionLimit is the most that new versions of programs add.
const versionLimit tokenwatch.Bans = 2000

func newNovelty(hash vec.Hash) Detector {
	d := &novelty{make(map[uint64]class, len(classes))}
	for _, c := range classes {
		d.classes[hash.String(c.name)] = c
	}
	return d
}

// axisGroups says which axes tell of the same.
var axisGroups = [feature.NumAxes]string{
	feature.Network: groupWhere, feature.Address: groupWhere, feature.Country: groupWhere,
	feature.AgentFamily: groupClient, feature.Agent: groupClient,
	feature.Action: groupWhat, feature.Area: groupWhat,
}

func (d *novelty) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 {
		return out // another entity leads these events, and is judged by them
	}
	learning := s.Usual.Learning()
	granted := false
	for _, v := range s.Now.Axes[feature.Area] {
		granted = granted || s.Life.Granted(v.Hash, s.token(), s.end()) && !s.Usual.Knows(feature.Area, v.Hash)
	}
	for a := range feature.NumAxes {
		if s.Usual.Kind == tokenwatch.EntityAddress && axisGroups[a] == groupWhere {
			continue // an address has no other network than its own
		}
		var fresh []window.Value
		unpopular := false
		for _, v := range s.Now.Axes[a] {
			if !s.Usual.Knows(a, v.Hash) {
				fresh = append(fresh, v)
				unpopular = unpopular || !s.Usual.Popular(a, v.Hash)
			}
		}
		if len(fresh) == 0 {
			continue
		}
		var surprise tokenwatch.Bans
		var expected float64
		observed := len(fresh)
		switch {
		case learning:
			expected = s.Usual.FirstHour(a)
			if a == feature.ActionClass {
				surprise = d.classes1(fresh)
			} else {
				surprise = geometric(observed, expected)
			}
		default:
			p := s.Usual.News(a)
			expected = p
			surge := 0
			if a != feature.Address && a != feature.Agent { // whose number says nothing
				observed += s.Usual.NewsToday(a, s.Now)
				usual := float64(p * s.Usual.ActiveHours(s.Now.Hour) / (1 - s.Usual.More(a)))
				surge = max(0, observed-1-int(usual))
			}
			if unpopular {
				p = float64(p * s.Usual.Unpopular(a))
			}
			surprise = bans(p) + min(newsLimit, tokenwatch.Bans(surge)*bans(s.Usual.More(a)))
			switch a {
			case feature.ActionClass:
				// How it adds to a new action, which comes with it.
				surprise = bans(p/max(p, s.Usual.News(feature.Action))) + d.rarest(fresh)
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
		if !learning && s.Now.Hour-s.Usual.Usual.First < 24 {
			surprise /= 2 // its first day goes on showing what it is
		}
		if granted && (axisGroups[a] == groupWhat || a == feature.ActionClass) {
			surprise = min(surprise, grantLimit)
		}
		if surprise < tokenwatch.Surprising {
			continue
		}
		out = append(out, tokenwatch.Signal{
			Row: row, Detector: "novelty", Axis: a.String(), Group: axisGroups[a], Surprise: min(surprise, newsLimit),
			Observed: int64(observed) * 1000, Expected: vec.Milli(expected),
			Learning: learning, Evidence: firsts(fresh), Attack: d.attack(a, fresh),
		})
	}
	return out
}

// geometric is the surprise of k new values where m are expected.
func geometric(k int, m float64) tokenwatch.Bans {
	each := -vec.Log10(m / (1 + m))
	return tokenwatch.Bans(min(vec.Milli(float64(float64(k)*each)), int64(tokenwatch.MaxBans)))
}

// classes1 is the surprise of the classes of action of a first hour.
func (d *novelty) classes1(fresh []window.Value) tokenwatch.Bans {
	var sum tokenwatch.Bans
	for _, v := range fresh {
		if c, ok := d.classes[v.Hash]; ok {
			sum += bans(c.inFirstHour)
		}
	}
	return sum
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

// rarest is how much the rarest of the new classes of action adds.
func (d *novelty) rarest(fresh []window.Value) tokenwatch.Bans {
	var most tokenwatch.Bans
	for _, v := range fresh {
		if c, ok := d.classes[v.Hash]; ok {
			most = max(most, bans(c.asNovelty))
		}
	}
	return most
}

// attack names the techniques that new values of an axis point to.
func (d *novelty) attack(a feature.Axis, fresh []window.Value) []string {
	switch axisGroups[a] {
	case groupWhere, groupClient:
		return []string{"T1078"} // valid accounts
	case groupWhat:
		return []string{"T1526"} // cloud service discovery
	}
	var ids []string
	for _, c := range classes {
		for _, v := range fresh {
			if got := d.classes[v.Hash]; got.name == c.name && c.attack != "" {
				ids = append(ids, c.attack)
			}
		}
	}
	return ids
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
	feature.ActionClass: {"class of action", "classes of action"},
	feature.Area:        {"part of the service", "parts of the service"},
}

func (d *novelty) Explain(s tokenwatch.Signal, values []string) string {
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
