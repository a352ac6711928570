package feature

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/zeebo/xxh3"
)

// NoHour marks a row that lies outside the detection windows.
const NoHour = -1

// Column is a number per row for a value, through a code: the number is worked out
// once for each value of the batch. Code 0 is no value, and its number 0.
type Column struct {
	Codes  []uint32 // nil: no row has a value
	Hashes []uint64
}

// At returns the number of row i.
func (c *Column) At(i int) uint64 {
	if c.Codes == nil {
		return 0
	}
	return c.Hashes[c.Codes[i]]
}

// Rows is a batch as the engine's shards read it. Slices have one element per row; a
// 0 on an axis means that the row has no value there.
type Rows struct {
	Batch   *tokenwatch.Batch
	Offset  tokenwatch.Offset
	Hours   []int32 // hours since 1970; NoHour: late, future, duplicate, or before 1970
	Millis  []int64 // event time, UTC milliseconds since 1970
	Axes    [NumAxes]Column
	Kinds   Column // of network: hash of src_cloud
	Tokens  Column // hash of token
	Actors  Column // hash of actor
	Lead    []tokenwatch.EntityKind
	Faults  []Fault
	Bytes   []int64 // of the answer
	Blocks  []Block // of addresses from which credentials came that were not taken
	origins origins
	passing []bool // by code of token_kind
	session []bool // by code of actor_kind

	resources Column
	variable  []bool // by code of route: it has an id in it
	outcomes  []Fault

	byToken, byActor, byOrigin vec.Groups

	ties []uint32                  // by row, 0 while nobody asked; shards ask at the same time
	tied [len(tieColumns)][]uint64 // the same of what is tied, by code
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
	r.times()
	r.origins.read(b, hash)
	r.Axes[Network] = Column{r.origins.codes, r.origins.networks}
	r.Axes[Address] = Column{r.origins.codes, r.origins.addresses}
	r.hashes(&r.Axes[Country], tokenwatch.ColSrcCountry)
	r.hashes(&r.Axes[AgentFamily], tokenwatch.ColAgentFamily)
	r.hashes(&r.Axes[Agent], tokenwatch.ColUserAgent)
	r.hashes(&r.Axes[ActionClass], tokenwatch.ColActionClass)
	r.hashesOf(&r.Axes[Action], action{tokenwatch.ColAction, whole}, action{tokenwatch.ColRoute, whole})
	r.hashesOf(&r.Axes[Area], action{tokenwatch.ColScope, whole}, action{tokenwatch.ColAction, areaOf}, action{tokenwatch.ColRoute, areaOf})
	r.hashes(&r.Kinds, tokenwatch.ColSrcCloud)
	r.hashes(&r.Tokens, tokenwatch.ColToken)
	r.hashes(&r.Actors, tokenwatch.ColActor)
	r.hashes(&r.resources, tokenwatch.ColResource)
	r.passing = kinds(r.passing, b, tokenwatch.ColTokenKind, tokenwatch.PassingToken)
	r.session = kinds(r.session, b, tokenwatch.ColActorKind, func(kind string) bool { return kind == "role_session" })
	r.variable = kinds(r.variable, b, tokenwatch.ColRoute, func(route string) bool { return strings.IndexByte(route, '{') >= 0 })
	r.leads()
	r.faults()
	r.blocks()
	r.sizes()
	r.byToken.Group(r.Tokens.Codes, len(r.Tokens.Hashes))
	r.byActor.Group(r.Actors.Codes, len(r.Actors.Hashes))
	r.byOrigin.Group(r.origins.codes, len(r.origins.keys))
	r.ties = zeros(r.ties, b.Rows())
	for k, c := range tieColumns {
		r.tied[k] = zeros(r.tied[k], b.Column(c).Dict.Len())
	}
}

