package v1

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// findings answers the service Findings; feed.go has Poll and Watch.
type findings struct {
	pb.UnimplementedFindingsServer
	store      storage.Findings
	triage     storage.Triage
	suppressor *Suppressor
	series     *series
	names      Names
	holds      func(tenant, text string) bool
	seal       sealer
	feed       feed
}

func newFindings(c Config, seal sealer) *findings {
	return &findings{
		store: c.Findings, triage: c.Triage, suppressor: c.Suppressor, series: newSeries(c), names: c.Names, holds: c.Holds,
		seal: seal, feed: newFeed(c),
	}
}

// List goes by update unless told otherwise: a finding that changes while
// someone pages may move and be shown again or not at all; Poll is there for
// whoever must miss nothing.
func (s *findings) List(ctx context.Context, req *pb.ListFindingsRequest) (*pb.ListFindingsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	wanted, err := FindingFilter(req.GetFilter(), s.names.of(who.Tenant))
	if err != nil {
		return nil, err
	}
	order, err := filter.ParseOrder(cmp.Or(req.GetOrderBy(), "update desc"), FindingFields)
	if err != nil {
		return nil, badFilter(err)
	}
	in := scope{kind: "findings.list", tenant: who.Tenant, query: req.GetFilter() + "\x00" + req.GetOrderBy()}
	var after []byte
	if req.GetPageToken() != "" {
		if after, err = s.seal.open(in, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	page := filter.NewPage[tokenwatch.Finding](size, after)
	for f, err := range s.store.Findings(ctx, who.Tenant) {
		if err != nil {
			return nil, err
		}
		if f.Tenant != who.Tenant {
			continue
		}
		if err := s.suppressor.Mark(ctx, &f); err != nil {
			return nil, err
		}
		if !wanted.Match(&f) {
			continue
		}
		newest := binary.BigEndian.AppendUint64(nil, math.MaxUint64-f.Update)
		page.Add(order.Key(&f, newest...), f)
	}
	out := &pb.ListFindingsResponse{}
	list, next := page.Values()
	for i := range list {
		out.Findings = append(out.Findings, FromFinding(&list[i]))
	}
	if next != nil {
		out.NextPageToken = s.seal.seal(in, next)
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
	if err := s.suppressor.Mark(ctx, &f); err != nil {
		return nil, err
	}
	if err := s.series.fill(ctx, &f); err != nil {
		return nil, err
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
		if err := s.suppressor.Mark(ctx, &f); err != nil {
			return nil, err
		}
		if page = append(page, f); len(page) == size {
			break
		}
	}
	return page, nil
}
