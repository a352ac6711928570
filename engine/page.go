package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Packed baselines of sleepers take a bounded amount of memory. When they take more,
// a snapshot is written, and those that have slept for longest are left to it: of them
// only where they belong stays in memory. A sleeper differs in nothing from its record
// in the snapshot until it wakes, and one that has woken is in memory until the next
// snapshot; so nothing that is told depends on who is left to the store.

// residents is how many bytes of packed baselines are in memory.
func (e *Engine) residents() int {
	n := 0
	for _, t := range e.tenants {
		for _, s := range t.shards {
			n += s.resident
		}
	}
	return n
}

// crowded tells whether packed baselines take more memory than they may, and can be
// left to the store.
func (e *Engine) crowded() bool {
	return e.core.values != nil && e.residents() > e.cfg.ResidentBytes
}

// page leaves sleepers to the snapshot that was just written or read, until the rest
// take half of what they may.
func (e *Engine) page() {
	if !e.crowded() {
		return
	}
	var shards []*shard
	for _, t := range e.tenants {
		shards = append(shards, t.shards...)
	}
	packed := map[int32]int{} // by hour of the last window
	for _, s := range shards {
		for kind := range s.asleep {
			for _, z := range s.asleep[kind] {
				packed[z.last] += len(z.packed)
			}
		}
	}
	hours := slices.Sorted(maps.Keys(packed))
	kept, from := 0, len(hours)
	for from > 0 && kept+packed[hours[from-1]] <= e.cfg.ResidentBytes/2 {
		from--
		kept += packed[hours[from]]
	}
	if from == 0 {
		return
	}
	for _, s := range shards {
		s.leave(hours[from-1])
	}
}

// leave leaves to the store those who have slept since an hour or longer.
func (s *shard) leave(hour int32) {
	for kind := range s.asleep {
		for hash, z := range s.asleep[kind] {
			if z.last <= hour && z.traits&unsaved == 0 {
				s.resident -= len(z.packed)
				z.packed = ""
				s.asleep[kind][hash] = z
			}
		}
	}
}

// fetch reads the baselines of entities that were left to the store.
func (s *shard) fetch(list []*entity) error {
	if len(list) == 0 {
		return nil
	}
	type wanted struct {
		key []byte
		*entity
	}
	var all []wanted
	for _, e := range list {
		all = append(all, wanted{[]byte(baselineKey(s.name, e.Kind, e.hash)), e})
	}
	slices.SortFunc(all, func(a, b wanted) int { return bytes.Compare(a.key, b.key) })
	keys := make([][]byte, len(all))
	for i := range all {
		keys[i] = all[i].key
	}
	values, err := s.values.Values(context.Background(), keys)
	if err != nil {
		return fmt.Errorf("read %d entities that were left to the store: %w", len(keys), err)
	}
	for i, w := range all {
		id, usual, ok := unpackEntity(values[i])
		if !ok {
			return corrupt(storage.Record{Key: keys[i]})
		}
		w.ID, w.usual = id, usual
		s.own(w.entity)
	}
	return nil
}

// unpackEntity returns an entity's id and baseline. It is an error if b is none.
func unpackEntity(b []byte) (id string, usual baseline.Usual, ok bool) {
	id, packed, ok := cutPart(b)
	if !ok {
		return "", usual, false
	}
	usual, err := baseline.Unpack(packed)
	return id, usual, err == nil
}

// wakeAll wakes entities of a kind, in order of their hashes.
func (s *shard) wakeAll(kind tokenwatch.EntityKind, hashes []uint64) ([]*entity, error) {
	var list, left []*entity
	slices.Sort(hashes)
	for _, hash := range hashes {
		e, here := s.rouse(kind, hash)
		if e == nil {
			continue
		}
		list = append(list, e)
		if !here {
			left = append(left, e)
		}
	}
	return list, s.fetch(left)
}
