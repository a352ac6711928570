// Package frame cuts a stream of bytes into records.
//
// In: an io.Reader, already decompressed. Out: one [Record] a call, in order,
// with its place in the stream. It promises bounded memory whatever comes in
// (about twice the record limit), a record for every piece of input that is
// not white space, and that a broken or oversized record costs its neighbours
// nothing where its end can be told.
package frame

import (
	"bytes"
	"io"
)

// Kind is a way of cutting.
type Kind uint8

const (
	// Lines: a record is a line. A carriage return before the break is not part
	// of it; blank lines are skipped; the last line needs no break.
	Lines Kind = iota
	// JSONValues: a record is a JSON object, concatenated or on lines of its
	// own. A top-level array, and the array named "Records" of a top-level
	// object, are opened: each element is a record. So is the array of a page, as
	// services hand records out: {"kind": …, "items": […]}.
	JSONValues
)

// String returns "lines" or "json_values".
func (k Kind) String() string {
	if k == JSONValues {
		return "json_values"
	}
	return "lines"
}

// Limits of a record.
const (
	DefaultLimit = 256 << 10 // bytes
	MaxDepth     = 32        // levels of nesting of a JSON record, its own braces included
)

// Record is one record of a stream.
type Record struct {
	Bytes   []byte // valid until the next call; nil if TooLong
	Offset  int64  // of its first byte in the stream
	Length  int64  // in bytes, also of what was skipped
	TooLong bool   // longer than the limit: nothing of it was kept
	TooDeep bool   // nested deeper than MaxDepth: not to be parsed
}

// Framer gives the records of one stream.
type Framer interface {
	// Next returns the next record, io.EOF after the last. Any other error is
	// the reader's; a record it cuts short is not returned.
	Next() (Record, error)
	// Reset begins another stream in the memory of the last; nil only lets go
	// of the reader.
	Reset(r io.Reader)
}

// New returns a Framer of r. A limit of 0 is DefaultLimit.
func New(kind Kind, r io.Reader, limit int) Framer {
	if limit <= 0 {
		limit = DefaultLimit
	}
	b := buffer{r: r}
	if kind == JSONValues {
		return &values{buffer: b, limit: limit}
	}
	return &lines{buffer: b, limit: limit}
}

// Sniff guesses from the first bytes of a stream how it is cut: JSONValues if
// it begins with an object or an array of objects, or if most of its whole
// lines begin with an object.
func Sniff(head []byte) Kind {
	t := bytes.TrimLeft(head, " \t\r\n")
	if len(t) > 0 && t[0] == '[' {
		t = bytes.TrimLeft(t[1:], " \t\r\n")
		if len(t) == 0 || t[0] == '{' || t[0] == ']' {
			return JSONValues
		}
	}
	if len(t) > 0 && t[0] == '{' {
		return JSONValues
	}
	var total, objects int
	for line := range bytes.Lines(head) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			total++
			if line[0] == '{' {
				objects++
			}
		}
	}
	if 2*objects > total {
		return JSONValues
	}
	return Lines
}
