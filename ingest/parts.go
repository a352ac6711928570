package ingest

import (
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// parts is a Framer that takes records which hold several apart. Each part has
// the place of the record it lies in.
type parts struct {
	frame.Framer
	parser format.Splitter
	whole  frame.Record
	rest   [][]byte
}

// partsOf returns a Framer of the parts that a parser sees in the records of
// another, which is that one if it sees none.
func partsOf(f frame.Framer, p format.Parser) frame.Framer {
	if s, ok := p.(format.Splitter); ok {
		return &parts{Framer: f, parser: s}
	}
	return f
}

// Next returns the next part, or the next record that has none.
func (p *parts) Next() (frame.Record, error) {
	for len(p.rest) == 0 {
		record, err := p.Framer.Next()
		if err != nil || len(record.Bytes) == 0 || record.TooDeep {
			return record, err
		}
		if p.rest = p.parser.Split(record.Bytes); len(p.rest) == 0 {
			return record, nil
		}
		p.whole = record
	}
	record := p.whole
	record.Bytes, p.rest = p.rest[0], p.rest[1:]
	record.Length = int64(len(record.Bytes))
	return record, nil
}
