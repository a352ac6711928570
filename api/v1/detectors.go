package v1

import (
	"context"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// detectors answers the service Detectors.
type detectors struct {
	pb.UnimplementedDetectorsServer
	store storage.Detectors // nil: there are none
}

// List returns all detectors: there are few, so it has no pages.
func (d *detectors) List(ctx context.Context, _ *pb.ListDetectorsRequest) (*pb.ListDetectorsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	out := &pb.ListDetectorsResponse{}
	if d.store == nil {
		return out, nil
	}
	all, err := d.store.Detectors(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	for i := range all {
		out.Detectors = append(out.Detectors, fromDetector(&all[i]))
	}
	return out, nil
}

func fromDetector(d *tokenwatch.DetectorRecord) *pb.Detector {
	return &pb.Detector{
		Name: d.Name, Description: d.Doc, Shift: float64(d.Shift) / 1000,
		FalsePositives: int32(d.FalsePositive), Benign: int32(d.Benign), TruePositives: int32(d.TruePositive),
	}
}
