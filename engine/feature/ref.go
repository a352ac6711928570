package feature

import (
	"math/bits"
	"sync/atomic"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

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
	seed := r.seed[0] // nobody can choose content that ties
	sum := mix(uint64(b.Int(tokenwatch.ColTime, i)), uint64(b.Int(tokenwatch.ColStatus, i)))
	for k, c := range tieColumns {
		v := b.Column(c)
		if v.Codes == nil {
			sum = mix(sum, xxh3.HashStringSeed(b.Text(c, i), seed))
			continue
		}
		memo := &r.tied[k][v.Codes[i]]
		h := atomic.LoadUint64(memo)
		if h == 0 {
			h = xxh3.HashStringSeed(v.Dict.At(int(v.Codes[i])), seed)
			atomic.StoreUint64(memo, h)
		}
		sum = mix(sum, h)
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
