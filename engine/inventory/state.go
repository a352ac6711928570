package inventory

import (
	"encoding/binary"
	"errors"

	"github.com/fxamacker/cbor/v2"
	"github.com/tokenwatch/tokenwatch"
)

// What is stored, by the first byte of a key: tokens by id, what was said in the
// order in which it came, and which inventory was imported last.
const (
	storedImport = 'a'
	storedToken  = 'b'
	storedFact   = 'c'
)

type tokenRecord struct {
	_           struct{} `cbor:",toarray"`
	Names       []namingRecord
	Kind        string
	Issuer      string
	Events      int64
	First, Last sightingRecord
	Scopes      []string
	Coverage    []coverageRecord
}

// namingRecord is a name; of one that is told of for two reasons there are two.
type namingRecord struct {
	_                   struct{} `cbor:",toarray"`
	Kind, Value, Issuer string
	Hour                int32 // as of tokenwatch.Naming
}

type sightingRecord struct {
	_              struct{} `cbor:",toarray"`
	NS             int64
	Addr           []byte
	Action, Source string
	Offset         tokenwatch.Offset
	Row            uint32
}

type coverageRecord struct {
	_           struct{} `cbor:",toarray"`
	Source      string
	First, Last int64
	Events      int64
}

type factRecord struct {
	_        struct{} `cbor:",toarray"`
	NS       int64
	Offset   tokenwatch.Offset
	Row      int32
	Late     bool
	By       string
	Source   string
	Request  string
	Fact     *tokenwatch.Fact
	Imported *tokenwatch.InventoryToken
	Link     *tokenwatch.Link
	Hour     int32
}

type importRecord struct {
	_      struct{} `cbor:",toarray"`
	Digest [32]byte
	Parts  int
}

var encoder = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("inventory: cbor encoder: " + err.Error()) // options are constant
	}
	return m
}()

func encode(v any) []byte {
	b, err := encoder.Marshal(v)
	if err != nil {
		panic("inventory: encode state: " + err.Error()) // no state type of ours can fail
	}
	return b
}

// Changed calls put with what has changed since it was last called.
func (v *Inventory) Changed(put func(key, value []byte)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.dirty {
		r.dirty = false
		put(append([]byte{storedToken}, r.id()...), encode(v.stored(r)))
	}
	v.dirty = v.dirty[:0]
	for ; v.kept < len(v.held); v.kept++ {
		h := &v.held[v.kept]
		put(binary.BigEndian.AppendUint64([]byte{storedFact}, uint64(v.kept)), encode(factRecord{
			NS: h.ns, Offset: h.offset, Row: h.row, Late: h.late, By: h.by, Source: h.source, Request: h.request, Fact: h.fact, Imported: h.imported, Link: h.link, Hour: h.hour,
		}))
	}
	put([]byte{storedImport}, encode(importRecord{Digest: v.imported, Parts: v.parts}))
}

func (v *Inventory) stored(r *record) tokenRecord {
	out := tokenRecord{
		Kind: v.words.list[r.kind], Issuer: v.words.list[r.issuer], Events: r.events, First: v.storedSighting(&r.first), Last: v.storedSighting(&r.last),
	}
	for n := range v.names(r) {
		by := v.toldOf(r, nameHash(n.Kind, n.issuer, n.Value))
		if by.own {
			out.Names = append(out.Names, namingRecord{Kind: string(n.Kind), Value: n.Value, Issuer: n.issuer})
		}
		if by.hour != Never {
			out.Names = append(out.Names, namingRecord{Kind: string(n.Kind), Value: n.Value, Issuer: n.issuer, Hour: by.hour})
		}
	}
	for _, s := range r.scopes() {
		out.Scopes = append(out.Scopes, v.words.list[s])
	}
	for _, c := range r.coverage() {
		out.Coverage = append(out.Coverage, coverageRecord{Source: v.words.list[c.source], First: c.first, Last: c.last, Events: c.events})
	}
	return out
}

func (v *Inventory) storedSighting(s *sighting) sightingRecord {
	return sightingRecord{NS: s.ns, Addr: s.addr[:], Action: v.words.list[s.action], Source: v.words.list[s.source], Offset: s.offset, Row: s.row}
}

var errState = errors.New("record cannot be read")

// Load takes back a record that Changed has put. Records come in order of key.
func (v *Inventory) Load(key, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(key) == 0 {
		return errState
	}
	switch key[0] {
	case storedImport:
		var r importRecord
		if cbor.Unmarshal(value, &r) != nil {
			return errState
		}
		v.imported, v.parts = r.Digest, r.Parts
	case storedToken:
		var r tokenRecord
		if cbor.Unmarshal(value, &r) != nil || len(r.First.Addr) != 16 || len(r.Last.Addr) != 16 {
			return errState
		}
		v.loadToken(v.record(tokenwatch.TokenID(key[1:])), &r)
	case storedFact:
		var r factRecord
		if cbor.Unmarshal(value, &r) != nil || r.Fact == nil && r.Imported == nil && r.Link == nil {
			return errState
		}
		h := heldFact{
			ns: r.NS, offset: r.Offset, row: r.Row, late: r.Late, by: r.By, source: r.Source, request: r.Request, fact: r.Fact, imported: r.Imported, link: r.Link, hour: r.Hour,
		}
		v.held = append(v.held, h)
		v.kept = len(v.held)
		v.reattach(&h, nil)
	default:
		return errState
	}
	return nil
}

func (v *Inventory) loadToken(r *record, s *tokenRecord) {
	var names []tokenwatch.Naming
	for _, n := range s.Names {
		names = append(names, tokenwatch.Naming{Token: r.id(), Alias: tokenwatch.Alias{Kind: tokenwatch.NameKind(n.Kind), Value: n.Value}, Issuer: n.Issuer, Hour: n.Hour})
	}
	v.learn(names, 0, nil)
	r.kind, r.issuer, r.events = v.words.code(s.Kind), v.words.code(s.Issuer), s.Events
	r.first, r.last = v.loadSighting(&s.First), v.loadSighting(&s.Last)
	for _, w := range s.Scopes {
		r.extend().scopes = append(r.extend().scopes, v.words.code(w))
	}
	for _, c := range s.Coverage {
		if len(s.Coverage) > 1 {
			r.extend().coverage = append(r.extend().coverage, coverage{v.words.code(c.Source), c.First, c.Last, c.Events})
		}
	}
	for _, d := range v.dirty { // what was learned was stored
		d.dirty = false
	}
	v.dirty = v.dirty[:0]
}

func (v *Inventory) loadSighting(s *sightingRecord) sighting {
	return sighting{ns: s.NS, addr: [16]byte(s.Addr), action: v.words.code(s.Action), source: v.words.code(s.Source), row: s.Row, offset: s.Offset}
}
