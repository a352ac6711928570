package feature

import (
	"net/netip"
	"slices"
)

// Block is a neighbourhood of addresses, /24 of IPv4 and /48 of IPv6, and the rows of a
// batch in which a credential that came from there was not taken.
type Block struct {
	Prefix netip.Prefix
	Hash   uint64
	Rows   []uint32
}

// blocks finds the blocks of a batch: there are few such rows, as a rule.
func (r *Rows) blocks() {
	r.Blocks = r.Blocks[:0]
	for i := range r.Events {
		if e := &r.Events[i]; e.Fault != Unknown || e.Token == 0 {
			continue
		}
		prefix, ok := BlockOf(r.Batch.Addr(i))
		if !ok {
			continue
		}
		at := slices.IndexFunc(r.Blocks, func(b Block) bool { return b.Prefix == prefix })
		if at < 0 {
			at = len(r.Blocks)
			r.Blocks = append(r.Blocks, Block{Prefix: prefix, Hash: r.hash.String(prefix.String())})
		}
		r.Blocks[at].Rows = append(r.Blocks[at].Rows, uint32(i))
	}
}

// BlockOf returns the block that an address lies in.
func BlockOf(a netip.Addr) (netip.Prefix, bool) {
	if !a.IsValid() {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}
