package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// ingressTable is the access log of the Kubernetes nginx ingress controller.
var ingressTable = spacedTable{
	shapes: []string{"client ident user time request status bytes referer user_agent request_length request_time upstream_name alternative_upstream_name " +
		"upstream_addr upstream_response_length upstream_response_time upstream_status request_id"},
	rules: map[string]rule{
		"client": toCol(tokenwatch.ColSrcIP), "user": {op: toUser}, "time": toCol(tokenwatch.ColTime), "request": {op: toRequest}, "status": toCol(tokenwatch.ColStatus),
		"bytes": toCol(tokenwatch.ColBytesOut), "referer": {op: toReferer}, "user_agent": toCol(tokenwatch.ColUserAgent), "request_length": toCol(tokenwatch.ColBytesIn),
		"request_time": toDur(1e9), "upstream_name": toCol(tokenwatch.ColService), "request_id": toCol(tokenwatch.ColRequestID),
	},
}

// sniffIngress looks for the bracketed names of the upstreams.
func sniffIngress(record []byte) int {
	i := bytes.LastIndex(record, []byte("] ["))
	if i < 60 || sniffCombined(record) == 0 {
		return 0
	}
	if open := bytes.LastIndexByte(record[:i], '['); open < 40 || record[open-1] != ' ' || open > 2 && record[open-2] == '"' {
		return 0
	}
	return 97
}
