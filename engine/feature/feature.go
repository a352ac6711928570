// Package feature reduces a batch to what detection looks at: for each row its
// hour, the entities it is about, and a number for its value on each axis.
//
// A batch comes in, [Rows] goes out, computed once per batch and read by every
// shard. Text becomes a number through the dictionaries, so the work per row is
// a table look-up.
package feature

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/zeebo/xxh3"
)

// Axis is one respect in which an entity can do something new.
type Axis uint8

const (
	Network     Axis = iota // where it comes from: autonomous system, or else the address's /16 (IPv6: /32)
	AgentFamily             // with what program
	Route                   // path template
	Action                  // operation
	ActionClass             // read, list, write, delete, admin, credential, export, auth
	NumAxes
)

var axisNames = [NumAxes]string{"network", "agent_family", "route", "action", "action_class"}

// String returns the axis's name.
func (a Axis) String() string { return axisNames[a] }

var axisColumns = [NumAxes]tokenwatch.Col{
	AgentFamily: tokenwatch.ColAgentFamily,
	Route:       tokenwatch.ColRoute,
	Action:      tokenwatch.ColAction,
	ActionClass: tokenwatch.ColActionClass,
}

// Of returns the value of row i of a batch on the axis, "" if it has none.
func (a Axis) Of(b *tokenwatch.Batch, i int) string {
	if a == Network {
		return NetworkOf(b, i)
	}
	return b.Text(axisColumns[a], i)
}

// NoHour marks a row that lies outside the detection windows.
const NoHour = -1

// Rows is a batch as the engine's shards read it. All slices have one element
// per row; a 0 on an axis means that the row has no value there.
type Rows struct {
	Batch  *tokenwatch.Batch
	Offset tokenwatch.Offset
	Hours  []int32 // hours since 1970; NoHour: late, future, duplicate, or before 1970
	Millis []int64 // event time, UTC milliseconds since 1970
	Axes   [NumAxes][]uint64
	Kinds  []uint64 // of network: hash of src_cloud
	Tokens []uint64 // hash of token
	Actors []uint64 // hash of actor
	Lead   []tokenwatch.EntityKind
	Failed []bool // outcome is failure or denied
	ties   []uint32
	hash   vec.Hash
}

// NoLead marks a row that is about no entity.
const NoLead = tokenwatch.NumEntityKinds

const hourMillis = 3600 * 1000

// AddrHash hashes an address, for the shards to share addresses out by.
func AddrHash(hash vec.Hash, a [16]byte) uint64 {
	return hash.Uint64(binary.BigEndian.Uint64(a[:8]) ^ hash.Uint64(binary.BigEndian.Uint64(a[8:])))
}

// Extract computes the features of the batch at offset.
func Extract(b *tokenwatch.Batch, offset tokenwatch.Offset, hash vec.Hash) *Rows {
	n := b.Rows()
	r := &Rows{
		Batch: b, Offset: offset, hash: hash,
		Hours: make([]int32, n), Millis: make([]int64, n),
		Lead: make([]tokenwatch.EntityKind, n), Failed: make([]bool, n),
	}
	r.times()
	r.leads()
	for a := range NumAxes {
		if a == Network {
			r.Axes[a] = r.networks()
		} else {
			r.Axes[a] = r.gather(axisColumns[a])
		}
	}
	r.Kinds = r.gather(tokenwatch.ColSrcCloud)
	r.Tokens = r.gather(tokenwatch.ColToken)
	r.Actors = r.gather(tokenwatch.ColActor)
	r.ties = r.tie()
	for i := range n {
		switch b.Text(tokenwatch.ColOutcome, i) {
		case "failure", "denied":
			r.Failed[i] = true
		}
	}
	return r
}

func (r *Rows) times() {
	for i := range r.Hours {
		t := r.Batch.Int(tokenwatch.ColTime, i)
		outside := t <= 0 || r.Batch.Bool(tokenwatch.ColLate, i) ||
			r.Batch.Bool(tokenwatch.ColFuture, i) || r.Batch.Bool(tokenwatch.ColDuplicate, i)
		r.Millis[i] = t / 1e6
		if outside {
			r.Hours[i] = NoHour
		} else {
			r.Hours[i] = int32(r.Millis[i] / hourMillis)
		}
	}
}

