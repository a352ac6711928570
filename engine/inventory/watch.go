package inventory

import (
	"math"

	"github.com/tokenwatch/tokenwatch"
)

// Moment is a point of a unit's life, as a watcher sees it.
type Moment struct {
	Time   int64                   // UTC nanoseconds
	Before bool                    // before what was said took effect, or at the end
	Kind   tokenwatch.FactKind     // what was said; "" at the end
	Fact   *tokenwatch.Fact        // nil of an import and at the end
	Offset tokenwatch.Offset       // of the entry that says it
	Row    int                     // in its batch; -1 of an import
	Late   bool                    // it came too late to change what was before
	Token  *tokenwatch.TokenRecord // the secret in use, as of then; valid during the call
}

// Walk goes through a unit's life up to a time, and calls visit before and after
// each thing that was said of it, and at the end, with the secret that is then in
// use. Units without any secret are not visited.
func (v *Inventory) Walk(u *Unit, to int64, visit func(Moment)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	u = u.Root()
	v.walk(u, to, func(m moment, l *life) {
		if l.current < 0 {
			return
		}
		k := &l.keys[l.current]
		if m.cause != nil && !m.before {
			if named := l.key(v, m.cause.token); named != nil && !m.cause.whole {
				k = named
			}
		}
		t := v.view(u, l, k, m.ns)
		out := Moment{Time: m.ns, Before: m.before, Token: &t, Row: -1}
		if h := m.cause; h != nil && h != soon {
			out.Kind, out.Fact, out.Offset, out.Late = h.kind(), h.fact, h.offset, h.late
			if h.fact != nil {
				out.Row = int(h.row)
			}
		}
		visit(out)
	})
}

// Secrets goes through a unit's life to its end, as far as is known, and calls
// visit with each of its secrets whenever something was said.
func (v *Inventory) Secrets(u *Unit, visit func(t *tokenwatch.TokenRecord, now int64)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	u = u.Root()
	v.walk(u, math.MaxInt64, func(m moment, l *life) {
		if m.before && m.cause != nil && m.cause != soon {
			return
		}
		now := m.ns
		if m.cause == soon {
			now++ // it has expired by then
		}
		for i := range l.keys {
			t := v.view(u, l, &l.keys[i], now)
			visit(&t, now)
		}
	})
}

// AsOf returns a token as it was at a time, and up to when nothing changes.
func (v *Inventory) AsOf(id tokenwatch.TokenID, now int64) (out tokenwatch.TokenRecord, until int64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	at, ok := v.place(id)
	if !ok {
		return tokenwatch.TokenRecord{Tenant: v.tenant, ID: id, State: tokenwatch.TokenIssued}, now
	}
	r := v.records[v.records[at].same]
	u := r.unit
	if u == nil {
		u = &Unit{tokens: []int32{r.at}}
	}
	until = math.MaxInt64
	v.walk(u, now, func(m moment, l *life) {
		if k := l.key(v, r.at); m.cause == nil && k != nil {
			out = v.view(u, l, k, now)
			if l.expires > now {
				until = min(until, l.expires)
			}
		}
	})
	for _, h := range v.said(u) {
		if h.ns > now {
			until = min(until, h.ns)
		}
	}
	return out, until
}

// Of returns the unit of a token, nil if nothing was said of it.
func (v *Inventory) Of(id tokenwatch.TokenID) *Unit {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if at, ok := v.place(id); ok {
		return v.records[at].unit
	}
	return nil
}

// Units lists the units that something was said of.
func (v *Inventory) Units() (out []*Unit) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, r := range v.records {
		if u := r.unit; u != nil && len(u.facts) > 0 && u.tokens[0] == r.at {
			out = append(out, u)
		}
	}
	return out
}

// IDs lists the ids of a unit.
func (v *Inventory) IDs(u *Unit) (ids []tokenwatch.TokenID) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, at := range u.Root().tokens {
		ids = append(ids, v.records[at].id())
	}
	return ids
}

// Armed fills masks with the marks of the tokens of a batch, by their code, and
// tells whether there are any.
func (v *Inventory) Armed(b *tokenwatch.Batch, masks []uint64) ([]uint64, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	dict := b.Column(tokenwatch.ColToken).Dict
	masks = append(masks[:0], make([]uint64, dict.Len())...)
	any := false
	if len(v.held) == 0 {
		return masks, false // nothing was said of any token
	}
	for code := 1; code < dict.Len(); code++ {
		if at, ok := v.place(tokenwatch.TokenID(dict.At(code))); ok && v.records[at].unit != nil {
			masks[code] = v.records[at].unit.Armed
			any = any || masks[code] != 0
		}
	}
	return masks, any
}

// Last is the time of the last that was said of a unit.
func (v *Inventory) Last(u *Unit) (ns int64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if said := v.said(u.Root()); len(said) > 0 {
		ns = said[len(said)-1].ns
	}
	return ns
}
