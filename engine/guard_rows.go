package engine

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/policy"
)

// look asks the policies of events about the rows of a batch, of those tokens and
// times that only lets through, or all.
func (g *guard) look(r *feature.Rows, only func(tokenwatch.TokenID, int64) bool) error {
	tokens := r.Batch.Column(tokenwatch.ColToken)
	if len(g.events) == 0 || tokens.Codes == nil {
		return nil
	}
	var armed bool
	if g.masks, armed = g.inv.Armed(r.Batch, g.masks); !armed && g.any == 0 {
		return nil
	}
	let := make([][]bool, len(g.policies.Policies))
	none := uint64(0) // policies that no row of the batch breaks
	for _, i := range g.events {
		if g.any&(1<<i) == 0 && !armed {
			none |= 1 << i
			continue
		}
		rows, nobody := g.policies.Policies[i].Rows(r.Batch)
		if let[i] = rows; nobody {
			none |= 1 << i
		}
	}
	views := map[uint32]view{}
	for row, code := range tokens.Codes {
		mask := (g.masks[code] | g.any) &^ none
		if code == 0 || mask == 0 || r.Events[row].Hour == feature.NoHour || r.Events[row].Hour < g.settled {
			continue
		}
		for _, i := range g.events {
			if mask&(1<<i) == 0 || let[i] != nil && !let[i][row] {
				continue
			}
			ns := r.Batch.Int(tokenwatch.ColTime, row)
			id := tokenwatch.TokenID(tokens.Dict.At(int(code)))
			if only != nil && !only(id, ns) {
				break
			}
			w, ok := views[code]
			if !ok || ns < w.from || ns >= w.until {
				w.from = ns
				w.record, w.until = g.inv.AsOf(id, ns)
				views[code] = w
			}
			p := g.policies.Policies[i]
			c := policy.Case{Token: &w.record, Batch: r.Batch, Row: row, Now: ns}
			switch {
			case p.OfWindow():
				if p.HoldsBesideWindow(&c) {
					g.wait(tokenwatch.TokenID(strings.Clone(string(id))), p, r.Ref(row))
				}
			case p.Holds(&c):
				g.hit(p, &c, r.Ref(row))
			}
		}
	}
	return nil
}

// view is a token as of a time, and while it stays so.
type view struct {
	record      tokenwatch.TokenRecord
	from, until int64
}

// hit notes an event that breaks a policy.
func (g *guard) hit(p *policy.Policy, c *policy.Case, e tokenwatch.EventRef) {
	hour := int32(e.Millis / 3600_000)
	k := breachKey{c.Token.ID, p.ID, hour / 24}
	if g.breaches[k] == nil && len(g.open) >= maxMatches {
		g.missed(overflow{Hour: hour, Untold: 1, First: e})
		return
	}
	b := g.breach(k)
	g.note(b, e, func() string { return p.Say(c) })
}
