package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plain"
)

// pagerDuty posts events; the id of the finding is the key by which PagerDuty
// joins them into one incident.
type pagerDuty struct {
	client *Client
	url    string
	key    string
}

const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

func newPagerDuty(t Target, c *Client) (Notifier, error) {
	if t.Secret == "" {
		return nil, errors.New("a pagerduty target needs the integration key as its secret")
	}
	return &pagerDuty{client: c, url: cmp.Or(t.URL, pagerDutyURL), key: t.Secret}, nil
}

type pagerEvent struct {
	RoutingKey string        `json:"routing_key"`
	Action     string        `json:"event_action"`
	DedupKey   string        `json:"dedup_key"`
	Payload    *pagerPayload `json:"payload,omitempty"`
	Links      []pagerLink   `json:"links,omitempty"`
}

type pagerPayload struct {
	Summary   string              `json:"summary"`
	Source    string              `json:"source"`
	Severity  string              `json:"severity"`
	Timestamp time.Time           `json:"timestamp"`
	Component string              `json:"component,omitempty"`
	Class     string              `json:"class"`
	Details   *tokenwatch.Finding `json:"custom_details"`
}

type pagerLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

var pagerSeverities = map[tokenwatch.Severity]string{
	tokenwatch.SeverityLow: "info", tokenwatch.SeverityMedium: "warning",
	tokenwatch.SeverityHigh: "error", tokenwatch.SeverityCritical: "critical",
}

func (p *pagerDuty) Send(ctx context.Context, m *Message) error {
	f := m.Finding
	e := pagerEvent{RoutingKey: p.key, Action: "trigger", DedupKey: f.ID}
	if m.Event == Closed {
		e.Action = "resolve"
	} else {
		e.Payload = &pagerPayload{
			Summary: cut(plain.Text(f.Summary), 1024), Source: cmp.Or(plain.Text(called(f)), "tokenwatch"),
			Severity: cmp.Or(pagerSeverities[f.Severity], "warning"), Timestamp: f.Time,
			Component: plain.Text(strings.Join(f.Detectors, ", ")), Class: string(f.Class), Details: f,
		}
		if m.Link != "" {
			e.Links = []pagerLink{{m.Link, "open in tokenwatch"}}
		}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return &Failure{Reason: ReasonInternal, Permanent: true}
	}
	return p.client.post(ctx, p.url, http.Header{"Content-Type": {"application/json"}}, plain.JSON(body))
}
