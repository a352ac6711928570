package feature

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// NoHour marks a row that lies outside the detection windows.
const NoHour = -1

// Column is a number per row for a value, through a code: the number is worked out
// once for each value of the batch. Code 0 is no value, and its number 0.
type Column struct {
	Codes  []uint32 // nil: no row has a value
	Hashes []uint64
}

// Event is what the shards read of a row, in one piece: they come for the rows of one
// entity after the other, here and there in a batch, and every column that they had to
// look into would be another fetch from memory. A 0 is no value.
type Event struct {
	Axes    [NumAxes]uint64
	Millis  int64  // event time, UTC milliseconds since 1970
	Bytes   int64  // of the answer
	Object  uint64 // what the action was done to: hash of the resource, or of a path with an id in it
	Number  int64  // that id where it is a number, -1 if it is none
	Token   uint64 // hash
	Kind    uint64 // of network: hash of src_cloud
	tie     uint32
	Hour    int32 // since 1970; NoHour: late, future, duplicate, or before 1970
	Lead    tokenwatch.EntityKind
	Fault   Fault
	Passing bool // the token lives for hours only
	Session bool // the actor is a session of a role
}

// Rows is a batch as the engine's shards read it.
type Rows struct {
	Batch  *tokenwatch.Batch
	Offset tokenwatch.Offset
	Events []Event // one for each row
	Tokens Column  // hash of token
	Actors Column  // hash of actor
	Blocks []Block // of addresses from which credentials came that were not taken

	axes      [NumAxes]Column
	kinds     Column
	resources Column
	origins   origins
	passing   []bool // by code of token_kind
	session   []bool // by code of actor_kind
	variable  []bool // by code of route: it has an id in it
	outcomes  []Fault
	ties      [len(tieColumns)][]uint64 // by code
	placed    []uint64                  // by code of origins, digest of the address

	byToken, byActor, byOrigin vec.Groups

	hash vec.Hash
	seed [2]uint64 // for what nobody can choose
}

// NoLead marks a row that is about no entity.
const NoLead = tokenwatch.NumEntityKinds

const hourMillis = 3600 * 1000

// Extract computes the features of the batch at offset.
func Extract(b *tokenwatch.Batch, offset tokenwatch.Offset, hash vec.Hash) *Rows {
	r := new(Rows)
	r.Read(b, offset, hash)
	return r
}

// Read computes the features of the batch at offset, in the memory of those that r
// held before.
func (r *Rows) Read(b *tokenwatch.Batch, offset tokenwatch.Offset, hash vec.Hash) {
	r.Batch, r.Offset, r.hash, r.seed = b, offset, hash, [2]uint64{hash.Uint64(0), hash.Uint64(1)}
	r.origins.read(b, hash)
	r.axes[Network] = Column{r.origins.codes, r.origins.networks}
	r.axes[Address] = Column{r.origins.codes, r.origins.addresses}
	r.hashes(&r.axes[Country], tokenwatch.ColSrcCountry)
	r.hashes(&r.axes[AgentFamily], tokenwatch.ColAgentFamily)
	r.hashes(&r.axes[Agent], tokenwatch.ColUserAgent)
	r.hashes(&r.axes[ActionClass], tokenwatch.ColActionClass)
	r.hashesOf(&r.axes[Action], action{col: tokenwatch.ColAction, of: whole}, action{col: tokenwatch.ColRoute, of: whole})
	r.hashesOf(&r.axes[Area], action{tokenwatch.ColScope, whole, set}, action{tokenwatch.ColAction, areaOf, unset}, action{tokenwatch.ColRoute, areaOf, unset})
	r.hashes(&r.kinds, tokenwatch.ColSrcCloud)
	r.hashes(&r.Tokens, tokenwatch.ColToken)
	r.hashes(&r.Actors, tokenwatch.ColActor)
	r.hashes(&r.resources, tokenwatch.ColResource)
	r.passing = kinds(r.passing, b, tokenwatch.ColTokenKind, tokenwatch.PassingToken)
	r.session = kinds(r.session, b, tokenwatch.ColActorKind, func(kind string) bool { return kind == "role_session" })
	r.variable = kinds(r.variable, b, tokenwatch.ColRoute, func(route string) bool { return strings.IndexByte(route, '{') >= 0 })
	r.gather()
	r.blocks()
	r.byToken.Group(r.Tokens.Codes, len(r.Tokens.Hashes))
	r.byActor.Group(r.Actors.Codes, len(r.Actors.Hashes))
	r.byOrigin.Group(r.origins.codes, len(r.origins.keys))
}

