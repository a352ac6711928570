package v1

import (
	"context"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// rejects answers the service Rejects from the requests in the log.
type rejects struct {
	pb.UnimplementedRejectsServer
	log  Log
	seal sealer
}

const (
	rejectStride = 256      // log offsets read at a time
	rejectReach  = 16 << 10 // log offsets looked at for one page
)

// List goes from the end of the log towards its beginning in strides. A page
// ends early rather than read the whole log for a few rejects. Its token is the
// entry it stopped at and how many rejects of that entry have been shown.
func (s *rejects) List(ctx context.Context, req *pb.ListRejectsRequest) (*pb.ListRejectsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	in := scope{kind: "rejects.list", tenant: who.Tenant}
	at, shown := uint64(s.log.Last()), uint64(0)
	if err := s.seal.openPlace(in, req.GetPageToken(), &at, &shown); err != nil {
		return nil, err
	}
	out := &pb.ListRejectsResponse{}
	last, skip := at, shown
	for reach := 0; last > 0; reach += rejectStride {
		if reach >= rejectReach {
			out.NextPageToken = s.seal.sealPlace(in, last, 0)
			return out, nil
		}
		first := last - min(last, rejectStride) + 1
		found, err := s.stride(ctx, who.Tenant, first, last)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if skip > 0 && r.GetLogOffset() == at {
				skip--
				continue
			}
			if len(out.Rejects) == size {
				out.NextPageToken = s.seal.sealPlace(in, at, shown)
				return out, nil
			}
			out.Rejects = append(out.Rejects, r)
			if r.GetLogOffset() != at {
				at, shown = r.GetLogOffset(), 0
			}
			shown++
		}
		last, skip = first-1, 0
	}
	return out, nil
}

// stride returns the rejects of a range of the log, newest first.
func (s *rejects) stride(ctx context.Context, tenant string, first, last uint64) ([]*pb.Reject, error) {
	var found []*pb.Reject
	r := storage.Range{Tenant: tenant, First: tokenwatch.Offset(first), Last: tokenwatch.Offset(last)}
	for entry, err := range s.log.Scan(ctx, r) {
		if err != nil {
			return nil, err
		}
		if entry.Tenant != tenant {
			continue
		}
		for _, request := range entry.Requests {
			for _, reject := range request.Rejects {
				found = append(found, &pb.Reject{
					LogOffset: uint64(entry.Offset),
					Time:      stamp(entry.Time),
					Source:    text(request.Source),
					Principal: text(request.Principal),
					Record:    fromReject(reject),
				})
			}
		}
	}
	slices.Reverse(found)
	return found, nil
}

func fromReject(r tokenwatch.Reject) *pb.RejectedRecord {
	return &pb.RejectedRecord{
		Index: int32(r.Index), Offset: r.Offset, Length: r.Length,
		Digest: text(r.Digest), Reason: text(r.Reason), Detail: text(r.Detail),
	}
}
