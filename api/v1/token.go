package v1

import (
	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// FromToken returns what is known of a token as its message.
func FromToken(t *tokenwatch.TokenRecord) *pb.Token {
	m := &pb.Token{
		Tenant: t.Tenant, Id: text(string(t.ID)), Lineage: text(t.Lineage), Kind: text(t.Kind), Issuer: text(t.Issuer),
		Type: text(t.Type), Label: text(t.Label), Owner: text(t.Owner), Team: text(t.Team), Purpose: text(t.Purpose),
		App: text(t.App), Env: text(t.Env), Scopes: texts(t.Scopes), ScopesUsed: texts(t.Used), Networks: texts(t.Sources),
		State: string(t.State), Known: t.Known, OwnerLeft: stamp(t.OwnerLeft), Created: stamp(t.Created),
		CreatedBy: text(t.CreatedBy), KeyCreated: stamp(t.KeyCreated), Expires: stamp(t.Expires), NeverExpires: t.NeverExpires,
		RotationDays: int32(t.RotationDays), RotatedFrom: text(string(t.RotatedFrom)), RotatedTo: text(string(t.RotatedTo)),
		Rotated: stamp(t.Rotated), OverlapUntil: stamp(t.OverlapUntil), Revoked: stamp(t.Revoked), RevokedBy: text(t.RevokedBy),
		Expired: stamp(t.Expired), Disabled: stamp(t.Disabled), CheckedOutUntil: stamp(t.CheckedOut),
		FirstSeen: fromSighting(t.First), LastSeen: fromSighting(t.Last), LastUsed: stamp(t.LastUsed), Events: t.Events,
	}
	for _, a := range t.Names {
		m.Names = append(m.Names, &pb.Alias{Kind: text(string(a.Kind)), Value: text(a.Value)})
	}
	for _, id := range t.SameAs {
		m.SameAs = append(m.SameAs, text(string(id)))
	}
	for _, e := range t.Exposed {
		m.Exposure = append(m.Exposure, &pb.Exposure{Time: stamp(e.Time), Place: text(e.Place)})
	}
	for _, c := range t.Coverage {
		shown := &pb.Coverage{Source: text(c.Source), First: stamp(c.First), Last: stamp(c.Last), Events: c.Events}
		for _, h := range c.Holes {
			shown.Holes = append(shown.Holes, &pb.Hole{Start: stamp(h.Start), End: stamp(h.End)})
		}
		m.Coverage = append(m.Coverage, shown)
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		m.Lifecycle = append(m.Lifecycle, &pb.TokenStep{
			Time: stamp(s.Time), Kind: text(string(s.Kind)), By: text(s.By), Detail: text(s.Detail), Source: text(s.Source),
			RequestId: text(s.Request), Offset: uint64(s.Offset), Row: int32(s.Row),
		})
	}
	return m
}

func fromSighting(s *tokenwatch.Sighting) *pb.Sighting {
	if s == nil {
		return nil
	}
	return &pb.Sighting{
		Time: stamp(s.Time), SrcIp: text(s.SrcIP), Action: text(s.Action), Source: text(s.Source),
		Offset: uint64(s.Offset), Row: int32(s.Row),
	}
}

// ToToken is the inverse of FromToken, for clients.
func ToToken(m *pb.Token) tokenwatch.TokenRecord {
	t := tokenwatch.TokenRecord{
		Tenant: m.GetTenant(), ID: tokenwatch.TokenID(m.GetId()), Lineage: m.GetLineage(), Kind: m.GetKind(), Issuer: m.GetIssuer(),
		Type: m.GetType(), Label: m.GetLabel(), Owner: m.GetOwner(), Team: m.GetTeam(), Purpose: m.GetPurpose(),
		App: m.GetApp(), Env: m.GetEnv(), Scopes: m.GetScopes(), Used: m.GetScopesUsed(), Sources: m.GetNetworks(),
		State: tokenwatch.TokenState(m.GetState()), Known: m.GetKnown(), OwnerLeft: moment(m.GetOwnerLeft()), Created: moment(m.GetCreated()),
		CreatedBy: m.GetCreatedBy(), KeyCreated: moment(m.GetKeyCreated()), Expires: moment(m.GetExpires()), NeverExpires: m.GetNeverExpires(),
		RotationDays: int(m.GetRotationDays()), RotatedFrom: tokenwatch.TokenID(m.GetRotatedFrom()), RotatedTo: tokenwatch.TokenID(m.GetRotatedTo()),
		Rotated: moment(m.GetRotated()), OverlapUntil: moment(m.GetOverlapUntil()), Revoked: moment(m.GetRevoked()), RevokedBy: m.GetRevokedBy(),
		Expired: moment(m.GetExpired()), Disabled: moment(m.GetDisabled()), CheckedOut: moment(m.GetCheckedOutUntil()),
		First: toSighting(m.GetFirstSeen()), Last: toSighting(m.GetLastSeen()), LastUsed: moment(m.GetLastUsed()), Events: m.GetEvents(),
	}
	for _, a := range m.GetNames() {
		t.Names = append(t.Names, tokenwatch.Alias{Kind: tokenwatch.NameKind(a.GetKind()), Value: a.GetValue()})
	}
	for _, id := range m.GetSameAs() {
		t.SameAs = append(t.SameAs, tokenwatch.TokenID(id))
	}
	for _, e := range m.GetExposure() {
		t.Exposed = append(t.Exposed, tokenwatch.Exposure{Time: moment(e.GetTime()), Place: e.GetPlace()})
	}
	for _, c := range m.GetCoverage() {
		shown := tokenwatch.Coverage{Source: c.GetSource(), First: moment(c.GetFirst()), Last: moment(c.GetLast()), Events: c.GetEvents()}
		for _, h := range c.GetHoles() {
			shown.Holes = append(shown.Holes, tokenwatch.Window{Start: moment(h.GetStart()), End: moment(h.GetEnd())})
		}
		t.Coverage = append(t.Coverage, shown)
	}
	t.Steps = ToSteps(m.GetLifecycle())
	return t
}

// ToSteps reads the steps of a token's life.
func ToSteps(list []*pb.TokenStep) []tokenwatch.TokenStep {
	var out []tokenwatch.TokenStep
	for _, s := range list {
		out = append(out, tokenwatch.TokenStep{
			Time: moment(s.GetTime()), Kind: tokenwatch.FactKind(s.GetKind()), By: s.GetBy(), Detail: s.GetDetail(), Source: s.GetSource(),
			Request: s.GetRequestId(), Offset: tokenwatch.Offset(s.GetOffset()), Row: int(s.GetRow()),
		})
	}
	return out
}

func toSighting(m *pb.Sighting) *tokenwatch.Sighting {
	if m == nil {
		return nil
	}
	return &tokenwatch.Sighting{
		Time: moment(m.GetTime()), SrcIP: m.GetSrcIp(), Action: m.GetAction(), Source: m.GetSource(),
		Offset: tokenwatch.Offset(m.GetOffset()), Row: int(m.GetRow()),
	}
}
