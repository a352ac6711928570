package format

// proxyManager are the access logs of Nginx Proxy Manager and NPMplus.
var proxyManager = []*layout{
	mustNginx(`[$time_local] $upstream_cache_status $upstream_status $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] ` +
		`[Length $body_bytes_sent] [Gzip $gzip_ratio] [Sent-to $upstream_addr] "$http_user_agent" "$http_referer"`),
	mustNginx(`[$time_local] $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] ` +
		`[Length $body_bytes_sent] [Gzip $gzip_ratio] [Sent-to $upstream_addr] "$http_user_agent" "$http_referer"`),
	mustNginx(`[$time_local] $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] ` +
		`[Length $body_bytes_sent] [Gzip $gzip_ratio] "$http_user_agent" "$http_referer"`),
	mustNginx(`[$time_local] $upstream_cache_status $upstream_status $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] ` +
		`[Length $body_bytes_sent] [Gzip $gzip_ratio] "$http_user_agent" "$http_referer"`),
	mustNginx(`[$time_local] $host $remote_addr $request_time "$request" $status $body_bytes_sent $bytes_sent $http_referer $http_user_agent`),
}

// mustNginx compiles a string of our own.
func mustNginx(s string) *layout {
	l, _, err := compileNginx(s)
	if err != nil {
		panic(err)
	}
	return l
}

// sniffProxyManager looks for a bracketed time at the beginning before it looks closer.
func sniffProxyManager(record []byte) int {
	if len(record) < 60 || record[0] != '[' || record[3] != '/' || record[7] != '/' {
		return 0
	}
	return sniffLaid(97, proxyManager...)(record)
}
