package inventory

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// life is what a unit is like at a time: what was said of it as a whole, and of
// each of its secrets.
type life struct {
	owner      string
	ownerLeft  int64
	label      string
	team       string
	purpose    string
	app, env   string
	typ        string
	scopes     []string
	sources    []string
	created    int64
	createdBy  string
	expires    int64
	rotation   int
	lastUsed   int64
	checkedOut int64
	known      bool
	keys       []key
	current    int // place in keys of the one in use
}

// key is one secret of a unit, by the record whose id stays.
type key struct {
	token                                      int32
	created                                    int64
	from, to                                   int32
	rotated, until, revoked, expired, disabled int64
	revokedBy                                  string
	named                                      bool // by more than the lineage
	exposed                                    []tokenwatch.Exposure
}

// moment is a point of a unit's life that is looked at: after something was said
// of it, or before.
type moment struct {
	ns     int64
	before bool
	cause  *heldFact // what was said; nil at the end
}

// walk goes through a unit's life up to a time, and calls visit before and after
// each thing that was said of it, and at the end.
func (v *Inventory) walk(u *Unit, to int64, visit func(moment, *life)) {
	l := &life{current: -1}
	for _, at := range u.tokens {
		if r := v.records[at]; r.same == at {
			l.keys = append(l.keys, key{token: at, from: -1, to: -1, named: !v.isLineage(r, u)})
		}
	}
	slices.SortFunc(l.keys, func(a, b key) int { return cmp.Compare(v.records[a.token].id(), v.records[b.token].id()) })
	for i := range l.keys {
		if l.current < 0 || l.keys[i].named && !l.keys[l.current].named {
			l.current = i
		}
	}
	last := int64(math.MinInt64)
	for _, h := range v.said(u) {
		if h.ns > to {
			break
		}
		l.expiring(last, h.ns, visit)
		last = h.ns
		visit(moment{h.ns, true, h}, l)
		v.apply(l, h)
		visit(moment{h.ns, false, h}, l)
	}
	l.expiring(last, to, visit)
	visit(moment{to, true, nil}, l)
}

// expiring visits the moment before the unit expires, if that is between two
// times: nothing need be said for it to end.
func (l *life) expiring(from, to int64, visit func(moment, *life)) {
	if l.expires > from && l.expires <= to {
		visit(moment{l.expires - 1, true, soon}, l)
	}
}

// soon is the cause of such a visit.
var soon = &heldFact{fact: &tokenwatch.Fact{}, token: -1, prev: -1}

// isLineage tells whether the record is but the unit's lineage, by the name that
// an issuer gives it.
func (v *Inventory) isLineage(r *record, u *Unit) bool {
	for n := range v.names(r) {
		if n.Kind != tokenwatch.NameProviderID || !slices.Contains(u.lineages, n.Value) {
			return false
		}
	}
	return r.named > 0
}

// said lists what was said of a unit, and of the leaving of whoever owned it.
func (v *Inventory) said(u *Unit) []*heldFact {
	all := u.facts
	var seen []string
	for _, h := range u.facts {
		name := h.owner()
		o, ok := v.owners[name]
		if name == "" || !ok || len(o.left) == 0 || slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		if len(seen) == 1 {
			all = slices.Clone(all)
		}
		for _, left := range o.left {
			if !slices.Contains(all, left) {
				all = append(all, left)
			}
		}
	}
	if len(seen) > 0 {
		slices.SortFunc(all, (*heldFact).compare)
	}
	return all
}

func (l *life) key(v *Inventory, at int32) *key {
	if at < 0 {
		return nil
	}
	same := v.records[at].same
	for i := range l.keys {
		if l.keys[i].token == same {
			return &l.keys[i]
		}
	}
	return nil
}

// each calls f with the keys that a fact is about.
func (l *life) each(k *key, f func(*key)) {
	if k != nil {
		f(k)
		return
	}
	for i := range l.keys {
		f(&l.keys[i])
	}
}

// setOwner gives the unit an owner, who may have left.
func (v *Inventory) setOwner(l *life, name string, ns int64) {
	if name == "" || name == l.owner {
		return
	}
	l.owner, l.ownerLeft = name, 0
	if o, ok := v.owners[name]; ok {
		for _, left := range o.left {
			if left.ns <= ns {
				l.ownerLeft = ns
			}
		}
	}
}

func set(to *string, s string) {
	if s != "" {
		*to = s
	}
}

