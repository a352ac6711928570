package v1

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// suppressions answers the service Suppressions.
type suppressions struct {
	pb.UnimplementedSuppressionsServer
	*Suppressor
	findings storage.Findings
	holds    func(tenant, text string) bool
	random   io.Reader
	seal     sealer
}

const (
	maxSuppressions = 1000                 // that hold at a time, of one tenant
	maxSuppression  = 366 * 24 * time.Hour // how long one may hold
)

func (s *suppressions) Create(ctx context.Context, req *pb.CreateSuppressionRequest) (*pb.Suppression, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	spec := req.GetSuppression()
	now := s.now().UTC()
	sup := tokenwatch.Suppression{
		Tenant: who.Tenant, Scope: spec.GetScope(), Reason: spec.GetReason(), Author: who.ID,
		Created: now, Expires: moment(spec.GetExpires()),
	}
	if err := s.check(&sup, now); err != nil {
		return nil, err
	}
	id := make([]byte, 15)
	if _, err := io.ReadFull(s.random, id); err != nil {
		return nil, fmt.Errorf("make the id of a suppression: %w", err)
	}
	sup.ID = "sup_" + strings.ToLower(base32.StdEncoding.EncodeToString(id))
	s.change.Lock()
	defer s.change.Unlock()
	list, err := s.of(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	if len(list) >= maxSuppressions {
		return nil, Fail(ReasonPrecondition, fmt.Sprintf("%d suppressions hold already: end some first", maxSuppressions), 0)
	}
	if err := s.put(ctx, sup, action(who, "suppressions.create", sup.ID, "until "+sup.Expires.Format(time.RFC3339))); err != nil {
		return nil, err
	}
	return s.one(ctx, &sup)
}

// check tells what is wrong with what people say about a suppression.
func (s *suppressions) check(sup *tokenwatch.Suppression, now time.Time) error {
	if _, err := s.scope(sup.Tenant, sup.Scope); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(sup.Reason) == "":
		return Fail(tokenwatch.RefusedArgument, "a suppression needs a reason", 0)
	case len(sup.Reason) > tokenwatch.MaxNote:
		return Fail(tokenwatch.RefusedArgument, fmt.Sprintf("a reason has at most %d bytes", tokenwatch.MaxNote), 0)
	case !sup.Expires.After(now) || sup.Expires.After(now.Add(maxSuppression)):
		return Fail(tokenwatch.RefusedArgument, "a suppression expires, later than now and within a year", 0)
	case s.holds(sup.Tenant, sup.Reason):
		return holdsCredential("the reason")
	case s.holds(sup.Tenant, sup.Scope):
		return holdsCredential("the scope")
	}
	return nil
}

func (s *suppressions) Preview(ctx context.Context, req *pb.PreviewSuppressionRequest) (*pb.PreviewSuppressionResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	scope, err := s.scope(who.Tenant, req.GetScope())
	if err != nil {
		return nil, err
	}
	out := &pb.PreviewSuppressionResponse{BySeverity: make(map[string]int32)}
	for f, err := range s.findings.Findings(ctx, who.Tenant) {
		if err != nil {
			return nil, err
		}
		if f.Withdrawn || f.Tenant != who.Tenant {
			continue
		}
		out.Total++
		if !scope.Match(&f) {
			continue
		}
		if err := s.Mark(ctx, &f); err != nil {
			return nil, err
		}
		out.Covered++
		out.BySeverity[text(string(f.Severity))]++
		if f.SuppressedBy == "" {
			out.NewlyCovered++
		}
		if len(out.Findings) < size {
			out.Findings = append(out.Findings, FromFinding(&f))
		}
	}
	return out, nil
}

// suppressionFields are what filters of suppressions may name.
func suppressionFields(now time.Time) filter.Fields[tokenwatch.Suppression] {
	type sup = tokenwatch.Suppression
	return filter.Fields[sup]{
		"id":      filter.Text(func(s *sup) string { return s.ID }),
		"scope":   filter.Text(func(s *sup) string { return s.Scope }),
		"reason":  filter.Text(func(s *sup) string { return s.Reason }),
		"author":  filter.Text(func(s *sup) string { return s.Author }),
		"state":   filter.Text(func(s *sup) string { return stateOf(s, now) }),
		"created": filter.Time(func(s *sup) time.Time { return s.Created }),
		"expires": filter.Time(func(s *sup) time.Time { return s.Expires }),
		"ended":   filter.Time(func(s *sup) time.Time { return s.Ended }),
	}
}

func stateOf(s *tokenwatch.Suppression, now time.Time) string {
	switch {
	case !s.Ended.IsZero():
		return "ended"
	case !s.Active(now):
		return "expired"
	default:
		return "active"
	}
}