// Release lets go of the batch, and keeps the memory for the next Read.
func (r *Rows) Release() {
	r.Batch = nil
	for _, c := range [...]*Column{&r.axes[Country], &r.axes[AgentFamily], &r.axes[Agent], &r.axes[Action], &r.axes[ActionClass], &r.axes[Area], &r.kinds, &r.Tokens, &r.Actors, &r.resources} {
		c.Codes = nil
	}
}

// ByToken, ByActor and ByAddress list the rows of each token, actor and address,
// by its code; of those of code 0 nothing is known. An address may have several.
func (r *Rows) ByToken() *vec.Groups   { return &r.byToken }
func (r *Rows) ByActor() *vec.Groups   { return &r.byActor }
func (r *Rows) ByAddress() *vec.Groups { return &r.byOrigin }

// Addr returns the address of a code of ByAddress and its hash, which is 0 if it has
// none.
func (r *Rows) Addr(code int) (addr [16]byte, hash uint64) {
	return r.origins.keys[code].addr, r.origins.addresses[code]
}

// zeros returns a slice of n zeros, in the memory of another one if there is enough.
func zeros[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// kinds tells for each code of a text column whether its value is of a kind; nil if
// none is.
func kinds(s []bool, b *tokenwatch.Batch, c tokenwatch.Col, is func(string) bool) []bool {
	dict := &b.Column(c).Dict
	s = zeros(s, dict.Len())
	for i := 1; i < len(s); i++ {
		s[i] = is(dict.At(i))
	}
	return s
}

// hashes gives each row the hash of its value in a text column.
func (r *Rows) hashes(out *Column, c tokenwatch.Col) {
	v := r.Batch.Column(c)
	out.Codes, out.Hashes = v.Codes, r.hashDict(out.Hashes[:0], v, action{of: whole})
}

func (r *Rows) hashDict(out []uint64, v *tokenwatch.Vector, a action) []uint64 {
	for i := range v.Dict.Len() {
		h := uint64(0)
		if s := a.of(v.Dict.At(i)); i > 0 && s != "" {
			h = r.hash.String(s)
			switch a.told {
			case set:
				h |= toldScope
			case unset:
				h &^= toldScope
			}
		}
		out = append(out, h)
	}
	return out
}

// action is a column, and what of its values counts.
type action struct {
	col  tokenwatch.Col
	of   func(string) string
	told mark
}

// mark is what becomes of toldScope in a hash.
type mark uint8

const (
	_ mark = iota // nothing
	set
	unset
)

// toldScope is the bit of the hash of an area that says that it is a scope, told by the
// record or the table of routes, and not the head of a name or path. It is the lowest:
// what is kept of a hash for long is its upper half.
const toldScope = 1

// IsScope tells whether a value of the axis Area is a scope, by its hash.
func IsScope(hash uint64) bool { return hash&toldScope != 0 }

func whole(s string) string { return s }

// hashesOf gives each row the hash of what counts in the first column that has
// something that does. As a rule that is the first one in every row, and the codes
// are its own.
func (r *Rows) hashesOf(out *Column, from ...action) {
	own := out.Hashes
	for len(from) > 1 && r.Batch.Column(from[0].col).Codes == nil {
		from = from[1:]
	}
	v := r.Batch.Column(from[0].col)
	out.Codes, out.Hashes = v.Codes, r.hashDict(own[:0], v, from[0])
	for _, next := range from[1:] {
		w := r.Batch.Column(next.col)
		if w.Codes == nil || out.full() {
			continue
		}
		base := uint32(len(out.Hashes))
		hashes := r.hashDict(out.Hashes, w, next)
		codes := make([]uint32, len(out.Codes))
		for i, c := range out.Codes {
			if codes[i] = c; out.Hashes[c] == 0 {
				codes[i] = base + w.Codes[i]
			}
		}
		out.Codes, out.Hashes = codes, hashes
	}
}

// full tells whether every row has a value.
func (c *Column) full() bool {
	for _, code := range c.Codes {
		if c.Hashes[code] == 0 {
			return false
		}
	}
	return true
}
