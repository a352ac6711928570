package v1

import (
	"context"
	"math"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// findings answers the service Findings; feed.go has Poll and Watch.
type findings struct {
	pb.UnimplementedFindingsServer
	store storage.Findings
	seal  sealer
	feed  feed
}

func newFindings(c Config, seal sealer) *findings {
	return &findings{store: c.Findings, seal: seal, feed: newFeed(c)}
}

// List pages by update: a finding that changes while someone pages moves to the
// front and is not shown again; Poll is there for whoever must miss nothing.
func (s *findings) List(ctx context.Context, req *pb.ListFindingsRequest) (*pb.ListFindingsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	terms, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	in := scope{kind: "findings.list", tenant: who.Tenant, query: req.GetFilter()}
	before := uint64(math.MaxUint64)
	if err := s.seal.openPlace(in, req.GetPageToken(), &before); err != nil {
		return nil, err
	}
	out := &pb.ListFindingsResponse{}
	for f, err := range s.store.Findings(ctx, who.Tenant) {
		if err != nil {
			return nil, err
		}
		if f.Update >= before || f.Tenant != who.Tenant || !terms.match(&f) {
			continue
		}
		if len(out.Findings) == size {
			out.NextPageToken = s.seal.sealPlace(in, out.Findings[size-1].GetUpdate())
			break
		}
		out.Findings = append(out.Findings, FromFinding(&f))
	}
	return out, nil
}

// Get answers alike for a finding that is not there and one of another tenant.
func (s *findings) Get(ctx context.Context, req *pb.GetFindingRequest) (*pb.Finding, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.store.Finding(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	if f.Tenant != who.Tenant {
		return nil, NotFound()
	}
	return FromFinding(&f), nil
}

// since returns up to size findings updated after a place in the order of
// updates, earliest first.
func (s *findings) since(ctx context.Context, tenant string, after uint64, size int) ([]tokenwatch.Finding, error) {
	var page []tokenwatch.Finding
	for f, err := range s.store.Updates(ctx, tenant, after) {
		if err != nil {
			return nil, err
		}
		if f.Tenant != tenant {
			continue
		}
		if page = append(page, f); len(page) == size {
			break
		}
	}
	return page, nil
}
