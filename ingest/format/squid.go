package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// squidTable is Squid's native access log. Its combined form is read as combined.
var squidTable = spacedTable{
	shapes: []string{"time elapsed client result bytes method url user hierarchy content_type"},
	rules: map[string]rule{
		"time": toCol(tokenwatch.ColTime), "elapsed": toDur(1e6), "client": toCol(tokenwatch.ColSrcIP), "bytes": toCol(tokenwatch.ColBytesOut),
		"method": toCol(tokenwatch.ColMethod), "user": {op: toUser}, "url": {op: toNothing},
	},
	choose: func(fields [][]byte) int {
		if len(fields) < 9 {
			return -1
		}
		return 0
	},
	finish: func(p *spaced) error {
		if _, code, ok := bytes.Cut(p.field("result"), []byte("/")); ok {
			if n, ok := digits(code); ok && n > 0 { // 000: no answer was sent
				p.row.SetInt(tokenwatch.ColStatus, n)
			}
		} else {
			return malformed("no result with a status")
		}
		setTarget(p.row, p.field("url"))
		for _, headers := range p.fields[min(len(p.fields), 10):] { // log_mime_hdrs
			addHeaderCredentials(p.row, headers)
		}
		return nil
	},
}

// sniffSquid looks for a Unix time with milliseconds and a result with a status.
func sniffSquid(record []byte) int {
	stamp, rest := word(record[:min(len(record), 256)])
	if len(stamp) != len("1286536308.779") || stamp[10] != '.' {
		return 0
	}
	elapsed, rest := word(rest)
	_, rest = word(rest)
	result, _ := word(rest)
	name, code, ok := bytes.Cut(result, []byte("/"))
	if _, isNumber := digits(bytes.TrimPrefix(elapsed, []byte("-"))); !ok || !isNumber || len(code) != 3 || len(name) < 3 {
		return 0
	}
	return 97
}