// apply has a fact take its effect.
func (v *Inventory) apply(l *life, h *heldFact) {
	if h.fact == nil {
		v.applyImport(l, h)
		return
	}
	f := h.fact
	k := l.key(v, h.token)
	if h.whole {
		k = nil
	}
	if f.Kind == tokenwatch.FactOwnerLeft {
		if name := f.Owner; name == "" || name == l.owner {
			if l.owner != "" && l.ownerLeft == 0 {
				l.ownerLeft = h.ns
			}
		}
		return
	}
	l.known = true
	set(&l.label, f.Label)
	set(&l.typ, f.TokenType)
	set(&l.app, f.App)
	set(&l.env, f.Env)
	v.setOwner(l, f.Owner, h.ns)
	if f.Expires != 0 {
		l.expires = f.Expires
	}
	switch f.Kind {
	case tokenwatch.FactCreated:
		v.applyCreated(l, k, h)
	case tokenwatch.FactRotated:
		v.applyRotated(l, k, h)
	case tokenwatch.FactRevoked:
		l.each(k, func(k *key) {
			if k.revoked == 0 {
				k.revoked, k.revokedBy = h.ns, h.by
			}
		})
	case tokenwatch.FactExpired:
		l.each(k, func(k *key) {
			if k.expired == 0 {
				k.expired = h.ns
			}
		})
	case tokenwatch.FactDisabled:
		l.each(k, func(k *key) { k.disabled = h.ns })
	case tokenwatch.FactEnabled:
		l.each(k, func(k *key) { k.disabled = 0 })
	case tokenwatch.FactScopeChanged:
		l.scopes = union(l.scopes, f.Scopes)
		l.scopes = slices.DeleteFunc(slices.Clone(l.scopes), func(s string) bool { return slices.Contains(f.Removed, s) })
	case tokenwatch.FactLeaked:
		if k == nil && l.current >= 0 {
			k = &l.keys[l.current]
		}
		if k != nil {
			k.exposed = append(k.exposed, tokenwatch.Exposure{Time: at(h.ns), Place: f.Place})
		}
	case tokenwatch.FactCheckedOut:
		l.checkedOut = f.Until
	}
}

func (v *Inventory) applyCreated(l *life, k *key, h *heldFact) {
	if l.created == 0 {
		l.created, l.createdBy = h.ns, h.by
	}
	l.scopes = union(nil, h.fact.Scopes)
	if k == nil {
		return
	}
	k.created = h.ns
	for i := range l.keys {
		if l.keys[i].token == k.token {
			l.current = i
		}
	}
}

func (v *Inventory) applyRotated(l *life, k *key, h *heldFact) {
	old := l.key(v, h.prev)
	if old == nil && l.current >= 0 && (k == nil || l.keys[l.current].token != k.token) {
		old = &l.keys[l.current]
	}
	if len(h.fact.Scopes) > 0 {
		l.scopes = union(nil, h.fact.Scopes)
	}
	if k == nil { // the secret is another one, and nothing tells which
		if old != nil {
			old.created = h.ns
		}
		return
	}
	k.created = h.ns
	if old != nil && old != k {
		old.to, old.rotated, old.until, k.from = k.token, h.ns, max(h.ns, h.fact.Until), old.token
	}
	for i := range l.keys {
		if l.keys[i].token == k.token {
			l.current = i
		}
	}
}

func (v *Inventory) applyImport(l *life, h *heldFact) {
	t := h.imported
	l.known = true
	set(&l.label, t.Label)
	set(&l.team, t.Team)
	set(&l.purpose, t.Purpose)
	set(&l.app, t.App)
	set(&l.env, t.Env)
	set(&l.typ, t.TokenType)
	if t.Scopes != nil {
		l.scopes = union(nil, t.Scopes)
	}
	if t.Networks != nil {
		l.sources = t.Networks
	}
	v.setOwner(l, t.Owner, h.ns)
	if t.OwnerLeft && l.ownerLeft == 0 && t.Owner != "" {
		l.ownerLeft = h.ns
	}
	for to, from := range map[*int64]int64{&l.created: t.Created, &l.expires: t.Expires} {
		if from != 0 {
			*to = from
		}
	}
	l.lastUsed = max(l.lastUsed, t.LastUsed)
	l.rotation = t.RotationDays
	latest := int64(math.MinInt64)
	for _, ik := range t.Keys {
		at, ok := v.place(ik.Token)
		if !ok {
			continue
		}
		k := l.key(v, at)
		if k == nil {
			continue
		}
		if ik.Created != 0 {
			k.created = ik.Created
		}
		if t.Revoked != 0 && k.revoked == 0 {
			k.revoked = t.Revoked
		}
		if ik.Created > latest || latest == math.MinInt64 {
			latest = ik.Created
			for i := range l.keys {
				if l.keys[i].token == k.token {
					l.current = i
				}
			}
		}
	}
}

// union adds the scopes of a list, without repeats.
func union(to, more []string) []string {
	to = slices.Clone(to)
	for _, s := range more {
		if !slices.Contains(to, s) {
			to = append(to, s)
		}
	}
	return to
}

// at is a time, zero if there is none.
func at(ns int64) time.Time {
	if ns == 0 || ns == tokenwatch.Never {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// envOf tells the environment from a display prefix that says so: sk_live_….
func (v *Inventory) envOf(all []*record) string {
	for _, r := range all {
		for n := range v.names(r) {
			if n.Kind != tokenwatch.NamePrefix {
				continue
			}
			for _, part := range strings.FieldsFunc(n.Value, func(c rune) bool { return c == '_' || c == '-' }) {
				switch part {
				case "live", "prod", "production":
					return "live"
				case "test", "sandbox":
					return "test"
				case "dev", "stage", "staging":
					return part
				}
			}
		}
	}
	return ""
}
