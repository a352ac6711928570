package format

import "github.com/tokenwatch/tokenwatch"

// kongRules are the members of what Kong's log plugins write. A credential that
// Kong checked is known by its id.
var kongRules = map[string]rule{
	"started_at": toCol(tokenwatch.ColTime), "client_ip": toCol(tokenwatch.ColSrcIP), "request.method": toCol(tokenwatch.ColMethod), "request.uri": {op: toURL},
	"request.url": {op: toNothing}, "request.size": toCol(tokenwatch.ColBytesIn), "request.id": toCol(tokenwatch.ColRequestID), "request.headers.host": toCol(tokenwatch.ColHost),
	"request.headers.user-agent": toCol(tokenwatch.ColUserAgent), "request.headers.referer": {op: toReferer}, "request.headers.x-forwarded-for": {},
	"response.status": toCol(tokenwatch.ColStatus), "response.size": toCol(tokenwatch.ColBytesOut), "latencies.request": toDur(1e6), "consumer.username": toCol(tokenwatch.ColActor),
	"consumer.id": {op: toWeak, col: tokenwatch.ColActor}, "consumer.custom_id": {op: toWeak, col: tokenwatch.ColActor, rank: 1}, "consumer.created_at": {},
	"authenticated_entity.id": {op: toName, name: tokenwatch.NameProviderID, issuer: "kong"}, "service.name": toCol(tokenwatch.ColService), "service.id": {op: toWeak, col: tokenwatch.ColService, rank: 1},
	"service.host": {}, "service.path": {}, "service.port": {}, "service.protocol": {}, "service.created_at": {}, "service.updated_at": {}, "route.created_at": {}, "route.updated_at": {},
	"upstream_uri": {}, "upstream_status": {}, "request.querystring": {op: toNothing}, "tries.ip": {}, "tries.port": {}, "tries.code": {},
	"response.headers.set-cookie": {op: toCredential, carrier: "set-cookie", incidental: true},
}

var sniffKong = sniffNames("latencies", "started_at", "client_ip", "request")
