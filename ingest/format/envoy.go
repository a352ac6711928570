package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// envoyTable is the text that Envoy and Istio log by default. As JSON they are
// read as json, by the same names.
var envoyTable = spacedTable{
	shapes: []string{
		"start_time request response_code response_flags bytes_received bytes_sent duration upstream_service_time x_forwarded_for user_agent request_id authority upstream_host",
		"start_time request response_code response_flags response_code_details connection_termination_details upstream_transport_failure_reason bytes_received " +
			"bytes_sent duration upstream_service_time x_forwarded_for user_agent request_id authority upstream_host upstream_cluster upstream_local_address " +
			"downstream_local_address downstream_remote_address requested_server_name route_name",
		"start_time request response_code response_flags upstream_transport_failure_reason bytes_received " + // Istio before 1.8
			"bytes_sent duration upstream_service_time x_forwarded_for user_agent request_id authority upstream_host upstream_cluster upstream_local_address " +
			"downstream_local_address downstream_remote_address requested_server_name route_name",
	},
	rules: envoyRules,
	choose: func(fields [][]byte) int {
		switch n := len(fields); {
		case n >= 22:
			return 1
		case n >= 19:
			return 2
		case n >= 13:
			return 0
		}
		return -1
	},
	finish: func(p *spaced) error {
		request := p.field("request")
		if request != nil && !bytes.HasPrefix(request, []byte("- -")) { // TCP has "- - -"
			setRequest(p.row, request)
		}
		if n, ok := digits(p.field("response_code")); ok && n > 0 { // 0: no answer
			p.row.SetInt(tokenwatch.ColStatus, n)
		}
		return nil
	},
}

var envoyRules = map[string]rule{
	"start_time": toCol(tokenwatch.ColTime), "bytes_received": toCol(tokenwatch.ColBytesIn), "bytes_sent": toCol(tokenwatch.ColBytesOut), "duration": toDur(1e6),
	"x_forwarded_for": {op: toWeak, col: tokenwatch.ColSrcIP, rank: 1}, "user_agent": toCol(tokenwatch.ColUserAgent), "request_id": toCol(tokenwatch.ColRequestID),
	"authority": toCol(tokenwatch.ColHost), "downstream_remote_address": {op: toWeak, col: tokenwatch.ColSrcIP, rank: 2},
	"upstream_cluster": toCol(tokenwatch.ColService),
	"request":          {op: toNothing}, "response_code": {op: toNothing}, // finish takes them
}

// sniffEnvoy looks for a bracketed time as of RFC 3339 before a quoted request.
func sniffEnvoy(record []byte) int {
	if len(record) < 60 || record[0] != '[' || record[5] != '-' || record[11] != 'T' {
		return 0
	}
	if i := bytes.IndexByte(record[:40], ']'); i < 20 || !bytes.HasPrefix(record[i+1:], []byte(` "`)) {
		return 0
	}
	return 97
}
