package tokenwatch

import (
	"github.com/apache/arrow/go/v17/arrow"
)

// Col names a column of the event schema by its place in [Schema].
type Col uint8

// The columns, in the order of [Schema], which says what each one means.
const (
	ColTime Col = iota
	ColIngestTime
	ColSource
	ColFormat
	ColToken
	ColTokenKind
	ColIssuer
	ColActor
	ColActorKind
	ColSrcIP
	ColSrcPort
	ColSrcASN
	ColSrcCountry
	ColSrcCloud
	ColUserAgent
	ColAgentFamily
	ColScheme
	ColMethod
	ColHost
	ColPath
	ColRoute
	ColAction
	ColActionClass
	ColResource
	ColScope
	ColStatus
	ColOutcome
	ColError
	ColBytesIn
	ColBytesOut
	ColDuration
	ColRequestID
	ColSession
	ColEnv
	ColRegion
	ColService
	ColLate
	ColFuture
	ColDuplicate
	ColAttrs
	NumColumns = int(iota) // how many columns there are
)

// Kind is how the values of a column are held in memory.
type Kind uint8

const (
	KindTime   Kind = iota // int64, UTC nanoseconds since 1970
	KindInt                // int64
	KindText               // dictionary-encoded UTF-8 of few distinct values
	KindString             // plain UTF-8 of many distinct values
	KindAddr               // 16 bytes, IPv4 as IPv4-in-IPv6
	KindBool               // one bool a row, never null
	KindMap                // text to text, zero or more a row
)

// Column is one line of the event schema.
type Column struct {
	Name string // our name: in Go, Arrow, proto, SQL and docs
	Kind Kind
	ECS  string // Elastic Common Schema field, accepted on input; "" if none fits
	OCSF string // OCSF attribute path, accepted on input; "" if none fits
	Doc  string // one sentence
}

// Schema is the event schema. Every column but the three flags may be null.
var Schema = [NumColumns]Column{
	ColTime:        {"time", KindTime, "@timestamp", "time", "When it happened, by the source's clock."},
	ColIngestTime:  {"ingest_time", KindTime, "event.ingested", "metadata.logged_time", "When tokenwatch took it in."},
	ColSource:      {"source", KindText, "data_stream.dataset", "metadata.log_name", "Which input it came through, as named by the shipper."},
	ColFormat:      {"format", KindText, "event.module", "metadata.log_format", "Which parser read it."},
	ColToken:       {"token", KindText, "", "actor.session.credential_uid", "Id of the API token used: tkw_… , a keyed fingerprint, never the secret."},
	ColTokenKind:   {"token_kind", KindText, "", "token.type", "What sort of credential: aws_access_key, aws_session, bearer, basic, api_key …"},
	ColIssuer:      {"issuer", KindText, "", "actor.session.issuer", "Who issued the token: a provider, account or authority."},
	ColActor:       {"actor", KindText, "user.name", "actor.user.uid", "The user, service account or role session behind the request."},
	ColActorKind:   {"actor_kind", KindText, "user.roles", "actor.user.type", "user, service, role_session, root, federated, anonymous …"},
	ColSrcIP:       {"src_ip", KindAddr, "source.ip", "src_endpoint.ip", "Address the request came from."},
	ColSrcPort:     {"src_port", KindInt, "source.port", "src_endpoint.port", "Port the request came from."},
	ColSrcASN:      {"src_asn", KindInt, "source.as.number", "src_endpoint.autonomous_system.number", "Autonomous system of src_ip, from the networks table."},
	ColSrcCountry:  {"src_country", KindText, "source.geo.country_iso_code", "src_endpoint.location.country", "Country of src_ip, ISO 3166-1 alpha-2."},
	ColSrcCloud:    {"src_cloud", KindText, "", "src_endpoint.network_scope", "Kind of network of src_ip: private, service, hosting, isp, business …"},
	ColUserAgent:   {"user_agent", KindText, "user_agent.original", "http_request.user_agent", "User agent as sent."},
	ColAgentFamily: {"agent_family", KindText, "user_agent.name", "", "Product name of the user agent, without versions."},
	ColScheme:      {"scheme", KindText, "url.scheme", "http_request.url.scheme", "http, https …"},
	ColMethod:      {"method", KindText, "http.request.method", "http_request.http_method", "HTTP method, upper case."},
	ColHost:        {"host", KindText, "url.domain", "http_request.url.hostname", "Host asked for, lower case."},
	ColPath:        {"path", KindString, "url.path", "http_request.url.path", "Path with query, sealed."},
	ColRoute:       {"route", KindText, "", "", "Path with its ids replaced: /v1/users/{id}."},
	ColAction:      {"action", KindText, "event.action", "api.operation", "What was done: the provider's operation (s3:GetObject), or method and route."},
	ColActionClass: {"action_class", KindText, "event.type", "activity_name", "read, list, write, delete, admin, credential, export or auth."},
	ColResource:    {"resource", KindText, "", "resources.uid", "What it was done to, by the provider's id."},
	ColScope:       {"scope", KindText, "", "token.scopes", "Scope the action needs or the token used."},
	ColStatus:      {"status", KindInt, "http.response.status_code", "http_response.code", "HTTP status code."},
	ColOutcome:     {"outcome", KindText, "event.outcome", "status", "success, failure or denied."},
	ColError:       {"error", KindText, "error.code", "api.response.error", "Kind of error: the provider's code, or authn, authz, not_found, throttled, client, server."},
	ColBytesIn:     {"bytes_in", KindInt, "http.request.bytes", "traffic.bytes_in", "Bytes of the request."},
	ColBytesOut:    {"bytes_out", KindInt, "http.response.bytes", "traffic.bytes_out", "Bytes of the answer."},
	ColDuration:    {"duration", KindInt, "event.duration", "duration", "How long it took, in nanoseconds."},
	ColRequestID:   {"request_id", KindString, "http.request.id", "metadata.uid", "Request or event id given by the source: with it, repeats are recognised."},
	ColSession:     {"session", KindText, "", "actor.session.uid", "Session the request belonged to."},
	ColEnv:         {"env", KindText, "service.environment", "", "Environment: prod, staging …"},
	ColRegion:      {"region", KindText, "cloud.region", "cloud.region", "Region of the service."},
	ColService:     {"service", KindText, "service.name", "api.service.name", "Service that was asked."},
	ColLate:        {"late", KindBool, "", "", "Older than the watermark when appended: outside detection windows."},
	ColFuture:      {"future", KindBool, "", "", "More than five minutes after its ingest time: outside detection windows."},
	ColDuplicate:   {"duplicate", KindBool, "", "metadata.is_duplicate", "A repeat of an event already stored: outside aggregates."},
	ColAttrs:       {"attrs", KindMap, "labels", "unmapped", "All other fields of the record, sealed."},
}

