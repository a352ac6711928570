package local

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// Every key of the store. The first byte says what a key is of; numbers are
// eight bytes, big endian, so that keys sort by them; a tenant is one byte of
// length and its bytes, so that no tenant's keys begin like another's.
//
//	A                                head of the history: chain heads by tenant and kind
//	C │ sequence                     a group commit: what the log and the history came to
//	D │ tenant │ hash                a request: digest, receipt; hash of principal, source, key
//	E │ time │ tenant │ hash         the requests of D by time of append, for the horizon
//	F │ tenant │ finding id          a finding's last revision, JSON
//	G │ tenant │ first offset        a merged segment: its id, what it holds, leaf
//	H │ stored hash index            a hash of the history's tree, 32 bytes
//	I │ offset                       what the log has there: tenant, times, counts, leaf
//	K │ key id                       an API key, JSON
//	L │ offset                       the log: 0 │ segment bytes, 1 │ control record, 2 │ id │ part
//	                                 of a merged segment, or 3: dropped by retention
//	M                                the store: its format and id
//	N │ id │ number                  a chunk of a merged segment; its head has the number 2⁶⁴ − 1
//	O │ key                          a record of the outbox
//	P │ tenant │ len source │ input  how far a source has got with an input
//	Q │ tenant                       up to which offset its entries are merged or dropped
//	R │ key                          a record of the engine
//	S                                the engine's cursor
//	U │ tenant │ update              findings by their last update: finding id
//	V │ leaf index                   a leaf of the history, canonical bytes
//	W │ tenant                       greatest event time of a tenant
//	X │ tenant │ suppression id      a suppression, JSON
const (
	keyHead     = 'A'
	keyCommit   = 'C'
	keyRequest  = 'D'
	keyExpiry   = 'E'
	keyFinding  = 'F'
	keyMerged   = 'G'
	keyHash     = 'H'
	keyIndex    = 'I'
	keyAPIKey   = 'K'
	keyLog      = 'L'
	keyMeta     = 'M'
	keyChunk    = 'N'
	keyOutbox   = 'O'
	keyMark     = 'P'
	keyFrontier = 'Q'
	keyRecord   = 'R'
	keyCursor   = 'S'
	keyUpdate   = 'U'
	keyLeaf     = 'V'
	keyGreatest = 'W'
	keySuppress = 'X'
)

// maxTenant is the longest name of a tenant in bytes.
const maxTenant = 255

// numbered returns the key of a kind that is ordered by a number.
func numbered(kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, n)
}

// number returns the number that ends a key.
func number(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// tenanted begins the keys of a kind that belong to a tenant.
func tenanted(kind byte, tenant string) []byte {
	k := make([]byte, 0, 2+len(tenant)+24)
	return appendTenant(append(k, kind), tenant)
}

func appendTenant(k []byte, tenant string) []byte {
	return append(append(k, byte(len(tenant))), tenant...)
}

// tenantOf reads the tenant that stands at the beginning of b.
func tenantOf(b []byte) (tenant string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}

func findingKey(tenant, id string) []byte { return append(tenanted(keyFinding, tenant), id...) }

func updateKey(tenant string, update uint64) []byte {
	return binary.BigEndian.AppendUint64(tenanted(keyUpdate, tenant), update)
}

func markKey(tenant, source, input string) []byte {
	k := binary.BigEndian.AppendUint64(tenanted(keyMark, tenant), uint64(len(source)))
	return append(append(k, source...), input...)
}

// requestHash is the name of a request within a tenant: 16 bytes of the
// SHA-256 of principal, source and key, each behind its length.
func requestHash(r *tokenwatch.Request) [16]byte {
	b := make([]byte, 0, 128)
	for _, s := range [...]string{r.Principal, r.Source, r.Key} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:])
}

func requestKey(tenant string, hash [16]byte) []byte {
	return append(tenanted(keyRequest, tenant), hash[:]...)
}

// expiryKey orders the requests by time; times before 1970 count as 1970.
func expiryKey(nanos int64, tenant string, hash [16]byte) []byte {
	k := numbered(keyExpiry, uint64(max(0, nanos)))
	return append(appendTenant(k, tenant), hash[:]...)
}

// prefixEnd returns the first key after all that begin with prefix, nil if
// there is none.
func prefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}
