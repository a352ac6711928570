package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Answers of Splunk's HTTP Event Collector (help.splunk.com, "Troubleshoot HTTP
// Event Collector": possible error codes).
const (
	hecSuccess   = 0
	hecNoData    = 5
	hecInvalid   = 6
	hecInternal  = 8
	hecBusy      = 9
	hecNoEvent   = 12
	hecHealthy   = 17
	hecTooLarge  = 27
	maxHECFields = 64 // indexed fields of an event
)

type hecAnswer struct {
	Text     string              `json:"text"`
	Code     int                 `json:"code"`
	Invalid  *int                `json:"invalid-event-number,omitempty"`
	AckID    *uint64             `json:"ackId,omitempty"`
	Rejected []tokenwatch.Reject `json:"rejected,omitempty"`
}

// hecEvent is one event as it is sent: JSON objects, one behind the other.
type hecEvent struct {
	Time       json.RawMessage            `json:"time"`
	Host       string                     `json:"host"`
	Source     string                     `json:"source"`
	Sourcetype string                     `json:"sourcetype"`
	Index      string                     `json:"index"`
	Event      json.RawMessage            `json:"event"`
	Fields     map[string]json.RawMessage `json:"fields"`
}

// serveHEC answers /services/collector and /services/collector/event.
func serveHEC(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	given, err := query(r, "channel", "auto_extract_timestamp")
	if err != nil {
		refuseHEC(w, h.before(who, err), nil)
		return
	}
	body, done, err := h.open(w, r)
	if err != nil {
		refuseHEC(w, h.before(who, err), nil)
		return
	}
	in := &hecBody{d: json.NewDecoder(body)}
	answer, refusal := h.ingest(r, who, Delivery{Source: in.source(), Body: in})
	done()
	switch {
	case in.n == 0 && refusal == nil:
		write(w, http.StatusBadRequest, hecAnswer{Text: "No data", Code: hecNoData})
	case refusal != nil && in.code != 0:
		invalid := in.n
		write(w, http.StatusBadRequest, hecAnswer{Text: refusal.Detail, Code: in.code, Invalid: &invalid})
	case refusal != nil:
		refuseHEC(w, refusal, answer.Rejected)
	default:
		h.succeedHEC(w, r, given, answer)
	}
}

// serveHECRaw answers /services/collector/raw: lines as they are.
func serveHECRaw(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	given, err := query(r, "channel", "host", "source", "sourcetype", "index", "time")
	if err != nil {
		refuseHEC(w, h.before(who, err), nil)
		return
	}
	d := Delivery{Source: hecSource(given["source"], given["sourcetype"], given["index"])}
	body, done, err := h.open(w, r)
	if err != nil {
		refuseHEC(w, h.before(who, err), nil)
		return
	}
	d.Body = body
	answer, refusal := h.ingest(r, who, d)
	done()
	switch {
	case refusal != nil:
		refuseHEC(w, refusal, answer.Rejected)
	case answer.Accepted+answer.RejectedTotal == 0:
		write(w, http.StatusBadRequest, hecAnswer{Text: "No data", Code: hecNoData})
	default:
		h.succeedHEC(w, r, given, answer)
	}
}

// succeedHEC says what was stored, and what was not: a collector has no word for
// the second, so that it stands beside its own.
func (h *HTTP) succeedHEC(w http.ResponseWriter, r *http.Request, given map[string]string, answer Answer) {
	out := hecAnswer{Text: "Success", Code: hecSuccess, Rejected: answer.Rejected[:min(len(answer.Rejected), MaxListed)]}
	if given["channel"] != "" || r.Header.Get("X-Splunk-Request-Channel") != "" {
		id := h.acks.Add(1) - 1
		out.AckID = &id
	}
	write(w, http.StatusOK, out)
}

