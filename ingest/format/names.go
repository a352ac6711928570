package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// op is what is done with a field of a JSON record.
type op uint8

const (
	toAttr          op = iota
	toColumn           // by the column's kind
	toWeak             // to the column if nothing better comes
	toDuration         // a number times unit
	toURL              // scheme, host, path, and credentials in them
	toQuery            // the path's query
	toRequest          // METHOD target PROTOCOL
	toReferer          // an attr that may hold credentials
	toAuthorization    // scheme and credential
	toCredential       // a raw credential
	toPrefix           // leading characters of a key
	toDigest           // SHA-256 of a token, full or cut
	toName             // another name of a token
	toOutcomeID        // OCSF status_id
	toOCSF             // class_uid: says that durations are milliseconds
	toEvent            // an id of the event, or a code of its kind
	toSlot             // kept for the end: see cloudTrail
	toTrail            // kept for the end: see tokenAudit
	toUser             // a user, or a token or its prefix in the place of one
	toMessage          // may be a record of any format: see jsonParser
	toNothing
	toMany  // several of these at once; this and what follows only in the table of a product
	toKept  // kept for the end under a name
	toFact  // part of what an action means for a token's life
	toKey   // the name in an item of a list of names and values
	toValue // the value in such an item
	toJSON  // JSON as text, to be read as if it stood there itself
)

// rule says what is done with one field.
type rule struct {
	op      op
	col     tokenwatch.Col
	unit    int64               // of toDuration, in nanoseconds
	carrier string              // of toCredential and toAuthorization
	name    tokenwatch.NameKind // of toName
	slot    slot                // of toSlot
	trail   trailField          // of toTrail

	incidental bool // the carrier is one of incidentalCarriers
	below      bool // the field stands below the carrier

	rank   uint8  // of toWeak
	quiet  bool   // of toWeak: the field is an attr besides, under a name of its own
	own    bool   // of toCredential: the request was made with it, whatever the format
	issuer string // of toName: within which the name is unique
	many   []rule // of toMany
	kept   int    // of toKept: its place
	fact   factPart
	base   string // of toKey and toValue: the path of the list, folded; as written in carrier
}

