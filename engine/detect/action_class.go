package detect

import (
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// actionClass notices a class of action (read, list, write, delete, admin, credential,
// export, auth) that the entity never took before: a reader that deletes, a deployer
// that makes keys.
//
// A new class comes with a new action, which novelty weighs. So it adds only
//
//	P(new class | new action) = p_class / max(p_class, p_action)
//
// (baseline.View.News, times the share of news that is not usual for peers) and how
// rarely entities are given to what is new: a first deletion means more than a first
// read. Of several new classes the rarest counts. An entity without a past is judged by
// the product of the shares of entities that do such a thing in their first hour.
type actionClass struct {
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

func newActionClass(hash vec.Hash) Detector {
	d := actionClass{make(map[uint64]class, len(classes))}
	for _, c := range classes {
		d.classes[hash.String(c.name)] = c
	}
	return d
}

func (d actionClass) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 {
		return out
	}
	fresh := s.strange(feature.ActionClass)
	if len(fresh) == 0 {
		return out
	}
	learning := s.Usual.Learning()
	expected := s.Usual.FirstHour(feature.ActionClass)
	var surprise tokenwatch.Bans
	if learning {
		for _, v := range fresh {
			surprise += bans(d.of(v).inFirstHour)
		}
	} else {
		expected = s.Usual.News(feature.ActionClass)
		p := expected
		p = float64(p * s.odds(feature.ActionClass, fresh))
		rarest := 1.0
		for _, v := range fresh {
			rarest = min(rarest, d.of(v).asNovelty)
		}
		surprise = s.settling(bans(p/max(p, s.Usual.News(feature.Action))) + bans(rarest))
	}
	if s.granted() {
		surprise = min(surprise, grantLimit)
	}
	if surprise < tokenwatch.Surprising {
		return out
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "action_class", Axis: feature.ActionClass.String(), Surprise: min(surprise, newsLimit),
		Observed: int64(len(fresh)) * 1000, Expected: vec.Milli(expected),
		Learning: learning, Evidence: firsts(fresh), Attack: d.attack(fresh),
	})
}

// of finds what is known of a class; of an unknown one, nothing is rare.
func (d actionClass) of(v window.Value) class {
	if c, ok := d.classes[v.Hash]; ok {
		return c
	}
	return class{inFirstHour: 1, asNovelty: 1}
}

// attack names the techniques that new classes point to.
func (d actionClass) attack(fresh []window.Value) []string {
	var ids []string
	for _, c := range classes {
		for _, v := range fresh {
			if d.of(v).name == c.name && c.attack != "" {
				ids = append(ids, c.attack)
			}
		}
	}
	return ids
}

func (d actionClass) Explain(s tokenwatch.Signal, values []string) string {
	what := strings.Join(values, ", ")
	if s.Learning {
		return fmt.Sprintf("took actions of %d classes in one hour, where about %s would be expected of a newcomer: %s", s.Observed/1000, decimal(s.Expected), what)
	}
	return fmt.Sprintf("took actions of a class that is new to it, as %s of 100 hours would be expected to bring: %s", decimal(s.Expected*100), what)
}
