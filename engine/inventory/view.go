package inventory

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// view returns the record of a key of a unit as of a time.
func (v *Inventory) view(u *Unit, l *life, k *key, now int64) tokenwatch.TokenRecord {
	r := v.records[k.token]
	all := v.sames(r)
	t := tokenwatch.TokenRecord{
		Tenant: v.tenant, ID: r.id(), Label: l.label, Owner: l.owner, Team: l.team, Purpose: l.purpose, App: l.app, Env: l.env, Type: l.typ,
		Scopes: l.scopes, Sources: l.sources, Known: l.known,
		OwnerLeft: at(l.ownerLeft), Created: at(l.created), CreatedBy: l.createdBy, KeyCreated: at(k.created),
		Expires: at(l.expires), NeverExpires: l.expires == tokenwatch.Never, RotationDays: l.rotation,
		Rotated: at(k.rotated), OverlapUntil: at(k.until), Revoked: at(k.revoked), RevokedBy: k.revokedBy, Disabled: at(k.disabled),
		CheckedOut: at(l.checkedOut), Exposed: k.exposed, AsOf: at(now),
	}
	if t.Created.IsZero() {
		t.Created = t.KeyCreated
	}
	if t.Env == "" {
		t.Env = v.envOf(all)
	}
	if len(u.lineages) > 0 {
		t.Lineage = slices.Min(u.lineages)
	}
	if k.from >= 0 {
		t.RotatedFrom = v.records[k.from].id()
	}
	if k.to >= 0 {
		t.RotatedTo = v.records[k.to].id()
	}
	v.usage(&t, all, l, now)
	expired := k.expired
	if l.expires != 0 && l.expires != tokenwatch.Never && l.expires <= now && (expired == 0 || l.expires < expired) {
		expired = l.expires
	}
	t.Expired = at(expired)
	t.State = state(&t, k, now)
	return t
}

// usage fills what was seen of a token's use, under all its ids.
func (v *Inventory) usage(t *tokenwatch.TokenRecord, all []*record, l *life, now int64) {
	var first, last *sighting
	var kind, issuer *record // the earliest that tell of them
	kinds := cmp.Compare[string]
	for _, r := range all {
		if r.id() != t.ID {
			t.SameAs = append(t.SameAs, r.id())
		}
		for n := range v.names(r) {
			if n.Kind != tokenwatch.NameHashDigest && !slices.Contains(t.Names, n.Alias) {
				t.Names = append(t.Names, n.Alias)
			}
		}
		for _, s := range r.scopes() {
			if w := v.words.list[s]; !slices.Contains(t.Used, w) {
				t.Used = append(t.Used, w)
			}
		}
		if r.first.offset == 0 {
			continue
		}
		t.Events += r.events
		if first == nil || v.before(&r.first, first) {
			first = &r.first
		}
		if r.kind != 0 && (kind == nil || v.before(&r.first, &kind.first)) {
			kind, t.Kind = r, v.words.list[r.kind]
		}
		if r.issuer != 0 && (issuer == nil || v.before(&r.first, &issuer.first)) {
			issuer, t.Issuer = r, v.words.list[r.issuer]
		}
		if last == nil || v.before(last, &r.last) {
			last = &r.last
		}
		for _, c := range r.coverage() {
			v.cover(t, c)
		}
	}
	slices.Sort(t.SameAs)
	slices.Sort(t.Used)
	slices.SortFunc(t.Names, func(a, b tokenwatch.Alias) int {
		return cmp.Or(kinds(string(a.Kind), string(b.Kind)), kinds(a.Value, b.Value))
	})
	slices.SortFunc(t.Coverage, func(a, b tokenwatch.Coverage) int { return kinds(a.Source, b.Source) })
	if v.Holes != nil {
		for i := range t.Coverage {
			c := &t.Coverage[i]
			c.Holes = slices.DeleteFunc(v.Holes(c.Source, now), func(w tokenwatch.Window) bool { return !w.End.After(c.First) })
		}
	}
	used := l.lastUsed
	if first != nil {
		t.First, t.Last = v.sighting(first), v.sighting(last)
		if first.ns <= now {
			used = max(used, min(last.ns, now))
		}
	}
	t.LastUsed = at(used)
}

