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
	"strings"
	"sync/atomic"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/zeebo/xxh3"
)

// Axis is one respect in which an entity can do something new.
type Axis uint8

const (
	Network     Axis = iota // where it comes from: autonomous system, or else the address's /16 (IPv6: /32)
	Address                 // the same, to the address
	Country                 // country of the address
	AgentFamily             // with what program
	Agent                   // with what version of it
	Action                  // operation, or else the path template
	ActionClass             // read, list, write, delete, admin, credential, export, auth
	Area                    // part of the service: scope of the action, or else the head of its name
	NumAxes
)

var axisNames = [NumAxes]string{"network", "address", "country", "agent_family", "user_agent", "action", "action_class", "area"}

// String returns the axis's name.
func (a Axis) String() string { return axisNames[a] }

// Of returns the value of row i of a batch on the axis, "" if it has none.
func (a Axis) Of(b *tokenwatch.Batch, i int) string {
	switch a {
	case Network:
		return NetworkOf(b, i)
	case Address:
		if a := b.Addr(i); a.IsValid() {
			return a.String()
		}
		return ""
	case Country:
		return b.Text(tokenwatch.ColSrcCountry, i)
	case AgentFamily:
		return b.Text(tokenwatch.ColAgentFamily, i)
	case Agent:
		return b.Text(tokenwatch.ColUserAgent, i)
	case Action:
		return actionOf(b, i)
	case ActionClass:
		return b.Text(tokenwatch.ColActionClass, i)
	default: // Area
		if scope := b.Text(tokenwatch.ColScope, i); scope != "" {
			return scope
		}
		return areaOf(actionOf(b, i))
	}
}

func actionOf(b *tokenwatch.Batch, i int) string {
	if action := b.Text(tokenwatch.ColAction, i); action != "" {
		return action
	}
	return b.Text(tokenwatch.ColRoute, i)
}

// areaOf is the head of an action's name: s3 of s3:GetObject, /v1/users of
// "GET /v1/users/{id}/roles".
func areaOf(action string) string {
	if at := strings.IndexByte(action, '/'); at >= 0 {
		path := action[at:]
		for n, i := 0, 0; i < len(path); i++ {
			switch {
			case path[i] == '{':
				return strings.TrimSuffix(path[:i], "/")
			case path[i] == '/':
				if n++; n > 2 {
					return path[:i]
				}
			}
		}
		return path
	}
	if service, _, ok := strings.Cut(action, ":"); ok {
		return service
	}
	return ""
}

// Fault is the kind of answer an event got.
type Fault uint8

const (
	Fine        Fault = iota
	Unknown           // 401: the credential was not taken
	Denied            // 403, or denied by the source's word
	NotFound          // 404
	Throttled         // 429
	Refused           // other 4xx, or failed by the source's word
	Unavailable       // 5xx
	NumFaults
)

var faultNames = [NumFaults]string{"fine", "unauthenticated", "denied", "not_found", "throttled", "refused", "unavailable"}

// String returns the fault's name.
func (f Fault) String() string { return faultNames[f] }

func faultOf(status int64, outcome string) Fault {
	switch {
	case status == 401:
		return Unknown
	case status == 403:
		return Denied
	case status == 404 || status == 410:
		return NotFound
	case status == 429:
		return Throttled
	case status >= 500 && status < 600:
		return Unavailable
	case status >= 400:
		return Refused
	case status > 0:
		return Fine
	case outcome == "denied":
		return Denied
	case outcome == "failure":
		return Refused
	default:
		return Fine
	}
}

// NoHour marks a row that lies outside the detection windows.
const NoHour = -1

// Rows is a batch as the engine's shards read it. All slices have one element
// per row; a 0 on an axis means that the row has no value there.
type Rows struct {
	Batch   *tokenwatch.Batch
	Offset  tokenwatch.Offset
	Hours   []int32 // hours since 1970; NoHour: late, future, duplicate, or before 1970
	Millis  []int64 // event time, UTC milliseconds since 1970
	Axes    [NumAxes][]uint64
	Kinds   []uint64 // of network: hash of src_cloud
	Tokens  []uint64 // hash of token
	Actors  []uint64 // hash of actor
	Lead    []tokenwatch.EntityKind
	Faults  []Fault
	Bytes   []int64  // of the answer
	Objects []uint64 // hash of what it was done to; 0: nothing in particular
	Numbers []int64  // its number, where it goes by one; -1 otherwise
	ties    []uint32 // by row, 0 while nobody asked; shards ask at the same time
	hash    vec.Hash
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
		Lead: make([]tokenwatch.EntityKind, n), Faults: make([]Fault, n),
		ties: make([]uint32, n), Bytes: make([]int64, n), Objects: make([]uint64, n), Numbers: make([]int64, n),
	}
	r.times()
	r.leads()
	r.Axes[Network], r.Axes[Address] = r.networks()
	r.Axes[Country] = r.gather(tokenwatch.ColSrcCountry)
	r.Axes[AgentFamily] = r.gather(tokenwatch.ColAgentFamily)
	r.Axes[Agent] = r.gather(tokenwatch.ColUserAgent)
	r.Axes[Action] = r.gather(tokenwatch.ColAction)
	r.fill(Action, r.gather(tokenwatch.ColRoute))
	r.Axes[ActionClass] = r.gather(tokenwatch.ColActionClass)
	r.Axes[Area] = r.gather(tokenwatch.ColScope)
	r.fill(Area, r.areas(tokenwatch.ColAction))
	r.fill(Area, r.areas(tokenwatch.ColRoute))
	r.Kinds = r.gather(tokenwatch.ColSrcCloud)
	r.Tokens = r.gather(tokenwatch.ColToken)
	r.Actors = r.gather(tokenwatch.ColActor)
	for i := range n {
		r.Faults[i] = faultOf(b.Int(tokenwatch.ColStatus, i), b.Text(tokenwatch.ColOutcome, i))
		r.Bytes[i] = max(0, b.Int(tokenwatch.ColBytesOut, i))
	}
	r.objects()
	return r
}

