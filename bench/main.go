// Command bench measures tokenwatch from outside, as a whole: it starts the real
// server on an empty store, sends it a day of access-log events over HTTP while
// the engine scores them and every answer waits for its fsync, and then a part of
// the next day at a fraction of that rate, with attacks in it, to see how long a
// line takes to become a finding.
//
//	make bench                    # 2 M events, 4 connections
//	go run ./bench -n 5000000     # the full workload
//	make bench-perf               # Q1 to Q8 beside other systems: see contest
//	go run ./bench -growth 5000000
//	go run ./bench -soak 1h       # everything at once, for long: see soak
//
// It prints one JSON object. Linux only: CPU and memory are read from /proc.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

// Report is what bench prints. CPU is the server's user and system time.
type Report struct {
	Events           int                `json:"events"`
	Connections      int                `json:"connections"`
	ChunkBytes       int                `json:"chunk_bytes"`
	Durable          string             `json:"durable"`
	EventsPerSecond  float64            `json:"events_per_second"`
	CPUPerMillion    float64            `json:"cpu_s_per_m"`         // when the last answer had come
	CPUSettled       float64            `json:"cpu_s_per_m_settled"` // when the engine had read everything too
	StagesPerMillion map[string]float64 `json:"stage_s_per_m"`       // wall clock of the goroutines that do it
	PeakRSSMB        float64            `json:"peak_rss_mb"`
	BytesPerEvent    float64            `json:"bytes_per_event"` // on disk, after the server stopped
	Findings         int                `json:"findings"`
	Latency          Latency            `json:"line_to_finding"`
}

func main() {
	n := flag.Int("n", 2_000_000, "events of the first day")
	conns := flag.Int("conns", 4, "connections that send at the same time")
	chunk := flag.Int("chunk", 8<<20, "bytes of one request")
	share := flag.Float64("share", 0.8, "part of the second day's rate at which the third is sent")
	probes := flag.Int("probes", 200, "attacks planted in the third day")
	versus := flag.Bool("versus", false, "instead ask Q1 to Q8, of the other systems at hand, too; one JSON line each")
	grow := flag.Int("growth", 0, "instead take in workloads that differ in events (up to so many), tokens and size of requests")
	perf := flag.String("perf", filepath.Join("..", "shared", "perf"), "folder with the drivers for other systems")
	modules := flag.String("modules", filepath.Join("bench", "out", "peers"), "folder in which npm has installed @duckdb/node-api and chdb")
	victoria := flag.String("victorialogs", filepath.Join("bench", "out", "peers", "victoria-logs"), "VictoriaLogs' binary")
	dir := flag.String("dir", filepath.Join("bench", "out"), "folder for the workload; the store is made and removed in it")
	length := flag.Duration("soak", 0, "instead ingest, ask, poll, merge and drop what is old, all at once for so long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var report any
	var err error
	switch {
	case *versus:
		v := &contest{n: *n, conns: *conns, chunk: *chunk, runs: 7, dir: *dir, perf: *perf, modules: *modules, victoria: *victoria}
		err = v.run(ctx, os.Stdout)
	case *grow > 0:
		err = (&growth{conns: *conns, dir: *dir}).run(ctx, *grow, os.Stdout)
	case *length > 0:
		var s *Soak
		if s, err = soak(ctx, *dir, *n, *length, *share); err == nil {
			report, err = s, s.wrong()
		}
	default:
		var r *Report
		if r, err = measure(ctx, *n, *conns, *chunk, *share, *probes, *dir); err == nil {
			report = r
		}
	}
	if report != nil {
		out, _ := json.MarshalIndent(report, "", "  ")
		fmt.Println(string(out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, n, conns, chunk int, share float64, probes int, dir string) (*Report, error) {
	day1, err := workload(ctx, dir, n, 1, "2026-03-02T00:00:00Z")
	if err != nil {
		return nil, err
	}
	half := max(n/2, 100_000)
	day2, err := workload(ctx, dir, half, 2, "2026-03-03T00:00:00Z")
	if err != nil {
		return nil, err
	}
	day3, err := workload(ctx, dir, half, 3, "2026-03-04T00:00:00Z")
	if err != nil {
		return nil, err
	}
	store, err := os.MkdirTemp(dir, "store-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(store)
	server, err := Start(ctx, filepath.Join("bin", "tokenwatch"), store)
	if err != nil {
		return nil, err
	}
	defer server.Kill()

	r := &Report{Events: n, Connections: conns, ChunkBytes: chunk, Durable: "fsync of the log and of the watermark before each answer"}
	before := server.CPU()
	begin := time.Now()
	if err := Send(ctx, server, day1, conns, chunk, 0, nil); err != nil {
		return nil, err
	}
	r.EventsPerSecond = float64(n) / time.Since(begin).Seconds()
	r.CPUPerMillion = (server.CPU() - before) / float64(n) * 1e6
	if err := server.AwaitEngine(ctx); err != nil {
		return nil, err
	}
	r.CPUSettled = (server.CPU() - before) / float64(n) * 1e6
	if r.StagesPerMillion, err = server.Stages(ctx, n); err != nil {
		return nil, err
	}
	r.PeakRSSMB = server.PeakRSS()
	if r.BytesPerEvent, err = server.DiskAfterStop(n, store); err != nil {
		return r, err
	}
	server, err = Start(ctx, filepath.Join("bin", "tokenwatch"), store)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	if err := server.AwaitEngine(ctx); err != nil { // it reads on from its last snapshot
		return nil, err
	}
	begin = time.Now()
	if err := Send(ctx, server, day2, conns, min(chunk, probeChunk), 0, nil); err != nil {
		return nil, err
	}
	fastest := float64(half) / time.Since(begin).Seconds()
	if err := server.AwaitEngine(ctx); err != nil {
		return nil, err
	}
	r.Latency, r.Findings, err = probe(ctx, server, day3, chunk, share*fastest, probes)
	r.Latency.Fastest = fastest
	return r, err
}

// workload makes the events of a day with bench/gen, once.
func workload(ctx context.Context, dir string, n int, seed int, start string) (string, error) {
	return workloadOf(ctx, dir, n, seed, 20_000, start)
}

// workloadOf is workload with another number of tokens.
func workloadOf(ctx context.Context, dir string, n, seed, tokens int, start string) (string, error) {
	out := filepath.Join(dir, fmt.Sprintf("events-%d-%d", n, seed))
	if tokens != 20_000 {
		out += fmt.Sprintf("-%d", tokens)
	}
	file := filepath.Join(out, "events.jsonl")
	if _, err := os.Stat(filepath.Join(out, "facts.json")); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "run", "./bench/gen", "-n", strconv.Itoa(n), "-seed", strconv.Itoa(seed), "-tokens", strconv.Itoa(tokens),
		"-start", start, "-nginx=false", "-out", out)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("make the workload: %w", err)
	}
	return file, nil
}
