package ingest

import (
	"io"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// TestParts: the events of a delivery are records of their own at its place, and
// what follows it is not lost.
func TestParts(t *testing.T) {
	f, _ := format.ByName("cloudwatch")
	p, err := f.New(format.Config{})
	if err != nil {
		t.Fatal(err)
	}
	in := `{"logGroup":"g","logEvents":[{"id":"a"},{"id":"b"}]}` + "\n" + `{"id":"c"}`
	fr := partsOf(frame.New(f.Frame, strings.NewReader(in), 0), p)
	for _, want := range []struct {
		bytes  string
		offset int64
	}{{`{"logGroup":"g","id":"a"}`, 0}, {`{"logGroup":"g","id":"b"}`, 0}, {`{"id":"c"}`, 53}} {
		rec, err := fr.Next()
		if err != nil || string(rec.Bytes) != want.bytes || rec.Offset != want.offset {
			t.Fatalf("%q at %d, %v; want %q at %d", rec.Bytes, rec.Offset, err, want.bytes, want.offset)
		}
	}
	if _, err := fr.Next(); err != io.EOF {
		t.Fatal(err)
	}
}