var colByName = func() map[string]Col {
	m := make(map[string]Col, 3*NumColumns)
	// Our own names win over ECS, ECS over OCSF.
	for _, name := range []func(Column) string{
		func(c Column) string { return c.OCSF },
		func(c Column) string { return c.ECS },
		func(c Column) string { return c.Name },
	} {
		for i, c := range Schema {
			if n := name(c); n != "" {
				m[n] = Col(i)
			}
		}
	}
	return m
}()

// ColumnByName finds a column by our name, its ECS field or its OCSF path.
func ColumnByName(name string) (Col, bool) {
	c, ok := colByName[name]
	return c, ok
}

// String returns the column's name.
func (c Col) String() string { return Schema[c].Name }

// Kind returns how the column's values are held.
func (c Col) Kind() Kind { return kinds[c] }

// kinds are the kinds of Schema, close together: rows are filled and read by them.
var kinds = func() (t [NumColumns]Kind) {
	for c := range t {
		t[c] = Schema[c].Kind
	}
	return t
}()

// arrowTypes gives each Kind its Arrow type.
var arrowTypes = [...]arrow.DataType{
	KindTime:   &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"},
	KindInt:    arrow.PrimitiveTypes.Int64,
	KindText:   &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint32, ValueType: arrow.BinaryTypes.String},
	KindString: arrow.BinaryTypes.String,
	KindAddr:   &arrow.FixedSizeBinaryType{ByteWidth: 16},
	KindBool:   arrow.FixedWidthTypes.Boolean,
	KindMap:    arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String),
}

// ArrowSchema is [Schema] for Arrow; the field metadata carry the sentence and
// the ECS and OCSF names.
var ArrowSchema = func() *arrow.Schema {
	fields := make([]arrow.Field, NumColumns)
	for i, c := range Schema {
		fields[i] = arrow.Field{
			Name:     c.Name,
			Type:     arrowTypes[c.Kind],
			Nullable: c.Kind != KindBool,
			Metadata: arrow.NewMetadata([]string{"doc", "ecs", "ocsf"}, []string{c.Doc, c.ECS, c.OCSF}),
		}
	}
	return arrow.NewSchema(fields, nil)
}()
