package inventory

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// maxNames bounds the names remembered of one token.
const maxNames = 16

// learn notes that tokens go by names; from is the hour from which on that holds, 0 if
// it is what their events tell. Where another token goes by one too, they may be one;
// that is decided when all names of a batch are known, since one of them may say that
// they are not.
func (v *Inventory) learn(names []tokenwatch.Naming, from int32, changed *changes) {
	for i := range names {
		n := &names[i]
		by := told{n.Hour == 0, Never}
		if hour := cmp.Or(from, n.Hour); hour != 0 {
			by.hour = hour
		}
		at, known := v.place(n.Token)
		if known && v.named(v.records[at], *n) {
			if n.Alias.Kind != tokenwatch.NamePrefix && v.called(v.records[at], nameHash(n.Alias.Kind, n.Issuer, n.Alias.Value), by, true) {
				v.touch(v.records[at])
				v.relate(at, at)
			}
			continue
		}
		if !known && !v.admits(n.Token) {
			continue
		}
		if !known {
			at = v.record(n.Token).at
		}
		r := v.records[at]
		kind, issuer := v.words.code(string(n.Alias.Kind)), v.words.code(n.Issuer)
		if r.named >= maxNames || kind == overflowWord || issuer == overflowWord { // whose name it is could not be told
			continue
		}
		v.issuers[v.words.list[issuer]] = struct{}{}
		fresh := r.addName(&v.words, kind, issuer, n.Alias.Value)
		v.touch(r)
		if r.unit != nil {
			changed.add(r.unit)
		}
		v.tie(r, fresh, by, changed)
	}
	v.decide(changed)
}

// tie notes who else goes by a new name of a token.
func (v *Inventory) tie(r *record, n name, by told, changed *changes) {
	hash := nameHash(n.Kind, n.issuer, n.Value)
	if n.Kind != tokenwatch.NamePrefix {
		v.called(r, hash, by, false)
		v.relate(r.at, r.at)
		if other, ok := v.byName[hash]; ok && other != r.at && v.named(v.records[other], tokenwatch.Naming{Alias: n.Alias, Issuer: n.issuer}) {
			v.relate(r.at, other)
		}
	}
	v.byName[hash] = r.at
	if n.Kind == tokenwatch.NameProviderID {
		if u, ok := v.lineages[n.Value]; ok { // the lineage, by the name that a log has of it
			v.unite(v.grouped(r), u, changed)
		}
	}
}

// addName adds a name to the text of a record.
func (r *record) addName(words *words, kind, issuer uint32, value string) name {
	b := append(make([]byte, 0, len(r.text)+len(value)+8), r.text...)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(kind)), uint64(issuer))
	b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
	r.text = string(b)
	r.named++
	return name{tokenwatch.Alias{Kind: tokenwatch.NameKind(words.list[kind]), Value: r.text[len(r.text)-len(value):]}, words.list[issuer]}
}

// names yields the names of a record, in the order in which they were learned.
func (v *Inventory) names(r *record) iter.Seq[name] {
	return func(yield func(name) bool) {
		rest := r.text[r.length:]
		next := func() (n uint64) {
			for shift := 0; ; shift += 7 {
				c := rest[0]
				rest = rest[1:]
				if n |= uint64(c&0x7f) << shift; c < 0x80 {
					return n
				}
			}
		}
		for len(rest) > 0 {
			kind, issuer, length := next(), next(), next()
			n := name{tokenwatch.Alias{Kind: tokenwatch.NameKind(v.words.list[kind]), Value: rest[:length]}, v.words.list[issuer]}
			rest = rest[length:]
			if !yield(n) {
				return
			}
		}
	}
}

func (v *Inventory) named(r *record, n tokenwatch.Naming) bool {
	for x := range v.names(r) {
		if x.Alias == n.Alias && x.issuer == n.Issuer {
			return true
		}
	}
	return false
}

func (v *Inventory) goesBy(r *record, kind tokenwatch.NameKind, value string) bool {
	for x := range v.names(r) {
		if x.Kind == kind && x.Value == value {
			return true
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

// decide makes those one that are, as far as is known by now, and takes those apart that
// are not.
func (v *Inventory) decide(changed *changes) {
	for len(v.related) > 0 {
		k := v.related[0]
		v.related, k.dirty = v.related[1:], false
		if len(k.all) == 0 || len(k.all) > maxNamesakes+1 && v.parted(k) {
			continue
		}
		all := v.members(k)
		u := v.ones(all, make([]int32, len(all)), Never-1)
		if r := torn(all, u.of); r != nil {
			v.rebuild(r.unit, changed)
			continue
		}
		v.group(u, changed)
	}
}

// parted tells whether none of kin are one.
func (v *Inventory) parted(k *kin) bool {
	return !slices.ContainsFunc(k.all, func(at int32) bool { return v.records[at].same != at })
}

// torn finds a record that was one with another and is not, nil if there is none.
func torn(all []*record, of []int) *record {
	first := map[int32]int{}
	for i, r := range all {
		if f, ok := first[r.same]; ok && of[f] != of[i] {
			return r
		}
		first[r.same] = i
	}
	return nil
}

// group makes those one that are. An id that several go by is that of their lineage.
func (v *Inventory) group(u *grouping, changed *changes) {
	for i, best := range u.of {
		v.merge(u.all[best], u.all[i], changed)
	}
	for _, b := range u.shared {
		if b.Kind != tokenwatch.NameProviderID && b.Kind != tokenwatch.NameAccessor {
			continue
		}
		for _, i := range b.who[1:] {
			v.unite(v.grouped(u.all[b.who[0]]), v.grouped(u.all[i]), changed)
		}
	}
}

// merge makes a token one with the one whose id stays.
func (v *Inventory) merge(best, r *record, changed *changes) {
	if r == best && r.same == r.at || r.same == best.at && best.same == best.at {
		return
	}
	if r.same != best.same {
		v.since(best, r, changed)
		v.since(r, best, changed)
	}
	all := append(v.sames(best), v.sames(r)...)
	u := v.unite(v.grouped(best), v.grouped(r), changed)
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
func (v *Inventory) strength(r *record) int {
	best, hashed, cut := 3, false, false
	for n := range v.names(r) {
		if !v.toldOf(r, nameHash(n.Kind, n.issuer, n.Value)).own {
			continue
		}
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

// join does what a link says, from an hour on.
func (v *Inventory) join(l *tokenwatch.Link, hour int32, changed *changes) {
	a, b := v.record(l.A), v.record(l.B)
	for _, at := range [...]int32{a.at, b.at} {
		v.linksBy[at] = append(v.linksBy[at], int32(len(v.links)))
	}
	v.links = append(v.links, linked{a.at, b.at, l.Kind, hour})
	v.relate(a.at, b.at)
	v.decide(changed)
	if l.Kind == tokenwatch.LinkFollows {
		v.unite(v.grouped(a), v.grouped(b), changed)
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
	for _, at := range tokens {
		v.relate(at, at)
		for _, i := range v.linksBy[at] {
			if l := &v.links[i]; l.kind == tokenwatch.LinkFollows {
				v.unite(v.grouped(v.records[l.a]), v.grouped(v.records[l.b]), changed)
			}
		}
	}
	v.decide(changed)
	for _, at := range tokens {
		changed.add(v.records[at].unit)
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
