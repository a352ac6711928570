package block

import (
	"encoding/binary"
	"hash/crc32"
)

// The chunks that are no columns; they follow the columns in this order.
const (
	extraRequests = iota
	extraNames
	extraFacts // from layout 2 on
	numExtras
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Extent is where a chunk lies in the segment, in bytes, and its CRC-32C. A column
// of one value has none.
type Extent struct {
	Offset, Length int
	Sum            uint32
}

// extent reads the length and the sum of the chunk that begins at.
func (r *reader) extent(at int) Extent {
	x := Extent{Offset: at, Length: r.count(1 << 40)}
	if x.Length > 0 {
		if b := r.bytes(4); b != nil {
			x.Sum = binary.LittleEndian.Uint32(b)
		}
	}
	return x
}

// chunk returns the bytes of a chunk after checking their sum.
func (x Extent) chunk(b []byte, part string) ([]byte, error) {
	chunk := b[x.Offset : x.Offset+x.Length]
	if crc32.Checksum(chunk, castagnoli) != x.Sum {
		return nil, &Corrupt{Part: part, Offset: x.Offset, Reason: "its checksum is another"}
	}
	return chunk, nil
}

func appendExtent(dst []byte, x Extent) []byte {
	dst = binary.AppendUvarint(dst, uint64(x.Length))
	if x.Length > 0 {
		dst = binary.LittleEndian.AppendUint32(dst, x.Sum)
	}
	return dst
}
