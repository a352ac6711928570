package feature

import (
	"math/bits"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// Ref points at row i of the batch.
func (r *Rows) Ref(i int) tokenwatch.EventRef {
	e := &r.Events[i]
	return tokenwatch.EventRef{Millis: e.Millis, Tie: e.tie, Row: uint32(i), Offset: r.Offset}
}

// tieColumns are, besides time, address and status, what a finding would show of
// an event. A request id alone does not tell events apart: two sources log one
// request, and clients choose ids.
var tieColumns = [...]tokenwatch.Col{
	tokenwatch.ColSource, tokenwatch.ColToken, tokenwatch.ColActor, tokenwatch.ColAction,
	tokenwatch.ColResource, tokenwatch.ColOutcome, tokenwatch.ColError, tokenwatch.ColUserAgent,
	tokenwatch.ColRequestID, tokenwatch.ColPath,
}

// hashTies hashes the values of the columns that ties digest, and the addresses. Nobody
// can choose content whose hashes meet.
func (r *Rows) hashTies() {
	for k, c := range tieColumns {
		v := r.Batch.Column(c)
		r.ties[k] = r.ties[k][:0]
		for i := range v.Dict.Len() {
			r.ties[k] = append(r.ties[k], xxh3.HashStringSeed(v.Dict.At(i), r.seed[0]))
		}
	}
	r.placed = r.placed[:0]
	for i := range r.origins.keys {
		r.placed = append(r.placed, xxh3.HashSeed(r.origins.keys[i].addr[:], r.seed[0]))
	}
}

// tie digests what tells rows from others of the same millisecond.
func (r *Rows) tie(from, to int) {
	var block [blockRows]uint64
	sums := block[:to-from]
	times, status := r.Batch.Column(tokenwatch.ColTime), r.Batch.Column(tokenwatch.ColStatus)
	for i := range sums {
		sums[i] = mix(uint64(intAt(times, from+i)), uint64(intAt(status, from+i)))
	}
	none := xxh3.HashStringSeed("", r.seed[0])
	for k, c := range tieColumns {
		v := r.Batch.Column(c)
		switch {
		case v.Codes != nil:
			for i, code := range v.Codes[from:to] {
				sums[i] = mix(sums[i], r.ties[k][code])
			}
		case v.Text.Offsets != nil:
			for i := range sums {
				sums[i] = mix(sums[i], xxh3.HashStringSeed(v.Text.At(from+i), r.seed[0]))
			}
		default:
			for i := range sums {
				sums[i] = mix(sums[i], none)
			}
		}
	}
	for i, code := range r.origins.codes[from:to] {
		if r.origins.keys[code].has {
			sums[i] = mix(sums[i], r.placed[code])
		}
		r.Events[from+i].tie = max(1, uint32(sums[i]>>32))
	}
}

func intAt(v *tokenwatch.Vector, i int) int64 {
	if v.Ints == nil || !v.Valid.At(i) {
		return 0
	}
	return v.Ints[i]
}

// mix takes another value into a digest: the 128-bit product folded, as in wyhash,
// and the digest before it, which a factor of 0 would lose.
func mix(sum, v uint64) uint64 {
	hi, lo := bits.Mul64(sum^0x9e3779b97f4a7c15, v^0xe7037ed1a0b428db)
	return hi ^ lo ^ bits.RotateLeft64(sum, 32)
}
