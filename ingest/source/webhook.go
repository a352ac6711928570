package source

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Webhook is one hook that GitHub calls. Who calls it is known by the signature
// alone: GitHub sends no API key.
type Webhook struct {
	Name    string   // the last part of its path
	Secrets [][]byte // any of which may sign: while one follows another, both
	Tenant  string
	Source  string
}

// WebhookRoute is the pattern of the paths that Webhooks answers.
const WebhookRoute = "POST /v1/webhooks/github/{name}"

const (
	maxWebhook   = 25 << 20 // bytes that GitHub sends at most
	webhooksOpen = 16       // bodies of callers not known yet that are held at a time
)

// Webhooks answers GitHub's deliveries (docs.github.com, "Validating webhook
// deliveries"): a payload whose X-Hub-Signature-256 was made with a hook's secret
// goes in as a record that names its event, under the delivery's id as idempotency
// key; a redelivery is stored once. To anybody else every hook answers alike,
// whether it exists or not.
type Webhooks struct {
	http  *HTTP
	hooks map[string]Webhook
	open  chan struct{} // holds one for each body that is being read
}

// NewWebhooks returns what answers for hooks.
func NewWebhooks(to Pipeline, c HTTPConfig, hooks ...Webhook) *Webhooks {
	w := &Webhooks{http: NewHTTP(to, c), hooks: map[string]Webhook{}, open: make(chan struct{}, webhooksOpen)}
	w.http.limits.Expanded = min(w.http.limits.Expanded, maxWebhook)
	for _, h := range hooks {
		w.hooks[h.Name] = h
	}
	return w
}

// ServeHTTP answers one delivery. It needs no principal in the context, and answers
// 401 to what is not signed.
func (s *Webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.open <- struct{}{}:
		defer func() { <-s.open }()
	default:
		refuse(w, s.http.before(tokenwatch.Principal{}, &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedOverload, Detail: "more deliveries than can be taken at present", RetryAfter: s.http.limits.Grace,
		}), nil)
		return
	}
	signature, ok := signatureOf(r)
	if !ok {
		unauthenticated(w)
		return
	}
	body, done, err := s.http.open(w, r)
	if err != nil {
		refuse(w, s.http.before(tokenwatch.Principal{}, err), nil)
		return
	}
	payload, err := io.ReadAll(body)
	done()
	if err != nil {
		refuse(w, s.http.before(tokenwatch.Principal{}, err), nil)
		return
	}
	hook, known := s.hooks[r.PathValue("name")]
	if !hook.signed(payload, signature) || !known {
		unauthenticated(w)
		return
	}
	who := tokenwatch.Principal{ID: "webhook:" + hook.Name, Tenant: hook.Tenant, Role: tokenwatch.RoleIngest}
	record, err := webhookRecord(r, payload)
	if err != nil {
		refuse(w, s.http.before(who, err), nil)
		return
	}
	answer, refusal := s.http.ingest(r, who, Delivery{
		Source: hook.Source, Format: "github_webhook", Key: r.Header.Get("X-GitHub-Delivery"), Body: bytes.NewReader(record),
	})
	answer.Rejected = append([]tokenwatch.Reject{}, answer.Rejected[:min(len(answer.Rejected), MaxListed)]...) // an empty list, not null
	switch {
	case refusal == nil:
		write(w, http.StatusOK, answer)
	case refusal.Reason == tokenwatch.RefusedAllRejected:
		refuse(w, refusal, &answer)
	default:
		refuse(w, refusal, nil)
	}
}

// signatureOf reads X-Hub-Signature-256: sha256= and 64 hexadecimal digits.
func signatureOf(r *http.Request) (sum []byte, ok bool) {
	values := r.Header.Values("X-Hub-Signature-256")
	if len(values) != 1 {
		return nil, false
	}
	digits, ok := strings.CutPrefix(values[0], "sha256=")
	if !ok || len(digits) != 2*sha256.Size {
		return nil, false
	}
	sum, err := hex.DecodeString(digits)
	return sum, err == nil
}

// signed tells whether one of the hook's secrets made the signature, in a time that
// does not depend on how much of it is right. A hook that does not exist takes as
// long as one with a secret.
func (h *Webhook) signed(body, signature []byte) bool {
	secrets := h.Secrets
	if len(secrets) == 0 {
		secrets = [][]byte{nil}
	}
	good := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		good = hmac.Equal(mac.Sum(nil), signature) && len(secret) > 0 || good
	}
	return good
}

// webhookRecord is a payload as a record: with the name of its event, which GitHub
// sends as a header.
func webhookRecord(r *http.Request, payload []byte) ([]byte, error) {
	event, id := r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery")
	if !printable(event, 64) || !printable(id, 64) {
		return nil, badArgument("X-GitHub-Event or X-GitHub-Delivery is missing, or not 1 to 64 printable ASCII characters")
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(payload))
		if err != nil || len(form["payload"]) != 1 {
			return nil, &tokenwatch.Refusal{Reason: tokenwatch.RefusedBody, Detail: "the form has no payload"}
		}
		payload = []byte(form.Get("payload"))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, payload); err != nil || compact.Bytes()[0] != '{' {
		return nil, &tokenwatch.Refusal{Reason: tokenwatch.RefusedBody, Detail: "the payload is not a JSON object", Err: err}
	}
	out := appendPair([]byte{'{'}, "github_event", event)
	out = append(appendPair(append(out, ','), "github_delivery", id), `,"payload":`...)
	return append(append(out, compact.Bytes()...), '}', '\n'), nil
}

func unauthenticated(w http.ResponseWriter) {
	write(w, http.StatusUnauthorized, failure{
		Code:    16,
		Message: "unauthenticated",
		Details: []detail{{Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: "unauthenticated", Domain: errorDomain}},
	})
}
