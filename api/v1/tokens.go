package v1

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// tokens answers the service Tokens; timeline.go has GetTimeline.
type tokens struct {
	pb.UnimplementedTokensServer
	store      storage.Tokens // nil: there is no inventory
	segments   storage.Segments
	series     *series
	findings   storage.Findings
	triage     storage.Triage
	holds      func(tenant, text string) bool
	suppressor *Suppressor
	names      Names
	now        func() time.Time
	seal       sealer
}

type record = tokenwatch.TokenRecord

// TokenFields are what filters and orders of tokens may name.
var TokenFields = filter.Fields[record]{
	"token": filter.Names(func(t *record) []string {
		names := []string{string(t.ID), t.Lineage}
		for _, id := range t.SameAs {
			names = append(names, string(id))
		}
		for _, a := range t.Names {
			names = append(names, a.Value)
		}
		return names
	}),
	"id":            filter.Text(func(t *record) string { return string(t.ID) }),
	"lineage":       filter.Text(func(t *record) string { return t.Lineage }),
	"kind":          filter.Text(func(t *record) string { return t.Kind }),
	"issuer":        filter.Text(func(t *record) string { return t.Issuer }),
	"type":          filter.Text(func(t *record) string { return t.Type }),
	"label":         filter.Text(func(t *record) string { return t.Label }),
	"owner":         filter.Text(func(t *record) string { return t.Owner }),
	"team":          filter.Text(func(t *record) string { return t.Team }),
	"purpose":       filter.Text(func(t *record) string { return t.Purpose }),
	"app":           filter.Text(func(t *record) string { return t.App }),
	"env":           filter.Text(func(t *record) string { return t.Env }),
	"state":         filter.Text(func(t *record) string { return string(t.State) }),
	"created_by":    filter.Text(func(t *record) string { return t.CreatedBy }),
	"revoked_by":    filter.Text(func(t *record) string { return t.RevokedBy }),
	"scopes":        filter.List(func(t *record) []string { return t.Scopes }),
	"scopes_used":   filter.List(func(t *record) []string { return t.Used }),
	"networks":      filter.List(func(t *record) []string { return t.Sources }),
	"sources":       filter.List(sourcesOf),
	"created":       filter.Time(func(t *record) time.Time { return t.Created }),
	"key_created":   filter.Time(func(t *record) time.Time { return t.KeyCreated }),
	"expires":       filter.Time(func(t *record) time.Time { return t.Expires }),
	"owner_left":    filter.Time(func(t *record) time.Time { return t.OwnerLeft }),
	"rotated":       filter.Time(func(t *record) time.Time { return t.Rotated }),
	"overlap_until": filter.Time(func(t *record) time.Time { return t.OverlapUntil }),
	"revoked":       filter.Time(func(t *record) time.Time { return t.Revoked }),
	"expired":       filter.Time(func(t *record) time.Time { return t.Expired }),
	"disabled":      filter.Time(func(t *record) time.Time { return t.Disabled }),
	"first_seen":    filter.Time(func(t *record) time.Time { return seen(t.First) }),
	"last_seen":     filter.Time(func(t *record) time.Time { return seen(t.Last) }),
	"last_used":     filter.Time(func(t *record) time.Time { return t.LastUsed }),
	"events":        filter.Number(func(t *record) float64 { return float64(t.Events) }),
	"rotation_days": filter.Number(func(t *record) float64 { return float64(t.RotationDays) }),
	"known":         filter.Bool(func(t *record) bool { return t.Known }),
	"never_expires": filter.Bool(func(t *record) bool { return t.NeverExpires }),
	"exposed":       filter.Bool(func(t *record) bool { return len(t.Exposed) > 0 }),
}

func sourcesOf(t *record) []string {
	var out []string
	for _, c := range t.Coverage {
		out = append(out, c.Source)
	}
	return out
}

func seen(s *tokenwatch.Sighting) time.Time {
	if s == nil {
		return time.Time{}
	}
	return s.Time
}

// searchedTokens are the texts of a token that a word by itself is looked for in.
func searchedTokens(t *record) []string {
	texts := []string{string(t.ID), t.Lineage, t.Kind, t.Issuer, t.Label, t.Owner, t.Team, t.Purpose, t.App}
	for _, a := range t.Names {
		texts = append(texts, a.Value)
	}
	return texts
}

