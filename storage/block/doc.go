// Package block is a segment on disk: one batch of sealed rows, with the
// requests it came from, as bytes.
//
// In goes a [tokenwatch.Entry] that holds a batch, out come bytes that stand
// for themselves, and the other way round. A segment begins with a head, which
// says for each column where its chunk lies, how it is coded and between which
// values it lies; so a reader can leave a segment out, or decode only the
// columns it names. FORMAT.md draws every byte.
//
// Promises:
//
//   - What is encoded decodes to an equal entry: same rows, requests and
//     namings, in the same order. Only what no reader can see is made uniform:
//     slots of null rows become zero, a validity bitmap with every bit set
//     becomes nil, a column without a value becomes the zero Vector. The offset
//     is not in the bytes: it is the key under which a store keeps them.
//   - Equal entries give equal bytes: on every machine, but not with every
//     version of the zstd library.
//   - Every byte is under a checksum which is verified before the byte is
//     decoded. A segment in which bits changed gives an error, never rows.
//   - No input panics. Memory is bounded by [MaxCells] plus a small multiple of
//     [MaxRatio] times the input, and no size that the input claims is believed before it is
//     checked against these.
package block

// Limits of a segment. Encode refuses what Decode would refuse.
const (
	MaxRows  = 16 << 20 // rows
	MaxCells = 1 << 30  // bytes of decoded values but the text itself
	MaxRatio = 256      // bytes that one byte of compressed text may become
)
