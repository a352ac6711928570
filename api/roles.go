package api

import (
	"slices"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// grant says who may call a method.
type grant struct {
	roles    []tokenwatch.Role
	operator bool // only admins of the tenant that runs the server
	public   bool // whoever asks, without a key
}

var (
	anyRole  = grant{roles: []tokenwatch.Role{tokenwatch.RoleIngest, tokenwatch.RoleAnalyst, tokenwatch.RoleAuditor, tokenwatch.RoleAdmin}}
	senders  = grant{roles: []tokenwatch.Role{tokenwatch.RoleIngest, tokenwatch.RoleAdmin}}
	readers  = grant{roles: []tokenwatch.Role{tokenwatch.RoleAnalyst, tokenwatch.RoleAuditor, tokenwatch.RoleAdmin}}
	analysts = grant{roles: []tokenwatch.Role{tokenwatch.RoleAnalyst, tokenwatch.RoleAdmin}}
	auditors = grant{roles: []tokenwatch.Role{tokenwatch.RoleAuditor, tokenwatch.RoleAdmin}}
	admins   = grant{roles: []tokenwatch.Role{tokenwatch.RoleAdmin}}
	operator = grant{roles: []tokenwatch.Role{tokenwatch.RoleAdmin}, operator: true}
	everyone = grant{public: true}
)

// grants is who may do what, by full name of a gRPC method or by method and
// path of what exists over HTTP only. What is not in it nobody may: a test
// holds it against the descriptors. The lines with everyone are all there is
// without a key.
var grants = map[string]grant{
	"/tokenwatch.v1.Ingest/Ingest":             senders,
	"/tokenwatch.v1.Ingest/Stream":             senders,
	"/tokenwatch.v1.Events/Tail":               readers,
	"/tokenwatch.v1.Findings/List":             readers,
	"/tokenwatch.v1.Findings/Get":              readers,
	"/tokenwatch.v1.Findings/Poll":             readers,
	"/tokenwatch.v1.Findings/Watch":            readers,
	"/tokenwatch.v1.Findings/Update":           analysts,
	"/tokenwatch.v1.Suppressions/Create":       analysts,
	"/tokenwatch.v1.Suppressions/Preview":      readers,
	"/tokenwatch.v1.Suppressions/List":         readers,
	"/tokenwatch.v1.Suppressions/Get":          readers,
	"/tokenwatch.v1.Suppressions/Update":       analysts,
	"/tokenwatch.v1.Suppressions/End":          analysts,
	"/tokenwatch.v1.Tokens/List":               readers,
	"/tokenwatch.v1.Tokens/Link":               analysts,
	"/tokenwatch.v1.Tokens/Get":                readers,
	"/tokenwatch.v1.Tokens/GetTimeline":        readers,
	"/tokenwatch.v1.Tokens/GetRisk":            readers,
	"/tokenwatch.v1.Notifications/ListTargets": readers,
	"/tokenwatch.v1.Notifications/ListLetters": readers,
	"/tokenwatch.v1.Notifications/Retry":       admins,
	"/tokenwatch.v1.Query/Query":               readers,
	"/tokenwatch.v1.Rejects/List":              readers,
	"/tokenwatch.v1.Sources/List":              readers,
	"/tokenwatch.v1.Detectors/List":            readers,
	"/tokenwatch.v1.History/ListLeaves":        auditors,
	"/tokenwatch.v1.History/GetCheckpoint":     auditors,
	"/tokenwatch.v1.Keys/Create":               admins,
	"/tokenwatch.v1.Keys/List":                 admins,
	"/tokenwatch.v1.Keys/Revoke":               admins,
	"/tokenwatch.v1.System/GetVersion":         anyRole,

	"/opentelemetry.proto.collector.logs.v1.LogsService/Export": senders,

	"/grpc.health.v1.Health/Check":                                   everyone,
	"/grpc.health.v1.Health/List":                                    anyRole,
	"/grpc.health.v1.Health/Watch":                                   anyRole,
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      anyRole,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": anyRole,

	"GET /v1/findings/{id}/plot.svg": readers,
	"GET /v1/tokens/{id}/plot.svg":   readers,

	"GET /console": readers,

	"GET /":             everyone, // what this is
	"GET /openapi.json": everyone,
	"GET /healthz":      everyone, // liveness
	"GET /readyz":       anyRole,
	"GET /metrics":      operator, // they tell of all tenants

	"GET /api/v1/query":               readers,
	"POST /api/v1/query":              readers,
	"GET /api/v1/query_range":         readers,
	"POST /api/v1/query_range":        readers,
	"GET /api/v1/series":              readers,
	"POST /api/v1/series":             readers,
	"GET /api/v1/labels":              readers,
	"POST /api/v1/labels":             readers,
	"GET /api/v1/label/{name}/values": readers,
	"GET /api/v1/metadata":            readers,
	"GET /api/v1/status/buildinfo":    readers,
}

// allows tells whether p may call method; operatorTenant runs the server.
func allows(p tokenwatch.Principal, method, operatorTenant string) bool {
	g, ok := grants[method]
	switch {
	case !ok:
		return false
	case g.public:
		return true
	case g.operator && p.Tenant != operatorTenant:
		return false
	default:
		return slices.Contains(g.roles, p.Role)
	}
}

func validRole(r tokenwatch.Role) bool { return slices.Contains(anyRole.roles, r) }

// forbidden is the one error of what a role does not allow.
func forbidden() error {
	return v1.Fail(v1.ReasonForbidden, "the role of this API key does not allow it", 0)
}

// denied is what the history keeps of an attempt that was not allowed.
func denied(who tokenwatch.Principal, what string) storage.Action {
	return storage.Action{
		Tenant: who.Tenant, Actor: who.ID, Verb: "access.denied", Object: what, Detail: "role " + string(who.Role),
	}
}
