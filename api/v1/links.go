package v1

import (
	"context"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// maxLinkReason is how long the reason of a link may be, in bytes.
const maxLinkReason = 1024

// Link puts a link into the log; the inventory follows it from there.
func (s *tokens) Link(ctx context.Context, req *pb.LinkTokensRequest) (*pb.TokenLink, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	l := tokenwatch.Link{Kind: req.GetKind(), Confidence: int(req.GetConfidence()), By: who.ID, Reason: req.GetReason()}
	if l.Confidence == 0 {
		l.Confidence = 100
	}
	switch {
	case len(l.Reason) > maxLinkReason:
		return nil, Fail(tokenwatch.RefusedArgument, "reason is longer than 1024 bytes", 0)
	case s.holds(who.Tenant, l.Reason):
		return nil, Fail(tokenwatch.RefusedArgument, "reason holds what looks like a credential", 0)
	}
	for name, id := range map[string]*tokenwatch.TokenID{req.GetA(): &l.A, req.GetB(): &l.B} {
		t, err := s.find(ctx, who.Tenant, name)
		if err != nil {
			return nil, err
		}
		if *id = t.ID; slices.Contains(t.SameAs, tokenwatch.TokenID(name)) {
			*id = tokenwatch.TokenID(name) // it is this one that is meant
		}
	}
	if err := l.Check(); err != nil {
		return nil, Fail(tokenwatch.RefusedArgument, err.Error(), 0)
	}
	if err := s.triage.Link(ctx, who.Tenant, l, action(who, "tokens.link", string(l.A), l.Kind+" "+string(l.B))); err != nil {
		return nil, err
	}
	return &pb.TokenLink{A: string(l.A), B: string(l.B), Kind: l.Kind, Confidence: int32(l.Confidence), By: l.By, Reason: text(l.Reason)}, nil
}
