// Package feature reduces a batch to what detection looks at: for each row its
// hour, the entities it is about, and a number for its value on each axis.
//
// A batch comes in, [Rows] goes out, computed once per batch and read by every
// shard. Text becomes a number through the dictionaries, so the work per row is
// a table look-up.
package feature

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
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