// leads picks for each row the entity whose habits it belongs to: the token if
// it is one that lasts; else the actor, since the key ids of a session change
// while its owner's habits do not; else the address.
func (r *Rows) leads() {
	for i := range r.Lead {
		token := r.Batch.Has(tokenwatch.ColToken, i)
		actor := r.Batch.Has(tokenwatch.ColActor, i)
		switch {
		case token && !(actor && Passing(r.Batch.Text(tokenwatch.ColTokenKind, i))):
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

// Passing tells whether tokens of this kind live for hours only, so that habits
// are their actor's.
func Passing(tokenKind string) bool { return tokenKind == "aws_session" }

// gather gives each row the hash of its value in a text column.
func (r *Rows) gather(c tokenwatch.Col) []uint64 {
	v := r.Batch.Column(c)
	out := make([]uint64, r.Batch.Rows())
	if v.Codes == nil {
		return out
	}
	hashes := make([]uint64, v.Dict.Len())
	for i := 1; i < len(hashes); i++ {
		hashes[i] = r.hash.String(v.Dict.At(i))
	}
	for i, c := range v.Codes {
		out[i] = hashes[c]
	}
	return out
}

func (r *Rows) networks() []uint64 {
	out := make([]uint64, r.Batch.Rows())
	var last [4]byte
	var lastHash uint64
	for i := range out {
		if asn := r.Batch.Int(tokenwatch.ColSrcASN, i); asn != 0 {
			out[i] = r.hash.Uint64(uint64(asn))
			continue
		}
		a := r.Batch.Addr(i)
		if !a.IsValid() {
			continue
		}
		key := prefixKey(a)
		if key != last || lastHash == 0 {
			// Far above any autonomous system number.
			last, lastHash = key, r.hash.Uint64(1<<40|uint64(binary.BigEndian.Uint32(key[:])))
			if a.Is4() {
				lastHash = r.hash.Uint64(1<<41 | uint64(binary.BigEndian.Uint32(key[:])))
			}
		}
		out[i] = lastHash
	}
	return out
}

func prefixKey(a netip.Addr) (key [4]byte) {
	if a.Is4() {
		b := a.As4()
		return [4]byte{0, 0, b[0], b[1]}
	}
	b := a.As16()
	return [4]byte(b[:4])
}

// NetworkOf returns the network of row i of a batch as people write it: AS64500,
// 192.0.0.0/16; "" if it has none.
func NetworkOf(b *tokenwatch.Batch, i int) string {
	if asn := b.Int(tokenwatch.ColSrcASN, i); asn != 0 {
		return "AS" + strconv.FormatInt(asn, 10)
	}
	a := b.Addr(i)
	if !a.IsValid() {
		return ""
	}
	bits := 32
	if a.Is4() {
		bits = 16
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}

// Ref points at row i of the batch.
func (r *Rows) Ref(i int) tokenwatch.EventRef {
	return tokenwatch.EventRef{Millis: r.Millis[i], Tie: r.ties[i], Row: uint32(i), Offset: r.Offset}
}

// tieColumns are, besides time, address and status, what a finding would show of
// an event. A request id alone does not tell events apart: two sources log one
// request, and clients choose ids.
var tieColumns = [...]tokenwatch.Col{
	tokenwatch.ColSource, tokenwatch.ColToken, tokenwatch.ColActor, tokenwatch.ColAction,
	tokenwatch.ColResource, tokenwatch.ColOutcome, tokenwatch.ColError, tokenwatch.ColUserAgent,
}

// tie digests what tells rows of the same millisecond from each other.
func (r *Rows) tie() []uint32 {
	b := r.Batch
	seed := r.hash.Uint64(0) // nobody can choose content that ties
	sums := make([]uint64, b.Rows())
	for i := range sums {
		sums[i] = mix(uint64(b.Int(tokenwatch.ColTime, i)), uint64(b.Int(tokenwatch.ColStatus, i)))
	}
	for _, c := range tieColumns {
		for i, h := range r.gather(c) {
			sums[i] = mix(sums[i], h)
		}
	}
	for _, c := range [...]tokenwatch.Col{tokenwatch.ColRequestID, tokenwatch.ColPath} {
		for i := range sums { // also where the column has no value in this batch
			sums[i] = mix(sums[i], xxh3.HashStringSeed(b.Text(c, i), seed))
		}
	}
	for i := range sums {
		if a := b.Addr(i); a.IsValid() {
			key := a.As16()
			sums[i] = mix(sums[i], xxh3.HashSeed(key[:], seed))
		}
	}
	ties := make([]uint32, len(sums))
	for i, s := range sums {
		ties[i] = uint32(s >> 32)
	}
	return ties
}

// mix takes another value into a digest: the 128-bit product folded, as in wyhash,
// and the digest before it, which a factor of 0 would lose.
func mix(sum, v uint64) uint64 {
	hi, lo := bits.Mul64(sum^0x9e3779b97f4a7c15, v^0xe7037ed1a0b428db)
	return hi ^ lo ^ bits.RotateLeft64(sum, 32)
}

// telling lists the classes of action from the most telling to the least.
var telling = []string{"credential", "admin", "export", "delete", "auth", "write", "list", "read"}

// Telling ranks row i of a batch by its class of action: the less, the more an
// analyst wants to see it first.
func Telling(b *tokenwatch.Batch, i int) int {
	class := b.Text(tokenwatch.ColActionClass, i)
	for rank, c := range telling {
		if c == class {
			return rank
		}
	}
	return len(telling)
}

// AxisByName finds an axis by its name.
func AxisByName(name string) (Axis, bool) {
	for a, n := range axisNames {
		if n == name {
			return Axis(a), true
		}
	}
	return 0, false
}