// appendFolded appends a field's name as the tables spell it: lower case,
// without _ and -, so that client_ip, clientIp and Client-IP are one.
func appendFolded(dst, name []byte) []byte {
	for _, c := range name {
		switch {
		case c == '_' || c == '-':
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func fold(name string) string { return string(appendFolded(nil, []byte(name))) }

// columnNames are spellings beyond our own, ECS's and OCSF's.
var columnNames = map[tokenwatch.Col][]string{
	tokenwatch.ColTime: {"ts", "timestamp", "time_unix", "time_unix_nano", "time_iso8601", "time_local", "datetime", "date", "msec", "eventtime",
		"event_time", "time_dt", "start_time", "published", "observed_time_unix_nano", "created_at", "logged_at", "_time", "realtime_timestamp"},
	tokenwatch.ColSrcIP: {"remote_addr", "client_ip", "ip", "src_ip", "source_ip", "remote_ip", "ip_address", "client_address", "client.ip", "client.address",
		"network.peer.address", "net.peer.ip", "net.sock.peer.addr", "http.client_ip", "source.address", "remote_host", "peer", "actor_ip", "srcip", "src", "c_ip",
		"callerip", "request.remote_ip", "request.client_ip", "remoteaddr"},
	tokenwatch.ColSrcPort:   {"remote_port", "client_port", "client.port", "network.peer.port", "net.peer.port", "source_port", "request.remote_port"},
	tokenwatch.ColUserAgent: {"ua", "http_user_agent", "agent", "http.user_agent", "headers.user_agent", "useragent", "client.user_agent"},
	tokenwatch.ColScheme:    {"http.scheme", "protocol_scheme", "proto_scheme", "x_forwarded_proto"},
	tokenwatch.ColMethod:    {"request_method", "http_method", "http.method", "verb", "requestmethod", "cs_method"},
	tokenwatch.ColHost: {"http_host", "server_name", "vhost", "authority", ":authority", "hostname", "http.host", "server.address", "net.host.name",
		"headers.host", "request_host", "x_forwarded_host"},
	tokenwatch.ColRoute:     {"http.route", "route", "endpoint", "path_template", "resource_path"},
	tokenwatch.ColAction:    {"operation", "event_name", "eventname", "event.name", "api_method", "operation_name", "rpc.method"},
	tokenwatch.ColStatus:    {"status_code", "code", "http.status_code", "response_code", "response_status", "http_status", "response.status", "response.code", "sc_status", "statuscode", "api.response.code"},
	tokenwatch.ColOutcome:   {"result", "outcome"},
	tokenwatch.ColError:     {"error_code", "error.type", "error_type", "err_code"},
	tokenwatch.ColBytesIn:   {"bytes_received", "request_length", "request_size", "request.bytes", "http.request.body.size", "http.request.body.bytes", "bytes_read", "requestsize"},
	tokenwatch.ColBytesOut:  {"bytes", "body_bytes_sent", "bytes_sent", "size", "response_size", "response_bytes", "http.response.body.size", "http.response.body.bytes", "content_length", "responsesize", "resp_bytes"},
	tokenwatch.ColRequestID: {"req_id", "x_request_id", "requestid", "rid", "headers.x_request_id", "log_id", "insertid", "request.id"},
	tokenwatch.ColSession:   {"session_id", "session.id", "sessionid"},
	tokenwatch.ColActor:     {"principal", "user", "username", "user_name", "actor_name", "subject", "sub", "account_name", "remote_user", "enduser.id", "principal_id", "client_id", "service_account", "caller", "actor.name", "identity"},
	tokenwatch.ColEnv:       {"environment", "deployment.environment", "deployment.environment.name"},
	tokenwatch.ColRegion:    {"aws_region", "awsregion", "cloud_region"},
	tokenwatch.ColService:   {"service_name", "svc", "app", "application"},
	tokenwatch.ColScope:     {"scopes", "oauth_scope"},
	tokenwatch.ColResource:  {"resource_id", "resource_name", "object_id"},
	tokenwatch.ColTokenKind: {"credential_type", "token_type", "auth_type"},
}

// weakNames fill a column that nothing better fills.
var weakNames = map[tokenwatch.Col][]string{
	tokenwatch.ColActor:     {"user_id", "user.id", "userid", "uid", "account_id", "actor.user.name", "actor.user.email_addr", "email", "user.email", "actor_id", "actor.id", "client.user.name"},
	tokenwatch.ColTime:      {"event.created", "event.start", "event.ingested", "metadata.logged_time", "end_time", "ingest_time", "received_at"},
	tokenwatch.ColSrcIP:     {"x_forwarded_for", "http_x_forwarded_for", "headers.x_forwarded_for", "x_real_ip", "headers.x_real_ip", "forwarded_for"},
	tokenwatch.ColRequestID: {"trace_id", "traceid", "trace.id", "api.request.uid", "correlation_id"},
}

// durationNames are fields whose name tells the unit.
var durationNames = map[string]int64{
	"duration_ns": 1, "duration_us": 1e3, "duration_ms": 1e6, "duration_s": 1e9, "dur_ns": 1, "dur_us": 1e3, "dur_ms": 1e6, "dur_s": 1e9,
	"latency_ns": 1, "latency_us": 1e3, "latency_ms": 1e6, "latency_s": 1e9, "elapsed_ms": 1e6, "elapsed_us": 1e3, "elapsed_s": 1e9, "took_ms": 1e6,
	"response_time_ms": 1e6, "request_time_ms": 1e6, "request_time": 1e9, "response_time": 1e9, "latency": 1e9, "elapsed": 1e9, "rt": 1e9,
	"http.server.request.duration": 1e9, "http.server.duration": 1e6, "duration_seconds": 1e9, "time_taken_ms": 1e6, "duration": 1,
}

// otherNames are the fields with an op of their own.
var otherNames = map[string]rule{
	"path": {op: toURL}, "uri": {op: toURL}, "request_uri": {op: toURL}, "url": {op: toURL}, "request_path": {op: toURL}, "url.path": {op: toURL},
	"url.full": {op: toURL}, "url.original": {op: toURL}, "http.url": {op: toURL}, "http.target": {op: toURL}, "request_url": {op: toURL},
	"requesturl": {op: toURL}, "uri_path": {op: toURL}, "cs_uri_stem": {op: toURL}, "target": {op: toURL},
	"http_request.url.path": {op: toURL}, "http_request.url.url_string": {op: toURL}, "http_request.url.text": {op: toURL},
	"query": {op: toQuery}, "query_string": {op: toQuery}, "url.query": {op: toQuery}, "args": {op: toQuery}, "http_request.url.query_string": {op: toQuery},
	"http.query": {op: toQuery}, "cs_uri_query": {op: toQuery},
	"request": {op: toRequest}, "request_line": {op: toRequest},
	"referer": {op: toReferer}, "referrer": {op: toReferer}, "http_referer": {op: toReferer}, "http_referrer": {op: toReferer},
	"http.request.referrer": {op: toReferer}, "headers.referer": {op: toReferer}, "http_request.referrer": {op: toReferer},
	"message": {op: toMessage}, "msg": {op: toMessage}, "log": {op: toMessage}, "line": {op: toMessage}, "raw": {op: toMessage}, "_raw": {op: toMessage},
	"full_message": {op: toMessage}, "short_message": {op: toMessage}, "body": {op: toMessage}, "body.string_value": {op: toMessage}, "text_payload": {op: toMessage},
	"event.original": {op: toMessage},
	"event_id":       {op: toEvent}, "event.id": {op: toEvent},
	"class_uid": {op: toOCSF}, "status_id": {op: toOutcomeID},
	"actor.user.credential_uid": {op: toName, name: tokenwatch.NameProviderID}, "actor.session.credential_uid": {op: toName, name: tokenwatch.NameProviderID},
	"time": {op: toColumn, col: tokenwatch.ColTime},
}

// leafTable are the fields that carry a credential or a name of one, by the
// last part of their path, wherever they stand.
var leafTable = map[string]rule{
	"authorization": {op: toAuthorization, carrier: "authorization"}, "proxy_authorization": {op: toAuthorization, carrier: "proxy_authorization"},
	"http_authorization": {op: toAuthorization, carrier: "authorization"}, "auth_header": {op: toAuthorization, carrier: "authorization"}, "bearer": {op: toAuthorization, carrier: "bearer"},
	"bearer_token": {op: toAuthorization, carrier: "bearer"},
	"api_key":      {op: toCredential, carrier: "api_key"}, "x_api_key": {op: toCredential, carrier: "x-api-key"}, "http_x_api_key": {op: toCredential, carrier: "x-api-key"},
	"api_token": {op: toCredential, carrier: "api_token"}, "api_secret": {op: toCredential, carrier: "api_secret"},
	"token": {op: toAuthorization, carrier: "token"}, "access_token": {op: toAuthorization, carrier: "access_token"}, "auth_token": {op: toAuthorization, carrier: "auth_token"},
	"x_auth_token": {op: toCredential, carrier: "x-auth-token"}, "refresh_token": {op: toCredential, carrier: "refresh_token"}, "id_token": {op: toCredential, carrier: "id_token"},
	"private_token": {op: toCredential, carrier: "private_token"}, "oauth_token": {op: toCredential, carrier: "oauth_token"}, "personal_access_token": {op: toCredential, carrier: "personal_access_token"},
	"x_vault_token": {op: toCredential, carrier: "x-vault-token"}, "client_token_secret": {op: toCredential, carrier: "client_secret"},
	"secret": {op: toCredential, carrier: "secret"}, "client_secret": {op: toCredential, carrier: "client_secret"}, "secret_key": {op: toCredential, carrier: "secret_key"},
	"secret_access_key": {op: toCredential, carrier: "secret_access_key"}, "aws_secret_access_key": {op: toCredential, carrier: "secret_access_key"},
	"secret_string": {op: toCredential, carrier: "secret_string"}, "secret_binary": {op: toCredential, carrier: "secret_binary"}, "session_token": {op: toCredential, carrier: "session_token"},
	"x_amz_security_token": {op: toCredential, carrier: "x-amz-security-token"}, "web_identity_token": {op: toCredential, carrier: "web_identity_token"}, "saml_assertion": {op: toCredential, carrier: "saml_assertion"},
	"password": {op: toCredential, carrier: "password"}, "passwd": {op: toCredential, carrier: "password"}, "pwd": {op: toCredential, carrier: "password"}, "passphrase": {op: toCredential, carrier: "password"},
	"master_user_password": {op: toCredential, carrier: "password"}, "new_password": {op: toCredential, carrier: "password"}, "old_password": {op: toCredential, carrier: "password"},
	"admin_password": {op: toCredential, carrier: "password"}, "db_password": {op: toCredential, carrier: "password"}, "user_password": {op: toCredential, carrier: "password"},
	"private_key": {op: toCredential, carrier: "private_key"}, "key_material": {op: toCredential, carrier: "private_key"}, "signing_key": {op: toCredential, carrier: "signing_key"},
	"encryption_key": {op: toCredential, carrier: "encryption_key"}, "credential": {op: toCredential, carrier: "credential"}, "signature": {op: toCredential, carrier: "signature"},
	"cookie": {op: toCredential, carrier: "cookie"}, "cookies": {op: toCredential, carrier: "cookie"}, "set_cookie": {op: toCredential, carrier: "set-cookie"}, "http_cookie": {op: toCredential, carrier: "cookie"},
	"session_cookie": {op: toCredential, carrier: "cookie:session"}, "csrf_token": {op: toCredential, carrier: "csrf_token"}, "jwt": {op: toCredential, carrier: "jwt"},
	"webhook_secret": {op: toCredential, carrier: "secret"}, "plaintext": {op: toCredential, carrier: "plaintext"},

	"key_prefix": {op: toPrefix}, "token_prefix": {op: toPrefix}, "api_key_prefix": {op: toPrefix}, "secret_prefix": {op: toPrefix}, "credential_prefix": {op: toPrefix}, "pat_prefix": {op: toPrefix},
	"key_sha256": {op: toDigest}, "token_sha256": {op: toDigest}, "api_key_sha256": {op: toDigest}, "secret_sha256": {op: toDigest}, "credential_sha256": {op: toDigest},
	"hashed_token": {op: toDigest}, "token_hash": {op: toDigest}, "key_hash": {op: toDigest}, "api_key_hash": {op: toDigest}, "access_token_sha256": {op: toDigest},
	"token_id": {op: toName, name: tokenwatch.NameProviderID}, "key_id": {op: toName, name: tokenwatch.NameProviderID}, "api_key_id": {op: toName, name: tokenwatch.NameProviderID},
	"access_key_id": {op: toName, name: tokenwatch.NameProviderID}, "credential_id": {op: toName, name: tokenwatch.NameProviderID}, "token_uid": {op: toName, name: tokenwatch.NameProviderID},
	"credential_uid": {op: toName, name: tokenwatch.NameProviderID}, "pat_id": {op: toName, name: tokenwatch.NameProviderID}, "access_token_id": {op: toName, name: tokenwatch.NameProviderID},
	"jti": {op: toName, name: tokenwatch.NameJTI}, "accessor": {op: toName, name: tokenwatch.NameAccessor}, "token_accessor": {op: toName, name: tokenwatch.NameAccessor},
}

// incidentalCarriers hold credentials, but not the one a request is made with:
// passwords of logins, secrets being stored, signatures that differ each time.
var incidentalCarriers = map[string]bool{
	"password": true, "secret": true, "client_secret": true, "api_secret": true, "secret_key": true, "secret_access_key": true, "secret_string": true,
	"secret_binary": true, "refresh_token": true, "id_token": true, "private_key": true, "signing_key": true, "encryption_key": true, "set-cookie": true,
	"client_assertion": true, "csrf_token": true, "signature": true, "plaintext": true, "web_identity_token": true, "saml_assertion": true,
	"x-amz-signature": true, "x-amz-security-token": true, "x-goog-signature": true, // the access key id is the name
}

// leafRules is leafTable with folded names.
var leafRules = folded(leafTable)

// jsonRules are the rules of format json by folded path.
var jsonRules = func() map[string]rule {
	m := make(map[string]rule)
	// As in tokenwatch.ColumnByName our own names win over ECS, ECS over OCSF.
	for _, name := range []func(tokenwatch.Column) string{
		func(c tokenwatch.Column) string { return c.OCSF },
		func(c tokenwatch.Column) string { return c.ECS },
		func(c tokenwatch.Column) string { return c.Name },
	} {
		for i, c := range tokenwatch.Schema {
			switch col := tokenwatch.Col(i); col {
			case tokenwatch.ColToken, tokenwatch.ColIngestTime, tokenwatch.ColSource, tokenwatch.ColFormat, tokenwatch.ColAttrs,
				tokenwatch.ColLate, tokenwatch.ColFuture, tokenwatch.ColDuplicate: // not for a record to say
			default:
				if n := name(c); n != "" {
					m[fold(n)] = rule{op: toColumn, col: col}
				}
			}
		}
	}
	for _, t := range []struct {
		op    op
		names map[tokenwatch.Col][]string
	}{{toWeak, weakNames}, {toColumn, columnNames}} {
		for col, names := range t.names {
			for _, name := range names {
				m[fold(name)] = rule{op: t.op, col: col}
			}
		}
	}
	for name, unit := range durationNames {
		m[fold(name)] = rule{op: toDuration, unit: unit}
	}
	for name, r := range folded(otherNames) {
		m[name] = r
	}
	return m
}()

func folded(t map[string]rule) map[string]rule {
	m := make(map[string]rule, len(t))
	for name, r := range t {
		r.incidental = incidentalCarriers[r.carrier]
		m[fold(name)] = r
	}
	return m
}

// wrappers are the outer parts of a path that say nothing of the field within.
var wrappers = []string{
	"attributes.", "resourceattributes.", "resource.attributes.", "request.headers.", "req.headers.", "http.request.header.", "http.request.headers.",
	"httprequest.", "request.", "req.", "response.", "res.", "resp.", "http.", "fields.", "labels.", "json.", "data.", "event.", "log.", "context.",
}

// take does what the rule of a carrier says with a value, and tells whether it
// took the value; one that is only a mask stays an attr. Incidental says that
// the place, if not the name, is none of a request's own credential.
func (r *rule) take(row *tokenwatch.Row, value []byte, incidental bool) bool {
	value = bytes.TrimSpace(value)
	switch {
	case masked(value):
		return false
	case isAccessKey(value) && r.op == toCredential && incidental:
		return false // a name, and not the caller's
	case isAccessKey(value) && (r.op == toName || r.op == toCredential):
		addAccessKey(row, value)
		return true
	}
	if (r.op == toCredential || r.op == toAuthorization) && (incidental || r.incidental) {
		row.AddIncidental(r.carrier, value)
		return true
	}
	switch r.op {
	case toAuthorization:
		addAuthorization(row, r.carrier, value)
	case toCredential:
		row.AddCredential(r.carrier, value)
	case toPrefix:
		row.AddName(tokenwatch.NamePrefix, "", value)
	case toDigest:
		return addDigest(row, value)
	case toName:
		row.AddName(r.name, r.issuer, value)
	default:
		return false
	}
	return true
}
