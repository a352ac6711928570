package main

import (
	"bytes"
	"context"

	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// overGRPC is the pipeline as the gRPC handlers want it.
type overGRPC struct{ to source.Pipeline }

// Ingest hands a delivery on; see v1.Pipeline.
func (p overGRPC) Ingest(ctx context.Context, d v1.Delivery) (v1.Outcome, error) {
	a, err := p.to.Ingest(ctx, source.Delivery{
		Tenant: d.Tenant, Principal: d.Principal, Source: d.Source, Format: d.Format, Key: d.Key,
		Body: bytes.NewReader(d.Records),
	})
	return v1.Outcome{
		Accepted: a.Accepted, Duplicate: a.Duplicate, Format: a.Format, Rejected: a.Rejected, Total: a.RejectedTotal,
	}, err
}
