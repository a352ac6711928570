package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// traefikTable is Traefik's access log in common log format, which adds to
// combined the number of the request, router, server and duration.
var traefikTable = spacedTable{
	shapes: []string{"client ident user time request status bytes referer user_agent request_count router server duration"},
	rules: map[string]rule{
		"client": toCol(tokenwatch.ColSrcIP), "user": {op: toUser}, "time": toCol(tokenwatch.ColTime), "request": {op: toRequest}, "status": toCol(tokenwatch.ColStatus),
		"bytes": toCol(tokenwatch.ColBytesOut), "referer": {op: toReferer}, "user_agent": toCol(tokenwatch.ColUserAgent), "duration": toDur(1e6),
		"router": toCol(tokenwatch.ColService),
	},
}

// sniffTraefik looks for a duration at the end of what is else combined.
func sniffTraefik(record []byte) int {
	line := bytes.TrimRight(record, " \r\n")
	if !bytes.HasSuffix(line, []byte("ms")) || sniffCombined(record) == 0 {
		return 0
	}
	took := line[bytes.LastIndexByte(line, ' ')+1:]
	if _, ok := digits(took[:len(took)-2]); !ok || len(line) < len(took)+2 || line[len(line)-len(took)-2] != '"' {
		return 0
	}
	return 97
}
