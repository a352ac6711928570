// Package inventory knows every token of a tenant that was seen or mentioned:
// its names, how it belongs together with others, its use and its life.
//
// Batches, imports and links come in, in the order of the log; records of tokens
// go out, as of the last of them. What is known is a function of what came in:
// of the sets of events, names and facts rather than of their order, so that it
// does not change with the size of batches, nor with the order within lateness.
// The work per batch is one update for each of its distinct tokens.
//
// Tokens that go by one alias are one (see same); the secrets that a lineage
// covers in turn, or that were rotated into each other, are a unit: they keep
// their own use and end, and share what is said of the token as a whole.
package inventory

import (
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// Inventory is one tenant's. One goroutine changes it; any number may read.
type Inventory struct {
	// Holes lists when a source showed nothing although things may have happened, as
	// far as is known at a time in UTC nanoseconds. Set before anything else is done;
	// nil: nothing is known of it. It may be called from many goroutines.
	Holes func(source string, now int64) []tokenwatch.Window
	// Limit is how many ids of tokens that were merely seen are taken in, 0 any number.
	// From half of it on only those are that were taken for valid at least once in a
	// batch: guessed credentials shall not keep others out. What is said of a token is
	// kept whether it is listed or not.
	Limit int

	mu       sync.RWMutex
	tenant   string
	records  []*record
	byID     map[uint64]int32             // by hash of the id, see place
	twins    map[tokenwatch.TokenID]int32 // whose hash is that of another id
	slab     []record                     // of which records are made
	byName   map[uint64]int32             // hash of kind, issuer and value: the token that got the name last
	issuers  map[string]struct{}
	lineages map[string]*Unit
	owners   map[string]*owner
	words    words
	imported [32]byte // digest of the last inventory
	parts    int      // of it that were taken in
	held     []heldFact

	// See ones.
	told    map[nameOf]told
	links   []linked // in the order of the log
	linksBy map[int32][]int32
	kin     map[int32]*kin
	related []*kin // to be decided
	met     []*kin // since Namesakes was called

	// admitted are the tokens of the batch at hand that are not known and may be; nil:
	// all.
	admitted map[tokenwatch.TokenID]struct{}

	dirty  []*record // differ from what was stored
	kept   int       // of held, that was stored
	accs   []acc     // by code of the batch at hand
	sorted []int32   // records in order of id, but for those that came since; see order

}

// record is what is known of one token id. There may be a million of them.
type record struct {
	text   string // the id, and behind it the names, see names
	unit   *Unit  // nil: alone, and nothing was said of it
	more   *more  // nil: nothing
	first  sighting
	last   sighting
	events int64
	same   int32  // the record whose token this is; itself as a rule
	at     int32  // own place
	kind   uint32 // of the first sighting, see words
	issuer uint32
	length uint32 // of the id
	named  uint8  // names
	dirty  bool
}

// id is that of the token.
func (r *record) id() tokenwatch.TokenID { return tokenwatch.TokenID(r.text[:r.length]) }

// more is what few tokens have.
type more struct {
	scopes   []uint32
	coverage []coverage // of more than one source, see coverage
}

func (r *record) extend() *more {
	if r.more == nil {
		r.more = new(more)
	}
	return r.more
}

type name struct {
	tokenwatch.Alias
	issuer string
}

// sighting is one use. A record without events has none.
type sighting struct {
	ns     int64
	addr   [16]byte
	action uint32
	source uint32
	row    uint32
	offset tokenwatch.Offset
}

type coverage struct {
	source      uint32
	first, last int64
	events      int64
}

// owner is what is known of a person, and whose tokens they had at some time.
type owner struct {
	left  []*heldFact
	units map[*Unit]struct{}
}

// New returns the empty inventory of a tenant.
func New(tenant string) *Inventory {
	return &Inventory{
		tenant: tenant,
		byID:   map[uint64]int32{}, twins: map[tokenwatch.TokenID]int32{}, byName: map[uint64]int32{}, issuers: map[string]struct{}{"": {}},
		lineages: map[string]*Unit{}, owners: map[string]*owner{}, words: newWords(),
		told: map[nameOf]told{}, linksBy: map[int32][]int32{}, kin: map[int32]*kin{},
	}
}

// Len is how many ids of tokens are known.
func (v *Inventory) Len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.records)
}

// record returns the record of an id, made if need be.
func (v *Inventory) record(id tokenwatch.TokenID) *record {
	at, ok := v.place(id)
	if ok {
		return v.records[at]
	}
	at = int32(len(v.records))
	if len(v.slab) == cap(v.slab) {
		v.slab = make([]record, 0, slabSize)
	}
	v.slab = append(v.slab, record{text: clone(string(id)), length: uint32(len(id)), same: at, at: at})
	r := &v.slab[len(v.slab)-1]
	v.records = append(v.records, r)
	if hash := xxh3.HashString(string(id)); v.taken(hash) {
		v.twins[r.id()] = at
	} else {
		v.byID[hash] = at
	}
	return r
}

// slabSize is how many records are made at once.
const slabSize = 64

func (v *Inventory) taken(hash uint64) bool {
	_, ok := v.byID[hash]
	return ok
}

// place finds the record of an id.
func (v *Inventory) place(id tokenwatch.TokenID) (at int32, ok bool) {
	if at, ok = v.byID[xxh3.HashString(string(id))]; !ok || v.records[at].id() == id {
		return at, ok
	}
	at, ok = v.twins[id]
	return at, ok
}

func (v *Inventory) touch(r *record) {
	if !r.dirty {
		r.dirty = true
		v.dirty = append(v.dirty, r)
	}
}

func nameHash(kind tokenwatch.NameKind, issuer, value string) uint64 {
	return xxh3.HashStringSeed(value, xxh3.HashStringSeed(issuer, xxh3.HashString(string(kind))))
}

// words gives texts of few distinct values a number; 0 is none, and overflowWord all
// that there is no room for.
type words struct {
	list  []string
	by    map[string]uint32
	bytes int
}

const (
	overflowWord = 1
	maxWords     = 1 << 17
	maxWordBytes = 16 << 20
)

func newWords() words {
	return words{list: []string{"", "(overflow)"}, by: map[string]uint32{"": 0, "(overflow)": overflowWord}}
}

func (w *words) code(s string) uint32 {
	c, ok := w.by[s]
	if !ok {
		if len(w.list) >= maxWords || w.bytes+len(s) > maxWordBytes {
			return overflowWord
		}
		c = uint32(len(w.list))
		s = clone(s)
		w.list = append(w.list, s)
		w.by[s] = c
		w.bytes += len(s)
	}
	return c
}
