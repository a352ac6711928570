package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/finding"
	"github.com/tokenwatch/tokenwatch/storage"
)

// The engine's records, by first byte of their key; the rest of a key are parts
// as appendPart writes them. Together they are the snapshot: the state as of the
// offset in recSnapshot. Nothing is keyed by shard, so that the number of shards
// may change between two starts.
const (
	recLife     = 'l' // tenant, lineage or token → lifeRecord
	recTenant   = 't' // tenant → tenantRecord
	recCauses   = 'c' // tenant → causesRecord
	recBaseline = 'b' // tenant, kind, hash of the entity → its id and packed baseline, see sleeper
	recIncident = 'i' // tenant, kind, entity, day → finding.Incident
	recWindow   = 'w' // tenant, kind, entity, hour → window.Window
	recGuard    = 'j' // tenant, kind … → see guard
	recNoted    = 'q' // name → digest of a control record that was taken in, see Noted; not part of the state
	recPolicies = 'p' // → body of the last control record of policies
	recSnapshot = 's' // → snapshotRecord
	recNamesake = 'k' // tenant, token → namesakeRecord
	recWatch    = 'y' // tenant → watchRecord
	recHealth   = 'h' // tenant → healthRecord
	recVerdicts = 'v' // tenant → verdictsRecord
)

// stateLayout is how the records of a snapshot are laid out. It goes up with every
// change that makes older ones mean something else; those are then left aside, and the
// log is read again from its beginning: nothing is in a snapshot that is not made of the
// log. Incidents that can be read are kept, since their revisions are numbered.
const stateLayout = 6

// snapshotRecord says where the log goes on, and how the snapshot is laid out.
type snapshotRecord struct {
	_      struct{} `cbor:",toarray"`
	Offset uint64
	Layout int
}

// tenantRecord is what is stored of a tenant as a whole.
type tenantRecord struct {
	_        struct{} `cbor:",toarray"`
	Greatest int64    // event time, see storage.Watermark
	Settled  int32
	Epoch    *baseline.Epoch
	Heirs    []heir
	Overflow []overflow // of hours that have not settled
}

// causesRecord is what is stored of the causes over many entities.
type causesRecord struct {
	_      struct{} `cbor:",toarray"`
	Causes *baseline.Causes
	Groups map[baseline.Change]known
	Open   map[baseline.Change]known // of hours that have not settled
}

