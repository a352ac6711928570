package ingest

import (
	"io"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// Split returns the JSON records of a file, for source.Files. Only a record
// longer than the limit of a record is a rejection: of it nothing was kept.
func Split(r io.Reader) source.Splitter {
	return splitter{frame.New(frame.JSONValues, r, frame.DefaultLimit)}
}

type splitter struct{ framer frame.Framer }

func (s splitter) Next() ([]byte, int64, error) {
	record, err := s.framer.Next()
	if err != nil {
		return nil, 0, err
	}
	if record.TooLong {
		return nil, record.Offset, &tokenwatch.Rejection{Reason: tokenwatch.ReasonLineTooLong}
	}
	return record.Bytes, record.Offset, nil
}
