package api

import (
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // what OTLP exporters compress by, as a rule
)

// gRPC keeps its codings in a table of the process that may only be changed while
// it starts. What a message may expand to is bounded by the server, which stops
// reading there.
func init() {
	encoding.RegisterCompressor(coding{"zstd",
		func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) },
		func(r io.Reader) (io.Reader, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		},
	})
	encoding.RegisterCompressor(coding{"snappy",
		func(w io.Writer) (io.WriteCloser, error) { return s2.NewWriter(w, s2.WriterSnappyCompat()), nil },
		func(r io.Reader) (io.Reader, error) { return s2.NewReader(r, s2.ReaderMaxBlockSize(64<<10)), nil },
	})
}

// coding is a compressor of gRPC.
type coding struct {
	name   string
	pack   func(io.Writer) (io.WriteCloser, error)
	unpack func(io.Reader) (io.Reader, error)
}

func (c coding) Name() string                                 { return c.name }
func (c coding) Compress(w io.Writer) (io.WriteCloser, error) { return c.pack(w) }
func (c coding) Decompress(r io.Reader) (io.Reader, error)    { return c.unpack(r) }
