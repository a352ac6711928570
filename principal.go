package tokenwatch

import "context"

// Role is what the holder of an API key may do; the role table of package api
// says which methods and routes each one opens.
type Role string

// The roles. No role contains another: what a role may do is only what the role
// table lists for it.
const (
	RoleIngest  Role = "ingest"  // sends logs in, and reads nothing
	RoleAnalyst Role = "analyst" // reads findings and rejects
	RoleAuditor Role = "auditor" // reads findings, rejects and the history
	RoleAdmin   Role = "admin"   // everything, API keys included
)

// Principal is who a request comes from: an API key, the tenant it belongs to
// and its role. It is made by authentication alone.
type Principal struct {
	ID     string // of the API key
	Tenant string
	Role   Role
}

type principalKey struct{}

// WithPrincipal returns ctx for a request of p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns whom a request comes from. It reports false where
// nobody was authenticated: the caller must refuse then.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}
