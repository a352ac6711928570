package detect

import (
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// scope notices actions that need a scope which the token does not hold, where both
// are told: by a table of routes and by an inventory or an audit trail. Of a path that
// the table has no scope for nothing is told.
//
// One hour in two thousand is taken to bring such a mistake of an honest program,
// one in a thousand times as many that tries two scopes, and so on.
type scope struct{}

func newScope(vec.Hash) Detector { return scope{} }

const mistaken = 0.0005

func (scope) Score(row int, s *Subject, out []tokenwatch.Signal) []tokenwatch.Signal {
	if s.Now.Events == 0 || s.token() == "" || s.Life == nil {
		return out
	}
	var foreign []window.Value
	held := false
	for _, v := range s.Now.Axes[feature.Area] {
		if !feature.IsScope(v.Hash) {
			continue
		}
		granted, known := s.Life.Grants(v.Hash, s.token(), s.end())
		if !known {
			return out
		}
		held = held || granted
		if !granted && !s.Usual.Knows(feature.Area, v.Hash) {
			foreign = append(foreign, v)
		}
	}
	if len(foreign) == 0 || !held && s.Usual.Learning() {
		return out // the inventory may call its scopes otherwise
	}
	return append(out, tokenwatch.Signal{
		Row: row, Detector: "scope", Axis: feature.Area.String(),
		Surprise: min(newsLimit, bans(mistaken)+tokenwatch.Bans(len(foreign)-1)*500),
		Observed: int64(len(foreign)) * 1000, Evidence: firsts(foreign), Attack: []string{"T1078", "T1068"},
	})
}

func (scope) Explain(s tokenwatch.Signal, values []string) string {
	return fmt.Sprintf("tried what needs %s, which it does not hold", join(values))
}

// join lists values.
func join(values []string) string { return strings.Join(values, ", ") }
