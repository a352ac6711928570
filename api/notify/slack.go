package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/plain"
)

// slack posts to an incoming webhook. Whatever comes from logs is escaped, so
// that it mentions nobody and makes no links.
type slack struct {
	client *Client
	url    string
}

func newSlack(t Target, c *Client) (Notifier, error) { return &slack{client: c, url: t.URL}, nil }

type slackMessage struct {
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color    string       `json:"color"`
	Fallback string       `json:"fallback"`
	Fields   []slackField `json:"fields"`
	TS       int64        `json:"ts"`
}

type slackField struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

var slackColours = map[tokenwatch.Severity]string{
	tokenwatch.SeverityLow: "#888888", tokenwatch.SeverityMedium: "#daa038",
	tokenwatch.SeverityHigh: "#d9480f", tokenwatch.SeverityCritical: "#c92a2a",
}

func (s *slack) Send(ctx context.Context, m *Message) error {
	f := m.Finding
	title := fmt.Sprintf("%s (%d): %s", strings.ToUpper(string(f.Severity)), f.Score, f.Summary)
	if m.Event == Escalated {
		title = "Escalated. " + title
	}
	a := slackAttachment{Color: slackColours[f.Severity], Fallback: slackText(title), TS: f.Time.Unix()}
	for _, field := range [][2]string{
		{f.EntityKind.String(), called(f)}, {"kind", f.Kind}, {"from", f.SrcIP},
		{"ATT&CK", strings.Join(f.Attack, ", ")}, {"finding", f.ID},
	} {
		if field[1] != "" {
			a.Fields = append(a.Fields, slackField{slackText(field[0]), slackText(field[1]), true})
		}
	}
	text := slackText(title)
	if m.Link != "" {
		text += " <" + m.Link + "|open>"
	}
	body, err := json.Marshal(slackMessage{Text: text, Attachments: []slackAttachment{a}})
	if err != nil {
		return &Failure{Reason: ReasonInternal, Permanent: true}
	}
	return s.client.post(ctx, s.url, http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "Idempotency-Key": {m.Key},
	}, body)
}

// slackEscapes are the three characters by which Slack marks links and mentions,
// and what those who take the same make links and mentions of.
var slackEscapes = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "](", "] (",
	"@everyone", "＠everyone", "@here", "＠here", "@channel", "＠channel", "@all", "＠all",
)

func slackText(s string) string { return slackEscapes.Replace(cut(plain.Text(s), 2000)) }

// called is what a person would call whom a finding is about.
func called(f *tokenwatch.Finding) string {
	for _, kind := range tokenwatch.NameKinds {
		for _, a := range f.Aliases {
			if a.Kind == kind && kind != tokenwatch.NameFullHash && kind != tokenwatch.NameTruncatedHash {
				return a.Value
			}
		}
	}
	return f.Entity
}

// cut shortens s to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[:n-len("…")]
	return strings.ToValidUTF8(s, "") + "…"
}
