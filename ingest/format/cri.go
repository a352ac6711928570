package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// cri reads the log files of Kubernetes containers (containerd, CRI-O):
//
//	time stdout|stderr F|P line
//
// The line is read by the format that fits it. A line that the runtime cut in
// parts (P) is as many records, since the parts of several streams are mixed.
type cri struct{ inner *inner }

func newCRI(c Config) (Parser, error) { return &cri{newInner(c)}, nil }

func sniffCRI(record []byte) int {
	if _, _, ok := criStream(record); ok {
		return 96
	}
	return 0
}

// criStream cuts time and stream off.
func criStream(record []byte) (stamp, rest []byte, ok bool) {
	i := bytes.IndexByte(record[:min(len(record), 40)], ' ')
	if i < 20 || record[4] != '-' {
		return nil, nil, false
	}
	stamp, rest = record[:i], record[i+1:]
	return stamp, rest, bytes.HasPrefix(rest, []byte("stdout ")) || bytes.HasPrefix(rest, []byte("stderr "))
}

// Parse fills row from a line.
func (p *cri) Parse(record []byte, row *tokenwatch.Row) error {
	stamp, rest, ok := criStream(record)
	if !ok {
		return malformed("no time and stream at the beginning")
	}
	e := envelope{format: "cri"}
	if e.time, e.timed = normalize.ParseTime(stamp); !e.timed {
		return reject(tokenwatch.ReasonNoTime, "time cannot be read")
	}
	stream, rest := word(rest)
	if tag, line, _ := bytes.Cut(rest, []byte(" ")); len(tag) > 0 && (tag[0] == 'F' || tag[0] == 'P') && (len(tag) == 1 || tag[1] == ':') {
		rest = line
	}
	e.message = rest
	if err := e.open(p.inner, row); err != nil {
		return err
	}
	row.AddAttr(row.Keep("stream"), stream)
	return nil
}
