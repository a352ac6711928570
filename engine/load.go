package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/engine/window"
	"github.com/tokenwatch/tokenwatch/storage"
)

// load brings back the snapshot. What came after it is read from the log again.
func (e *Engine) load(ctx context.Context) error {
	e.taking.Lock()
	defer e.taking.Unlock()
	if e.loaded {
		return nil
	}
	told, err := e.state.Cursor(ctx)
	if err != nil {
		return fmt.Errorf("load the engine's state: %w", err)
	}
	var snapshot snapshotRecord
	current, err := e.readSnapshot(ctx, &snapshot)
	if err != nil {
		return fmt.Errorf("load the engine's state: %w", err)
	}
	n := 0
	for r, err := range e.state.Records(ctx, nil) {
		if n++; n%4096 == 0 {
			e.page()
		}
		switch {
		case err != nil:
		case !current && r.Key[0] != recNoted && (r.Key[0] != recIncident || e.loadRecord(r) != nil):
			e.stale = append(e.stale, storage.Record{Key: bytes.Clone(r.Key)})
		default:
			err = e.loadRecord(r)
		}
		if err != nil {
			return fmt.Errorf("load the engine's state: %w", err)
		}
	}
	for _, t := range e.tenants {
		if err := t.relate(); err != nil {
			return err
		}
		t.remember()
	}
	e.page()
	e.cursor, e.told, e.loaded = tokenwatch.Offset(snapshot.Offset), told, true
	return e.usePolicies(e.packs)
}

// readSnapshot reads where the log goes on, and tells whether the records are laid out
// as they are now.
func (e *Engine) readSnapshot(ctx context.Context, snapshot *snapshotRecord) (current bool, err error) {
	for r, err := range e.state.Records(ctx, []byte{recSnapshot}) {
		if err != nil {
			return false, err
		}
		var s snapshotRecord
		if decode(r, &s) != nil || s.Layout != stateLayout {
			return false, nil
		}
		*snapshot = s
	}
	return true, nil
}

func (e *Engine) loadRecord(r storage.Record) error {
	record, rest := r.Key[0], r.Key[1:]
	switch record {
	case recPolicies:
		return decode(r, &e.packs)
	case recNoted, recSnapshot:
		return nil
	}
	name, rest, ok := cutPart(rest)
	if !ok {
		return corrupt(r)
	}
	t := e.tenant(name)
	switch record {
	case recTenant:
		return t.loadTenant(r)
	case recCauses:
		return decode(r, &causesRecord{Causes: t.causes, Groups: t.groupOf, Open: t.openGroups})
	case recLife:
		var l lifeRecord
		if err := decode(r, &l); err != nil {
			return err
		}
		if l.Lineage == "" && len(l.Tokens) == 0 {
			return corrupt(r)
		}
		t.tie(t.lives.load(&l))
		return nil
	case recWatch:
		return t.watch.load(r)
	case recHealth:
		return t.health.load(r)
	case recNamesake:
		return t.loadNamesake(rest, r)
	case recVerdicts:
		return t.loadVerdicts(r)
	case recGuard:
		return t.guard.load(rest, r)
	case recBaseline:
		return t.loadBaseline(rest, r)
	case recIncident, recWindow:
		return t.loadEntity(record, rest, r)
	default:
		return corrupt(r)
	}
}

func (t *tenant) loadTenant(r storage.Record) error {
	stored := tenantRecord{Epoch: t.epoch}
	if err := decode(r, &stored); err != nil {
		return err
	}
	t.watermark = storage.WatermarkAt(t.lateness, stored.Greatest)
	t.settled, t.epoch = stored.Settled, stored.Epoch
	t.guard.now.Store(stored.Greatest)
	t.epoch.Ready()
	t.lives.heirs = stored.Heirs
	for i := range stored.Overflow {
		t.overflows[stored.Overflow[i].Hour] = &stored.Overflow[i]
	}
	return nil
}

// loadBaseline takes back an entity, asleep.
func (t *tenant) loadBaseline(key []byte, r storage.Record) error {
	if len(key) != 9 || key[0] >= byte(tokenwatch.NumEntityKinds) {
		return corrupt(r)
	}
	_, usual, ok := unpackEntity(r.Value)
	if !ok {
		return corrupt(r)
	}
	hash := binary.BigEndian.Uint64(key[1:])
	s := t.shardOf(hash)
	s.asleep[key[0]][hash] = sleeper{packed: string(r.Value), last: usual.Last, traits: traitsOf(&usual)}
	s.resident += len(r.Value)
	return nil
}

func (t *tenant) loadEntity(record byte, key []byte, r storage.Record) error {
	if len(key) == 0 || key[0] > byte(tokenwatch.EntityGroup) {
		return corrupt(r)
	}
	kind := tokenwatch.EntityKind(key[0])
	id, _, ok := cutPart(key[1:])
	if !ok || kind == tokenwatch.EntityGroup && record != recIncident {
		return corrupt(r)
	}
	s, e, err := t.lookUp(kind, id)
	if err != nil {
		return corrupt(r)
	}
	switch record {
	case recIncident:
		in := new(finding.Incident)
		band, err := decoding.UnmarshalFirst(r.Value, in)
		if err == nil && len(band) > 0 { // older programs wrote none
			err = decoding.Unmarshal(band, &in.Band)
		}
		if err != nil {
			return corrupt(r)
		}
		e.incidents = append(e.incidents, in)
		s.incidental[e] = struct{}{}
		if kind == tokenwatch.EntityAddress && slices.ContainsFunc(in.Hours, func(h finding.Hour) bool { return sprays(&h) }) {
			t.noteSprayer(e)
		}
	case recWindow:
		w := new(window.Window)
		if err := decode(r, w); err != nil {
			return err
		}
		w.Stored = true
		s.addWindow(e, w)
	}
	return nil
}

// lookUp finds the shard of an entity and the entity in it, made if need be.
func (t *tenant) lookUp(kind tokenwatch.EntityKind, id string) (*shard, *entity, error) {
	if kind == tokenwatch.EntityGroup {
		return t.shards[0], t.groupNamed(id), nil
	}
	if kind == tokenwatch.EntityAddress {
		hash := t.hash.String(id) // of a block of addresses
		if !strings.Contains(id, "/") {
			a, err := netip.ParseAddr(id)
			if err != nil {
				return nil, nil, err
			}
			hash = feature.AddrHash(t.hash, a.As16())
		}
		s := t.shardOf(hash)
		e, err := s.entity(kind, hash, id)
		return s, e, err
	}
	hash := t.hash.String(id)
	s := t.shardOf(hash)
	e, err := s.entity(kind, hash, id)
	return s, e, err
}
