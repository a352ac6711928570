package block

import (
	"encoding/binary"
)

// A section is a run of bytes within a chunk, compressed where that pays.
const (
	methodRaw  = 0
	methodZstd = 1
)

const (
	minSqueeze = 128      // bytes below which there is little to gain
	bigSection = 64 << 10 // from here on a sample is tried first
	sampleSize = 8 << 10
)

// skippable begins a zstd frame that decoders pass over (RFC 8878 §3.1.2).
const skippable = 0x184D2A50

// section appends raw as a section.
func (e *Encoder) section(dst, raw []byte) []byte {
	if z, ok := e.squeeze(raw); ok {
		dst = append(dst, methodZstd)
		dst = binary.AppendUvarint(dst, uint64(len(raw)))
		dst = binary.AppendUvarint(dst, uint64(len(z)))
		return append(dst, z...)
	}
	dst = append(dst, methodRaw)
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	return append(dst, raw...)
}

// squeeze compresses raw and tells whether that saved a twentieth. The result
// lives until the next call.
func (e *Encoder) squeeze(raw []byte) ([]byte, bool) {
	if len(raw) < minSqueeze {
		return nil, false
	}
	if len(raw) >= bigSection {
		at := (len(raw) - sampleSize) / 2
		e.squeezed = e.zstd.EncodeAll(raw[at:at+sampleSize], e.squeezed[:0])
		if !pays(len(e.squeezed), sampleSize) {
			return nil, false
		}
	}
	z := e.zstd.EncodeAll(raw, e.squeezed[:0])
	if floor := (len(raw) + MaxRatio - 1) / MaxRatio; len(z) < floor {
		// A reader believes no more than MaxRatio, so that a few hostile bytes
		// cannot claim gigabytes: fill up with a frame that means nothing.
		n := max(0, floor-len(z)-8)
		z = binary.LittleEndian.AppendUint32(z, skippable)
		z = binary.LittleEndian.AppendUint32(z, uint32(n))
		z = append(z, make([]byte, n)...)
	}
	e.squeezed = z
	return z, pays(len(z), len(raw))
}

func pays(compressed, raw int) bool { return compressed <= raw-raw/20 }

// section reads a section of exactly n bytes. It returns the chunk's own bytes,
// which are only to be read, or the decompressed ones in *buf, which may grow.
func (r *reader) section(n int, buf *[]byte) []byte {
	method, size := r.byte(), r.uvarint()
	if r.err == nil && size != uint64(n) {
		r.fail("a section has another size than its values")
	}
	switch {
	case r.err != nil:
		return nil
	case method == methodRaw:
		return r.bytes(n)
	case method != methodZstd:
		r.fail("a section is stored in an unknown way")
		return nil
	}
	z := r.bytes(r.count(r.left()))
	if r.err == nil && n/MaxRatio > len(z) {
		r.fail("a section claims too high a compression")
	}
	if r.err != nil {
		return nil
	}
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	// The decoder is set to stay within the capacity it is given.
	out, err := r.zstd.DecodeAll(z, (*buf)[:0:n])
	if err != nil || len(out) != n {
		r.fail("a section does not decompress")
		return nil
	}
	return out
}

// sectionSize returns the decoded size of the section that follows, without
// reading on. It is bounded by what the bytes of the chunk can hold.
func (r *reader) sectionSize() int {
	ahead := *r
	ahead.byte()
	n := ahead.uvarint()
	if r.err == nil && ahead.err != nil {
		r.err = ahead.err
	}
	if r.err == nil && n/MaxRatio > uint64(ahead.left()) {
		r.fail("a section claims too high a compression")
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}
