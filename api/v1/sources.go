package v1

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// sources answers the service Sources.
type sources struct {
	pb.UnimplementedSourcesServer
	store storage.Sources // nil: nothing is known of any
	seal  sealer
}

type sourceRecord = tokenwatch.SourceRecord

// sourceFields are what filters of sources may name.
var sourceFields = filter.Fields[sourceRecord]{
	"name":              filter.Text(func(s *sourceRecord) string { return s.Name }),
	"state":             filter.Text(func(s *sourceRecord) string { return string(s.State) }),
	"first_event":       filter.Time(func(s *sourceRecord) time.Time { return s.First }),
	"last_event":        filter.Time(func(s *sourceRecord) time.Time { return s.Last }),
	"last_request":      filter.Time(func(s *sourceRecord) time.Time { return s.LastRequest }),
	"silent_since":      filter.Time(func(s *sourceRecord) time.Time { return s.SilentSince }),
	"records":           filter.Number(func(s *sourceRecord) float64 { return float64(s.Records) }),
	"rejects":           filter.Number(func(s *sourceRecord) float64 { return float64(s.Rejects) }),
	"reject_share":      filter.Number(func(s *sourceRecord) float64 { return s.RejectShare }),
	"events_per_second": filter.Number(func(s *sourceRecord) float64 { return s.Rate }),
}

// List looks at all sources, of which a tenant has few. Its page token is how many
// came before.
func (s *sources) List(ctx context.Context, req *pb.ListSourcesRequest) (*pb.ListSourcesResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	wanted, err := filter.Parse(req.GetFilter(), filter.Config[sourceRecord]{
		Fields: sourceFields, Search: func(s *sourceRecord) []string { return []string{s.Name} },
	})
	if err != nil {
		return nil, badFilter(err)
	}
	in := scope{kind: "sources.list", tenant: who.Tenant, query: req.GetFilter()}
	at := uint64(0)
	if err := s.seal.openPlace(in, req.GetPageToken(), &at); err != nil {
		return nil, err
	}
	out := &pb.ListSourcesResponse{}
	if s.store == nil {
		return out, nil
	}
	all, err := s.store.Sources(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	for i := int(min(at, uint64(len(all)))); i < len(all); i++ {
		if all[i].Tenant != who.Tenant || !wanted.Match(&all[i]) {
			continue
		}
		if len(out.Sources) == size {
			out.NextPageToken = s.seal.sealPlace(in, uint64(i))
			break
		}
		out.Sources = append(out.Sources, FromSource(&all[i]))
	}
	return out, nil
}

// FromSource is a source as the API shows it.
func FromSource(s *tokenwatch.SourceRecord) *pb.Source {
	return &pb.Source{
		Name: text(s.Name), State: text(string(s.State)), FirstEvent: stamp(s.First), LastEvent: stamp(s.Last), SilentSince: stamp(s.SilentSince),
		UsualSilence: durationpb.New(s.Usual), EventsPerSecond: s.Rate, FirstRequest: stamp(s.FirstRequest), LastRequest: stamp(s.LastRequest),
		Lag: durationpb.New(s.Lag), Records: s.Records, Rejects: s.Rejects, RejectShare: s.RejectShare, UsualRejectShare: s.UsualShare,
		Holes: int32(s.Holes),
	}
}
