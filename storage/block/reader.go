package block

import (
	"encoding/binary"
	"math"

	"github.com/klauspost/compress/zstd"
)

// reader walks over the bytes of one head or chunk. After the first wrong byte
// it answers zero to every question, so that callers look at err once, and
// before they use what they read.
type reader struct {
	b     []byte
	pos   int
	part  string // named in the error
	base  int    // place of b in the segment
	cells *int   // bytes of decoded values that may still be allocated
	zstd  *zstd.Decoder
	err   error
}

// fail notes the first error, at the present place.
func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = &Corrupt{Part: r.part, Offset: r.base + r.pos, Reason: reason}
	}
}

// left returns how many bytes are still unread, 0 after an error.
func (r *reader) left() int {
	if r.err != nil {
		return 0
	}
	return len(r.b) - r.pos
}

func (r *reader) byte() byte {
	if r.left() < 1 {
		r.fail("it ends early")
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

// bytes returns the next n bytes, without a copy.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > r.left() {
		r.fail("it ends early")
		return nil
	}
	r.pos += n
	return r.b[r.pos-n : r.pos : r.pos]
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[len(r.b)-r.left():])
	if n <= 0 {
		r.fail("no number where one must be")
		return 0
	}
	r.pos += n
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b[len(r.b)-r.left():])
	if n <= 0 {
		r.fail("no number where one must be")
		return 0
	}
	r.pos += n
	return v
}

// count reads a number of things of which there are at most limit.
func (r *reader) count(limit int) int {
	v := r.uvarint()
	if v > uint64(limit) {
		r.fail("a count is out of bounds")
		return 0
	}
	return int(v)
}

// text reads a length and as many bytes, and copies them.
func (r *reader) text() string { return string(r.bytes(r.count(math.MaxInt32))) }

// take asks for n values of size bytes of memory. It is false when the segment
// has had its share or is already known to be corrupt.
func (r *reader) take(n, size int) bool {
	if r.err != nil {
		return false
	}
	if n < 0 || n > *r.cells/size {
		r.fail("it claims more values than a segment may hold")
		return false
	}
	*r.cells -= n * size
	return true
}

// done makes bytes that nobody read an error, and returns the first error.
func (r *reader) done() error {
	if r.left() > 0 {
		r.fail("bytes follow the end")
	}
	return r.err
}
