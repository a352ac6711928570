package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// serveBulk answers Elasticsearch's bulk API, as far as shippers use it: documents
// that are created or indexed go in as records, under the name of the index of
// the first as their source; deletions and updates are refused item by item, for
// a log only grows. The answer has one item for each action, in order
// (elastic.co, "Bulk API"); names and ids of the request are not repeated in it.
func serveBulk(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	start := h.now()
	body, done, err := h.open(w, r)
	if err != nil {
		refuseBulk(w, h.before(who, err))
		return
	}
	in := newBulk(body)
	name := in.index(r.PathValue("index"))
	if !printable(name, 256) {
		done()
		refuseBulk(w, h.before(who, badArgument("the name of an index is not 1 to 256 printable ASCII characters")))
		return
	}
	answer, refusal := h.ingest(r, who, Delivery{Source: name, Body: in})
	done()
	if refusal != nil && refusal.Reason != tokenwatch.RefusedAllRejected {
		refuseBulk(w, refusal)
		return
	}
	items, failed := in.results(answer.Rejected)
	writeElastic(w, http.StatusOK, struct {
		Took   int64          `json:"took"`
		Errors bool           `json:"errors"`
		Items  []bulkResponse `json:"items"`
	}{h.now().Sub(start).Milliseconds(), failed, items})
}

// bulk is the body of a bulk request as the pipeline reads it: the documents
// alone, each a line. It notes where the document of each action lies.
type bulk struct {
	r     *bufio.Reader
	items []bulkItem
	out   []byte // not read yet; part of r's buffer
	at    int64  // of the next byte that goes out
	state bulkState
	line  int // of the body, from 1
	err   error
}

type bulkState uint8

const (
	bulkAction  bulkState = iota // an action comes next
	bulkBegins                   // a document comes next
	bulkGoesOn                   // a document goes on
	bulkSkipped                  // what comes next, to the end of the line, is not wanted
)

// bulkItem is one action.
type bulkItem struct {
	op     string
	at     int64  // where its document begins in what goes out; -1: it has none
	reason string // why it was refused; "" if it was not
}

const maxBulkAction = 16 << 10 // bytes of an action's line

func newBulk(r io.Reader) *bulk { return &bulk{r: bufio.NewReaderSize(r, 64<<10)} }

// index returns the name of the index of the first action, or the given one.
func (b *bulk) index(given string) string {
	if given != "" {
		return given
	}
	head, _ := b.r.Peek(maxBulkAction) // an error comes again
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	if _, index, err := bulkActionOf(line); err == nil && index != "" {
		return index
	}
	return "bulk"
}

// bulkActionOf reads the line of an action.
func bulkActionOf(line []byte) (op, index string, err error) {
	var action map[string]struct {
		Index string `json:"_index"`
	}
	if err := json.Unmarshal(line, &action); err != nil || len(action) != 1 {
		return "", "", errors.New("not one action")
	}
	for name, meta := range action {
		op, index = name, meta.Index
	}
	if !slices.Contains([]string{"create", "index", "update", "delete"}, op) {
		return "", "", errors.New("no such action")
	}
	return op, index, nil
}

// Read reads documents.
func (b *bulk) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.err = b.next()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	b.at += int64(n)
	return n, nil
}

// next takes in a line, or a part of a long one.
func (b *bulk) next() error {
	piece, err := b.r.ReadSlice('\n')
	whole := err == nil || err == io.EOF
	if !whole && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	if len(piece) > 0 {
		if bad := b.take(piece, whole); bad != nil {
			return bad
		}
	}
	if err == io.EOF && (b.state == bulkBegins || b.state == bulkSkipped) {
		return malformedBulk(b.line) // an action waits for its document
	}
	return err
}

// take takes in a line, whole or a part of it.
func (b *bulk) take(piece []byte, whole bool) error {
	if b.state == bulkAction || b.state == bulkBegins {
		b.line++
	}
	switch b.state {
	case bulkAction:
		if !whole || len(piece) > maxBulkAction {
			return malformedBulk(b.line)
		}
		if piece = bytes.TrimSpace(piece); len(piece) == 0 {
			return nil
		}
		op, _, bad := bulkActionOf(piece)
		if bad != nil {
			return malformedBulk(b.line)
		}
		item := bulkItem{op: op, at: -1}
		switch op {
		case "delete":
			item.reason = "action_not_supported"
		case "update":
			item.reason = "action_not_supported"
			b.state = bulkSkipped
		default:
			b.state = bulkBegins
		}
		b.items = append(b.items, item)
	case bulkBegins:
		item := &b.items[len(b.items)-1]
		if len(bytes.TrimSpace(piece)) == 0 && whole {
			item.reason = "empty_document"
			b.state = bulkAction
			break
		}
		item.at = b.at
		fallthrough
	case bulkGoesOn:
		b.out = piece
		if b.state = bulkGoesOn; whole {
			b.state = bulkAction
		}
	case bulkSkipped:
		if whole {
			b.line++
			b.state = bulkAction
		}
	}
	return nil
}