func (v *Inventory) cover(t *tokenwatch.TokenRecord, c coverage) {
	source := v.words.list[c.source]
	for i := range t.Coverage {
		if x := &t.Coverage[i]; x.Source == source {
			if f := at(c.first); f.Before(x.First) {
				x.First = f
			}
			if l := at(c.last); l.After(x.Last) {
				x.Last = l
			}
			x.Events += c.events
			return
		}
	}
	t.Coverage = append(t.Coverage, tokenwatch.Coverage{Source: source, First: at(c.first), Last: at(c.last), Events: c.events})
}

func (v *Inventory) sighting(s *sighting) *tokenwatch.Sighting {
	out := &tokenwatch.Sighting{Time: at(s.ns), Action: v.words.list[s.action], Source: v.words.list[s.source], Offset: s.offset, Row: int(s.row)}
	if s.addr != ([16]byte{}) {
		out.SrcIP = netip.AddrFrom16(s.addr).Unmap().String()
	}
	return out
}

// zombieAfter is how long after its end a token may still be seen: clocks differ.
const zombieAfter = 30e9

// state tells where a token is in its life.
func state(t *tokenwatch.TokenRecord, k *key, now int64) tokenwatch.TokenState {
	ended := int64(0)
	for _, end := range []int64{k.revoked, k.until} {
		if end != 0 && end <= now && (ended == 0 || end < ended) {
			ended = end
		}
	}
	if !t.Expired.IsZero() && (ended == 0 || t.Expired.UnixNano() < ended) {
		ended = t.Expired.UnixNano()
	}
	used := int64(0)
	if !t.LastUsed.IsZero() {
		used = t.LastUsed.UnixNano()
	}
	switch {
	case ended != 0 && used > ended+zombieAfter && t.Last != nil:
		return tokenwatch.TokenZombie
	case k.revoked != 0 && k.revoked <= now:
		return tokenwatch.TokenRevoked
	case ended != 0:
		return tokenwatch.TokenExpired
	case k.disabled != 0:
		return tokenwatch.TokenDisabled
	case k.to >= 0:
		return tokenwatch.TokenRotating
	case used == 0:
		return tokenwatch.TokenIssued
	case now-used > int64(tokenwatch.DormantAfter) && t.Covered(t.LastUsed):
		return tokenwatch.TokenDormant
	}
	return tokenwatch.TokenActive
}

// steps lists what was said of a unit.
func (v *Inventory) steps(u *Unit) (out []tokenwatch.TokenStep) {
	for _, h := range v.said(u) {
		out = append(out, tokenwatch.TokenStep{
			Time: at(h.ns), Kind: h.kind(), By: h.by, Detail: h.detail(), Source: h.source, Request: h.request, Offset: h.offset, Row: int(h.row),
		})
	}
	return out
}

// detail says in a few words what a fact changed.
func (h *heldFact) detail() string {
	if h.imported != nil {
		return "owner " + h.imported.Owner
	}
	f := h.fact
	switch f.Kind {
	case tokenwatch.FactScopeChanged:
		var parts []string
		for _, s := range f.Scopes {
			parts = append(parts, "+"+s)
		}
		for _, s := range f.Removed {
			parts = append(parts, "-"+s)
		}
		return strings.Join(parts, " ")
	case tokenwatch.FactOwnerChanged, tokenwatch.FactOwnerLeft:
		return f.Owner
	case tokenwatch.FactLeaked:
		return f.Place
	case tokenwatch.FactCreated:
		return strconv.Itoa(len(f.Scopes)) + " scopes, owner " + f.Owner
	case tokenwatch.FactRotated, tokenwatch.FactCheckedOut:
		if f.Until != 0 {
			return "until " + at(f.Until).Format("2006-01-02T15:04:05Z")
		}
	}
	return ""
}