var (
	encoding = func() cbor.EncMode {
		m, err := cbor.EncOptions{Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339Nano}.EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	decoding = func() cbor.DecMode {
		m, err := cbor.DecOptions{MaxArrayElements: 1 << 24, MaxMapPairs: 1 << 24}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// appendPart adds a text to a key so that no text is the beginning of another.
func appendPart(key []byte, part string) []byte {
	key = binary.AppendUvarint(key, uint64(len(part)))
	return append(key, part...)
}

func cutPart(key []byte) (part string, rest []byte, ok bool) {
	n, size := binary.Uvarint(key)
	if size <= 0 || n > uint64(len(key)-size) {
		return "", nil, false
	}
	key = key[size:]
	return string(key[:n]), key[n:], true
}

func entityKey(record byte, tenant string, e tokenwatch.Entity) []byte {
	key := appendPart([]byte{record}, tenant)
	return appendPart(append(key, byte(e.Kind)), e.ID)
}

func baselineKey(tenant string, kind tokenwatch.EntityKind, hash uint64) string {
	key := append(appendPart([]byte{recBaseline}, tenant), byte(kind))
	return string(binary.BigEndian.AppendUint64(key, hash))
}

func incidentKey(tenant string, e tokenwatch.Entity, day int32) string {
	return string(binary.BigEndian.AppendUint32(entityKey(recIncident, tenant, e), uint32(day)))
}

func windowKey(tenant string, e tokenwatch.Entity, hour int32) string {
	return string(binary.BigEndian.AppendUint32(entityKey(recWindow, tenant, e), uint32(hour)))
}

// commit writes a Step: how far the log was read and what was found on the way;
// and, if enough rows have passed, all that changed since the last snapshot.
func (e *Engine) commit(ctx context.Context) error {
	if e.cursor <= e.told || e.entries == 0 && e.rows < e.cfg.SnapshotRows {
		return nil
	}
	step := storage.Step{Cursor: e.cursor, Records: e.stale}
	for _, t := range e.sortedTenants() {
		for _, s := range t.shards {
			step.Findings = append(step.Findings, s.out...)
			step.Records = s.tellings(step.Records)
			s.out = s.out[:0]
		}
		step.Findings = append(append(append(step.Findings, t.guard.out...), t.watch.out...), t.health.out...)
		t.guard.out, t.watch.out, t.health.out = t.guard.out[:0], t.watch.out[:0], t.health.out[:0]
	}
	snapshot := e.rows >= e.cfg.SnapshotRows || e.crowded()
	if snapshot {
		e.taking.Lock()
		step.Records = append(step.Records, e.snapshot()...)
		e.taking.Unlock()
		e.rows = 0
	}
	for _, name := range slices.Sorted(maps.Keys(e.noted)) {
		sum := e.noted[name]
		step.Records = append(step.Records, storage.Record{Key: append([]byte{recNoted}, name...), Value: sum[:]})
	}
	clear(e.noted)
	slices.SortStableFunc(step.Findings, func(a, b tokenwatch.Finding) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Revision, b.Revision))
	})
	for i := range step.Findings {
		f := &step.Findings[i]
		f.Aliases = e.tenants[f.Tenant].guard.inv.Names(f.Token)
	}
	findings, err := e.state.Commit(ctx, step)
	if err != nil {
		return fmt.Errorf("commit the engine's step to offset %d: %w", step.Cursor, err)
	}
	if snapshot {
		e.taking.Lock()
		e.page()
		e.taking.Unlock()
	}
	e.entries, e.stale = 0, nil
	e.cfg.Committed(step.Cursor, findings)
	return nil
}

// Noted returns the digests of the policies and tables that were taken in last, by
// their names within the tenant: what is in the log already need not be put there
// again. A record that was taken in a moment before the end may be missing.
func Noted(ctx context.Context, state storage.State) (map[string][32]byte, error) {
	noted := map[string][32]byte{}
	for r, err := range state.Records(ctx, []byte{recNoted}) {
		if err != nil {
			return nil, fmt.Errorf("read what was noted: %w", err)
		}
		if len(r.Value) == 32 {
			noted[string(r.Key[1:])] = [32]byte(r.Value)
		}
	}
	return noted, nil
}

// NotedPolicies is the name of the policies there; a table has that of its tenant
// before its own.
const NotedPolicies = "policies"

func (e *Engine) sortedTenants() []*tenant {
	var ts []*tenant
	for _, t := range e.tenants {
		ts = append(ts, t)
	}
	slices.SortFunc(ts, func(a, b *tenant) int { return cmp.Compare(a.name, b.name) })
	return ts
}

// snapshot returns the records that bring the last snapshot up to now.
func (e *Engine) snapshot() []storage.Record {
	records := []storage.Record{
		{Key: []byte{recSnapshot}, Value: encode(snapshotRecord{Offset: uint64(e.cursor), Layout: stateLayout})},
		{Key: []byte{recPolicies}, Value: encode(e.packs)},
	}
	for _, t := range e.sortedTenants() {
		t.records(&records)
		for _, s := range t.shards {
			s.records(&records)
		}
	}
	return records
}

func (t *tenant) records(out *[]storage.Record) {
	if t.dirty {
		key := appendPart([]byte{recTenant}, t.name)
		*out = append(*out, storage.Record{Key: key, Value: encode(tenantRecord{
			Greatest: t.watermark.Greatest(), Settled: t.settled, Epoch: t.epoch, Heirs: t.lives.heirs, Overflow: t.sortedOverflow(),
		})})
		*out = append(*out, storage.Record{Key: appendPart([]byte{recCauses}, t.name), Value: encode(causesRecord{Causes: t.causes, Groups: t.groupOf, Open: t.openGroups})})
		t.dirty = false
	}
	t.guard.records(out)
	t.nameRecords(out)
	t.watch.records(out)
	t.health.records(out)
	t.verdictRecords(out)
	var lifes []storage.Record
	for l := range t.lives.changed {
		lifes = append(lifes, storage.Record{Key: l.key(t.name), Value: encode(lifeRecord{Lineage: l.lineage, Tokens: l.tokens, Life: l.Life})})
	}
	slices.SortFunc(lifes, func(a, b storage.Record) int { return bytes.Compare(a.Key, b.Key) })
	*out = append(*out, lifes...)
	clear(t.lives.changed)
}

