package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/tokenwatch/tokenwatch"
)

// maxWindow bounds what a zstd frame may make the decoder hold: as much as any
// level of the reference encoder asks for without --long.
const maxWindow = 8 << 20

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

	snappyMagic = []byte("\xff\x06\x00\x00sNaPpY") // of the framing format
)

// codingNames lists the content codings that a body may have, as they are said to senders.
const codingNames = "gzip, zstd, deflate, snappy"

// expand returns the plain bytes of r and whether they were compressed, which
// its first bytes tell: no log begins with those of gzip or zstd. Deflate and
// snappy have no such beginning and are believed by their name. The result is
// closed after use; r is not. A snappy block, which cannot be expanded piece by
// piece, is refused if it says that it is larger than within allows.
func expand(r *bufio.Reader, coding string, within func(packed, plain int64) error) (io.ReadCloser, bool, error) {
	head, err := r.Peek(len(snappyMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	switch {
	case len(head) == 0:
		return io.NopCloser(r), false, nil
	case coding == "deflate":
		return inflate(r, head)
	case coding == "snappy":
		if bytes.HasPrefix(head, snappyMagic) {
			return &expanded{from: s2.NewReader(r, s2.ReaderMaxBlockSize(64<<10)), close: func() {}}, true, nil
		}
		return &expanded{from: &block{r: r, within: within}, close: func() {}}, true, nil
	case bytes.HasPrefix(head, gzipMagic):
		return gzips.open(r)
	case bytes.HasPrefix(head, zstdMagic):
		return zstds.open(r)
	default:
		return io.NopCloser(r), false, nil
	}
}

// inflate expands deflate: a zlib stream (RFC 9110, section 8.4.1.2), or, as some
// clients send it, the bare data, which begin differently.
func inflate(r *bufio.Reader, head []byte) (io.ReadCloser, bool, error) {
	if len(head) < 2 || head[0]&0x0f != 8 || (int(head[0])<<8|int(head[1]))%31 != 0 {
		z := flate.NewReader(r)
		return &expanded{from: z, close: func() { z.Close() }}, true, nil
	}
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, true, broken(err)
	}
	return &expanded{from: z, close: func() { z.Close() }}, true, nil
}

// block is a snappy block, expanded whole when it is first read.
type block struct {
	r      io.Reader // nil when it was read
	within func(packed, plain int64) error
	plain  bytes.Reader
	err    error
}

func (b *block) Read(p []byte) (int, error) {
	if b.r != nil {
		b.err = b.expand()
		b.r = nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.plain.Read(p)
}

func (b *block) expand() error {
	packed, err := io.ReadAll(b.r)
	if err != nil {
		return err
	}
	size, err := s2.DecodedLen(packed)
	if err != nil {
		return err
	}
	if err := b.within(int64(len(packed)), int64(size)); err != nil {
		return err
	}
	plain, err := s2.Decode(nil, packed)
	b.plain.Reset(plain)
	return err
}

// decompressor is what gzip and zstd have in common.
type decompressor interface {
	io.Reader
	Reset(io.Reader) error
}

// decompressors keeps idle ones: to make one costs more than to expand a small
// request with it.
type decompressors struct{ pool sync.Pool }

var gzips = decompressors{sync.Pool{New: func() any { return decompressor(new(gzip.Reader)) }}}

var zstds = decompressors{sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), // decodes as it is read, without goroutines
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic("source: zstd options: " + err.Error()) // they are constant
	}
	return decompressor(z)
}}}

// open begins to expand r.
func (d *decompressors) open(r io.Reader) (io.ReadCloser, bool, error) {
	z := d.pool.Get().(decompressor)
	close := func() {
		z.Reset(nothing{}) // lets go of r
		d.pool.Put(z)
	}
	if err := z.Reset(r); err != nil {
		close()
		return nil, true, broken(err)
	}
	return &expanded{from: z, close: close}, true, nil
}

// nothing is an empty stream.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) ReadByte() (byte, error)  { return 0, io.EOF }

// expanded is a decompressor that says of broken data what a sender may know. Its
// decompressor is another's once it is closed.
type expanded struct {
	from  io.Reader
	close func() // nil when closed
}

func (e *expanded) Read(p []byte) (int, error) {
	if e.close == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := e.from.Read(p)
	if err != nil && err != io.EOF {
		err = broken(err)
	}
	return n, err
}

func (e *expanded) Close() error {
	if e.close != nil {
		e.close()
		e.from, e.close = nil, nil
	}
	return nil
}

// broken is the refusal of compressed data that err came from, unless the
// reader below had its own reason.
func broken(err error) error {
	if refusal := (*tokenwatch.Refusal)(nil); errors.As(err, &refusal) {
		return refusal
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return tooLarge(fmt.Sprintf("a zstd window may have %d bytes: compress without --long", maxWindow))
	}
	return &tokenwatch.Refusal{
		Reason: tokenwatch.RefusedBody,
		Detail: "the compressed body is damaged or ends early",
		Err:    err,
	}
}
