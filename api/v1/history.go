package v1

import (
	"context"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// history answers the service History.
type history struct {
	pb.UnimplementedHistoryServer
	store storage.History
	seal  sealer
}

func (s *history) ListLeaves(ctx context.Context, req *pb.ListLeavesRequest) (*pb.ListLeavesResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	if req.GetPageToken() != "" && req.GetFirstIndex() != 0 {
		return nil, Fail(tokenwatch.RefusedArgument, "page_token and first_index exclude each other", 0)
	}
	in := scope{kind: "history.leaves", tenant: who.Tenant}
	first := req.GetFirstIndex()
	if err := s.seal.openPlace(in, req.GetPageToken(), &first); err != nil {
		return nil, err
	}
	out := &pb.ListLeavesResponse{}
	for leaf, err := range s.store.Leaves(ctx, who.Tenant, first) {
		if err != nil {
			return nil, err
		}
		if len(out.Leaves) == size {
			out.NextPageToken = s.seal.sealPlace(in, leaf.Index)
			break
		}
		out.Leaves = append(out.Leaves, &pb.Leaf{Index: leaf.Index, Encoding: leaf.Bytes})
	}
	return out, nil
}

func (s *history) GetCheckpoint(ctx context.Context, _ *pb.GetCheckpointRequest) (*pb.Checkpoint, error) {
	if _, err := caller(ctx); err != nil {
		return nil, err
	}
	note, err := s.store.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.Checkpoint{Note: text(string(note))}, nil
}