// serveHECAck answers which numbers are acknowledged: all that were ever given,
// since an answer that holds one is given when the events are durable.
func serveHECAck(h *HTTP, w http.ResponseWriter, r *http.Request, who tokenwatch.Principal) {
	if _, err := query(r, "channel"); err != nil {
		refuseHEC(w, h.before(who, err), nil)
		return
	}
	var asked struct {
		Acks []uint64 `json:"acks"`
	}
	body, done, err := h.open(w, r)
	if err != nil {
		refuseHEC(w, h.before(who, err), nil)
		return
	}
	defer done()
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&asked); err != nil {
		h.refused(who.Tenant, tokenwatch.RefusedBody)
		write(w, http.StatusBadRequest, hecAnswer{Text: "Invalid data format", Code: hecInvalid})
		return
	}
	acks := make(map[uint64]bool, len(asked.Acks))
	for _, id := range asked.Acks {
		acks[id] = true
	}
	write(w, http.StatusOK, map[string]any{"acks": acks})
}

// serveHECHealth answers whether events are taken.
func serveHECHealth(_ *HTTP, w http.ResponseWriter, _ *http.Request, _ tokenwatch.Principal) {
	write(w, http.StatusOK, hecAnswer{Text: "HEC is healthy", Code: hecHealthy})
}

// refuseHEC writes the answer to a request that was refused whole.
func refuseHEC(w http.ResponseWriter, r *tokenwatch.Refusal, rejects []tokenwatch.Reject) {
	code, ok := map[string]int{
		tokenwatch.RefusedOverload: hecBusy, tokenwatch.RefusedUnavailable: hecBusy,
		tokenwatch.RefusedInternal: hecInternal, tokenwatch.RefusedTooLarge: hecTooLarge,
	}[r.Reason]
	if !ok {
		code = hecInvalid
	}
	advise(w, r)
	text := r.Detail
	if text == "" {
		text = r.Reason
	}
	write(w, statuses[r.Reason].http, hecAnswer{Text: text, Code: code, Rejected: rejects[:min(len(rejects), MaxListed)]})
}

// hecBody is the body of a request as the pipeline reads it: each event a line,
// in an envelope.
type hecBody struct {
	d    *json.Decoder
	n    int // events so far
	code int // of the collector: what was wrong with event n
	held []byte
	out  []byte
	err  error
	name string
}

// source reads the first event, and returns what it is called by its sender.
func (b *hecBody) source() string {
	if b.err = b.next(); b.name == "" {
		b.name = "hec"
	}
	return b.name
}

// hecSource is the first of what an event is called by that is a name.
func hecSource(names ...string) string {
	for _, n := range names {
		if printable(n, 256) {
			return n
		}
	}
	return "hec"
}

// Read reads events.
func (b *hecBody) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.err = b.next()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

func (b *hecBody) next() error {
	var e hecEvent
	if err := b.d.Decode(&e); err != nil {
		if refusal := (*tokenwatch.Refusal)(nil); err == io.EOF || errors.As(err, &refusal) {
			return err
		}
		return b.invalid(hecInvalid, "Invalid data format")
	}
	event := bytes.TrimSpace(e.Event)
	if len(event) == 0 || bytes.Equal(event, []byte("null")) || bytes.Equal(event, []byte(`""`)) {
		return b.invalid(hecNoEvent, "Event field is required and cannot be blank")
	}
	var out envelope
	out.message = string(event)
	if event[0] == '"' {
		if err := json.Unmarshal(event, &out.message); err != nil {
			return b.invalid(hecInvalid, "Invalid data format")
		}
	}
	out.time, _ = epoch(strings.Trim(string(e.Time), `"`))
	out.host = e.Host
	if b.n == 0 {
		b.name = hecSource(e.Source, e.Sourcetype, e.Index)
	}
	for _, l := range [][2]string{{"source", e.Source}, {"sourcetype", e.Sourcetype}, {"index", e.Index}} {
		if l[1] != "" {
			out.labels = append(out.labels, l)
		}
	}
	names := make([]string, 0, len(e.Fields))
	for name := range e.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), maxHECFields)] {
		value := string(e.Fields[name])
		if s := ""; json.Unmarshal(e.Fields[name], &s) == nil {
			value = s
		}
		out.labels = append(out.labels, [2]string{name, value})
	}
	b.n++
	b.held = out.appendTo(b.held[:0])
	b.out = b.held
	return nil
}

// invalid refuses the request for its event n; nothing of it is stored.
func (b *hecBody) invalid(code int, text string) error {
	b.code = code
	return &tokenwatch.Refusal{Reason: tokenwatch.RefusedBody, Detail: text}
}
