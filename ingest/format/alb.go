package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// albTable is AWS's access log of application load balancers, and the TLS log of
// network load balancers. Newer fields follow at the end.
var albTable = spacedTable{
	shapes: []string{
		"type time elb client target request_processing_time target_processing_time response_processing_time elb_status_code target_status_code " +
			"received_bytes sent_bytes request user_agent ssl_cipher ssl_protocol target_group_arn trace_id domain_name chosen_cert_arn matched_rule_priority " +
			"request_creation_time actions_executed redirect_url error_reason target_list target_status_code_list classification classification_reason conn_trace_id",
		"type version time elb listener client destination connection_time tls_handshake_time received_bytes sent_bytes incoming_tls_alert chosen_cert_arn " +
			"chosen_cert_serial tls_cipher tls_protocol tls_named_group domain_name alpn_fe_protocol alpn_be_protocol alpn_client_preference_list tls_connection_creation_time",
	},
	rules: map[string]rule{
		"time": toCol(tokenwatch.ColTime), "client": toCol(tokenwatch.ColSrcIP), "elb_status_code": toCol(tokenwatch.ColStatus),
		"received_bytes": toCol(tokenwatch.ColBytesIn), "sent_bytes": toCol(tokenwatch.ColBytesOut), "request": {op: toRequest},
		"user_agent": toCol(tokenwatch.ColUserAgent), "elb": toCol(tokenwatch.ColService), "connection_time": toDur(1e6), // a trace id is not of one request
		"domain_name":  {op: toNothing}, // finish takes it
		"redirect_url": {op: toReferer},
	},
	choose: func(fields [][]byte) int {
		switch {
		case len(fields) >= 16 && string(fields[0]) != "tls":
			return 0
		case len(fields) >= 16 && string(fields[0]) == "tls":
			return 1
		}
		return -1
	},
	finish: func(p *spaced) error {
		if p.shape == 0 {
			p.addDurations("request_processing_time", "target_processing_time", "response_processing_time")
		}
		setOnce(p.row, tokenwatch.ColHost, p.field("domain_name"))
		return nil
	},
}

// sniffALB looks for the type and the time behind it.
func sniffALB(record []byte) int {
	kind, rest, ok := bytes.Cut(record[:min(len(record), 64)], []byte(" "))
	if !ok || !albTypes[string(kind)] {
		return 0
	}
	if string(kind) == "tls" {
		_, rest, _ = bytes.Cut(rest, []byte(" ")) // version
	}
	if len(rest) > 20 && rest[4] == '-' && rest[10] == 'T' {
		return 97
	}
	return 0
}

var albTypes = map[string]bool{"http": true, "https": true, "h2": true, "grpcs": true, "ws": true, "wss": true, "tls": true}
