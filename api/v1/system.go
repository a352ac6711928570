package v1

import (
	"context"
	"runtime"

	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// system answers the service System.
type system struct {
	pb.UnimplementedSystemServer
	version, commit string
}

func (s *system) GetVersion(ctx context.Context, _ *pb.GetVersionRequest) (*pb.Version, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.Version{
		Version: s.version, Commit: s.commit, GoVersion: runtime.Version(),
		KeyId: who.ID, Tenant: who.Tenant, Role: string(who.Role),
	}, nil
}
