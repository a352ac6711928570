package format

import "github.com/tokenwatch/tokenwatch"

// caddyRules are the members of Caddy's structured access log that have other
// names than elsewhere. Headers are members of request.headers.
var caddyRules = map[string]rule{
	"ts": toCol(tokenwatch.ColTime), "request.client_ip": toCol(tokenwatch.ColSrcIP), "request.remote_ip": {op: toWeak, col: tokenwatch.ColSrcIP},
	"request.remote_port": toCol(tokenwatch.ColSrcPort), "request.remote_addr": {op: toWeak, col: tokenwatch.ColSrcIP, rank: 1}, "request.method": toCol(tokenwatch.ColMethod), "request.host": toCol(tokenwatch.ColHost), "request.uri": {op: toURL},
	"request.headers.user-agent": toCol(tokenwatch.ColUserAgent), "request.headers.referer": {op: toReferer}, "request.headers.x-request-id": {op: toWeak, col: tokenwatch.ColRequestID},
	"user_id": {op: toUser}, "duration": toDur(1e9), "size": toCol(tokenwatch.ColBytesOut), "bytes_read": toCol(tokenwatch.ColBytesIn), "status": toCol(tokenwatch.ColStatus),
	"uuid": toCol(tokenwatch.ColRequestID), "msg": {}, "err_id": {},
	"resp_headers.set-cookie": {op: toCredential, carrier: "set-cookie", incidental: true}, "resp_headers.authorization": {op: toCredential, carrier: "authorization", incidental: true},
}

var sniffCaddy = sniffNames("logger", "request", "remote_ip|client_ip|remote_addr", "uri")
