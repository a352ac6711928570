package inventory

import "github.com/tokenwatch/tokenwatch"

// Import takes in a part of an imported inventory, as of a time. What it says of names
// holds from an hour on. The same content again says nothing new. It returns the units
// that it changed.
func (v *Inventory) Import(t *tokenwatch.Table, ns int64, hour int32, offset tokenwatch.Offset) []Change {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t.Digest != v.imported {
		v.imported, v.parts = t.Digest, 0
	}
	part := max(t.Part, 1)
	if part <= v.parts {
		return nil
	}
	v.parts = part
	if !t.Time.IsZero() {
		ns = t.Time.UnixNano()
	}
	changed := changes{earliest: ns}
	v.learn(t.Names, hour, &changed)
	for i := range t.Tokens {
		v.held = append(v.held, heldFact{ns: ns, offset: offset, row: int32(i), source: tokenwatch.TableInventory, imported: &t.Tokens[i]})
		h := v.held[len(v.held)-1]
		v.attachImport(&h, &changed)
	}
	return v.changes(&changed)
}

// Link takes in a link, which holds from an hour on. It returns the units that it changed.
func (v *Inventory) Link(l *tokenwatch.Link, ns int64, hour int32, offset tokenwatch.Offset) []Change {
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := changes{earliest: ns}
	v.hold(heldFact{ns: ns, hour: hour, offset: offset, link: l}, &changed)
	return v.changes(&changed)
}

// attachImport finds what an imported token is about.
func (v *Inventory) attachImport(at *heldFact, changed *changes) {
	h := new(heldFact)
	*h = *at
	h.token, h.prev = -1, -1
	t := h.imported
	var u *Unit
	for _, k := range t.Keys {
		u = v.unitOf(k.Token, t.Lineage, changed)
	}
	if u == nil {
		if u = v.unitOf("", t.Lineage, changed); u == nil {
			return
		}
	}
	u = u.Root()
	u.add(h)
	v.own(u, t.Owner)
	if t.OwnerLeft && t.Owner != "" {
		o := v.owner(t.Owner)
		o.left = append(o.left, &heldFact{
			ns: h.ns, offset: h.offset, row: h.row, source: h.source, token: -1, prev: -1,
			fact: &tokenwatch.Fact{Kind: tokenwatch.FactOwnerLeft, Owner: t.Owner},
		})
		for u := range o.units {
			changed.add(u)
		}
	}
	changed.add(u)
}