func malformedBulk(line int) error {
	return &tokenwatch.Refusal{
		Reason: tokenwatch.RefusedBody,
		Detail: "line " + strconv.Itoa(line) + " of the bulk request is not an action with what belongs to it",
	}
}

// bulkResponse is the answer to one action: its result under its name.
type bulkResponse map[string]bulkResult

type bulkResult struct {
	Status int        `json:"status"`
	Result string     `json:"result,omitempty"`
	Error  *bulkError `json:"error,omitempty"`
}

type bulkError struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// results says of each action what became of it; of one document several records
// may be made, which all have to be stored.
func (b *bulk) results(rejects []tokenwatch.Reject) (out []bulkResponse, failed bool) {
	documents := make([]int, 0, len(b.items)) // places in items of those that went out
	for i := range b.items {
		if b.items[i].at >= 0 {
			documents = append(documents, i)
		}
	}
	for _, r := range rejects {
		n, found := slices.BinarySearchFunc(documents, r.Offset, func(i int, at int64) int {
			return int(min(max(b.items[i].at-at, -1), 1))
		})
		if !found {
			n--
		}
		if n >= 0 && n < len(documents) {
			b.items[documents[n]].reason = r.Reason
		}
	}
	out = make([]bulkResponse, len(b.items))
	for i, item := range b.items {
		result := bulkResult{Status: http.StatusCreated, Result: "created"}
		if item.reason != "" {
			failed = true
			result = bulkResult{Status: http.StatusBadRequest, Error: &bulkError{Type: "document_parsing_exception", Reason: item.reason}}
		}
		out[i] = bulkResponse{item.op: result}
	}
	return out, failed
}

// elasticTypes names refusals as Elasticsearch does.
var elasticTypes = map[string]string{
	tokenwatch.RefusedOverload:    "es_rejected_execution_exception",
	tokenwatch.RefusedUnavailable: "cluster_block_exception",
	tokenwatch.RefusedTooLarge:    "content_too_long_exception",
	tokenwatch.RefusedInternal:    "internal_server_error",
}

// refuseBulk writes the answer to a request that was refused whole.
func refuseBulk(w http.ResponseWriter, r *tokenwatch.Refusal) {
	name, ok := elasticTypes[r.Reason]
	if !ok {
		name = "illegal_argument_exception"
	}
	code := statuses[r.Reason].http
	advise(w, r)
	writeElastic(w, code, struct {
		Error  bulkError `json:"error"`
		Status int       `json:"status"`
	}{bulkError{name, strings.TrimSuffix(r.Reason+": "+r.Detail, ": ")}, code})
}

// elasticVersion is the release whose bulk API is answered; clients compare it
// with their own.
const elasticVersion = "8.17.0"

// writeElastic writes an answer that official clients take for one of
// Elasticsearch: they look for this header first.
func writeElastic(w http.ResponseWriter, code int, v any) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	write(w, code, v)
}

// serveElasticInfo answers what shippers ask before they send: which version this
// is, whether it is licensed, and whether templates and policies are there, which
// a log without mappings does not need.
func serveElasticInfo(_ *HTTP, w http.ResponseWriter, r *http.Request, _ tokenwatch.Principal) {
	switch {
	case r.URL.Path == "/":
		writeElastic(w, http.StatusOK, map[string]any{
			"name": "tokenwatch", "cluster_name": "tokenwatch", "cluster_uuid": "tokenwatch",
			"version": map[string]any{
				"number": elasticVersion, "build_flavor": "default", "build_type": "tar", "lucene_version": "9.12.0",
				"minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
			},
			"tagline": "You Know, for Search",
		})
	case r.URL.Path == "/_license":
		writeElastic(w, http.StatusOK, map[string]any{"license": map[string]any{"status": "active", "type": "basic", "mode": "basic"}})
	case r.URL.Path == "/_xpack":
		writeElastic(w, http.StatusOK, map[string]any{"features": map[string]any{}, "license": map[string]any{"status": "active", "type": "basic", "mode": "basic"}})
	case r.URL.Path == "/_cluster/health":
		writeElastic(w, http.StatusOK, map[string]any{"cluster_name": "tokenwatch", "status": "green", "timed_out": false, "number_of_nodes": 1})
	default: // templates, policies, pipelines
		writeElastic(w, http.StatusOK, map[string]any{"acknowledged": true})
	}
}
