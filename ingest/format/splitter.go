package format

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxSplit bounds what the parts of a record repeat of it, in bytes. What would
// be more stays one record, whose other events are attrs.
const maxSplit = 4 << 20

// Split returns a record for each event of one that holds several under the name
// that the product's table gives: the record with that event alone, and with its
// index as the member "#", by which the events differ that share an id.
func (p *auditParser) Split(record []byte) [][]byte {
	if p.t.split == "" {
		return nil
	}
	begin, end, events := membersOf(record, p.t.split)
	if len(events) < 2 || len(events)*(begin+len(record)-end) > maxSplit {
		return nil
	}
	parts := make([][]byte, len(events))
	for i, event := range events {
		part := strconv.AppendInt([]byte(`{"#":`), int64(i), 10)
		part = append(append(part, ','), record[bytes.IndexByte(record, '{')+1:begin]...)
		parts[i] = append(append(part, event...), record[end:]...)
	}
	return parts
}

// membersOf returns the items of the array that an object holds under a name, the
// place behind its opening bracket and that of its closing one; none if it is no
// such object.
func membersOf(record []byte, name string) (begin, end int, items [][]byte) {
	d := jsontext.NewDecoder(bytes.NewReader(record), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return 0, 0, nil
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return 0, 0, nil
		}
		if t.String() != name || d.PeekKind() != '[' {
			if d.SkipValue() != nil {
				return 0, 0, nil
			}
			continue
		}
		if _, err := d.ReadToken(); err != nil {
			return 0, 0, nil
		}
		begin = int(d.InputOffset())
		for d.PeekKind() == '{' {
			item, err := d.ReadValue()
			if err != nil {
				return 0, 0, nil
			}
			items = append(items, bytes.Clone(item))
		}
		if t, err := d.ReadToken(); err != nil || t.Kind() != ']' {
			return 0, 0, nil
		}
		return begin, int(d.InputOffset()) - 1, items
	}
	return 0, 0, nil
}
