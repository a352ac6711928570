package history

import (
	"slices"
	"time"
)

// chainKey names a chain of leaves: one tenant, one kind.
type chainKey struct {
	tenant Commitment
	kind   Kind
}

// chains is what the next leaf depends on of those before it: where each chain
// stands, and the clock. Writer and verifier share it.
type chains struct {
	base    *chains // what lies under these, unchanged; nil if nothing does
	heads   map[chainKey]ChainHead
	tenants map[Commitment][]Kind // kinds seen of a tenant, ascending
}

func newChains() *chains {
	return &chains{heads: make(map[chainKey]ChainHead), tenants: make(map[Commitment][]Kind)}
}

// over returns chains that begin as c and leave c as it is.
func (c *chains) over() *chains {
	o := newChains()
	o.base = c
	return o
}

// at returns where a chain stands.
func (c *chains) at(k chainKey) (ChainHead, bool) {
	h, ok := c.heads[k]
	if !ok && c.base != nil {
		return c.base.at(k)
	}
	return h, ok
}

// prev returns the index of the last leaf of a chain, nil if it is empty.
func (c *chains) prev(k chainKey) *uint64 {
	h, ok := c.at(k)
	if !ok {
		return nil
	}
	return &h.Last
}

// set puts a chain where h says.
func (c *chains) set(k chainKey, h ChainHead) {
	if _, ok := c.heads[k]; !ok {
		kinds := c.tenants[k.tenant]
		at, _ := slices.BinarySearch(kinds, k.kind)
		c.tenants[k.tenant] = slices.Insert(kinds, at, k.kind)
	}
	c.heads[k] = h
}

// add moves a chain on by one leaf.
func (c *chains) add(k chainKey, index uint64) {
	h, _ := c.at(k)
	h = ChainHead{Kind: k.kind, Last: index, Count: h.Count + 1}
	c.set(k, h)
}

// merge moves the chains under c to where c says.
func (c *chains) merge() {
	for k, h := range c.heads {
		c.base.set(k, h)
	}
}

// tick returns what a tick of a tenant states.
func (c *chains) tick(tenant Commitment) []ChainHead {
	kinds := c.tenants[tenant]
	if c.base != nil {
		kinds = slices.Concat(kinds, c.base.tenants[tenant])
		slices.Sort(kinds)
		kinds = slices.Compact(kinds)
	}
	var heads []ChainHead
	for _, kind := range kinds {
		h, _ := c.at(chainKey{tenant, kind})
		heads = append(heads, h)
	}
	return heads
}

// millis cuts a time to what a leaf keeps.
func millis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }
