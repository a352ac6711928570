package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine"
	"github.com/tokenwatch/tokenwatch/engine/enginetest"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/engine/sigma"
	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

var benchEvents = flag.Int("events", 2_000_000, "events of a day that BenchmarkEngine reads")

// BenchmarkEngine reads a day of access-log events of 20,000 tokens (bench/gen),
// sealed in requests of 8 MiB as the server would, with the policies and rules that
// come with the program; and reports per event the CPU time of the process, garbage
// collection included, and what is allocated.
func BenchmarkEngine(b *testing.B) {
	log := accessLog(b, *benchEvents)
	events := float64(*benchEvents)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := cpu(b)
	for b.Loop() {
		log.Forget()
		if err := engine.New(engine.Config{}, log, log).RunTo(context.Background(), log.Last()); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	events *= float64(b.N)
	b.ReportMetric(float64((cpu(b)-begin).Nanoseconds())/events, "cpu-ns/event")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/events, "B/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/events, "allocs/event")
}

// cpu is the processor time that the process has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// accessLog is a log of what bench/gen writes, with the default policies in front.
func accessLog(tb testing.TB, events int) *enginetest.Log {
	tb.Helper()
	dir := tb.TempDir()
	cmd := exec.Command("go", "run", "../bench/gen", "-n", strconv.Itoa(events), "-nginx=false", "-out", dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		tb.Fatal(err)
	}
	keys, err := seal.NewKeys(make([]byte, seal.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	log := &enginetest.Log{Clock: enginetest.Start.AddDate(1, 0, 0)}
	appendTo(tb, log, tokenwatch.Entry{Control: defaultPolicies(tb).Control()})
	p := ingest.New(nil, ingest.Config{Keys: keys})
	f, err := os.Open(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var body []byte
	put := func() {
		s, _, err := p.Seal(source.Delivery{Tenant: "t", Source: "edge", Format: "json", Body: bytes.NewReader(body)})
		if err != nil {
			tb.Fatal(err)
		}
		s.Named.Stored()
		appendTo(tb, log, tokenwatch.Entry{Tenant: "t", Batch: s.Batch})
		body = body[:0]
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if body = append(append(body, lines.Bytes()...), '\n'); len(body) >= 8<<20 {
			put()
		}
	}
	if len(body) > 0 {
		put()
	}
	return log
}

func appendTo(tb testing.TB, log *enginetest.Log, e tokenwatch.Entry) {
	if _, err := log.Append(context.Background(), e); err != nil {
		tb.Fatal(err)
	}
}

// defaultPolicies are those in use where nothing else is said.
func defaultPolicies(tb testing.TB) *tokenwatch.PolicyPacks {
	var p tokenwatch.PolicyPacks
	for _, name := range policy.Default {
		text, err := policy.Embedded(name)
		if err != nil {
			tb.Fatal(err)
		}
		p.Packs = append(p.Packs, text)
	}
	rules, err := sigma.Embedded("attack")
	if err != nil {
		tb.Fatal(err)
	}
	p.Rules = slices.Clone(rules)
	return &p
}
