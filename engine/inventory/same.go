package inventory

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// maxNames bounds the names remembered of one token.
const maxNames = 16

// Learn notes the names of tokens.
func (v *Inventory) Learn(names []tokenwatch.Naming) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.learn(names, nil)
}

// learn notes that tokens go by names. Where another token goes by one too, they
// are one; that is decided when all names of a batch are known, since one of them
// may say that they are not.
func (v *Inventory) learn(names []tokenwatch.Naming, changed *changes) {
	var fresh []named
	for i := range names {
		n := &names[i]
		at, known := v.byID[n.Token]
		if known && v.records[at].named(*n) {
			continue
		}
		if !known && !v.admits(n.Token) {
			continue
		}
		if !known {
			at = v.record(tokenwatch.TokenID(clone(string(n.Token)))).at
		}
		r := v.records[at]
		if len(r.names) >= maxNames {
			continue
		}
		issuer := v.words.list[v.words.code(n.Issuer)]
		v.issuers[issuer] = struct{}{}
		kind := tokenwatch.NameKind(v.words.list[v.words.code(string(n.Alias.Kind))])
		r.names = append(r.names, name{tokenwatch.Alias{Kind: kind, Value: clone(n.Alias.Value)}, issuer})
		fresh = append(fresh, named{r, r.names[len(r.names)-1]})
		v.touch(r)
		if r.unit != nil {
			changed.add(r.unit)
		}
	}
	for _, f := range fresh {
		v.tie(f.record, f.name, changed)
	}
}

// named is a record and a name that is new of it.
type named struct {
	record *record
	name   name
}

// tie does what follows from a new name of a token.
func (v *Inventory) tie(r *record, n name, changed *changes) {
	if n.Kind == tokenwatch.NameHashDigest && v.torn(r) {
		v.rebuild(r.unit, changed)
	}
	hash := nameHash(n.Kind, n.issuer, n.Value)
	if other, ok := v.byName[hash]; ok && other != r.at && slices.Contains(v.records[other].names, n) {
		v.meet(r, v.records[other], n.Kind, changed)
	}
	v.byName[hash] = r.at
	if n.Kind == tokenwatch.NameProviderID {
		if u, ok := v.lineages[n.Value]; ok { // the lineage, by the name that a log has of it
			v.unite(v.grouped(r), u, changed)
		}
	}
}

// torn tells whether a token turned out to have hashes that exclude each other.
func (v *Inventory) torn(r *record) bool {
	if r.unit == nil {
		return false
	}
	for _, other := range v.sames(r) {
		if other != r && hashesDiffer(r, other) {
			return true
		}
	}
	return false
}

func (r *record) named(n tokenwatch.Naming) bool {
	for i := range r.names {
		if r.names[i].Alias == n.Alias && r.names[i].issuer == n.Issuer {
			return true
		}
	}
	return false
}

func (r *record) goesBy(kind tokenwatch.NameKind, value string) bool {
	for i := range r.names {
		if r.names[i].Kind == kind && r.names[i].Value == value {
			return true
		}
	}
	return false
}

// meet decides what it means that two tokens go by one name. A display prefix
// means nothing. Secrets whose hashes differ are two, whatever else they share:
// an id that both go by is then a lineage.
func (v *Inventory) meet(a, b *record, kind tokenwatch.NameKind, changed *changes) {
	switch {
	case kind == tokenwatch.NamePrefix || v.keptApart(a.at, b.at):
	case v.differ(a, b):
		if kind == tokenwatch.NameProviderID || kind == tokenwatch.NameAccessor {
			v.unite(v.grouped(a), v.grouped(b), changed)
		}
	default:
		v.merge(a, b, changed)
	}
}

// differ tells whether two tokens, with all that are the same as them, have
// hashes that exclude each other.
func (v *Inventory) differ(a, b *record) bool {
	for _, x := range v.sames(a) {
		for _, y := range v.sames(b) {
			if hashesDiffer(x, y) {
				return true
			}
		}
	}
	return false
}

func hashesDiffer(a, b *record) bool {
	for _, x := range a.names {
		for _, y := range b.names {
			if x.Kind == tokenwatch.NameHashDigest && y.Kind == x.Kind && len(x.Value) == len(y.Value) && x.Value != y.Value {
				return true // the length tells of how much of the hash
			}
		}
	}
	return false
}