// List reads on from the last id, if that is the order; else all tokens are
// looked at, and a page's worth is kept.
func (s *tokens) List(ctx context.Context, req *pb.ListTokensRequest) (*pb.ListTokensResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	wanted, err := filter.Parse(req.GetFilter(), filter.Config[record]{
		Fields: TokenFields, Search: searchedTokens, Name: s.names.of(who.Tenant),
	})
	if err != nil {
		return nil, badFilter(err)
	}
	order, err := filter.ParseOrder(req.GetOrderBy(), TokenFields)
	if err != nil {
		return nil, badFilter(err)
	}
	in := scope{kind: "tokens.list", tenant: who.Tenant, query: req.GetFilter() + "\x00" + req.GetOrderBy()}
	var after []byte
	if req.GetPageToken() != "" {
		if after, err = s.seal.open(in, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	out := &pb.ListTokensResponse{}
	if s.store == nil {
		return out, nil
	}
	var from tokenwatch.TokenID
	byID := order.IsZero()
	if byID {
		from = tokenwatch.TokenID(after)
	}
	page := filter.NewPage[record](size, after)
	for t, err := range s.store.Tokens(ctx, who.Tenant, from) {
		if err != nil {
			return nil, err
		}
		if t.Tenant != who.Tenant || !wanted.Match(&t) {
			continue
		}
		page.Add(order.Key(&t, []byte(t.ID)...), t)
		if byID && page.Full() {
			break
		}
	}
	list, next := page.Values()
	for i := range list {
		out.Tokens = append(out.Tokens, FromToken(&list[i]))
	}
	if next != nil {
		out.NextPageToken = s.seal.seal(in, next)
	}
	return out, nil
}

// slashes undoes the escapes that REST leaves in a path.
var slashes = strings.NewReplacer("%2F", "/", "%2f", "/")

// find returns the token of a tenant that somebody calls name.
func (s *tokens) find(ctx context.Context, tenant, name string) (record, error) {
	names := []string{name}
	if plain := slashes.Replace(name); plain != name {
		names = append(names, plain)
	}
	if s.names != nil {
		names = append(names, s.names(tenant, name)...)
	}
	for _, n := range names {
		if s.store == nil || n == "" {
			continue
		}
		t, err := s.store.Token(ctx, tenant, n)
		if errors.Is(err, storage.ErrNotFound) || err == nil && t.Tenant != tenant {
			continue
		}
		return t, err
	}
	return record{}, storage.ErrNotFound
}

// Get answers alike for a token that is not there and one of another tenant.
func (s *tokens) Get(ctx context.Context, req *pb.GetTokenRequest) (*pb.Token, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.find(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	return FromToken(&t), nil
}

// about yields the findings about a token, the one updated last first.
func (s *tokens) about(ctx context.Context, t *record, each func(*tokenwatch.Finding) bool) error {
	ids := idsOf(t)
	for f, err := range s.findings.Findings(ctx, t.Tenant) {
		if err != nil {
			return err
		}
		if f.Token == "" || !ids[string(f.Token)] || f.Tenant != t.Tenant {
			continue
		}
		if err := s.suppressor.Mark(ctx, &f); err != nil {
			return err
		}
		if !each(&f) {
			return nil
		}
	}
	return nil
}

// idsOf are the ids under which a token may stand in events and findings.
func idsOf(t *record) map[string]bool {
	ids := map[string]bool{string(t.ID): true}
	for _, id := range t.SameAs {
		ids[string(id)] = true
	}
	return ids
}

func (s *tokens) GetRisk(ctx context.Context, req *pb.GetRiskRequest) (*pb.Risk, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.find(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	var list []tokenwatch.Finding
	if err := s.about(ctx, &t, func(f *tokenwatch.Finding) bool { list = append(list, *f); return true }); err != nil {
		return nil, err
	}
	r := tokenwatch.RiskOf(&t, list, s.now().UTC())
	out := &pb.Risk{
		Token: text(string(r.Token)), Score: int32(r.Score), Severity: string(r.Severity), Time: stamp(r.Time), Criticality: r.Criticality,
	}
	for i := range r.Factors {
		f := &r.Factors[i]
		out.Factors = append(out.Factors, &pb.RiskFactor{
			Name: text(f.Name), Group: string(f.Group), Since: stamp(f.Since), Weight: f.Weight, Decay: f.Decay,
			Text: text(f.Text), Remedy: text(f.Remedy), Finding: f.Finding,
		})
	}
	return out, nil
}
