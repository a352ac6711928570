package notify

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plain"
)

// alertmanager posts alerts to POST /api/v2/alerts. Each finding is one alert. An
// alert is known by its labels, of which the severity is one: when it grows, the
// alert with the lower one is ended.
type alertmanager struct {
	client *Client
	url    string
	header http.Header
}

// alertLasts is how long an alert stays without being told again.
const alertLasts = 24 * time.Hour

func newAlertmanager(t Target, c *Client) (Notifier, error) {
	a := &alertmanager{
		client: c, url: strings.TrimSuffix(t.URL, "/") + "/api/v2/alerts",
		header: http.Header{"Content-Type": {"application/json"}},
	}
	if t.Secret != "" {
		a.header.Set("Authorization", "Bearer "+t.Secret)
	}
	return a, nil
}

type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// with returns the alert as one of a severity that ends at a time.
func (a alert) with(s tokenwatch.Severity, end time.Time) alert {
	a.Labels = maps.Clone(a.Labels)
	a.Labels["severity"] = string(s)
	a.EndsAt = end
	return a
}

func (a *alertmanager) Send(ctx context.Context, m *Message) error {
	f := m.Finding
	// What else may change from revision to revision is no label.
	al := alert{
		Labels: map[string]string{
			"alertname": "TokenwatchFinding", "finding": f.ID, "tenant": f.Tenant,
			"class": string(f.Class), "entity_kind": f.EntityKind.String(), "entity": cut(plain.Text(f.Entity), 256),
		},
		Annotations: map[string]string{
			"summary": cut(plain.Text(f.Summary), 1024), "severity": string(f.Severity), "kind": plain.Text(f.Kind),
			"called": cut(plain.Text(called(f)), 256), "attack": strings.Join(f.Attack, ", "), "src_ip": f.SrcIP,
		},
		StartsAt: f.Raised, EndsAt: m.Time.Add(alertLasts), GeneratorURL: m.Link,
	}
	for name, value := range al.Annotations {
		if value == "" {
			delete(al.Annotations, name)
		}
	}
	alerts := []alert{al.with(f.Severity, al.EndsAt)}
	switch {
	case m.Event == Closed:
		alerts = []alert{al.with(m.Told, m.Time)}
	case m.Told != "" && m.Told != f.Severity:
		alerts = append(alerts, al.with(m.Told, m.Time))
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		return &Failure{Reason: ReasonInternal, Permanent: true}
	}
	return a.client.post(ctx, a.url, a.header, body)
}
