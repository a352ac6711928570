package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// events answers /v1/findings:watch with server-sent events: the stream of
// Watch, one event a finding, with the cursor as its id.
type events struct {
	client pb.FindingsClient
	json   *marshaler
	// write is how long one event may take to be taken off our hands.
	write time.Duration
}

// retryMillis is how long a browser waits before it comes back by itself.
const retryMillis = 2000

// ServeHTTP streams until the caller goes, the server stops or the key is
// revoked. The first answer of Watch comes at once, so an error before it still
// has a status of its own.
func (e *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cursor := r.URL.Query().Get("cursor")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		cursor = last // the caller comes back: this is newer than its URL
	}
	ctx := outgoing(r.Context(), r.Header.Get("Authorization"), remote(r).String())
	stream, err := e.client.Watch(ctx, &pb.WatchFindingsRequest{Cursor: cursor})
	if err != nil {
		writeError(w, err)
		return
	}
	first, err := stream.Recv()
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := &eventWriter{w: w, control: http.NewResponseController(w), limit: e.write}
	out.send(fmt.Appendf(nil, "retry: %d\n\n", retryMillis))
	for m := first; ; {
		event, err := e.event(m)
		if err == nil {
			err = out.send(event)
		}
		if err != nil {
			return
		}
		if m, err = stream.Recv(); err != nil {
			e.end(out, err)
			return
		}
	}
}

// event returns one message as an event; what only says that the stream is
// alive becomes a comment with the cursor, which clients pass over.
func (e *events) event(m *pb.WatchFindingsResponse) ([]byte, error) {
	if m.GetFinding() == nil {
		return fmt.Appendf(nil, ": alive\nid: %s\n\n", m.GetCursor()), nil
	}
	body, err := e.json.Marshal(m.GetFinding())
	if err != nil {
		return nil, fmt.Errorf("encode finding %s: %w", m.GetFinding().GetId(), err)
	}
	return fmt.Appendf(nil, "id: %s\nevent: finding\ndata: %s\n\n", m.GetCursor(), body), nil
}

// end says why the stream is over, unless it is the caller who ended it.
func (e *events) end(out *eventWriter, err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	if err, _ = v1.Status(err); v1.Reason(err) == v1.ReasonCanceled {
		return
	}
	body, merr := e.json.Marshal(status.Convert(err).Proto())
	if merr != nil {
		body = []byte(`{"message":"` + tokenwatch.RefusedInternal + `"}`)
	}
	out.send(fmt.Appendf(nil, "event: error\ndata: %s\n\n", body))
}

// eventWriter sends events at once, and gives up on a reader who does not read.
type eventWriter struct {
	w       io.Writer
	control *http.ResponseController
	limit   time.Duration
}

func (e *eventWriter) send(b []byte) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(e.limit)); err != nil {
		return fmt.Errorf("bound a write: %w", err)
	}
	if _, err := e.w.Write(b); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("flush an event: %w", err)
	}
	return nil
}
