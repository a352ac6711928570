//go:build unix

package ingest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch/ingest/source"
	"github.com/tokenwatch/tokenwatch/testdata/demo"
)

var agents = [...]string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
	"acme-sdk-node/1.8.5 node/v20.18.0", "AcmeMobile/6.10 (Android 10; Pixel 7)", "PostmanRuntime/7.39.0", "curl/8.5.0",
}

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
	agent := agents[of.IntN(len(agents))]
	return fmt.Appendf(b, `{"time":"2026-03-02T00:00:%02d.%03dZ","token":"tok_%s","principal":"user-%05d@org%d","src_ip":"88.38.%d.%d","user_agent":"%s",`+
		`"method":"%s","host":"%s.example.com","path":"%s","status":%d,"bytes_out":%d,"duration_ms":%d,"request_id":"%s"}`,
		r.IntN(60), r.IntN(1000), pick(of, 20, alnums), token, token/100, of.IntN(256), of.IntN(256), agent,
		one("GET", "GET", "GET", "POST", "DELETE"), one("billing", "files", "auth", "api"), path, 200+r.IntN(3)*r.IntN(3), r.IntN(5000), r.IntN(300), pick(r, 32, "0123456789abcdef"))
}

// nginxLine is accessLine as nginx writes it, with the credential as the user.
func nginxLine(b []byte, r *rand.Rand) []byte {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	of := rand.New(rand.NewPCG(uint64(r.IntN(20_000)*r.IntN(20_000)/20_000), 1))
	path := "/v1/" + one("orders", "refunds", "invoices", "teams") + one("", "/or_"+pick(r, 14, alnums), "/"+pick(r, 12, "0123456789abcdef"), "/"+pick(r, 6, "0123456789")+"/comments")
	return fmt.Appendf(b, `88.38.%d.%d - tok_%s [02/Mar/2026:00:00:%02d +0000] "%s %s HTTP/1.1" %d %d "-" "%s"`,
		of.IntN(256), of.IntN(256), pick(of, 20, alnums), r.IntN(60), one("GET", "GET", "GET", "POST", "DELETE"), path, 200+r.IntN(3)*r.IntN(3), r.IntN(5000),
		agents[of.IntN(len(agents))])
}

// trailLines returns the CloudTrail events of the demo: 1,910, of 1.3 kB each.
func trailLines(b *testing.B) [][]byte {
	r, err := gzip.NewReader(bytes.NewReader(demo.Trail))
	if err != nil {
		b.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(all), []byte{'\n'})
}

// BenchmarkSeal takes requests of 8 MiB from bytes to a sealed batch: framing,
// parsing, normalising, sealing and filling columns. What it reports besides is
// CPU time, of which other work on the machine takes nothing away, and events a
// second that a core would do in it.
func BenchmarkSeal(b *testing.B) {
	trail := trailLines(b)
	next := 0
	for _, of := range []struct {
		format string
		line   func([]byte, *rand.Rand) []byte
	}{
		{"json", accessLine},
		{"combined", nginxLine},
		{"cloudtrail", func(b []byte, _ *rand.Rand) []byte {
			next++
			return append(b, trail[next%len(trail)]...)
		}},
	} {
		b.Run(of.format, func(b *testing.B) {
			r := rand.New(rand.NewPCG(40, 1))
			var bodies [][]byte
			var events []int
			for range 4 {
				var body []byte
				n := 0
				for ; len(body) < 8<<20; n++ {
					body = append(of.line(body, r), '\n')
				}
				bodies, events = append(bodies, body), append(events, n)
			}
			benchmarkSeal(b, of.format, bodies, events)
		})
	}
	b.Run("small", func(b *testing.B) { // requests of 100 lines of JSON
		r := rand.New(rand.NewPCG(40, 1))
		var bodies [][]byte
		var events []int
		for range 400 {
			var body []byte
			for range 100 {
				body = append(accessLine(body, r), '\n')
			}
			bodies, events = append(bodies, body), append(events, 100)
		}
		benchmarkSeal(b, "json", bodies, events)
	})
}

func benchmarkSeal(b *testing.B, format string, bodies [][]byte, events []int) {
	p := canaryPipeline(b)
	var reader bytes.Reader
	b.ReportAllocs()
	done, before := 0, time.Duration(0)
	for i := 0; b.Loop(); i++ {
		if i == 0 {
			before = cpu()
		}
		reader.Reset(bodies[i%len(bodies)])
		s, _, err := p.Seal(source.Delivery{Tenant: "t", Source: "edge", Format: format, Body: &reader})
		if err != nil || s.Batch.Rows() != events[i%len(bodies)] {
			b.Fatal(err, s.Batch.Rows())
		}
		s.Named.Stored() // as a commit does
		done += s.Batch.Rows()
	}
	took := cpu() - before
	b.ReportMetric(float64(took.Nanoseconds())/float64(done), "cpu-ns/event")
	b.ReportMetric(float64(done)/took.Seconds(), "events/cpu-s")
}

// cpu is the time that this process has had a processor for.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
