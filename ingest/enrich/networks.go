package enrich

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/tokenwatch/tokenwatch"
)

// Network is what a table says of the addresses of a range.
type Network struct {
	ASN     uint32
	ASName  string
	Kind    string // hosting, isp, business, private …
	Country string // ISO 3166-1 alpha-2
	place   string // see AttrPlace
}

// Networks finds what is known of an address: of several ranges that hold it,
// the smallest counts. It never changes, and may be used from many goroutines.
type Networks struct {
	ranges   flat
	list     []Network
	maxmind  []*maxminddb.Reader
	memo     *memo
	sum      [32]byte
	entries  int
	unused   []int
	building []span
}

// ErrNoNetworks says that a file is a table, but names no range.
var ErrNoNetworks = errors.New("it holds no networks")

var errNoTable = errors.New("it is neither CSV nor a whole MaxMind database")

// ParseNetworks reads tables: CSV with a line of names, or MaxMind databases.
// What an earlier one says of an address counts before what a later one says.
func ParseNetworks(files ...[]byte) (*Networks, error) {
	n := &Networks{}
	for i, data := range files {
		var err error
		if isMaxMind(data) {
			err = n.addMaxMind(data)
		} else if bytes.IndexByte(data, 0) >= 0 {
			err = errNoTable
		} else {
			err = n.addCSV(data)
		}
		if err != nil {
			if len(files) > 1 {
				return nil, fmt.Errorf("table %d: %w", i+1, err)
			}
			return nil, err
		}
		n.sum = mixed(n.sum, digest(data))
	}
	n.ranges = flatten(n.building)
	n.building = nil
	if len(n.maxmind) > 0 {
		n.memo = newMemo()
	}
	return n, nil
}

// Summary says what was read.
func (n *Networks) Summary() Summary {
	return Summary{tokenwatch.TableNetworks, n.entries, n.sum, n.unused}
}

// Lookup returns what is known of an address, nil if nothing is.
func (n *Networks) Lookup(a netip.Addr) *Network {
	if i := n.ranges.find(a.As16()); i >= 0 {
		return &n.list[i]
	}
	if n.memo == nil {
		return nil
	}
	return n.memo.get(a, n.ask)
}

// span is a range of addresses, ends included, and its place in Networks.list.
type span struct {
	from, to [16]byte
	network  int32
}

func (n *Networks) add(from, to netip.Addr, net Network) {
	if len(n.list) == 0 || n.list[len(n.list)-1] != net { // neighbours are often alike
		n.list = append(n.list, net)
	}
	n.building = append(n.building, span{from.As16(), to.As16(), int32(len(n.list) - 1)})
	n.entries++
}

// flat is ranges that do not overlap, in order: where each begins and what holds
// from there on.
type flat struct {
	starts   [][16]byte
	networks []int32 // -1: nothing
	quads    []int32 // for each of the leading 16 bits of an IPv4 address, the first start after them
}

var quadPrefix = [12]byte{10: 0xff, 11: 0xff}

// flatten makes ranges that may lie within each other into such that do not.
func flatten(spans []span) flat {
	// The larger of two that begin together comes first; of two alike the later,
	// so that the earlier one lies on top.
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &spans[a], &spans[b]
		return cmp.Or(compare(x.from, y.from), compare(y.to, x.to), cmp.Compare(b, a))
	})
	var f flat
	var open []*span // those that hold the place reached, the smallest last
	put := func(at [16]byte, network int32) {
		if k := len(f.starts) - 1; k >= 0 && f.starts[k] == at {
			f.networks[k] = network
			return
		}
		if k := len(f.networks) - 1; k >= 0 && f.networks[k] == network || k < 0 && network < 0 {
			return
		}
		f.starts, f.networks = append(f.starts, at), append(f.networks, network)
	}
	closeBefore := func(at [16]byte, all bool) {
		for len(open) > 0 {
			last := open[len(open)-1]
			if !all && compare(last.to, at) >= 0 {
				return
			}
			open = open[:len(open)-1]
			next, more := after(last.to)
			if !more {
				return
			}
			// What lies below goes on, unless it has ended too.
			for len(open) > 0 && compare(open[len(open)-1].to, last.to) <= 0 {
				open = open[:len(open)-1]
			}
			below := int32(-1)
			if len(open) > 0 {
				below = open[len(open)-1].network
			}
			put(next, below)
		}
	}
	for _, i := range order {
		closeBefore(spans[i].from, false)
		put(spans[i].from, spans[i].network)
		open = append(open, &spans[i])
	}
	closeBefore([16]byte{}, true)
	f.index()
	return f
}

func compare(a, b [16]byte) int {
	return cmp.Or(cmp.Compare(binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8])),
		cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])))
}

// after returns the address behind a; false if a is the last.
func after(a [16]byte) ([16]byte, bool) {
	next := netip.AddrFrom16(a).Next()
	return next.As16(), next.IsValid()
}

func (f *flat) index() {
	f.quads = make([]int32, 1<<16+1)
	at := 0
	for i := range f.quads {
		var a [16]byte
		copy(a[:], quadPrefix[:])
		if i < 1<<16 {
			binary.BigEndian.PutUint16(a[12:], uint16(i))
		} else {
			a = [16]byte{9: 1} // behind all of IPv4
		}
		for at < len(f.starts) && compare(f.starts[at], a) < 0 {
			at++
		}
		f.quads[i] = int32(at)
	}
}

// find returns the network of an address, -1 if none holds it.
func (f *flat) find(a [16]byte) int32 {
	lo, hi := 0, len(f.starts)
	if [12]byte(a[:12]) == quadPrefix {
		q := binary.BigEndian.Uint16(a[12:])
		lo, hi = int(f.quads[q]), int(f.quads[int(q)+1])
	}
	// The last start that is not behind a is before the first one that is.
	for lo < hi {
		mid := (lo + hi) / 2
		if compare(f.starts[mid], a) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return -1
	}
	return f.networks[lo-1]
}
