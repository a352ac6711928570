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

// novelty counts what an entity did in its hour that it never did before.
//
// With m new values expected in an hour (baseline.View.Novelties), the number K
// of new values is taken to be geometric: new values come in clusters, so each
// further one is about as likely as the one before, and
//
//	P(at least k) = (m/(1+m))^k
//
// Values that are usual for the entity's peers are judged apart and cannot add
// more than 1.5 bans, since a deploy brings them to everybody. For a class of
// action, what is new is weighed by how rarely entities are given to it: a first
// deletion means more than a first read. An entity without a past is judged by
// how much a first hour holds; its signals say Learning.
//
// That action and route mostly tell the same is settled when the signals are
// combined, see engine/finding.
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
	{"read", 0.9, 0.30, "T1526"},
	{"list", 0.8, 0.25, "T1526"},
	{"write", 0.6, 0.20, ""},
	{"auth", 0.5, 0.10, "T1078"},
	{"delete", 0.2, 0.06, "T1485"},
	{"export", 0.1, 0.04, "T1537"},
	{"admin", 0.15, 0.03, "T1098"},
	{"credential", 0.1, 0.02, "T1552"},
}

func newNovelty(hash vec.Hash) Detector {
	d := &novelty{make(map[uint64]class, len(classes))}
	for _, c := range classes {
		d.classes[hash.String(c.name)] = c
	}
	return d
}

// peerLimit is the most that values usual for the peers can add.
const peerLimit tokenwatch.Bans = 1500

func (d *novelty) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 {
		return out // another entity leads these events, and is judged by them
	}
	for a := range feature.NumAxes {
		if a == feature.Network && s.Usual.Kind == tokenwatch.EntityAddress {
			continue // an address has no other network than its own
		}
		var rare, popular []window.Value
		for _, v := range s.Now.Axes[a] {
			switch {
			case s.Usual.Knows(a, v.Hash):
			case s.Usual.Popular(a, v.Hash):
				popular = append(popular, v)
			default:
				rare = append(rare, v)
			}
		}
		if len(rare)+len(popular) == 0 {
			continue
		}
		m := s.Usual.Novelties(a)
		var surprise tokenwatch.Bans
		if a == feature.ActionClass {
			surprise = d.classSurprise(rare, m, s.Usual.Learning()) + min(peerLimit, d.classSurprise(popular, m, s.Usual.Learning()))
		} else {
			surprise = geometric(len(rare), m) + min(peerLimit, geometric(len(popular), m))
		}
		if surprise < tokenwatch.Surprising {
			continue
		}
		fresh := append(rare, popular...)
		out = append(out, tokenwatch.Signal{
			Row: row, Detector: "novelty", Axis: a.String(), Surprise: min(surprise, tokenwatch.MaxBans),
			Observed: int64(len(fresh)) * 1000, Expected: vec.Milli(m),
			Learning: s.Usual.Learning(), Evidence: firsts(fresh), Attack: d.attack(a, fresh),
		})
	}
	return out
}

// geometric is the surprise of k new values where m are expected.
func geometric(k int, m float64) tokenwatch.Bans {
	if k == 0 {
		return 0
	}
	each := -vec.Log10(m / (1 + m))
	return tokenwatch.Bans(min(vec.Milli(float64(float64(k)*each)), int64(tokenwatch.MaxBans)))
}

func (d *novelty) classSurprise(fresh []window.Value, m float64, learning bool) tokenwatch.Bans {
	var sum tokenwatch.Bans
	for _, v := range fresh {
		c, ok := d.classes[v.Hash]
		switch {
		case !ok: // a class of the source's own: nothing is known about it
			sum += geometric(1, m)
		case learning:
			sum += bans(c.inFirstHour)
		default:
			sum += geometric(1, m) + bans(c.asNovelty)/2
		}
	}
	return sum
}

// attack names the techniques that new values of an axis point to.
func (d *novelty) attack(a feature.Axis, fresh []window.Value) []string {
	switch a {
	case feature.Network, feature.AgentFamily:
		return []string{"T1078"} // valid accounts
	case feature.ActionClass:
		var ids []string
		for _, c := range classes {
			for _, v := range fresh {
				if got := d.classes[v.Hash]; got.name == c.name && c.attack != "" {
					ids = append(ids, c.attack)
				}
			}
		}
		return ids
	default:
		return []string{"T1526"} // cloud service discovery
	}
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

var axisNouns = map[string][2]string{
	feature.Network.String():     {"network", "networks"},
	feature.AgentFamily.String(): {"program", "programs"},
	feature.Route.String():       {"route", "routes"},
	feature.Action.String():      {"action", "actions"},
	feature.ActionClass.String(): {"class of action", "classes of action"},
}

func (d *novelty) Explain(s tokenwatch.Signal, values []string) string {
	n := s.Observed / 1000
	noun, are := axisNouns[s.Axis][1], "are"
	if n == 1 {
		noun, are = axisNouns[s.Axis][0], "is"
	}
	shown := strings.Join(values, ", ")
	if more := int(n) - len(values); more > 0 && len(values) > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	if s.Learning {
		return fmt.Sprintf("used %d %s in one hour, where about %s would be expected of a newcomer: %s", n, noun, decimal(s.Expected), shown)
	}
	return fmt.Sprintf("used %d %s in one hour that %s not usual for it, where %s would be expected: %s", n, noun, are, decimal(s.Expected), shown)
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
