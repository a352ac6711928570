package v1

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

const (
	timelineSpan     = 7 * 24 * time.Hour   // if nothing else is asked for
	timelineMost     = 366 * 24 * time.Hour // that can be asked for
	timelineHours    = 32 * 24 * time.Hour  // above, windows are days
	timelineFindings = 100                  // shown
)

// GetTimeline reads the events of a token in a span from the segments that have
// any; what is usual is the engine's to say.
func (s *tokens) GetTimeline(ctx context.Context, req *pb.GetTimelineRequest) (*pb.Timeline, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	t, err := s.find(ctx, who.Tenant, req.GetId())
	if err != nil {
		return nil, err
	}
	from, to, err := s.span(&t, req)
	if err != nil {
		return nil, err
	}
	in := scope{kind: "tokens.timeline", tenant: who.Tenant, query: fmt.Sprint(t.ID, from.UnixNano(), to.UnixNano())}
	var after []byte
	if req.GetPageToken() != "" {
		if after, err = s.seal.open(in, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	first := after == nil
	line := newLine(&t, from, to, filter.NewPage[tokenwatch.Event](size, after))
	if err := line.read(ctx, s.segments); err != nil {
		return nil, err
	}
	out := &pb.Timeline{Token: FromToken(&t), From: stamp(from), To: stamp(to)}
	events, next := line.page.Values()
	for i := range events {
		out.Events = append(out.Events, fromEvent(&events[i]))
	}
	if next != nil {
		out.NextPageToken = s.seal.seal(in, next)
	}
	if !first {
		return out, nil
	}
	if out.Windows, err = s.windows(ctx, &t, line); err != nil {
		return nil, err
	}
	out.Lifecycle = out.GetToken().GetLifecycle()
	return out, s.about(ctx, &t, func(f *tokenwatch.Finding) bool {
		if f.Window.End.After(from) && f.Window.Start.Before(to) {
			out.Findings = append(out.Findings, FromFinding(f))
		}
		return len(out.Findings) < timelineFindings
	})
}

// span is what a request asks for: whole hours.
func (s *tokens) span(t *record, req *pb.GetTimelineRequest) (from, to time.Time, err error) {
	if req.GetFrom() != nil && !req.GetFrom().IsValid() || req.GetTo() != nil && !req.GetTo().IsValid() {
		return from, to, Fail(tokenwatch.RefusedArgument, "from or to is out of range", 0)
	}
	from, to = moment(req.GetFrom()), moment(req.GetTo())
	if to.IsZero() {
		if to = t.LastUsed; to.IsZero() {
			to = s.now().UTC()
		}
		to = to.Add(time.Nanosecond)
	}
	if from.IsZero() {
		from = to.Add(-timelineSpan)
	}
	// Nothing lies beyond what a time of an event can be.
	least, most := time.Unix(0, math.MinInt64).UTC().Add(timelineSpan), time.Unix(0, math.MaxInt64).UTC().Add(-timelineSpan)
	switch {
	case !from.Before(to):
		return from, to, Fail(tokenwatch.RefusedArgument, "from is not before to", 0)
	case to.Sub(from) > timelineMost || from.Before(least) || to.After(most):
		return from, to, Fail(tokenwatch.RefusedArgument, "a timeline spans a year at most", 0)
	}
	from = from.Truncate(time.Hour)
	if end := to.Truncate(time.Hour); !end.Equal(to) {
		to = end.Add(time.Hour)
	}
	return from, to, nil
}

// line gathers what a token did.
type line struct {
	tenant   string
	ids      map[string]bool
	from, to time.Time
	step     time.Duration
	page     *filter.Page[tokenwatch.Event]
	same     map[[16]byte]uint16 // events of a key so far: equal ones are told apart by number
	events   []int64             // by window
	failed   []int64
}

func newLine(t *record, from, to time.Time, page *filter.Page[tokenwatch.Event]) *line {
	l := &line{tenant: t.Tenant, ids: idsOf(t), from: from, to: to, step: time.Hour, page: page, same: make(map[[16]byte]uint16)}
	if to.Sub(from) > timelineHours {
		l.step = 24 * time.Hour
	}
	n := int((to.Sub(from) + l.step - 1) / l.step)
	l.events, l.failed = make([]int64, n), make([]int64, n)
	return l
}

// timelineCols are the columns that events are shown by.
var timelineCols = tokenwatch.Cols(
	tokenwatch.ColTime, tokenwatch.ColToken, tokenwatch.ColDuplicate, tokenwatch.ColSource, tokenwatch.ColRequestID,
	tokenwatch.ColActor, tokenwatch.ColSrcIP, tokenwatch.ColAction, tokenwatch.ColResource, tokenwatch.ColStatus,
	tokenwatch.ColOutcome, tokenwatch.ColError,
)

// read goes through the segments.
func (l *line) read(ctx context.Context, segments storage.Segments) error {
	if segments == nil {
		return nil
	}
	for seg, err := range segments.Segments(ctx, storage.Range{Tenant: l.tenant, From: l.from, To: l.to}) {
		if err != nil {
			return err
		}
		for id := range l.ids {
			if err := l.segment(ctx, seg, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *line) segment(ctx context.Context, seg storage.Segment, id string) error {
	batch, err := rowsOf(ctx, seg, timelineCols, tokenwatch.ColToken, id)
	if batch == nil || err != nil {
		return err
	}
	tokens := batch.Column(tokenwatch.ColToken)
	for i := range batch.Rows() {
		if tokens.Codes == nil || tokens.Dict.At(int(tokens.Codes[i])) != id || batch.Bool(tokenwatch.ColDuplicate, i) || !batch.Has(tokenwatch.ColTime, i) {
			continue
		}
		l.row(batch, i)
	}
	return nil
}

// row counts one event, and shows it to the page if it lies in the span.
func (l *line) row(b *tokenwatch.Batch, i int) {
	at := time.Unix(0, b.Int(tokenwatch.ColTime, i)).UTC()
	if at.Before(l.from) || !at.Before(l.to) {
		return
	}
	e := tokenwatch.Event{
		Time: at, Source: b.Text(tokenwatch.ColSource, i), RequestID: b.Text(tokenwatch.ColRequestID, i),
		Token: tokenwatch.TokenID(b.Text(tokenwatch.ColToken, i)), Actor: b.Text(tokenwatch.ColActor, i),
		Action: b.Text(tokenwatch.ColAction, i), Resource: b.Text(tokenwatch.ColResource, i),
		Outcome: b.Text(tokenwatch.ColOutcome, i), Error: b.Text(tokenwatch.ColError, i),
	}
	if b.Has(tokenwatch.ColStatus, i) {
		e.Status = int(b.Int(tokenwatch.ColStatus, i))
	}
	if b.Has(tokenwatch.ColSrcIP, i) {
		e.SrcIP = b.Addr(i).Unmap().String()
	}
	w := int(at.Sub(l.from) / l.step)
	l.events[w]++
	if failedRow(b, i) {
		l.failed[w]++
	}
	l.page.Add(l.key(&e), e)
}

// key sorts events newest first. Events that are alike in all that is shown are
// numbered: which of them is which does not matter.
func (l *line) key(e *tokenwatch.Event) []byte {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q%q%q%q%q%q%d%q%q", e.Source, e.RequestID, e.Actor, e.SrcIP, e.Action, e.Resource, e.Status, e.Outcome, e.Error)
	key := binary.BigEndian.AppendUint64(nil, ^(uint64(e.Time.UnixNano()) ^ 1<<63))
	key = binary.BigEndian.AppendUint64(key, h.Sum64())
	n := l.same[[16]byte(key)]
	l.same[[16]byte(key)] = n + 1
	return binary.BigEndian.AppendUint16(key, n)
}

// windows are the counts, and beside them what is usual.
func (s *tokens) windows(ctx context.Context, t *record, l *line) ([]*pb.Usage, error) {
	ids := []string{string(t.ID)}
	for _, id := range t.SameAs {
		ids = append(ids, string(id))
	}
	band, err := s.series.expected(ctx, t.Tenant, tokenwatch.EntityToken, ids, l.from, int(l.step/time.Hour), len(l.events))
	if err != nil {
		return nil, err
	}
	out := make([]*pb.Usage, len(l.events))
	for i := range out {
		start := l.from.Add(time.Duration(i) * l.step)
		end := start.Add(l.step)
		if end.After(l.to) {
			end = l.to
		}
		out[i] = &pb.Usage{Start: stamp(start), End: stamp(end), Events: l.events[i], Failed: l.failed[i]}
		if band != nil {
			out[i].Usual, out[i].Low, out[i].High = &band.Median[i], &band.Low[i], &band.High[i]
		}
	}
	return out, nil
}
