package inventory

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Tokens that share a name, or that a link ties, may be one. Which of them are is a
// question about an hour: what a log says of names holds from the hour of its event on,
// what an inventory, an operator or a late event says from the hour that settles next
// when it comes. So the answer for an hour is the same in whatever order the log arrives,
// once everything that happened up to that hour is in it.
//
//   - A name ties all who go by it, unless hashes show that two of them are different
//     secrets: then it is a name of several, and says nothing. A display prefix says
//     nothing anyway.
//   - A link ties two, or keeps them apart, whatever names say; the last one counts.
//   - What would make one of two whose hashes differ does not count; stronger names first.
//
// The id that stays is the one made of the strongest name; see record.strength.

// Never is the hour of what has not happened.
const Never = math.MaxInt32

// maxNamesakes is how many tokens that share names are looked at: a name of more is a
// name of none.
const maxNamesakes = 64

// linked is what a link says of two records, and from which hour on.
type linked struct {
	a, b int32
	kind string
	hour int32
}

// nameOf is a name of a record, by the hash of the name.
type nameOf struct {
	at   int32
	hash uint64
}

// told is from when on a token goes by a name: whenever it is seen, if the name is what
// its id is made of, and from an hour on, if something says so.
type told struct {
	own  bool
	hour int32 // Never: nothing does
}

// whenever is told of most names, and is not noted.
var whenever = told{true, Never}

// called notes since when a record goes by a name that may tie, and tells whether that
// is news; known says that it went by it before.
func (v *Inventory) called(r *record, hash uint64, by told, known bool) bool {
	key, have := nameOf{r.at, hash}, v.toldOf(r, hash)
	if known {
		by = told{have.own || by.own, min(have.hour, by.hour)}
	}
	switch {
	case known && by == have:
		return false
	case by == whenever:
		delete(v.told, key)
	default:
		v.told[key] = by
	}
	return true
}

func (v *Inventory) toldOf(r *record, hash uint64) told {
	if t, ok := v.told[nameOf{r.at, hash}]; ok {
		return t
	}
	return whenever
}

// kin are records that share names or links, directly or by others.
type kin struct {
	all   []int32
	dirty bool // listed in Inventory.related
	news  bool // listed in Inventory.met
}

// relate notes that two records have something in common, or that there is more to it.
func (v *Inventory) relate(a, b int32) {
	k, other := v.kin[a], v.kin[b]
	switch {
	case a == b && k == nil:
		return
	case k == nil && other == nil:
		k = &kin{all: []int32{a, b}}
	case k == nil:
		k = other
		k.all = append(k.all, a)
	case other == nil:
		k.all = append(k.all, b)
	case k != other:
		if len(k.all) < len(other.all) {
			k, other = other, k
		}
		k.all = append(k.all, other.all...)
		for _, at := range other.all {
			v.kin[at] = k
		}
		other.all = nil
	}
	v.kin[a], v.kin[b] = k, k
	if !k.dirty {
		k.dirty = true
		v.related = append(v.related, k)
	}
	if !k.news {
		k.news = true
		v.met = append(v.met, k)
	}
}

// mentioned is the hour of the first fact about a record: from then on there is such a
// token, though it need not have been seen.
func (v *Inventory) mentioned(r *record) int32 {
	if r.unit != nil {
		for _, h := range r.unit.facts {
			if h.fact != nil && (h.token == r.at || h.prev == r.at) {
				return int32(h.ns / int64(time.Hour))
			}
		}
	}
	return Never
}

// members lists the records of kin in order of their ids.
func (v *Inventory) members(k *kin) []*record {
	all := make([]*record, len(k.all))
	for i, at := range k.all {
		all[i] = v.records[at]
	}
	slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.id(), b.id()) })
	return all
}

// Namesakes returns the tokens that share names or links, as far as something of them
// has changed since it was called last: those together that belong together, in order of
// their ids. They never become fewer.
func (v *Inventory) Namesakes() [][]tokenwatch.TokenID {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out [][]tokenwatch.TokenID
	for _, k := range v.met {
		k.news = false
		if len(k.all) == 0 || len(k.all) > 2*maxNamesakes {
			continue // part of another one now; or many too many for long
		}
		var ids []tokenwatch.TokenID
		for _, r := range v.members(k) {
			ids = append(ids, r.id())
		}
		out = append(out, ids)
	}
	v.met = nil
	return out
}

// Ones tells which of some tokens, in order of their ids, are one in an hour: for each
// the place of the one whose id stays. seen is when each of them was seen first. What it
// tells holds in all later hours too, if the hour is not before steady.
func (v *Inventory) Ones(ids []tokenwatch.TokenID, seen []int32, hour int32) (of []int, steady int32) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make([]*record, len(ids))
	for i, id := range ids {
		at, _ := v.place(id) // it was given out by Namesakes
		all[i] = v.records[at]
	}
	u := v.ones(all, seen, hour)
	return u.of, u.steady
}

// bond is a name and who goes by it.
type bond struct {
	name
	who []int
}

