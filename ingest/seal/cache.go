package seal

import (
	"bytes"
	"hash/maphash"

	"github.com/tokenwatch/tokenwatch"
)

// idCache remembers the ids of recent credentials and names by two keyed 64-bit
// hashes, never by the secret. It is a table of sets, each of which holds the
// latest first; it grows up to its limit as it fills.
type idCache struct {
	seeds [2]maphash.Seed
	none  [2]uint64 // the hashes of no domain
	sets  []idSet
	used  int
	most  int // sets
}

type idSet [4]idSlot

type idSlot struct {
	key [2]uint64
	e   *entry

	// What most rows need of a credential is here, so that e is not touched.
	turn  uint32 // batch that has its id under code, and its names
	code  uint32
	plain bool // its form tells nothing
}

func newIDCache(limit int) idCache {
	c := idCache{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, most: 1}
	for c.most*len(idSet{}) < limit {
		c.most *= 2
	}
	c.sets = make([]idSet, min(c.most, 64))
	for i, seed := range c.seeds {
		c.none[i] = maphash.Bytes(seed, nil) * domainFactor
	}
	return c
}

const domainFactor = 0x9e3779b97f4a7c15

// key returns the hashes of a secret, or in a domain of a name.
func (c *idCache) key(domain, b []byte) (k [2]uint64) {
	d := c.none
	for i, seed := range c.seeds {
		if len(domain) > 0 {
			d[i] = maphash.Bytes(seed, domain) * domainFactor
		}
		k[i] = maphash.Bytes(seed, b) ^ d[i]
	}
	return k
}

func (c *idCache) set(k [2]uint64) *idSet { return &c.sets[k[0]&uint64(len(c.sets)-1)] }

// get returns the slot of k, which is the first of its set then; nil if there is none.
func (c *idCache) get(k [2]uint64) *idSlot {
	set := c.set(k)
	if first := &set[0]; first.key == k && first.e != nil {
		return first
	}
	for i := 1; i < len(set); i++ {
		if slot := set[i]; slot.key == k && slot.e != nil {
			copy(set[1:i+1], set[:i])
			set[0] = slot
			return &set[0]
		}
	}
	return nil
}

func (c *idCache) put(k [2]uint64, e *entry) *idSlot {
	if len(c.sets) < c.most && c.used > 2*len(c.sets) { // half full
		old := c.sets
		c.sets, c.used = make([]idSet, 2*len(old)), 0
		for i := range old {
			for j := len(old[i]) - 1; j >= 0; j-- {
				if slot := old[i][j]; slot.e != nil {
					c.insert(slot)
				}
			}
		}
	}
	return c.insert(idSlot{key: k, e: e, plain: e.form == nil && e.other == noOthers})
}

func (c *idCache) insert(slot idSlot) *idSlot {
	set := c.set(slot.key)
	if set[len(set)-1].e == nil {
		c.used++
	}
	copy(set[1:], set[:])
	set[0] = slot
	return &set[0]
}

// credential returns the slot of a normalised secret, until the next is asked for.
func (c *idCache) credential(s *Sealer, secret []byte) *idSlot {
	k := c.key(nil, secret)
	if slot := c.get(k); slot != nil {
		return slot
	}
	return c.put(k, s.newCredential(secret))
}

// coded notes the code of a credential's id in a batch.
func (c *idCache) coded(k [2]uint64, turn, code uint32) {
	if slot := c.get(k); slot != nil {
		slot.turn, slot.code = turn, code
	}
}

// name returns the entry of a name.
func (c *idCache) name(s *Sealer, n *tokenwatch.Name) *entry {
	var buf [96]byte
	domain := append(append(append(buf[:0], n.Kind...), 0), n.Issuer...)
	k := c.key(domain, n.Value)
	if slot := c.get(k); slot != nil {
		return slot.e
	}
	return c.put(k, s.newName(n)).e
}

// cleanCache remembers texts in which nothing was to be masked: user agents and
// the like come again and again. A text is kept when it is seen the second time,
// so that texts seen once cost no memory. Each has one of two slots.
type cleanCache struct {
	seed maphash.Seed
	sets [][2]cleanSlot
}

type cleanSlot struct {
	hash uint64
	text []byte
	has  survey
}

const (
	cleanSets   = 1 << 10
	minRemember = 24      // a shorter text is looked at faster than looked up
	maxRemember = 1 << 10 // bounds the cache to 2 MiB
	looksSalt   = 0x9e3779b97f4a7c15
)

func newCleanCache() cleanCache {
	return cleanCache{maphash.MakeSeed(), make([][2]cleanSlot, cleanSets)}
}

// remembers tells whether a text is remembered: one of a length that makes it
// worth it. Of columns the batch knows all texts, so that they come here seldom.
func (c *cleanCache) remembers(f *field) bool {
	n := len(f.text)
	return f.repeats && n <= maxRemember && (n >= minRemember || f.attr >= 0 && n >= minCoded)
}

func (c *cleanCache) hash(t []byte, looks bool) uint64 {
	h := maphash.Bytes(c.seed, t)
	if looks {
		h ^= looksSalt
	}
	return h
}

// get returns what is remembered of the text with hash h.
func (c *cleanCache) get(t []byte, h uint64) (survey, bool) {
	set := &c.sets[h%cleanSets]
	for i := range set {
		if slot := &set[i]; slot.hash == h && bytes.Equal(slot.text, t) {
			return slot.has, true
		}
	}
	return 0, false
}

// put remembers a text, or that it was seen once: in the place of what else came
// last, so that of three that want two slots one stays.
func (c *cleanCache) put(t []byte, h uint64, has survey) {
	set := &c.sets[h%cleanSets]
	slot := &set[1]
	if set[0].hash == h || len(set[0].text) == 0 {
		slot = &set[0]
	}
	if slot.hash != h {
		slot.hash, slot.text = h, slot.text[:0]
		return
	}
	slot.text = append(slot.text[:0], t...)
	slot.has = has
}
