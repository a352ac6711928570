package feature

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// origins gives each row a code for where it came from, its address together with
// its autonomous system, so that both are hashed once for all rows from there. Code
// 0 is of rows that have neither.
type origins struct {
	codes     []uint32
	keys      []origin
	networks  []uint64 // by code
	addresses []uint64 // by code
	table     []uint32 // of codes, by a quick hash, with open addressing; 0 is free
}

type origin struct {
	addr [16]byte
	asn  int64 // 0: not known
	has  bool  // it has an address
}

// AddrHash hashes an address, for the shards to share addresses out by.
func AddrHash(hash vec.Hash, a [16]byte) uint64 {
	return hash.Uint64(binary.BigEndian.Uint64(a[:8]) ^ hash.Uint64(binary.BigEndian.Uint64(a[8:])))
}

func (o *origins) read(b *tokenwatch.Batch, hash vec.Hash) {
	n := b.Rows()
	o.keys = append(o.keys[:0], origin{})
	o.networks, o.addresses = append(o.networks[:0], 0), append(o.addresses[:0], 0)
	o.codes = zeros(o.codes, n)
	addrs, asns := b.Column(tokenwatch.ColSrcIP), b.Column(tokenwatch.ColSrcASN)
	if addrs.Addrs == nil && asns.Ints == nil {
		return
	}
	o.table = zeros(o.table, 1<<bits.Len(uint(2*n)))
	seed := hash.Uint64(2) // nobody can choose addresses that meet in the table
	for i := range o.codes {
		var key origin
		if asns.Ints != nil && asns.Valid.At(i) {
			key.asn = asns.Ints[i]
		}
		if addrs.Addrs != nil && addrs.Valid.At(i) {
			key.addr, key.has = [16]byte(addrs.Addrs[16*i:]), true
		}
		if key == (origin{}) {
			continue
		}
		o.codes[i] = o.code(&key, seed, hash)
	}
}

// code finds the code of an origin, or gives it the next one.
func (o *origins) code(key *origin, seed uint64, hash vec.Hash) uint32 {
	at := int(mix(mix(seed^binary.LittleEndian.Uint64(key.addr[:8]), binary.LittleEndian.Uint64(key.addr[8:])), uint64(key.asn)))
	for ; ; at++ {
		slot := &o.table[at&(len(o.table)-1)]
		if *slot == 0 {
			*slot = uint32(len(o.keys))
			o.keys = append(o.keys, *key)
			o.networks = append(o.networks, key.network(hash))
			address := uint64(0)
			if key.has {
				address = AddrHash(hash, key.addr)
			}
			o.addresses = append(o.addresses, address)
			return *slot
		}
		if o.keys[*slot] == *key {
			return *slot
		}
	}
}

// network hashes an origin's network: the autonomous system, or else the address's
// /16 (IPv6: /32), which lie far above any number of the former.
func (o *origin) network(hash vec.Hash) uint64 {
	if o.asn != 0 {
		return hash.Uint64(uint64(o.asn))
	}
	a := netip.AddrFrom16(o.addr).Unmap()
	if a.Is4() {
		b := a.As4()
		return hash.Uint64(1<<41 | uint64(b[0])<<8 | uint64(b[1]))
	}
	return hash.Uint64(1<<40 | uint64(binary.BigEndian.Uint32(o.addr[:4])))
}
