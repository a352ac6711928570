package window

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Place is an address that a token was used from, in order of Hash: one for each value
// of the axis of addresses. Where a token may be used is told of it at any time, and of
// other names that it turns out to have; so what came from elsewhere is counted when the
// window is judged.
type Place struct {
	_    struct{} `cbor:",toarray"`
	Hash uint64
	Addr [16]byte
}

func (w *Window) addPlace(hash uint64, a netip.Addr) {
	p := Place{Hash: hash, Addr: a.As16()}
	at, ok := slices.BinarySearchFunc(w.Places, p, Place.compare)
	if ok {
		return
	}
	w.Places = slices.Insert(w.Places, at, p)
	if len(w.Places) > MaxValues {
		w.Places = w.Places[:MaxValues]
	}
}

// Strays counts the events that came from addresses which allows does not let, and finds
// the first of them. Of more than [MaxValues] addresses, those that are kept count.
func (w *Window) Strays(allows func(netip.Addr) bool) (n uint32, first tokenwatch.EventRef) {
	for i := range w.Places {
		p := &w.Places[i]
		if allows(netip.AddrFrom16(p.Addr).Unmap()) {
			continue
		}
		values := w.Axes[feature.Address]
		if at, ok := findValue(values, p.Hash); ok {
			first = earlier(n > 0, first, true, values[at].First)
			n += values[at].Count
		}
	}
	return n, first
}

func (p Place) compare(o Place) int { return cmp.Compare(p.Hash, o.Hash) }

func (p *Place) merge(*Place) {}