func (t *tenant) sortedOverflow() []overflow {
	var out []overflow
	for _, hour := range slices.Sorted(maps.Keys(t.overflows)) {
		out = append(out, *t.overflows[hour])
	}
	return out
}

// tellings adds the incidents that a Step tells of. They go with the Step rather than
// with the next snapshot: after a restart the same rows may be judged in other groups,
// and whatever was told of must be known to have been, to be taken back if need be.
func (s *shard) tellings(out []storage.Record) []storage.Record {
	for _, t := range s.told {
		out = append(out, storage.Record{Key: []byte(incidentKey(s.name, t.Entity, t.Day)), Value: encodeIncident(t.Incident)})
	}
	clear(s.told)
	s.told = s.told[:0]
	return out
}

// encodeIncident is an incident and, behind it, its band.
func encodeIncident(in *finding.Incident) []byte { return append(encode(in), encode(&in.Band)...) }

func (s *shard) records(out *[]storage.Record) {
	for _, key := range s.dropped {
		*out = append(*out, storage.Record{Key: []byte(key)})
	}
	s.dropped = s.dropped[:0]
	for kind := range s.entities {
		kind := tokenwatch.EntityKind(kind)
		for hash, z := range s.asleep[kind] {
			if z.traits&unsaved == 0 {
				continue
			}
			z.traits &^= unsaved
			s.asleep[kind][hash] = z
			*out = append(*out, storage.Record{Key: []byte(baselineKey(s.name, kind, hash)), Value: []byte(z.packed)})
		}
		for hash, e := range s.entities[kind] {
			if e.changed {
				r := storage.Record{Key: []byte(baselineKey(s.name, kind, hash))}
				if e.usual.Last != 0 { // or else it begins anew
					r.Value = bytes.Clone(s.pack(e))
				}
				*out = append(*out, r)
			}
			s.incidents(e, out)
		}
	}
	if s.index == 0 {
		for _, e := range s.groups {
			s.incidents(e, out)
		}
	}
	for _, hour := range slices.Sorted(maps.Keys(s.open)) {
		for _, e := range s.open[hour] {
			if e.raw != nil {
				continue // made of those of its names
			}
			at, _ := e.find(hour)
			e.windows[at].Stored = true
			*out = append(*out, storage.Record{Key: []byte(windowKey(s.name, e.Entity, hour)), Value: encode(e.windows[at])})
		}
	}
}

// incidents puts those of an entity that has changed.
func (s *shard) incidents(e *entity, out *[]storage.Record) {
	if !e.changed {
		return
	}
	e.changed = false
	for _, in := range e.incidents {
		*out = append(*out, storage.Record{Key: []byte(incidentKey(s.name, e.Entity, in.Day)), Value: encodeIncident(in)})
	}
}

func (t *tenant) shardOf(hash uint64) *shard { return t.shards[hash%uint64(len(t.shards))] }

func encode(v any) []byte {
	b, err := encoding.Marshal(v)
	if err != nil {
		panic("engine: encode state: " + err.Error()) // no state type of ours can fail
	}
	return b
}

func decode(r storage.Record, v any) error {
	if err := decoding.Unmarshal(r.Value, v); err != nil {
		return corrupt(r)
	}
	return nil
}

// corrupt says which record cannot be read, without its content.
func corrupt(r storage.Record) error {
	return &storage.Corruption{What: "engine state", Err: fmt.Errorf("record of kind %q", strings.ToValidUTF8(string(bytes.Clone(r.Key[:1])), "?"))}
}
