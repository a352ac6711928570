package engine

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// The guard's records, by the first byte of what follows the tenant in their key.
const (
	guardInventory = 'i' // followed by the inventory's own key
	guardBreach    = 'p' // token, policy, day
	guardRecent    = 'r'
	guardWindows   = 'w'
)

type guardRecord struct {
	_       struct{} `cbor:",toarray"`
	Checked int32
	Offsets []tokenwatch.Offset // of batches that may still count
	Latest  []int64
}

// records puts what has changed since the last snapshot.
func (g *guard) records(out *[]storage.Record) {
	base := appendPart([]byte{recGuard}, g.name)
	put := func(kind byte, key, value []byte) {
		*out = append(*out, storage.Record{Key: append(append(slices.Clone(base), kind), key...), Value: value})
	}
	g.inv.Changed(func(key, value []byte) { put(guardInventory, key, value) })
	slices.SortFunc(g.changed, func(a, b *breach) int {
		return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Day, b.Day))
	})
	for _, b := range g.changed {
		b.dirty = false
		key := appendPart(appendPart(nil, string(b.Token)), b.Policy)
		put(guardBreach, binary.BigEndian.AppendUint32(key, uint32(b.Day)), encode(b))
	}
	g.changed = g.changed[:0]
	r := guardRecord{Checked: g.checked}
	for _, x := range g.recent {
		r.Offsets, r.Latest = append(r.Offsets, x.offset), append(r.Latest, x.latest)
	}
	put(guardRecent, nil, encode(r))
	if g.candidates.dirty {
		put(guardWindows, nil, encode(g.candidates.sorted()))
		g.candidates.dirty = false
	}
}

// load takes back a record of the guard.
func (g *guard) load(key []byte, r storage.Record) error {
	if len(key) == 0 {
		return corrupt(r)
	}
	switch key[0] {
	case guardInventory:
		if g.inv.Load(key[1:], r.Value) != nil {
			return corrupt(r)
		}
	case guardBreach:
		b := new(breach)
		if err := decode(r, b); err != nil {
			return err
		}
		g.add(b)
	case guardRecent:
		var s guardRecord
		if err := decode(r, &s); err != nil || len(s.Offsets) != len(s.Latest) {
			return corrupt(r)
		}
		g.checked = s.Checked
		for i, o := range s.Offsets {
			g.recent = append(g.recent, extent{o, s.Latest[i]})
		}
	case guardWindows:
		var list []*candidate
		if err := decode(r, &list); err != nil {
			return err
		}
		for _, c := range list {
			*g.candidates.of(c.Token, candidateKey{c.Policy, c.Hour}) = *c
		}
	default:
		return corrupt(r)
	}
	return nil
}
