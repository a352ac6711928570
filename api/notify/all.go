package notify

// Entry is a kind of target.
type Entry struct {
	Name, Doc string
	// Stateful targets show what they were told until they hear that it is over.
	Stateful bool
	New      func(Target, *Client) (Notifier, error)
}

// All are the kinds of targets there are.
var All = []Entry{
	{"alertmanager", "Prometheus Alertmanager, API version 2", true, newAlertmanager},
	{"pagerduty", "PagerDuty Events API version 2", true, newPagerDuty},
	{"slack", "incoming webhooks of Slack, and of what takes the same: Mattermost, Rocket.Chat, Discord's /slack", false, newSlack},
	{"webhook", "CloudEvents 1.0, structured mode, signed as Standard Webhooks are", false, newWebhook},
}

func entryOf(kind string) (Entry, bool) {
	for _, e := range All {
		if e.Name == kind {
			return e, true
		}
	}
	return Entry{}, false
}