// fill gives rows without a value on an axis another one.
func (r *Rows) fill(a Axis, other []uint64) {
	for i, h := range r.Axes[a] {
		if h == 0 {
			r.Axes[a][i] = other[i]
		}
	}
}

// areas gives each row the hash of the head of a column that holds an action or a
// path.
func (r *Rows) areas(c tokenwatch.Col) []uint64 {
	return r.gatherAs(c, areaOf)
}

// objects finds what each row's action was done to: its resource, or else the path
// it asked for where that path has an id in it.
func (r *Rows) objects() {
	seed := r.hash.Uint64(1)
	resources := r.gather(tokenwatch.ColResource)
	route := r.Batch.Column(tokenwatch.ColRoute)
	var variable []bool
	if route.Codes != nil {
		variable = make([]bool, route.Dict.Len())
		for i := range variable {
			variable[i] = strings.IndexByte(route.Dict.At(i), '{') >= 0
		}
	}
	for i := range r.Objects {
		r.Numbers[i] = -1
		if resources[i] != 0 {
			r.Objects[i] = resources[i]
			continue
		}
		if variable == nil || !variable[route.Codes[i]] {
			continue
		}
		path := r.Batch.Text(tokenwatch.ColPath, i)
		if end := strings.IndexByte(path, '?'); end >= 0 {
			path = path[:end]
		}
		r.Objects[i] = max(1, xxh3.HashStringSeed(path, seed))
		r.Numbers[i] = numberIn(path)
	}
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
	return r.gatherAs(c, func(s string) string { return s })
}

// gatherAs gives each row the hash of what f makes of its value in a text column,
// 0 where that is "".
func (r *Rows) gatherAs(c tokenwatch.Col, f func(string) string) []uint64 {
	v := r.Batch.Column(c)
	out := make([]uint64, r.Batch.Rows())
	if v.Codes == nil {
		return out
	}
	hashes := make([]uint64, v.Dict.Len())
	for i := 1; i < len(hashes); i++ {
		if s := f(v.Dict.At(i)); s != "" {
			hashes[i] = r.hash.String(s)
		}
	}
	for i, c := range v.Codes {
		out[i] = hashes[c]
	}
	return out
}

// networks gives each row its network and its address.
func (r *Rows) networks() (networks, addresses []uint64) {
	networks, addresses = make([]uint64, r.Batch.Rows()), make([]uint64, r.Batch.Rows())
	column := r.Batch.Column(tokenwatch.ColSrcIP)
	var last [4]byte
	var lastHash uint64
	for i := range networks {
		a := r.Batch.Addr(i)
		if a.IsValid() {
			addresses[i] = AddrHash(r.hash, [16]byte(column.Addrs[16*i:]))
		}
		if asn := r.Batch.Int(tokenwatch.ColSrcASN, i); asn != 0 {
			networks[i] = r.hash.Uint64(uint64(asn))
			continue
		}
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
		networks[i] = lastHash
	}
	return networks, addresses
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
	return tokenwatch.EventRef{Millis: r.Millis[i], Tie: r.tie(i), Row: uint32(i), Offset: r.Offset}
}

// tieColumns are, besides time, address and status, what a finding would show of
// an event. A request id alone does not tell events apart: two sources log one
// request, and clients choose ids.
var tieColumns = [...]tokenwatch.Col{
	tokenwatch.ColSource, tokenwatch.ColToken, tokenwatch.ColActor, tokenwatch.ColAction,
	tokenwatch.ColResource, tokenwatch.ColOutcome, tokenwatch.ColError, tokenwatch.ColUserAgent,
	tokenwatch.ColRequestID, tokenwatch.ColPath,
}

// tie digests what tells row i from others of the same millisecond. Few rows are
// referred to, so it is worked out when it is asked for.
func (r *Rows) tie(i int) uint32 {
	if t := atomic.LoadUint32(&r.ties[i]); t != 0 {
		return t
	}
	b := r.Batch
	seed := r.hash.Uint64(0) // nobody can choose content that ties
	sum := mix(uint64(b.Int(tokenwatch.ColTime, i)), uint64(b.Int(tokenwatch.ColStatus, i)))
	for _, c := range tieColumns {
		sum = mix(sum, xxh3.HashStringSeed(b.Text(c, i), seed))
	}
	if a := b.Addr(i); a.IsValid() {
		key := a.As16()
		sum = mix(sum, xxh3.HashSeed(key[:], seed))
	}
	t := max(1, uint32(sum>>32))
	atomic.StoreUint32(&r.ties[i], t)
	return t
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
