package format

import "github.com/tokenwatch/tokenwatch"

// cloudflareHTTP is what Cloudflare's Logpush ships of requests: HTTP requests,
// firewall events and requests through the gateway.
var cloudflareHTTP = product{
	name: "cloudflare_http",
	marks: []string{
		`"ClientRequestMethod"|"ClientRequestHost"|"HTTPMethod"`,
		`"ClientIP"|"SourceIP"`,
		`"EdgeResponseStatus"|"EdgeStartTimestamp"|"RayID"|"HTTPStatusCode"`,
	},
	fields: `
EdgeStartTimestamp           = time
Datetime                     = time
EdgeEndTimestamp             = time?
RayID                        = request_id
ParentRayID                  = drop
ClientIP                     = src_ip
SourceIP                     = src_ip
ClientSrcPort                = src_port
SourcePort                   = src_port
ClientASN                    = src_asn
ClientCountry                = src_country
ClientIPClass                = attrs.ip_class
ClientRequestScheme          = scheme
ClientRequestMethod          = method
HTTPMethod                   = method
ClientRequestHost            = host
HTTPHost                     = host?
ClientRequestPath            = @path
ClientRequestURI             = @uri
ClientRequestQuery           = query
URL                          = url attrs.url.original
ClientRequestProtocol        = attrs.http.version
HTTPVersion                  = attrs.http.version
ClientRequestUserAgent       = user_agent
UserAgent                    = user_agent
ClientRequestReferer         = referer
Referer                      = referer
ClientRequestBytes           = bytes_in
EdgeResponseBytes            = bytes_out
EdgeResponseStatus           = status
HTTPStatusCode               = status
OriginResponseStatus         = attrs.origin_status
CacheResponseStatus          = drop
CacheResponseBytes           = drop
EdgeResponseContentType      = attrs.http.response.mime_type
EdgeTimeToFirstByteMs        = duration:1e6
OriginResponseDurationMs     = duration:1e6
OriginResponseTime           = drop
Action                       = @action attrs.firewall.action
SecurityAction               = attrs.firewall.action
RuleID                       = attrs.rule.id
Email                        = actor attrs.user.email
UserID                       = actor? attrs.user.id
DeviceID                     = attrs.device.id
ZoneName                     = attrs.zone
BotScore                     = attrs.bot_score
JA3Hash                      = attrs.ja3
JA4                          = attrs.ja4
Cookies.*                    = drop
RequestHeaders.authorization = authorization:authorization
RequestHeaders.x-api-key     = credential:x-api-key
RequestHeaders.cookie        = credential:cookie
RequestHeaders.cf-access-client-id = name:provider_id@cloudflare
RequestHeaders.cf-access-client-secret = credential:cf-access-client-secret
`,
	derive: func(p *auditParser) {
		row := p.row
		switch uri, path := p.text("uri"), p.text("path"); {
		case uri == nil && path == nil && row.Has(tokenwatch.ColMethod) && !row.Has(tokenwatch.ColPath): // an empty path is the root's (RFC 9110)
			p.set(tokenwatch.ColPath, "/")
		case uri != nil:
			row.Clear(tokenwatch.ColPath)
			setURL(row, uri)
			p.attr("url.original", uri)
		case path != nil:
			query := row.Text(tokenwatch.ColPath) // as far as it is settled: from the query alone
			row.Clear(tokenwatch.ColPath)
			setURL(row, path)
			if len(query) > 1 && query[0] == '?' {
				p.join(tokenwatch.ColPath, row.Text(tokenwatch.ColPath), query)
			}
		}
		switch a := string(p.text("action")); a {
		case "":
		case "block", "drop", "challenge", "managed_challenge", "jschallenge", "connectionClose":
			p.attr("event.action", p.text("action"))
			p.set(tokenwatch.ColOutcome, "denied")
		default:
			p.attr("event.action", p.text("action"))
		}
	},
}
