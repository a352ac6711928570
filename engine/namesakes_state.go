package engine

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
)

// namesakeRecord is what is stored of a namesake.
type namesakeRecord struct {
	_    struct{} `cbor:",toarray"`
	Seen int32
	Into tokenwatch.TokenID
}

func (t *tenant) note(n *namesake) {
	if !n.changed {
		n.changed = true
		t.namesakes.changed = append(t.namesakes.changed, n)
	}
}

// nameRecords puts what has changed of names since the last snapshot, and their windows.
func (t *tenant) nameRecords(out *[]storage.Record) {
	slices.SortFunc(t.namesakes.changed, func(a, b *namesake) int { return cmp.Compare(a.id, b.id) })
	for _, n := range t.namesakes.changed {
		n.changed = false
		key := appendPart(appendPart([]byte{recNamesake}, t.name), string(n.id))
		*out = append(*out, storage.Record{Key: key, Value: encode(namesakeRecord{Seen: n.seen, Into: n.into})})
	}
	t.namesakes.changed = t.namesakes.changed[:0]
	for _, hour := range slices.Sorted(maps.Keys(t.namesakes.open)) {
		var open []*namesake
		for n := range t.namesakes.open[hour] {
			open = append(open, n)
		}
		slices.SortFunc(open, func(a, b *namesake) int { return cmp.Compare(a.id, b.id) })
		for _, n := range open {
			if at, ok := n.raw.find(hour); ok {
				n.raw.windows[at].Stored = true
				*out = append(*out, storage.Record{Key: []byte(windowKey(t.name, n.raw.Entity, hour)), Value: encode(n.raw.windows[at])})
			}
		}
	}
}

func (t *tenant) loadNamesake(key []byte, r storage.Record) error {
	id, _, ok := cutPart(key)
	var n namesakeRecord
	if !ok {
		return corrupt(r)
	}
	if err := decode(r, &n); err != nil {
		return err
	}
	t.namesakes.stored[tokenwatch.TokenID(id)] = n
	return nil
}