// Release lets go of the batch, and keeps the memory for the next Read.
func (r *Rows) Release() {
	r.Batch = nil
	for _, c := range [...]*Column{&r.Axes[Country], &r.Axes[AgentFamily], &r.Axes[Agent], &r.Axes[Action], &r.Axes[ActionClass], &r.Axes[Area], &r.Kinds, &r.Tokens, &r.Actors, &r.resources} {
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

// is looks a row up in what kinds made.
func is(s []bool, v *tokenwatch.Vector, i int) bool { return v.Codes != nil && s[v.Codes[i]] }

// Passing tells whether row i's token lives for hours only.
func (r *Rows) Passing(i int) bool {
	return is(r.passing, r.Batch.Column(tokenwatch.ColTokenKind), i)
}

// Session tells whether row i's actor is a session of a role.
func (r *Rows) Session(i int) bool {
	return is(r.session, r.Batch.Column(tokenwatch.ColActorKind), i)
}

// hashes gives each row the hash of its value in a text column.
func (r *Rows) hashes(out *Column, c tokenwatch.Col) {
	v := r.Batch.Column(c)
	out.Codes, out.Hashes = v.Codes, r.hashDict(out.Hashes[:0], v, whole)
}

func (r *Rows) hashDict(out []uint64, v *tokenwatch.Vector, f func(string) string) []uint64 {
	for i := range v.Dict.Len() {
		h := uint64(0)
		if s := f(v.Dict.At(i)); i > 0 && s != "" {
			h = r.hash.String(s)
		}
		out = append(out, h)
	}
	return out
}

// action is a column, and what of its values counts.
type action struct {
	col tokenwatch.Col
	of  func(string) string
}

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
	out.Codes, out.Hashes = v.Codes, r.hashDict(own[:0], v, from[0].of)
	for _, next := range from[1:] {
		w := r.Batch.Column(next.col)
		if w.Codes == nil || out.full() {
			continue
		}
		base := uint32(len(out.Hashes))
		hashes := r.hashDict(out.Hashes, w, next.of)
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

// Object is what row i's action was done to: its resource, or else the path it asked
// for where that path has an id in it, and that id where it is a number. hash is 0 if
// it was nothing in particular, number −1 if there is none.
func (r *Rows) Object(i int) (hash uint64, number int64) {
	if h := r.resources.At(i); h != 0 {
		return h, -1
	}
	if !is(r.variable, r.Batch.Column(tokenwatch.ColRoute), i) {
		return 0, -1
	}
	path := r.Batch.Text(tokenwatch.ColPath, i)
	if end := strings.IndexByte(path, '?'); end >= 0 {
		path = path[:end]
	}
	return max(1, xxh3.HashStringSeed(path, r.seed[1])), numberIn(path)
}

// numberIn returns the last segment of a path that is a number, -1 if none is.
func numberIn(path string) int64 {
	for end := len(path); end > 0; {
		start := strings.LastIndexByte(path[:end], '/')
		segment := path[start+1 : end]
		if n, ok := number(segment); ok {
			return n
		}
		end = max(start, 0)
	}
	return -1
}

func number(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 15 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func (r *Rows) times() {
	n := r.Batch.Rows()
	r.Hours, r.Millis = zeros(r.Hours, n), zeros(r.Millis, n)
	times := r.Batch.Column(tokenwatch.ColTime)
	if times.Ints == nil {
		for i := range r.Hours {
			r.Hours[i] = NoHour
		}
		return
	}
	for i, t := range times.Ints {
		if !times.Valid.At(i) {
			t = 0
		}
		r.Millis[i] = t / 1e6
		r.Hours[i] = NoHour
		if t > 0 {
			r.Hours[i] = int32(r.Millis[i] / hourMillis)
		}
	}
	for _, c := range [...]tokenwatch.Col{tokenwatch.ColLate, tokenwatch.ColFuture, tokenwatch.ColDuplicate} {
		for i, outside := range r.Batch.Column(c).Bools {
			if outside {
				r.Hours[i] = NoHour
			}
		}
	}
}

// leads picks for each row the entity whose habits it belongs to, as Batch.Lead does
// for one.
func (r *Rows) leads() {
	r.Lead = zeros(r.Lead, r.Batch.Rows())
	tokens, actors := r.Tokens.Codes, r.Actors.Codes
	for i := range r.Lead {
		token := tokens != nil && tokens[i] != 0
		actor := actors != nil && actors[i] != 0
		switch {
		case token && !(actor && r.Passing(i)):
			r.Lead[i] = tokenwatch.EntityToken
		case actor:
			r.Lead[i] = tokenwatch.EntityActor
		case r.Batch.Has(tokenwatch.ColSrcIP, i):
			r.Lead[i] = tokenwatch.EntityAddress
		default:
			r.Lead[i] = NoLead
		}
	}
}

// faults tells how each row was answered.
func (r *Rows) faults() {
	r.Faults = zeros(r.Faults, r.Batch.Rows())
	outcome := r.Batch.Column(tokenwatch.ColOutcome)
	r.outcomes = r.outcomes[:0]
	for i := range outcome.Dict.Len() {
		r.outcomes = append(r.outcomes, faultOf(0, outcome.Dict.At(i)))
	}
	for i, code := range outcome.Codes {
		r.Faults[i] = r.outcomes[code]
	}
	status := r.Batch.Column(tokenwatch.ColStatus)
	for i, n := range status.Ints {
		if n > 0 && status.Valid.At(i) {
			r.Faults[i] = faultOf(n, "")
		}
	}
}

func (r *Rows) sizes() {
	r.Bytes = zeros(r.Bytes, r.Batch.Rows())
	v := r.Batch.Column(tokenwatch.ColBytesOut)
	for i, n := range v.Ints {
		if n > 0 && v.Valid.At(i) {
			r.Bytes[i] = n
		}
	}
}