func (v *Inventory) ones(all []*record, seen []int32, hour int32) *grouping {
	u := &grouping{v: v, all: all, of: make([]int, len(all)), by: map[int32]int{}, hour: hour, digests: make([][]string, len(all))}
	there := make([]bool, len(all))
	for i, r := range all {
		u.of[i], u.by[r.at] = i, i
		there[i] = u.begun(min(seen[i], v.mentioned(r)))
	}
	if len(all) > maxNamesakes {
		return u
	}
	u.findLinks()
	for pair := range u.links {
		there[u.by[pair[0]]], there[u.by[pair[1]]] = true, true
	}
	bonds := u.bonds(there)
	for pair, kind := range u.links {
		if kind == tokenwatch.LinkSame {
			u.join(u.by[pair[0]], u.by[pair[1]], true)
		}
	}
	for _, b := range bonds {
		if u.several(b.who) {
			u.shared = append(u.shared, b)
			continue
		}
		for _, i := range b.who[1:] {
			u.join(b.who[0], i, false)
		}
	}
	u.name()
	return u
}

// grouping makes records one, as of an hour.
type grouping struct {
	v       *Inventory
	all     []*record
	of      []int
	by      map[int32]int // places in all
	hour    int32
	steady  int32 // latest hour from which on something holds
	links   map[[2]int32]string
	digests [][]string
	shared  []*bond // names of several
}

// begun tells whether what holds from an hour on does.
func (u *grouping) begun(hour int32) bool {
	if hour != Never {
		u.steady = max(u.steady, hour)
	}
	return hour <= u.hour
}

// findLinks finds what links say of the records.
func (u *grouping) findLinks() {
	u.links = map[[2]int32]string{}
	for at := range u.by {
		for _, i := range u.v.linksBy[at] {
			l := &u.v.links[i]
			if other := l.a + l.b - at; at < other {
				if _, ok := u.by[other]; ok && u.begun(l.hour) {
					u.links[[2]int32{at, other}] = l.kind // in order of the log: the last one stays
				}
			}
		}
	}
}

// bonds lists the names that several of the records go by, strongest first. Whoever
// something was said of by name is there.
func (u *grouping) bonds(there []bool) []*bond {
	type use struct {
		who int
		name
		told
	}
	var uses []use
	for i, r := range u.all {
		for n := range u.v.names(r) {
			if n.Kind != tokenwatch.NamePrefix {
				t := u.v.toldOf(r, nameHash(n.Kind, n.issuer, n.Value))
				uses = append(uses, use{i, n, t})
				there[i] = u.begun(t.hour) || there[i]
			}
		}
	}
	names := map[name]*bond{}
	var out []*bond
	for _, x := range uses {
		if !u.begun(x.hour) && !(x.own && there[x.who]) {
			continue
		}
		if x.Kind == tokenwatch.NameHashDigest {
			u.digests[x.who] = append(u.digests[x.who], x.Value)
		}
		b := names[x.name]
		if b == nil {
			b = &bond{name: x.name}
			names[x.name] = b
			out = append(out, b)
		}
		b.who = append(b.who, x.who)
	}
	out = slices.DeleteFunc(out, func(b *bond) bool { return len(b.who) < 2 })
	slices.SortFunc(out, func(a, b *bond) int {
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Value, b.Value), cmp.Compare(a.issuer, b.issuer))
	})
	return out
}

// rank orders names by how much they say; of digests, the longer one says more.
func rank(k tokenwatch.NameKind) int {
	if k == tokenwatch.NameHashDigest {
		return -1
	}
	if i := slices.Index(tokenwatch.NameKinds, k); i >= 0 {
		return i
	}
	return len(tokenwatch.NameKinds)
}

// several tells whether hashes show that a name is one of different secrets.
func (u *grouping) several(who []int) bool {
	for k, i := range who {
		for _, j := range who[:k] {
			if digestsDiffer(u.digests[i], u.digests[j]) {
				return true
			}
		}
	}
	return false
}

// digestsDiffer tells whether two cannot be of one secret. The length of a digest tells
// of how much of the hash it is.
func digestsDiffer(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if len(x) == len(y) && x != y {
				return true
			}
		}
	}
	return false
}

// join makes two one with all that they are one with, unless something speaks against
// it; whatever does so, if somebody said it.
func (u *grouping) join(a, b int, said bool) {
	from, to := u.of[b], u.of[a]
	if from == to || !said && u.against(from, to) {
		return
	}
	for i := range u.of {
		if u.of[i] == from {
			u.of[i] = to
		}
	}
}

// against tells whether of two that would be made one some are kept apart or have hashes
// that differ.
func (u *grouping) against(a, b int) bool {
	for i, x := range u.of {
		for j, y := range u.of {
			if x != a || y != b {
				continue
			}
			p, q := u.all[i].at, u.all[j].at
			if k, ok := u.links[[2]int32{min(p, q), max(p, q)}]; ok && k != tokenwatch.LinkSame || digestsDiffer(u.digests[i], u.digests[j]) {
				return true
			}
		}
	}
	return false
}

// name has each group go by the place of the one whose id stays.
func (u *grouping) name() {
	best := map[int]int{}
	for i, g := range u.of {
		if b, ok := best[g]; !ok || u.v.compareIDs(u.all[i], u.all[b]) < 0 {
			best[g] = i
		}
	}
	for i, g := range u.of {
		u.of[i] = best[g]
	}
}

// compareIDs orders ids by which of them stays.
func (v *Inventory) compareIDs(a, b *record) int {
	return cmp.Or(cmp.Compare(v.strength(a), v.strength(b)), cmp.Compare(a.id(), b.id()))
}
