package format

import "github.com/tokenwatch/tokenwatch"

// traefikRules are the fields of Traefik's access log as JSON. Headers that are
// kept have names like request_User-Agent; those of answers begin with origin_ and
// downstream_.
var traefikRules = map[string]rule{
	"StartUTC": toCol(tokenwatch.ColTime), "StartLocal": {op: toNothing}, "time": {op: toWeak, col: tokenwatch.ColTime, quiet: true}, "ClientHost": toCol(tokenwatch.ColSrcIP), "ClientPort": toCol(tokenwatch.ColSrcPort),
	"ClientAddr": {op: toWeak, col: tokenwatch.ColSrcIP, quiet: true}, "ClientUsername": {op: toUser}, "DownstreamStatus": toCol(tokenwatch.ColStatus),
	"DownstreamContentSize": toCol(tokenwatch.ColBytesOut), "RequestContentSize": toCol(tokenwatch.ColBytesIn), "Duration": toDur(1), "RequestMethod": toCol(tokenwatch.ColMethod),
	"RequestHost": toCol(tokenwatch.ColHost), "RequestAddr": {op: toWeak, col: tokenwatch.ColHost, quiet: true}, "RequestPath": {op: toURL}, "RequestScheme": toCol(tokenwatch.ColScheme),
	"RequestLine": {op: toNothing}, "RequestPort": {}, "ServiceName": toCol(tokenwatch.ColService), "BackendName": {op: toWeak, col: tokenwatch.ColService}, "msg": {}, "level": {},
	"request_User-Agent": toCol(tokenwatch.ColUserAgent), "request_Referer": {op: toReferer}, "request_Authorization": {op: toAuthorization, carrier: "authorization"},
	"request_Proxy-Authorization": {op: toAuthorization, carrier: "proxy_authorization"}, "request_Cookie": {op: toCredential, carrier: "cookie"},
	"request_X-Api-Key": {op: toCredential, carrier: "x-api-key"}, "request_X-Auth-Token": {op: toCredential, carrier: "x-auth-token"}, "request_Private-Token": {op: toCredential, carrier: "private_token"},
	"request_X-Request-Id": {op: toWeak, col: tokenwatch.ColRequestID}, "request_X-Forwarded-For": {},
	"downstream_Set-Cookie": {op: toCredential, carrier: "set-cookie"}, "origin_Set-Cookie": {op: toCredential, carrier: "set-cookie"},
	"downstream_Authorization": {op: toCredential, carrier: "authorization", incidental: true}, "origin_Authorization": {op: toCredential, carrier: "authorization", incidental: true},
}

var sniffTraefikJSON = sniffNames("ClientHost|ClientAddr", "DownstreamStatus", "RequestMethod")
