package source

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packed returns text compressed by gzip and by zstd.
func packed(t testing.TB, text string) map[string][]byte {
	t.Helper()
	var g bytes.Buffer
	w := gzip.NewWriter(&g)
	io.WriteString(w, text)
	w.Close()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return map[string][]byte{"gzip": g.Bytes(), "zstd": e.EncodeAll([]byte(text), nil)}
}

// TestDecompressorsAgain: what is expanded does not depend on what the same
// decompressor had before, whole or broken, nor on what others expand meanwhile.
func TestDecompressorsAgain(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				text := strings.Repeat(string(rune('a'+i)), 1+n*1000) + "\n"
				for name, b := range packed(t, text) {
					if n%3 == 1 { // damaged in its middle, or cut
						broken := bytes.Clone(b[:len(b)-n%7])
						broken[len(broken)/2] ^= 0x40
						if r, _, err := expand(bufio.NewReader(bytes.NewReader(broken)), "", nil); err == nil {
							io.Copy(io.Discard, r)
							r.Close()
						}
					}
					r, compressed, err := expand(bufio.NewReader(bytes.NewReader(b)), "", nil)
					if err != nil || !compressed {
						t.Errorf("%s: %v, compressed %v", name, err, compressed)
						return
					}
					got, err := io.ReadAll(r)
					if err != nil || string(got) != text {
						t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(text), err)
					}
					r.Close()
					r.Close() // gives nothing back twice
					if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
						t.Errorf("%s: reads %d bytes behind its end", name, n)
					}
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkExpand expands a request of a hundred lines.
func BenchmarkExpand(b *testing.B) {
	text := strings.Repeat(`192.0.2.7 - - [22/Nov/2026:12:00:00 +0000] "GET /v1/items HTTP/1.1" 200 12`+"\n", 100)
	for name, body := range packed(b, text) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, _, err := expand(bufio.NewReader(bytes.NewReader(body)), "", nil)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(text)) {
					b.Fatal(n, err)
				}
				r.Close()
			}
		})
	}
}
