package v1

import (
	"context"
	"time"

	"github.com/tokenwatch/tokenwatch/api/filter"
	"github.com/tokenwatch/tokenwatch/api/notify"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Post knows what others are told of findings; *notify.Post is one.
type Post interface {
	Targets(tenant string) []notify.Status
	Letters(tenant string) []notify.Letter
	Retry(ctx context.Context, tenant, id string) (notify.Letter, error)
}

// notifications answers the service Notifications.
type notifications struct {
	pb.UnimplementedNotificationsServer
	post   Post // nil: nobody is told of anything
	record storage.History
	seal   sealer
}

// letterFields are what filters of letters may name.
var letterFields = filter.Fields[notify.Letter]{
	"id":       filter.Text(func(l *notify.Letter) string { return l.ID() }),
	"target":   filter.Text(func(l *notify.Letter) string { return l.Target }),
	"finding":  filter.Text(func(l *notify.Letter) string { return l.Finding }),
	"state":    filter.Text(func(l *notify.Letter) string { return string(l.State) }),
	"event":    filter.Text(func(l *notify.Letter) string { return string(l.Event) }),
	"error":    filter.Text(func(l *notify.Letter) string { return l.Error }),
	"revision": filter.Number(func(l *notify.Letter) float64 { return float64(l.Revision) }),
	"attempts": filter.Number(func(l *notify.Letter) float64 { return float64(l.Attempts) }),
	"made":     filter.Time(func(l *notify.Letter) time.Time { return l.Made }),
	"next":     filter.Time(func(l *notify.Letter) time.Time { return l.Next }),
	"done":     filter.Time(func(l *notify.Letter) time.Time { return l.Done }),
}

func (s *notifications) ListTargets(ctx context.Context, _ *pb.ListTargetsRequest) (*pb.ListTargetsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	out := &pb.ListTargetsResponse{}
	if s.post == nil {
		return out, nil
	}
	for _, t := range s.post.Targets(who.Tenant) {
		out.Targets = append(out.Targets, &pb.Target{
			Name: t.Name, Kind: t.Kind, Update: t.Update,
			Pending: int32(t.Letters[notify.Pending]), Held: int32(t.Letters[notify.Held]),
			Sent: int32(t.Letters[notify.Sent]), Dead: int32(t.Letters[notify.Dead]),
			Error: t.Failure, Failed: stamp(t.Failed), Delivered: stamp(t.Delivered),
		})
	}
	return out, nil
}

func (s *notifications) ListLetters(ctx context.Context, req *pb.ListLettersRequest) (*pb.ListLettersResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	wanted, err := filter.Parse(req.GetFilter(), filter.Config[notify.Letter]{Fields: letterFields})
	if err != nil {
		return nil, badFilter(err)
	}
	in := scope{kind: "letters.list", tenant: who.Tenant, query: req.GetFilter()}
	var after []byte
	if req.GetPageToken() != "" {
		if after, err = s.seal.open(in, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	page := filter.NewPage[notify.Letter](size, after)
	if s.post != nil {
		for _, l := range s.post.Letters(who.Tenant) {
			if wanted.Match(&l) {
				page.Add([]byte(l.ID()), l)
			}
		}
	}
	list, next := page.Values()
	out := &pb.ListLettersResponse{}
	for i := range list {
		out.Letters = append(out.Letters, fromLetter(&list[i]))
	}
	if next != nil {
		out.NextPageToken = s.seal.seal(in, next)
	}
	return out, nil
}

// Retry is in the history before it takes effect.
func (s *notifications) Retry(ctx context.Context, req *pb.RetryLetterRequest) (*pb.Letter, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if s.post == nil || !s.knows(who.Tenant, req.GetId()) {
		return nil, NotFound()
	}
	if _, err := s.record.Record(ctx, action(who, "notifications.retry", req.GetId(), "")); err != nil {
		return nil, err
	}
	l, err := s.post.Retry(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	return fromLetter(&l), nil
}

func (s *notifications) knows(tenant, id string) bool {
	for _, l := range s.post.Letters(tenant) {
		if l.ID() == id {
			return true
		}
	}
	return false
}

func fromLetter(l *notify.Letter) *pb.Letter {
	return &pb.Letter{
		Id: l.ID(), Target: l.Target, Finding: l.Finding, Revision: int32(l.Revision),
		Event: string(l.Event), State: string(l.State), Attempts: int32(l.Attempts), Error: l.Error,
		Made: stamp(l.Made), Next: stamp(l.Next), Done: stamp(l.Done),
	}
}
