package inventory

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/tokenwatch/tokenwatch"
)

// Unit is the tokens that belong together, one after the other, and what was
// said of them, in order of time. Its marks are for whoever watches it.
type Unit struct {
	tokens   []int32
	lineages []string
	facts    []*heldFact
	gone     *Unit // what it has become part of

	// Armed has a bit for each policy that must look at the unit's events, and
	// Timed one for each that may come to hold as time passes. They are the
	// caller's.
	Armed, Timed uint64
}

// heldFact is a fact, an import or a link, and the record that tells of it.
type heldFact struct {
	ns          int64 // event time; of an import, as of when it was made
	offset      tokenwatch.Offset
	row         int32
	late        bool
	by, source  string
	request     string
	fact        *tokenwatch.Fact           // nil: an import or a link
	imported    *tokenwatch.InventoryToken // nil: a fact or a link
	link        *tokenwatch.Link
	hour        int32 // from which on a link holds
	token, prev int32 // records; -1: none
	whole       bool  // about the unit rather than about token
}

// kind is that of the fact.
func (h *heldFact) kind() tokenwatch.FactKind {
	if h.fact != nil {
		return h.fact.Kind
	}
	return tokenwatch.FactImported
}

// owner is whom the fact gives the token to, "" if nobody.
func (h *heldFact) owner() string {
	if h.fact != nil {
		return h.fact.Owner
	}
	return h.imported.Owner
}

// compare orders what was said by time, and then by content, so that it does not
// matter how it arrived.
func (h *heldFact) compare(o *heldFact) int {
	if c := cmp.Or(cmp.Compare(h.ns, o.ns), cmp.Compare(h.kind(), o.kind())); c != 0 || h == o {
		return c
	}
	return cmp.Or(bytes.Compare(h.content(), o.content()), cmp.Compare(h.offset, o.offset), cmp.Compare(h.row, o.row))
}

func (h *heldFact) content() []byte {
	b, err := cbor.Marshal([]any{h.fact, h.imported, h.by, h.request})
	if err != nil {
		panic("inventory: encode fact: " + err.Error()) // no field of it can fail
	}
	return b
}

// hold takes in a fact that is about a token, a lineage or an owner.
func (v *Inventory) hold(h heldFact, changed *changes) {
	v.held = append(v.held, h)
	v.attach(&v.held[len(v.held)-1], changed)
}

// attach finds what a fact is about.
func (v *Inventory) attach(at *heldFact, changed *changes) {
	h := new(heldFact)
	*h = *at
	h.token, h.prev = -1, -1
	if h.link != nil {
		v.join(h.link, h.hour, changed)
		return
	}
	f := h.fact
	if f.Kind == tokenwatch.FactOwnerLeft && f.Token == "" && f.Lineage == "" {
		o := v.owner(f.Owner)
		o.left = append(o.left, h)
		for u := range o.units {
			changed.add(u)
		}
		return
	}
	u := v.unitOf(f.Token, f.Lineage, changed)
	if u == nil {
		return
	}
	if f.Token != "" {
		r := v.record(f.Token)
		h.token = r.at
		h.whole = f.Lineage != "" && v.goesBy(r, tokenwatch.NameProviderID, f.Lineage) && len(u.tokens) > 0
	}
	if f.Previous != "" {
		h.prev = v.record(f.Previous).at
		u = v.unite(u, v.grouped(v.records[h.prev]), changed)
	}
	u.add(h)
	for _, at := range [...]int32{h.token, h.prev} {
		if v.kin[at] != nil && int64(v.mentioned(v.records[at])) == h.ns/int64(time.Hour) {
			v.relate(at, at) // there is such a token earlier than was known
		}
	}
	v.own(u, f.Owner)
	changed.add(u)
}

// add puts a fact in its place.
func (u *Unit) add(h *heldFact) {
	i, _ := slices.BinarySearchFunc(u.facts, h, func(a, b *heldFact) int { return a.compare(b) })
	u.facts = slices.Insert(u.facts, i, h)
}

func (v *Inventory) owner(name string) *owner {
	o, ok := v.owners[name]
	if !ok {
		o = &owner{units: map[*Unit]struct{}{}}
		v.owners[name] = o
	}
	return o
}

// own notes that a unit has, or had, an owner.
func (v *Inventory) own(u *Unit, name string) {
	if name != "" {
		v.owner(name).units[u] = struct{}{}
	}
}

// unitOf returns the unit of a token and a lineage, which belong together from
// now on; nil if there is neither.
func (v *Inventory) unitOf(token tokenwatch.TokenID, lineage string, changed *changes) *Unit {
	var u *Unit
	if token != "" {
		u = v.grouped(v.record(token))
	}
	if lineage == "" {
		return u
	}
	l, ok := v.lineages[lineage]
	switch {
	case !ok:
		if u == nil {
			u = &Unit{}
		}
		v.lineages[lineage] = u
		u.lineages = append(u.lineages, lineage)
		return v.uniteNamed(u, lineage, changed)
	case u == nil:
		return l
	}
	return v.unite(u, l, changed)
}

// uniteNamed makes a unit one with those of the names that logs have of its lineage.
func (v *Inventory) uniteNamed(u *Unit, lineage string, changed *changes) *Unit {
	for _, issuer := range slices.Sorted(maps.Keys(v.issuers)) {
		at, ok := v.byName[nameHash(tokenwatch.NameProviderID, issuer, lineage)]
		if ok && v.goesBy(v.records[at], tokenwatch.NameProviderID, lineage) {
			u = v.unite(u, v.grouped(v.records[at]), changed)
		}
	}
	return u
}

// told is the time up to which what was said of the unit is to be shown: an
// inventory holds from when it was made, however old the newest event is.
func (u *Unit) told(now int64) int64 {
	for _, h := range u.facts {
		if h.imported != nil {
			now = max(now, h.ns)
		}
	}
	return now
}

// grouped returns the unit of a record, made if it has none.
func (v *Inventory) grouped(r *record) *Unit {
	if r.unit == nil {
		r.unit = &Unit{tokens: []int32{r.at}}
	}
	return r.unit
}

// unite makes two units one.
func (v *Inventory) unite(a, b *Unit, changed *changes) *Unit {
	if a == b || b == nil {
		return a
	}
	if len(a.tokens)+len(a.facts) < len(b.tokens)+len(b.facts) {
		a, b = b, a
	}
	for _, at := range b.tokens {
		v.records[at].unit = a
	}
	a.tokens = append(a.tokens, b.tokens...)
	a.lineages = append(a.lineages, b.lineages...)
	for _, l := range b.lineages {
		v.lineages[l] = a
	}
	for _, f := range b.facts {
		a.add(f)
	}
	for _, f := range b.facts {
		if o, ok := v.owners[f.owner()]; ok {
			delete(o.units, b)
			o.units[a] = struct{}{}
		}
	}
	a.Armed, a.Timed = a.Armed|b.Armed, a.Timed|b.Timed
	*b = Unit{gone: a}
	changed.add(a)
	return a
}

// Root returns what the unit is part of by now.
func (u *Unit) Root() *Unit {
	for u.gone != nil {
		u = u.gone
	}
	return u
}
