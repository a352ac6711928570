package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// elbTable is AWS's access log of classic load balancers. Of a TCP listener
// there is no status and no request.
var elbTable = spacedTable{
	shapes: []string{"time elb client backend request_processing_time backend_processing_time response_processing_time elb_status_code backend_status_code " +
		"received_bytes sent_bytes request user_agent ssl_cipher ssl_protocol"},
	rules: map[string]rule{
		"time": toCol(tokenwatch.ColTime), "client": toCol(tokenwatch.ColSrcIP), "elb_status_code": toCol(tokenwatch.ColStatus), "elb": toCol(tokenwatch.ColService),
		"received_bytes": toCol(tokenwatch.ColBytesIn), "sent_bytes": toCol(tokenwatch.ColBytesOut), "user_agent": toCol(tokenwatch.ColUserAgent),
	},
	choose: func(fields [][]byte) int {
		if len(fields) < 12 {
			return -1
		}
		return 0
	},
	finish: func(p *spaced) error {
		p.addDurations("request_processing_time", "backend_processing_time", "response_processing_time")
		if request := p.field("request"); !bytes.HasPrefix(request, []byte("- ")) { // a TCP listener's is "- - - "
			setRequest(p.row, request)
		}
		return nil
	},
}

// sniffELB looks for a time, and for the client's port behind the balancer's name.
func sniffELB(record []byte) int {
	if len(record) < 40 || record[4] != '-' || record[10] != 'T' {
		return 0
	}
	_, rest := word(record[:min(len(record), 512)])
	_, rest = word(rest)
	client, rest := word(rest)
	backend, rest := word(rest)
	if _, port, ok := address(client); !ok || port == 0 {
		return 0
	}
	if _, port, ok := address(backend); (!ok || port == 0) && string(backend) != "-" {
		return 0
	}
	took, _ := word(rest)
	if _, ok := seconds(bytes.TrimPrefix(took, []byte("-"))); !ok {
		return 0
	}
	return 96
}
