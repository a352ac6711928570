package ingest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// accessLine appends a line of an access log in JSON, as a gateway writes it: each
// has a credential, of which there are many, and an id in hex; some paths have
// random ids.
func accessLine(b []byte, r *rand.Rand) []byte {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	token := r.IntN(20_000) * r.IntN(20_000) / 20_000
	of := rand.New(rand.NewPCG(uint64(token), 1)) // what goes with the token
	path := "/v1/" + one("orders", "refunds", "invoices", "teams", "accounts", "webhooks")
	switch r.IntN(5) {
	case 0:
		path += "/or_" + pick(r, 14, alnums) + one("", "/tags", "/permissions")
	case 1:
		path += "/" + pick(r, 12, "0123456789abcdef") + one("", "/items")
	case 2:
		path += "/" + pick(r, 6, "0123456789") + one("", "/comments", "/settings/"+pick(r, 12, "0123456789abcdef"))
	}
	agent := [...]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
		"acme-sdk-node/1.8.5 node/v20.18.0", "AcmeMobile/6.10 (Android 10; Pixel 7)", "PostmanRuntime/7.39.0", "curl/8.5.0",
	}[of.IntN(6)]
	return fmt.Appendf(b, `{"time":"2026-03-02T00:00:%02d.%03dZ","token":"tok_%s","principal":"user-%05d@org%d","src_ip":"88.38.%d.%d","user_agent":"%s",`+
		`"method":"%s","host":"%s.example.com","path":"%s","status":%d,"bytes_out":%d,"duration_ms":%d,"request_id":"%s"}`,
		r.IntN(60), r.IntN(1000), pick(of, 20, alnums), token, token/100, of.IntN(256), of.IntN(256), agent,
		one("GET", "GET", "GET", "POST", "DELETE"), one("billing", "files", "auth", "api"), path, 200+r.IntN(3)*r.IntN(3), r.IntN(5000), r.IntN(300), pick(r, 32, "0123456789abcdef"))
}

// BenchmarkSeal takes requests of 8 MiB from bytes to a sealed batch: framing,
// digest, parsing, normalising, sealing and filling columns.
func BenchmarkSeal(b *testing.B) {
	r := rand.New(rand.NewPCG(40, 1))
	var bodies [][]byte
	var events []int
	for range 4 {
		var body []byte
		n := 0
		for ; len(body) < 8<<20; n++ {
			body = append(accessLine(body, r), '\n')
		}
		bodies, events = append(bodies, body), append(events, n)
	}
	p := canaryPipeline(b)
	var reader bytes.Reader
	b.ReportAllocs()
	done := 0
	for i := 0; b.Loop(); i++ {
		reader.Reset(bodies[i%len(bodies)])
		s, _, err := p.Seal(source.Delivery{Tenant: "t", Source: "edge", Format: "json", Body: &reader})
		if err != nil || s.Batch.Rows() != events[i%len(bodies)] {
			b.Fatal(err, s.Batch.Rows())
		}
		s.Named.Stored() // as a commit does
		done += s.Batch.Rows()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(done), "ns/event")
}
