// Package format turns a record into a row: one file per log format, all of
// them listed in [All].
//
// In: a record as ingest/frame cut it. Out: a [tokenwatch.Row] that points at
// parts of the record, with credentials apart in Row.Credentials. It promises
// never to panic, to copy only what must be decoded, and to answer a record it
// does not understand with a [tokenwatch.Rejection] that quotes none of it.
//
// Bytes that are not UTF-8 become U+FFFD in what JSON formats decode, and are
// kept as they are in combined lines; whoever prints a value escapes it.
package format

import (
	"bytes"
	"errors"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// Parser turns records of one format into rows. It is not safe for use from
// several goroutines.
type Parser interface {
	// Parse fills row, which is Reset, from record. The row may point into
	// record; both are valid until the next call. The error is ErrNoRecord or a
	// *tokenwatch.Rejection; the row is then of no use. A parser that reads a
	// record within another sets the row's format to say so: syslog+combined.
	Parse(record []byte, row *tokenwatch.Row) error
}

// ErrNoRecord answers a piece of input that tells of no event: a header, a
// comment. It is neither stored nor refused.
var ErrNoRecord = errors.New("no record")

// Headed is a Parser of records that are only understood with a header which
// came before them in their stream. Whoever uses one parser for several
// streams, or several for one, carries the header over.
type Headed interface {
	Parser
	// Header returns the header last read, nil if there was none.
	Header() []byte
	// SetHeader makes a header the last one read; nil forgets it.
	SetHeader(header []byte)
}

// Splitter is a Parser of records that hold several: the events of a delivery
// together with what they have in common.
type Splitter interface {
	Parser
	// Split returns the records within a record, nil if it is one itself. They are
	// valid as long as record is, and are each for Parse.
	Split(record []byte) [][]byte
}

// Format is one log format.
type Format struct {
	Name  string
	Doc   string // one line
	Frame frame.Kind
	// Arrival: a record may come without a time of its own, as webhooks do, and
	// is then of the time it arrives.
	Arrival bool
	New     func(Config) (Parser, error)
	// Sniff tells from 0 to 100 how much a record looks like the format,
	// without parsing it.
	Sniff func(record []byte) int
}

// Config is what a parser can be told. The zero value works.
type Config struct {
	Mapping *Mapping         // names of fields of json, before the built-in ones; nil for none
	Custom  []Format         // formats to look for before those of All, in records within others too
	Now     func() time.Time // ends the year that a date without one lies in; nil is time.Now

	depth    int  // of records within records
	enclosed bool // the record around has a time
}

// now returns the time that no date without a year lies behind.
func (c *Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// ByName finds a format.
func ByName(name string) (Format, bool) {
	for _, f := range All {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Limits of what a record may hold; those of ingest/frame come first.
const (
	maxFields = 256
	maxDepth  = frame.MaxDepth
)

func reject(reason, detail string) error {
	return &tokenwatch.Rejection{Reason: reason, Detail: detail}
}

func malformed(detail string) error { return reject(tokenwatch.ReasonMalformed, detail) }

// firstByte returns the first byte that is no space, 0 if there is none.
func firstByte(record []byte) byte {
	if t := bytes.TrimLeft(record, " \t\r\n"); len(t) > 0 {
		return t[0]
	}
	return 0
}
