package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tokenwatch/tokenwatch"
)

// serveLoki answers Loki's push API (grafana.com, "Loki HTTP API": ingest logs):
// a snappy block of protobuf, or JSON. Labels of a stream stay with its lines; the
// label job, service_name or app of the first stream names the source.
func serveLoki(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	streams, err := lokiStreams(h, w, r)
	if err != nil {
		refuse(w, h.before(who, err), nil)
		return
	}
	var lines []byte
	for i := range streams {
		if lines, err = streams[i].appendTo(lines, h.limits.Expanded); err != nil {
			refuse(w, h.before(who, err), nil)
			return
		}
	}
	answer, refusal := h.ingest(r, who, Delivery{Source: lokiSource(streams), Body: bytes.NewReader(lines)})
	if refusal == nil && answer.RejectedTotal > 0 {
		// As Loki does: the client must not send it again, and says so to its operator.
		refusal = &tokenwatch.Refusal{Reason: tokenwatch.RefusedSome, Detail: "some lines could not be stored"}
	}
	switch {
	case refusal == nil:
		w.WriteHeader(http.StatusNoContent)
	case answer.RejectedTotal > 0:
		answer.Rejected = answer.Rejected[:min(len(answer.Rejected), MaxListed)]
		refuse(w, refusal, &answer)
	default:
		refuse(w, refusal, nil)
	}
}

// lokiStream is the lines of one set of labels.
type lokiStream struct {
	labels  [][2]string
	entries []lokiEntry
}

type lokiEntry struct {
	time time.Time
	line string
	meta [][2]string // structured metadata
}

// appendTo appends a line for each entry. Labels are sent once and stand in each
// line: what that comes to is bounded.
func (s *lokiStream) appendTo(dst []byte, most int64) ([]byte, error) {
	for _, e := range s.entries {
		out := envelope{time: e.time, message: e.line, labels: s.labels}
		if len(e.meta) > 0 {
			out.labels = slices.Concat(s.labels, e.meta)
		}
		if dst = out.appendTo(dst); int64(len(dst)) > most {
			return nil, errOpened
		}
	}
	return dst, nil
}

// errOpened is what a request is refused with whose records, each with what they
// share, are larger than a body may be.
var errOpened = tooLarge("with what they share, the records are larger than a body may be: send fewer at once")

func lokiSource(streams []lokiStream) string {
	for _, want := range []string{"job", "service_name", "app"} {
		for i := range streams[:min(len(streams), 1)] {
			for _, l := range streams[i].labels {
				if l[0] == want && printable(l[1], 256) {
					return l[1]
				}
			}
		}
	}
	return "loki"
}

// lokiStreams reads the body of a push.
func lokiStreams(h *HTTP, w http.ResponseWriter, r *http.Request) ([]lokiStream, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		body, done, err := h.open(w, r)
		if err != nil {
			return nil, err
		}
		defer done()
		return lokiJSON(body)
	}
	// A push is a snappy block, whether its coding is named or not.
	if r.Header.Get("Content-Encoding") == "" {
		r.Header.Set("Content-Encoding", "snappy")
	}
	body, done, err := h.open(w, r)
	if err != nil {
		return nil, err
	}
	defer done()
	plain, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	streams, err := lokiProto(plain)
	if err != nil {
		return nil, lokiBroken(err)
	}
	return streams, nil
}

// lokiJSON reads {"streams":[{"stream":{…},"values":[["<ns>","<line>",{…}]]}]}.
func lokiJSON(r io.Reader) ([]lokiStream, error) {
	var push struct {
		Streams []struct {
			Stream map[string]string   `json:"stream"`
			Values [][]json.RawMessage `json:"values"`
		} `json:"streams"`
	}
	if err := json.NewDecoder(r).Decode(&push); err != nil {
		return nil, lokiBroken(err)
	}
	out := make([]lokiStream, len(push.Streams))
	for i, s := range push.Streams {
		out[i].labels = sortedPairs(s.Stream)
		for _, v := range s.Values {
			var e lokiEntry
			var nanos string
			if len(v) < 2 || json.Unmarshal(v[0], &nanos) != nil || json.Unmarshal(v[1], &e.line) != nil {
				return nil, lokiBroken(nil)
			}
			n, err := strconv.ParseInt(nanos, 10, 64)
			if err != nil {
				return nil, lokiBroken(nil)
			}
			e.time = time.Unix(0, n).UTC()
			if len(v) > 2 {
				var meta map[string]string
				if json.Unmarshal(v[2], &meta) != nil {
					return nil, lokiBroken(nil)
				}
				e.meta = sortedPairs(meta)
			}
			out[i].entries = append(out[i].entries, e)
		}
	}
	return out, nil
}

func lokiBroken(err error) error {
	if refusal := (*tokenwatch.Refusal)(nil); errors.As(err, &refusal) {
		return refusal
	}
	return &tokenwatch.Refusal{Reason: tokenwatch.RefusedBody, Detail: "the body is not a push of Loki's", Err: err}
}

func sortedPairs(m map[string]string) [][2]string {
	out := make([][2]string, 0, len(m))
	for k, v := range m {
		out = append(out, [2]string{k, v})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// lokiProto reads logproto.PushRequest: streams = 1 of labels = 1 and entries = 2
// of timestamp = 1, line = 2, structuredMetadata = 3 of name = 1 and value = 2.
func lokiProto(b []byte) (out []lokiStream, err error) {
	err = eachField(b, func(n protowire.Number, stream []byte) error {
		if n != 1 {
			return nil
		}
		var s lokiStream
		err := eachField(stream, func(n protowire.Number, v []byte) (err error) {
			switch n {
			case 1:
				s.labels, err = lokiLabels(string(v))
			case 2:
				var e lokiEntry
				e, err = lokiProtoEntry(v)
				s.entries = append(s.entries, e)
			}
			return err
		}, noVarint)
		out = append(out, s)
		return err
	}, noVarint)
	return out, err
}

func lokiProtoEntry(b []byte) (e lokiEntry, err error) {
	err = eachField(b, func(n protowire.Number, v []byte) error {
		switch n {
		case 1:
			var seconds, nanos int64
			err := eachField(v, func(protowire.Number, []byte) error { return nil }, func(n protowire.Number, v uint64) {
				if n == 1 {
					seconds = int64(v)
				} else if n == 2 {
					nanos = int64(v)
				}
			})
			e.time = time.Unix(seconds, nanos).UTC()
			return err
		case 2:
			e.line = string(v)
		case 3:
			var pair [2]string
			err := eachField(v, func(n protowire.Number, v []byte) error {
				if n == 1 || n == 2 {
					pair[n-1] = string(v)
				}
				return nil
			}, noVarint)
			e.meta = append(e.meta, pair)
			return err
		}
		return nil
	}, noVarint)
	return e, err
}

// lokiLabels reads {name="value", …}, values quoted as in Go.
func lokiLabels(s string) (out [][2]string, err error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, lokiBroken(nil)
	}
	for inner := strings.TrimSpace(s[1 : len(s)-1]); inner != ""; {
		name, rest, ok := strings.Cut(inner, "=")
		if !ok {
			return nil, lokiBroken(nil)
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, lokiBroken(nil)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, lokiBroken(nil)
		}
		out = append(out, [2]string{strings.TrimSpace(name), value})
		inner = strings.TrimLeft(rest[len(quoted):], ", ")
	}
	return out, nil
}
