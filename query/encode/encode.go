// Package encode writes the answers of queries: as JSON, lines of JSON, CSV, an
// Arrow IPC stream or Parquet.
//
// In come the chunks of package query; out go bytes, as they come: no format but
// Parquet, which has its index at its end, holds back more than a chunk. What is
// shown is escaped as the format has it; control characters and those that turn
// the direction of text are escaped in JSON. Nulls stay nulls.
package encode

import (
	"errors"
	"io"

	"github.com/tokenwatch/tokenwatch/query"
)

// Encoder writes one answer.
type Encoder interface {
	query.Output
	// End writes what ends an answer; failed is why it ended early, nil if it is
	// whole. It is called once, after Begin.
	End(s query.Statistics, failed error) error
}

// Format is a way to write answers.
type Format struct {
	Name string
	Type string // media type
	Doc  string
	New  func(w io.Writer) Encoder
}

// All lists the formats; the first is the default.
var All = []Format{
	{"json", "application/json", "one object: columns, rows as lists, statistics", newJSON},
	{"ndjson", "application/x-ndjson", "one JSON object a row", newLines},
	{"csv", "text/csv; charset=utf-8", "RFC 4180 with a header; nulls are empty", newCSV},
	{"arrow", "application/vnd.apache.arrow.stream", "Arrow IPC stream", newArrow},
	{"parquet", "application/vnd.apache.parquet", "Parquet, zstd", newParquet},
}

// ByName finds a format.
func ByName(name string) (Format, error) {
	for _, f := range All {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, errors.New("the format is json, ndjson, csv, arrow or parquet")
}
