package v1

import (
	"context"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Keyring makes, lists and ends API keys on behalf of a principal; it decides
// what the principal may, and its changes are in the history before they hold.
type Keyring interface {
	// Create makes a key and returns it with the only copy of its secret.
	Create(ctx context.Context, by tokenwatch.Principal, tenant string, role tokenwatch.Role) (storage.APIKey, string, error)
	// List returns the keys that by may know of.
	List(ctx context.Context, by tokenwatch.Principal) ([]storage.APIKey, error)
	// Revoke ends a key at once, or returns storage.ErrNotFound where by may not
	// know of it.
	Revoke(ctx context.Context, by tokenwatch.Principal, id string) (storage.APIKey, error)
}

// keys answers the service Keys.
type keys struct {
	pb.UnimplementedKeysServer
	ring Keyring
	seal sealer
}

func (s *keys) Create(ctx context.Context, req *pb.CreateKeyRequest) (*pb.CreateKeyResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	tenant := req.GetTenant()
	if tenant == "" {
		tenant = who.Tenant
	}
	key, secret, err := s.ring.Create(ctx, who, tenant, tokenwatch.Role(req.GetRole()))
	if err != nil {
		return nil, err
	}
	return &pb.CreateKeyResponse{Key: fromKey(key), Secret: secret}, nil
}

func (s *keys) List(ctx context.Context, req *pb.ListKeysRequest) (*pb.ListKeysResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	in := scope{kind: "keys.list", tenant: who.Tenant}
	var after []byte
	if req.GetPageToken() != "" {
		if after, err = s.seal.open(in, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	all, err := s.ring.List(ctx, who)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b storage.APIKey) int { return strings.Compare(a.ID, b.ID) })
	out := &pb.ListKeysResponse{}
	for _, key := range all {
		if key.ID <= string(after) {
			continue
		}
		if len(out.Keys) == size {
			out.NextPageToken = s.seal.seal(in, []byte(out.Keys[size-1].GetId()))
			break
		}
		out.Keys = append(out.Keys, fromKey(key))
	}
	return out, nil
}

func (s *keys) Revoke(ctx context.Context, req *pb.RevokeKeyRequest) (*pb.Key, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	key, err := s.ring.Revoke(ctx, who, req.GetId())
	if err != nil {
		return nil, err
	}
	return fromKey(key), nil
}

func fromKey(k storage.APIKey) *pb.Key {
	return &pb.Key{Id: k.ID, Tenant: k.Tenant, Role: k.Role, Created: stamp(k.Created), Revoked: stamp(k.Revoked)}
}