func (s *suppressions) List(ctx context.Context, req *pb.ListSuppressionsRequest) (*pb.ListSuppressionsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	wanted, err := filter.Parse(req.GetFilter(), filter.Config[tokenwatch.Suppression]{Fields: suppressionFields(s.now())})
	if err != nil {
		return nil, badFilter(err)
	}
	in := scope{kind: "suppressions.list", tenant: who.Tenant, query: req.GetFilter()}
	var after []byte
	if req.GetPageToken() != "" {
		if after, err = s.seal.open(in, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	var list []tokenwatch.Suppression
	out := &pb.ListSuppressionsResponse{}
	for sup, err := range s.store.Suppressions(ctx, who.Tenant) {
		if err != nil {
			return nil, err
		}
		if bytes.Compare([]byte(sup.ID), after) <= 0 || sup.Tenant != who.Tenant || !wanted.Match(&sup) {
			continue
		}
		if len(list) == size {
			out.NextPageToken = s.seal.seal(in, []byte(list[size-1].ID))
			break
		}
		list = append(list, sup)
	}
	out.Suppressions, err = s.shown(ctx, who.Tenant, list)
	return out, err
}

// shown returns suppressions as messages, with how many findings are in their
// scope.
func (s *suppressions) shown(ctx context.Context, tenant string, list []tokenwatch.Suppression) ([]*pb.Suppression, error) {
	out := make([]*pb.Suppression, len(list))
	scopes := make([]filter.Filter[tokenwatch.Finding], len(list))
	for i := range list {
		sup := &list[i]
		out[i] = &pb.Suppression{
			Id: sup.ID, Tenant: sup.Tenant, Scope: text(sup.Scope), Reason: text(sup.Reason), Author: sup.Author,
			Created: stamp(sup.Created), Expires: stamp(sup.Expires), Ended: stamp(sup.Ended), State: stateOf(sup, s.now()),
		}
		var err error
		if scopes[i], err = s.scope(tenant, sup.Scope); err != nil {
			scopes[i] = func(*tokenwatch.Finding) bool { return false } // as Covers has it
		}
	}
	if len(list) == 0 {
		return out, nil
	}
	for f, err := range s.findings.Findings(ctx, tenant) {
		if err != nil {
			return nil, err
		}
		for i, scope := range scopes {
			if !f.Withdrawn && f.Tenant == tenant && scope.Match(&f) {
				out[i].Findings++
			}
		}
	}
	return out, nil
}

func (s *suppressions) one(ctx context.Context, sup *tokenwatch.Suppression) (*pb.Suppression, error) {
	out, err := s.shown(ctx, sup.Tenant, []tokenwatch.Suppression{*sup})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// find returns a suppression of a tenant, or storage.ErrNotFound.
func (s *suppressions) find(ctx context.Context, tenant, id string) (tokenwatch.Suppression, error) {
	for sup, err := range s.store.Suppressions(ctx, tenant) {
		if err != nil || sup.ID == id && sup.Tenant == tenant {
			return sup, err
		}
	}
	return tokenwatch.Suppression{}, storage.ErrNotFound
}

func (s *suppressions) Get(ctx context.Context, req *pb.GetSuppressionRequest) (*pb.Suppression, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	sup, err := s.find(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	return s.one(ctx, &sup)
}

func (s *suppressions) Update(ctx context.Context, req *pb.UpdateSuppressionRequest) (*pb.Suppression, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	sup, err := s.find(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, path := range masked(req.GetUpdateMask(), "reason", "expires") {
		switch path {
		case "reason":
			sup.Reason = req.GetSuppression().GetReason()
			changed = append(changed, "reason")
		case "expires":
			sup.Expires = moment(req.GetSuppression().GetExpires())
			changed = append(changed, "until "+sup.Expires.Format(time.RFC3339))
		default:
			return nil, Fail(tokenwatch.RefusedArgument, "of a suppression only reason and expires can be changed", 0)
		}
	}
	now := s.now().UTC()
	switch {
	case len(changed) == 0:
		return nil, Fail(tokenwatch.RefusedArgument, "nothing is to be changed", 0)
	case !sup.Ended.IsZero():
		return nil, Fail(ReasonPrecondition, "the suppression has been ended: make a new one", 0)
	}
	if err := s.check(&sup, now); err != nil {
		return nil, err
	}
	if err := s.put(ctx, sup, action(who, "suppressions.update", sup.ID, strings.Join(changed, ", "))); err != nil {
		return nil, err
	}
	return s.one(ctx, &sup)
}

func (s *suppressions) End(ctx context.Context, req *pb.EndSuppressionRequest) (*pb.Suppression, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	sup, err := s.find(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	if now := s.now().UTC(); sup.Active(now) {
		sup.Ended = now
		if err := s.put(ctx, sup, action(who, "suppressions.end", sup.ID, "")); err != nil {
			return nil, err
		}
	}
	return s.one(ctx, &sup)
}

func action(who tokenwatch.Principal, verb, object, detail string) storage.Action {
	return storage.Action{Tenant: who.Tenant, Actor: who.ID, Verb: verb, Object: object, Detail: detail}
}
