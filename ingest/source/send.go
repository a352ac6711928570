package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Sender is the pipeline of another process: it posts deliveries to a server
// and repeats those that the server could not take at the time. Tenant and
// principal follow from the key on the server.
type Sender struct {
	url      string
	key      string
	client   *http.Client
	attempts int
}

// SenderConfig says where a Sender sends.
type SenderConfig struct {
	URL      string // of the server: http://127.0.0.1:9178
	Key      string // API key
	Client   *http.Client
	Attempts int // for one delivery; default 10
}

// maxAnswer bounds what is read of a server's answer.
const maxAnswer = 4 << 20

// NewSender returns a Sender. The URL must be http or https, with a host.
func NewSender(c SenderConfig) (*Sender, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the server's URL must be http:// or https:// and a host")
	}
	s := &Sender{url: strings.TrimSuffix(u.String(), "/") + "/v1/ingest", key: c.Key, client: c.Client, attempts: c.Attempts}
	if s.client == nil {
		s.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the key is for this server only
		}}
	}
	if s.attempts <= 0 {
		s.attempts = 10
	}
	return s, nil
}

// Ingest posts a delivery until the server has taken or finally refused it. A
// delivery without a key is not repeated once the server may have stored it.
func (s *Sender) Ingest(ctx context.Context, d Delivery) (Answer, error) {
	body, err := io.ReadAll(d.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read delivery: %w", err)
	}
	backoff := 250 * time.Millisecond
	for attempt := 1; ; attempt++ {
		answer, err := s.post(ctx, d, body)
		var refusal *tokenwatch.Refusal
		wait := backoff
		if errors.As(err, &refusal) {
			wait = refusal.RetryAfter
		} else if err != nil && d.Key == "" {
			return answer, err
		}
		if err == nil || wait == 0 || attempt == s.attempts {
			return answer, err
		}
		if err := pause(ctx, wait); err != nil {
			return Answer{}, err
		}
		backoff = min(2*backoff, 30*time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sender) post(ctx context.Context, d Delivery, body []byte) (Answer, error) {
	query := url.Values{"format": {d.Format}, "source": {d.Source}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Content-Type", "application/octet-stream")
	if d.Key != "" {
		r.Header.Set("Idempotency-Key", d.Key)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return Answer{}, fmt.Errorf("post to server: %w", err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the server's answer: %w", err)
	}
	return readAnswer(response, b)
}

// readAnswer undoes what HTTP writes: an answer, or a refusal.
func readAnswer(response *http.Response, b []byte) (Answer, error) {
	var body struct {
		Message string   `json:"message"`
		Details []detail `json:"details"`
		Answer
	}
	err := json.Unmarshal(b, &body)
	if response.StatusCode == http.StatusOK {
		if err != nil {
			return Answer{}, fmt.Errorf("read the server's answer of %d bytes: %w", len(b), err)
		}
		return body.Answer, nil
	}
	refusal := &tokenwatch.Refusal{
		Reason: tokenwatch.RefusedInternal,
		Detail: "the server answered " + strconv.Itoa(response.StatusCode) + " " + body.Message,
	}
	for _, d := range body.Details {
		if d.Reason != "" {
			refusal.Reason, refusal.Detail = d.Reason, body.Message
		}
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		refusal.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	} else if response.StatusCode >= 502 {
		refusal.RetryAfter = time.Second // a proxy's word, or a server that did not say when
	}
	return body.Answer, refusal
}