// sames lists the records that are the same token as r.
func (v *Inventory) sames(r *record) []*record {
	if r.unit == nil {
		return []*record{r}
	}
	var out []*record
	for _, at := range r.unit.tokens {
		if v.records[at].same == r.same {
			out = append(out, v.records[at])
		}
	}
	return out
}

// merge makes two tokens one. The id that stays is that of the strongest name.
func (v *Inventory) merge(a, b *record, changed *changes) {
	if a.same == b.same {
		return
	}
	v.since(a, b, changed)
	v.since(b, a, changed)
	u := v.unite(v.grouped(a), v.grouped(b), changed)
	all := append(v.sames(a), v.sames(b)...)
	best := slices.MinFunc(all, func(x, y *record) int {
		return cmp.Or(cmp.Compare(x.strength(), y.strength()), cmp.Compare(x.id, y.id))
	})
	for _, r := range all {
		r.same = best.at
		v.touch(r)
	}
	changed.add(u)
}

// since notes that the use of one token is now to be seen in the light of what was
// said of another one.
func (v *Inventory) since(used, said *record, changed *changes) {
	if said.unit == nil || len(said.unit.facts) == 0 || changed == nil {
		return
	}
	for _, r := range v.sames(used) {
		if r.first.offset != 0 {
			changed.from(r.first.ns)
		}
	}
}

// strength orders ids by what they are made of: the secret itself, an id of the
// issuer's, part of a hash, a display prefix.
func (r *record) strength() int {
	best, hashed, cut := 3, false, false
	for _, n := range r.names {
		switch n.Kind {
		case tokenwatch.NameHashDigest:
			hashed = true
		case tokenwatch.NameTruncatedHash:
			cut = true
		case tokenwatch.NameFullHash, tokenwatch.NamePrefix:
		default:
			best = 1
		}
	}
	switch {
	case hashed && !cut:
		return 0
	case cut:
		return min(best, 2)
	}
	return best
}

func (v *Inventory) keptApart(a, b int32) bool { return v.apart[[2]int32{min(a, b), max(a, b)}] }

// join does what a link says.
func (v *Inventory) join(l *tokenwatch.Link, changed *changes) {
	a, b := v.record(l.A), v.record(l.B)
	pair := [2]int32{min(a.at, b.at), max(a.at, b.at)}
	delete(v.apart, pair)
	switch l.Kind {
	case tokenwatch.LinkSame:
		v.merge(a, b, changed)
	case tokenwatch.LinkFollows:
		v.unite(v.grouped(a), v.grouped(b), changed)
	case tokenwatch.LinkApart:
		v.apart[pair] = true
		v.part(a, b, changed)
	}
}

// part takes two tokens that were one apart.
func (v *Inventory) part(a, b *record, changed *changes) {
	if a.unit != nil && a.unit == b.unit {
		v.rebuild(a.unit, changed)
	}
}

// rebuild makes a unit anew of what was said of its tokens and of their names.
func (v *Inventory) rebuild(old *Unit, changed *changes) {
	tokens, facts := old.tokens, old.facts
	for _, l := range old.lineages {
		delete(v.lineages, l)
	}
	for _, o := range v.owners {
		delete(o.units, old)
	}
	*old = Unit{gone: &Unit{}}
	for _, at := range tokens {
		r := v.records[at]
		r.unit, r.same = nil, at
		v.touch(r)
	}
	for _, f := range facts {
		v.reattach(f, changed)
	}
	for i, x := range tokens {
		for _, y := range tokens[:i] {
			v.meetAgain(v.records[x], v.records[y], changed)
		}
	}
	for _, at := range tokens {
		changed.add(v.records[at].unit)
	}
}

// meetAgain has two tokens meet by each name that both go by.
func (v *Inventory) meetAgain(a, b *record, changed *changes) {
	for _, x := range a.names {
		for _, y := range b.names {
			if x == y {
				v.meet(a, b, x.Kind, changed)
			}
		}
	}
}

// reattach attaches a fact again, or an import.
func (v *Inventory) reattach(h *heldFact, changed *changes) {
	if h.imported != nil {
		v.attachImport(h, changed)
		return
	}
	v.attach(h, changed)
}
