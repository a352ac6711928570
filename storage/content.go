package storage

import (
	"math/bits"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// content is what a repeat has in common with the event it repeats, besides the
// request id.
var content = [...]tokenwatch.Col{
	tokenwatch.ColTime, tokenwatch.ColSource, tokenwatch.ColToken, tokenwatch.ColActor, tokenwatch.ColSrcIP,
	tokenwatch.ColUserAgent, tokenwatch.ColMethod, tokenwatch.ColPath, tokenwatch.ColAction, tokenwatch.ColResource,
	tokenwatch.ColStatus,
}

// ReplayColumns lists the columns that Stamper.Replay reads.
func ReplayColumns() []tokenwatch.Col {
	return append([]tokenwatch.Col{tokenwatch.ColRequestID, tokenwatch.ColDuplicate}, content[:]...)
}

// hashContents hashes the content of each row.
func hashContents(b *tokenwatch.Batch) []uint64 {
	out := make([]uint64, b.Rows())
	for _, c := range content {
		switch c.Kind() {
		case tokenwatch.KindText:
			mixText(out, b.Column(c))
		case tokenwatch.KindString:
			for i := range out {
				out[i] = mix(out[i], xxh3.HashString(b.Text(c, i)))
			}
		case tokenwatch.KindAddr:
			for i := range out {
				a := b.Addr(i).As16()
				out[i] = mix(out[i], xxh3.Hash(a[:]))
			}
		default:
			for i := range out {
				out[i] = mix(out[i], uint64(b.Int(c, i)))
			}
		}
	}
	return out
}

// mixText hashes each value of a dictionary once.
func mixText(out []uint64, v *tokenwatch.Vector) {
	hashes := make([]uint64, max(1, v.Dict.Len())) // 0: null
	for i := 1; i < len(hashes); i++ {
		hashes[i] = xxh3.HashString(v.Dict.At(i))
	}
	for i := range out {
		code := uint32(0)
		if v.Codes != nil {
			code = v.Codes[i]
		}
		out[i] = mix(out[i], hashes[code])
	}
}

func mix(h, x uint64) uint64 {
	return bits.RotateLeft64(h^x, 29) * 0x9e3779b97f4a7c15
}
