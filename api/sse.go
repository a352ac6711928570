package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// events answers a gRPC stream as server-sent events, each with the cursor as its
// id, for whoever a stream serves that begins with an answer at once.
type events struct {
	json *marshaler
	open opening
	// write is how long one event may take to be taken off our hands.
	write time.Duration
}

// opening calls a method for a request, to go on behind a cursor; next returns the
// next answer as an event.
type opening func(r *http.Request, cursor string) (next func() ([]byte, error), err error)

// retryMillis is how long a browser waits before it comes back by itself.
const retryMillis = 2000

// ServeHTTP streams until the caller goes, the server stops or the key is
// revoked. The first answer comes at once, so an error before it still has a status
// of its own.
func (e *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cursor := r.URL.Query().Get("cursor")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		cursor = last // the caller comes back: this is newer than its URL
	}
	next, err := e.open(r, cursor)
	if err != nil {
		writeError(w, err)
		return
	}
	first, err := next()
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := &eventWriter{w: w, control: http.NewResponseController(w), limit: e.write}
	out.send(fmt.Appendf(nil, "retry: %d\n\n", retryMillis))
	for event := first; ; {
		if err := out.send(event); err != nil {
			return
		}
		if event, err = next(); err != nil {
			e.end(out, err)
			return
		}
	}
}

// watching opens the stream of findings.
func watching(client pb.FindingsClient, json *marshaler) opening {
	return func(r *http.Request, cursor string) (func() ([]byte, error), error) {
		ctx := outgoing(r.Context(), r.Header.Get("Authorization"), remote(r).String())
		stream, err := client.Watch(ctx, &pb.WatchFindingsRequest{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		return func() ([]byte, error) {
			m, err := stream.Recv()
			if err != nil {
				return nil, err
			}
			if m.GetFinding() == nil {
				return alive(m.GetCursor()), nil
			}
			body, err := json.Marshal(m.GetFinding())
			if err != nil {
				return nil, fmt.Errorf("encode finding %s: %w", m.GetFinding().GetId(), err)
			}
			return fmt.Appendf(nil, "id: %s\nevent: finding\ndata: %s\n\n", m.GetCursor(), body), nil
		}, nil
	}
}

// tailing opens the stream of events of the log.
func tailing(client pb.EventsClient, json *marshaler) opening {
	return func(r *http.Request, cursor string) (func() ([]byte, error), error) {
		req := &pb.TailEventsRequest{Filter: r.URL.Query().Get("filter"), Cursor: cursor}
		if text := r.URL.Query().Get("offset"); text != "" {
			offset, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return nil, v1.Fail(tokenwatch.RefusedArgument, "offset is no place in the log", 0)
			}
			req.Offset = offset
		}
		ctx := outgoing(r.Context(), r.Header.Get("Authorization"), remote(r).String())
		stream, err := client.Tail(ctx, req)
		if err != nil {
			return nil, err
		}
		return func() ([]byte, error) {
			m, err := stream.Recv()
			if err != nil {
				return nil, err
			}
			cursor, name := m.GetCursor(), "event"
			switch {
			case m.GetSkipped() != nil:
				name = "skipped"
			case m.GetEvent() == nil:
				return alive(cursor), nil
			}
			m.Cursor = ""
			body, err := json.Marshal(m)
			if err != nil {
				return nil, fmt.Errorf("encode an event: %w", err)
			}
			return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", cursor, name, body), nil
		}, nil
	}
}

// alive only says that the stream is: a comment with the cursor, which clients pass
// over.
func alive(cursor string) []byte { return fmt.Appendf(nil, ": alive\nid: %s\n\n", cursor) }

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
