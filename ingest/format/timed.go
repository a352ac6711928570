package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// timed reads lines of any format behind a time, as CloudWatch Logs exports them
// to S3, and kubectl and docker print them with timestamps.
type timed struct{ inner *inner }

func newTimed(c Config) (Parser, error) { return &timed{newInner(c)}, nil }

// sniffTimed looks for a time as of RFC 3339 with a zone, and a record behind it.
func sniffTimed(record []byte) int {
	rest, _, ok := timedLine(record)
	if !ok {
		return 0
	}
	best := 0
	for i := range formats {
		if f := &formats[i]; f.Name != "timed" && f.Name != "csv" && f.Name != "keyvalue" {
			best = max(best, f.Sniff(rest))
		}
	}
	if best < 60 {
		return 0
	}
	return min(best, 60)
}

// timedLine cuts the time off.
func timedLine(record []byte) (rest, stamp []byte, ok bool) {
	i := bytes.IndexByte(record[:min(len(record), 40)], ' ')
	if i < 20 || record[4] != '-' || record[10] != 'T' || len(record) < i+20 {
		return nil, nil, false
	}
	if c := record[i-1]; c != 'Z' && record[i-6] != '+' && record[i-6] != '-' {
		return nil, nil, false
	}
	return record[i+1:], record[:i], true
}

// Parse fills row from a line.
func (p *timed) Parse(record []byte, row *tokenwatch.Row) error {
	rest, stamp, ok := timedLine(record)
	if !ok {
		return malformed("no time and text")
	}
	e := envelope{format: "timed", message: rest}
	if e.time, e.timed = normalize.ParseTime(stamp); !e.timed {
		return reject(tokenwatch.ReasonNoTime, "time at the beginning cannot be read")
	}
	return e.open(p.inner, row)
}
