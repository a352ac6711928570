package seal

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	parse "github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// accessLine makes a line of an access log in JSON, as a gateway writes it: each
// has a credential, of which there are many, and an id in hex; some paths have
// random ids.
func accessLine(r *rand.Rand) []byte {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	token := r.IntN(20_000) * r.IntN(20_000) / 20_000
	of := rand.New(rand.NewPCG(uint64(token), 1)) // what goes with the token
	path := "/v1/" + one("orders", "refunds", "invoices", "teams", "accounts", "webhooks")
	switch r.IntN(5) {
	case 0:
		path += "/or_" + pick(r, 14, alnums) + one("", "/tags", "/permissions")
	case 1:
		path += "/" + pick(r, 12, hexes) + one("", "/items")
	case 2:
		path += "/" + pick(r, 6, digits) + one("", "/comments", "/settings/"+pick(r, 12, hexes))
	}
	agent := [...]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
		"acme-sdk-node/1.8.5 node/v20.18.0", "AcmeMobile/6.10 (Android 10; Pixel 7)", "PostmanRuntime/7.39.0", "curl/8.5.0",
	}[of.IntN(6)]
	return fmt.Appendf(nil, `{"time":"2026-03-02T00:00:%02d.%03dZ","token":"tok_%s","principal":"user-%05d@org%d","src_ip":"88.38.%d.%d","user_agent":"%s",`+
		`"method":"%s","host":"%s.example.com","path":"%s","status":%d,"bytes_out":%d,"duration_ms":%d,"request_id":"%s"}`,
		r.IntN(60), r.IntN(1000), pick(of, 20, alnums), token, token/100, of.IntN(256), of.IntN(256), agent,
		one("GET", "GET", "GET", "POST", "DELETE"), one("billing", "files", "auth", "api"), path, 200+r.IntN(3)*r.IntN(3), r.IntN(5000), r.IntN(300), pick(r, 32, hexes))
}

// BenchmarkWorkload takes lines of an access log from text to sealed rows. What
// sealing costs is in its CPU profile: Seal less Builder.Append.
func BenchmarkWorkload(b *testing.B) {
	r := rand.New(rand.NewPCG(40, 1))
	lines := make([][]byte, 50_000)
	for i := range lines {
		lines[i] = accessLine(r)
	}
	json, ok := parse.ByName("json")
	if !ok {
		b.Fatal("no format json")
	}
	parser, err := json.New(parse.Config{})
	if err != nil {
		b.Fatal(err)
	}
	normal, s := normalize.New(), testSealer(b, Config{})
	var row tokenwatch.Row
	var batch tokenwatch.Builder
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		row.Reset()
		if err := parser.Parse(lines[i%len(lines)], &row); err != nil {
			b.Fatal(err)
		}
		row.SetString(tokenwatch.ColSource, "edge")
		row.SetString(tokenwatch.ColFormat, "json")
		normal.Normalize(&row)
		s.Seal(&row, &batch)
		if batch.Rows() == 4096 {
			batch.Batch()
		}
	}
}
