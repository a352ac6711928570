package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plain"
)

// webhook posts CloudEvents 1.0 in structured mode. The headers are those of
// Standard Webhooks: webhook-id is the idempotency key, webhook-timestamp the
// time of the attempt, and webhook-signature "v1," and the base64 of
// HMAC-SHA-256 over id, timestamp and body with dots between them.
type webhook struct {
	client *Client
	url    string
	key    []byte
}

// minKey is how many bytes a signing key has at least.
const minKey = 16

func newWebhook(t Target, c *Client) (Notifier, error) {
	key, err := signingKey(t.Secret)
	if err != nil {
		return nil, err
	}
	return &webhook{client: c, url: t.URL, key: key}, nil
}

// signingKey reads a secret: text, or whsec_ and base64.
func signingKey(secret string) ([]byte, error) {
	key := []byte(secret)
	if coded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, errors.New("the secret begins with whsec_ and is not base64")
		}
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("a webhook needs a secret of at least %d bytes to sign with", minKey)
	}
	return key, nil
}

// cloudEvent is the envelope; Data is the finding as the API shows it.
type cloudEvent struct {
	SpecVersion     string              `json:"specversion"`
	ID              string              `json:"id"`
	Source          string              `json:"source"`
	Type            string              `json:"type"`
	Subject         string              `json:"subject"`
	Time            time.Time           `json:"time"`
	DataContentType string              `json:"datacontenttype"`
	Link            string              `json:"link,omitempty"` // extension attribute
	Data            *tokenwatch.Finding `json:"data"`
}

func (w *webhook) Send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: m.Key, Source: "/tokenwatch/" + m.Finding.Tenant,
		Type: "io.tokenwatch.finding." + string(m.Event), Subject: m.Finding.ID, Time: m.Finding.Raised,
		DataContentType: "application/json", Link: m.Link, Data: m.Finding,
	})
	if err != nil {
		return &Failure{Reason: ReasonInternal, Permanent: true}
	}
	body = plain.JSON(body)
	timestamp := strconv.FormatInt(m.Time.Unix(), 10)
	return w.client.post(ctx, w.url, http.Header{
		"Content-Type":      {"application/cloudevents+json; charset=utf-8"},
		"Idempotency-Key":   {m.Key},
		"Webhook-Id":        {m.Key},
		"Webhook-Timestamp": {timestamp},
		"Webhook-Signature": {Sign(w.key, m.Key, timestamp, body)},
	}, body)
}

// Sign returns the signature of a webhook, for whoever checks one.
func Sign(key []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
