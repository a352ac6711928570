package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// gin reads the access log of the Gin framework, which many Go services have:
//
//	[GIN] 2006/01/02 - 15:04:05 | 200 | 1.234ms | 192.0.2.1 | GET "/path"
//
// also with a time as of RFC 3339 instead of the first two fields.
type gin struct{}

func newGin(Config) (Parser, error) { return gin{}, nil }

// sniffGin looks for the bars and the quoted path.
func sniffGin(record []byte) int {
	if bytes.HasPrefix(record, []byte("[GIN] ")) {
		return 97
	}
	if len(record) > 40 && record[4] == '-' && bytes.Count(record, []byte(" | ")) >= 4 && bytes.HasSuffix(bytes.TrimRight(record, " \r\n"), []byte(`"`)) {
		return 90
	}
	return 0
}

// Parse fills row from a line.
func (gin) Parse(record []byte, row *tokenwatch.Row) error {
	line := bytes.TrimPrefix(bytes.TrimRight(record, " \r\n"), []byte("[GIN] "))
	var parts [5][]byte
	for i := range parts {
		var ok bool
		if parts[i], line, ok = bytes.Cut(line, []byte("|")); !ok && i < len(parts)-1 {
			return malformed("fewer than five fields between bars")
		}
		parts[i] = bytes.TrimSpace(parts[i])
	}
	var buf [64]byte
	stamp := parts[0]
	if date, clock, ok := bytes.Cut(stamp, []byte(" - ")); ok && len(stamp) < len(buf) {
		stamp = append(append(append(buf[:0], date...), ' '), clock...)
	}
	ns, ok := normalize.ParseTime(stamp)
	if !ok {
		return reject(tokenwatch.ReasonNoTime, "time before the first bar cannot be read")
	}
	row.SetInt(tokenwatch.ColTime, ns)
	code, ok := digits(parts[1])
	if !ok || code > 999 {
		return malformed("no status behind the first bar")
	}
	row.SetInt(tokenwatch.ColStatus, code)
	if d, ok := goDuration(parts[2]); ok {
		row.SetInt(tokenwatch.ColDuration, d)
	}
	if a, _, ok := address(parts[3]); ok {
		row.SetAddr(a)
	}
	method, rest := word(parts[4])
	if !isMethod(method) {
		return malformed("no method behind the last bar")
	}
	row.SetText(tokenwatch.ColMethod, method)
	if path, _, ok := quoted(row, rest); ok {
		setTarget(row, path)
	}
	return nil
}

// goDuration reads a duration as Go prints it: 1m2.5s, 505.317µs.
func goDuration(v []byte) (int64, bool) {
	var sum int64
	for len(v) > 0 {
		n := 0
		for n < len(v) && (v[n] >= '0' && v[n] <= '9' || v[n] == '.') {
			n++
		}
		unit := n
		for unit < len(v) && (v[unit] < '0' || v[unit] > '9') {
			unit++
		}
		var d int64
		var ok bool
		switch string(v[n:unit]) {
		case "h":
			d, ok = scaled(v[:n], 3600e9)
		case "m":
			d, ok = scaled(v[:n], 60e9)
		default:
			d, ok = duration(v[:unit], 0)
		}
		if !ok || d < 0 || sum > 1<<61 {
			return 0, false
		}
		sum += d
		v = v[unit:]
	}
	return sum, true
}
