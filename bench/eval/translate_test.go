package main

import (
	"strings"
	"testing"
)

// TestTranslate: a token goes by the name the scorer knows, an address by its ip,
// and what goes on from the day before is one incident.
func TestTranslate(t *testing.T) {
	const found = `{"id":"fnd_a","entity_kind":"token","entity":"tkw_x","token":"tkw_x","token_aliases":[{"kind":"key_prefix","value":"twk_live_abc"},{"kind":"sha256_prefix","value":"a1fb566d1f1416c1"}],"time":"2025-03-21T19:09:56.317Z","window":{"start":"2025-03-21T19:00:00Z","end":"2025-03-21T20:00:00Z"},"kind":"novelty","class":"anomaly","score":75,"request_ids":["r1"],"src_ip":"192.0.2.1"}
{"id":"fnd_b","entity_kind":"token","entity":"tkw_x","token":"tkw_x","time":"2025-03-22T01:00:00Z","window":{"start":"2025-03-22T01:00:00Z","end":"2025-03-22T02:00:00Z"},"kind":"novelty","class":"anomaly","score":70,"continues":"fnd_a"}
{"id":"fnd_c","entity_kind":"token","entity":"tkw_x","token":"tkw_x","time":"2025-03-23T01:00:00Z","window":{"start":"2025-03-23T01:00:00Z","end":"2025-03-23T02:00:00Z"},"kind":"novelty","class":"anomaly","score":70,"continues":"fnd_b"}
{"id":"fnd_d","entity_kind":"address","entity":"192.0.2.7","token":"tkw_x","time":"2025-03-22T01:00:00Z","window":{"start":"2025-03-22T01:00:00Z","end":"2025-03-22T02:00:00Z"},"kind":"spraying","class":"anomaly","score":90,"src_ip":"192.0.2.7"}
`
	const want = `{"token":"a1fb566d1f1416c1","time":"2025-03-21T19:09:56.317Z","score":75,"kind":"novelty","class":"anomaly","ip":"192.0.2.1","id":"fnd_a","req_ids":["r1"]}
{"token":"tkw_x","time":"2025-03-22T01:00:00.000Z","score":70,"kind":"novelty","class":"anomaly","id":"fnd_a"}
{"token":"tkw_x","time":"2025-03-23T01:00:00.000Z","score":70,"kind":"novelty","class":"anomaly","id":"fnd_a"}
{"token":"","time":"2025-03-22T01:00:00.000Z","score":90,"kind":"spraying","class":"anomaly","ip":"192.0.2.7","id":"fnd_d"}
`
	var out strings.Builder
	if err := translate(strings.NewReader(found), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
