package seal

import (
	"bytes"
	"hash/maphash"

	"github.com/tokenwatch/tokenwatch"
)

// idCache remembers the ids of recent credentials and names by two keyed 64-bit
// hashes, never by the secret. It holds two generations: when the young one is
// full it becomes the old one, and what is used of that moves back.
type idCache struct {
	seeds      [2]maphash.Seed
	limit      int
	young, old map[[2]uint64]*entry
}

func newIDCache(limit int) idCache {
	return idCache{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		limit: limit,
		young: make(map[[2]uint64]*entry),
	}
}

func (c *idCache) key(domain, b []byte) [2]uint64 {
	var k [2]uint64
	for i, seed := range c.seeds {
		k[i] = maphash.Bytes(seed, b) ^ maphash.Bytes(seed, domain)*0x9e3779b97f4a7c15
	}
	return k
}

func (c *idCache) get(k [2]uint64) *entry {
	if e := c.young[k]; e != nil {
		return e
	}
	e := c.old[k]
	if e != nil {
		c.put(k, e)
	}
	return e
}

func (c *idCache) put(k [2]uint64, e *entry) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[[2]uint64]*entry, c.limit)
	}
	c.young[k] = e
}

// credential returns the entry of a normalised secret.
func (c *idCache) credential(s *Sealer, secret []byte) *entry {
	k := c.key(nil, secret)
	e := c.get(k)
	if e == nil {
		e = s.newCredential(secret)
		c.put(k, e)
	}
	return e
}

// name returns the entry of a name.
func (c *idCache) name(s *Sealer, n *tokenwatch.Name) *entry {
	var buf [96]byte
	domain := append(append(append(buf[:0], n.Kind...), 0), n.Issuer...)
	k := c.key(domain, n.Value)
	e := c.get(k)
	if e == nil {
		e = s.newName(n)
		c.put(k, e)
	}
	return e
}

// cleanCache remembers texts in which nothing was to be masked: user agents and
// the like come again and again. A text is kept when it is seen the second time,
// so that texts seen once cost no memory.
type cleanCache struct {
	seed  maphash.Seed
	slots []cleanSlot
}

type cleanSlot struct {
	hash uint64
	text []byte
	has  survey
}

const (
	cleanSlots   = 1 << 11
	minRemember  = 24      // a shorter text is looked at faster than looked up
	maxRemember  = 1 << 10 // bounds the cache to 2 MiB
	freeTextSalt = 0x9e3779b97f4a7c15
)

func newCleanCache() cleanCache {
	return cleanCache{maphash.MakeSeed(), make([]cleanSlot, cleanSlots)}
}

func (c *cleanCache) slot(t []byte, free bool) (*cleanSlot, uint64) {
	h := maphash.Bytes(c.seed, t)
	if free {
		h ^= freeTextSalt
	}
	return &c.slots[h%cleanSlots], h
}

func (c *cleanCache) get(t []byte, free bool) (survey, bool) {
	if len(t) < minRemember || len(t) > maxRemember {
		return 0, false
	}
	slot, h := c.slot(t, free)
	if slot.hash != h || !bytes.Equal(slot.text, t) {
		return 0, false
	}
	return slot.has, true
}

func (c *cleanCache) put(t []byte, free bool, has survey) {
	if len(t) < minRemember || len(t) > maxRemember {
		return
	}
	slot, h := c.slot(t, free)
	if slot.hash != h {
		slot.hash, slot.text = h, slot.text[:0]
		return
	}
	slot.text = append(slot.text[:0], t...)
	slot.has = has
}
