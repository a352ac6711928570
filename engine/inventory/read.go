package inventory

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// Token returns the record of a token by its id, one of its names, or its
// lineage, as of a time; false if there is none.
func (v *Inventory) Token(text string, now int64) (tokenwatch.TokenRecord, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if r := v.find(text); r != nil {
		return v.full(r, now), true
	}
	if u, ok := v.lineages[text]; ok {
		var found tokenwatch.TokenRecord
		v.walk(u, u.told(now), func(m moment, l *life) {
			if m.cause == nil && l.current >= 0 {
				found = v.full(v.records[l.keys[l.current].token], now)
			}
		})
		return found, found.ID != ""
	}
	return tokenwatch.TokenRecord{}, false
}

// soughtKinds are the kinds of names by which a token is found.
var soughtKinds = append(slices.Clone(tokenwatch.NameKinds), tokenwatch.NameHashDigest)

func (v *Inventory) find(text string) *record {
	if at, ok := v.place(tokenwatch.TokenID(text)); ok {
		return v.records[v.records[at].same]
	}
	for _, kind := range soughtKinds {
		for issuer := range v.issuers {
			n := tokenwatch.Naming{Alias: tokenwatch.Alias{Kind: kind, Value: text}, Issuer: issuer}
			at, ok := v.byName[nameHash(kind, issuer, text)]
			if !ok || !v.named(v.records[at], n) {
				continue
			}
			r := v.records[v.records[at].same]
			if r.unit != nil && v.isLineage(r, r.unit) && len(r.unit.tokens) > 1 {
				continue // the lineage tells which of its tokens
			}
			return r
		}
	}
	return nil
}

// full is the record of a token with its steps.
func (v *Inventory) full(r *record, now int64) tokenwatch.TokenRecord {
	u := r.unit
	if u == nil {
		u = &Unit{tokens: []int32{r.at}}
	}
	var out tokenwatch.TokenRecord
	told := u.told(now)
	if now == 0 { // there was no event yet
		now = told
	}
	v.walk(u, told, func(m moment, l *life) {
		if m.cause != nil {
			return
		}
		if k := l.key(v, r.at); k != nil {
			out = v.view(u, l, k, now)
		}
	})
	out.Steps = v.steps(u)
	return out
}

// Tokens yields the records of all tokens whose id is behind one, in order of id.
// It holds no lock while a record is being used.
func (v *Inventory) Tokens(after tokenwatch.TokenID, now int64) iter.Seq[tokenwatch.TokenRecord] {
	return func(yield func(tokenwatch.TokenRecord) bool) {
		for {
			page := v.page(after, now)
			for i := range page {
				if !yield(page[i]) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

const pageSize = 256

// page returns the next records.
func (v *Inventory) page(after tokenwatch.TokenID, now int64) (out []tokenwatch.TokenRecord) {
	order := v.order()
	v.mu.RLock()
	defer v.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(order, after, func(at int32, id tokenwatch.TokenID) int {
		return cmp.Or(cmp.Compare(v.records[at].id(), id), -1) // the one itself is before
	})
	for ; i < len(order) && len(out) < pageSize; i++ {
		r := v.records[order[i]]
		if r.same != r.at || r.unit != nil && v.isLineage(r, r.unit) && len(r.unit.tokens) > 1 {
			continue
		}
		out = append(out, v.full(r, now))
	}
	return out
}

// order returns the records in order of id. The slice never changes.
func (v *Inventory) order() []int32 {
	v.mu.RLock()
	order, all := v.sorted, len(v.records)
	v.mu.RUnlock()
	if len(order) == all {
		return order
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var tail []int32
	for at := len(v.sorted); at < len(v.records); at++ {
		tail = append(tail, int32(at))
	}
	byID := func(a, b int32) int { return cmp.Compare(v.records[a].id(), v.records[b].id()) }
	slices.SortFunc(tail, byID)
	merged := make([]int32, 0, len(v.records))
	rest := v.sorted
	for _, at := range tail {
		n, _ := slices.BinarySearchFunc(rest, at, byID)
		merged = append(append(merged, rest[:n]...), at)
		rest = rest[n:]
	}
	v.sorted = append(merged, rest...)
	return v.sorted
}

// Names returns the names of a token and of all that is the same, by kind and
// value.
func (v *Inventory) Names(id tokenwatch.TokenID) []tokenwatch.Alias {
	v.mu.RLock()
	defer v.mu.RUnlock()
	at, ok := v.place(id)
	if !ok {
		return nil
	}
	var t tokenwatch.TokenRecord
	v.usage(&t, v.sames(v.records[at]), &life{}, math.MaxInt64)
	return t.Names
}

// Canonical returns the id under which a token is kept: another one if it was
// found to be the same.
func (v *Inventory) Canonical(id tokenwatch.TokenID) tokenwatch.TokenID {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if at, ok := v.place(id); ok {
		return v.records[v.records[at].same].id()
	}
	return id
}

// Predecessor returns the token that was rotated into a token, whose habits it
// therefore has; false if there is none.
func (v *Inventory) Predecessor(id tokenwatch.TokenID) (from tokenwatch.TokenID, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	at, known := v.place(id)
	if !known || v.records[at].unit == nil {
		return "", false
	}
	v.walk(v.records[at].unit, math.MaxInt64, func(m moment, l *life) {
		if k := l.key(v, at); m.cause == nil && k != nil && k.from >= 0 {
			from, ok = v.records[k.from].id(), true
		}
	})
	return from, ok
}
