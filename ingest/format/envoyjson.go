package format

import "github.com/tokenwatch/tokenwatch"

// envoyObjects are the usual members of Envoy's, Istio's, Contour's and Envoy
// Gateway's access logs as JSON, which a configuration may name as it likes.
var envoyObjects = map[string]rule{
	"start_time": toCol(tokenwatch.ColTime), "@timestamp": {op: toWeak, col: tokenwatch.ColTime}, "method": toCol(tokenwatch.ColMethod), "path": {op: toURL}, "x-envoy-origin-path": {op: toURL},
	"x_envoy_original_path": {op: toURL}, "original_path": {op: toURL}, "response_code": toCol(tokenwatch.ColStatus), "bytes_received": toCol(tokenwatch.ColBytesIn), "bytes_sent": toCol(tokenwatch.ColBytesOut),
	"duration": toDur(1e6), ":authority": toCol(tokenwatch.ColHost), "authority": toCol(tokenwatch.ColHost), "requested_server_name": {op: toWeak, col: tokenwatch.ColHost},
	"user_agent": toCol(tokenwatch.ColUserAgent), "user-agent": toCol(tokenwatch.ColUserAgent), "x-request-id": toCol(tokenwatch.ColRequestID), "request_id": toCol(tokenwatch.ColRequestID),
	"downstream_remote_address": {op: toWeak, col: tokenwatch.ColSrcIP, rank: 1}, "x-forwarded-for": {op: toWeak, col: tokenwatch.ColSrcIP}, "x_forwarded_for": {op: toWeak, col: tokenwatch.ColSrcIP},
	"upstream_cluster": toCol(tokenwatch.ColService), "upstream_host": {}, "route_name": {}, "protocol": {},
}

var sniffEnvoyJSON = sniffNames("response_code", "response_flags|upstream_host|upstream_cluster|downstream_remote_address", "start_time|duration|bytes_sent")
