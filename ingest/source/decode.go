package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
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
)

// expand returns the plain bytes of r and whether they were compressed, which
// its first bytes tell: no log begins with those of gzip or zstd. Deflate has no
// such beginning and is believed by its name. The result is closed after use; r
// is not.
func expand(r *bufio.Reader, coding string) (io.ReadCloser, bool, error) {
	head, err := r.Peek(len(zstdMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	switch {
	case coding == "deflate" && len(head) > 0:
		z, err := zlib.NewReader(r) // RFC 9110, section 8.4.1.2
		if err != nil {
			return nil, true, broken(err)
		}
		return expanded{z, func() { z.Close() }}, true, nil
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, true, broken(err)
		}
		return expanded{z, func() { z.Close() }}, true, nil
	case bytes.HasPrefix(head, zstdMagic):
		z, err := zstd.NewReader(r,
			zstd.WithDecoderConcurrency(1), // decodes as it is read, without goroutines
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, true, broken(err)
		}
		return expanded{z, z.Close}, true, nil
	default:
		return io.NopCloser(r), false, nil
	}
}

// expanded is a decompressor that says of broken data what a sender may know.
type expanded struct {
	io.Reader
	close func()
}

func (e expanded) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = broken(err)
	}
	return n, err
}

func (e expanded) Close() error {
	e.close()
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
