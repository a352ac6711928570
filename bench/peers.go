package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// driven is what the drivers in the folder perf print.
type driven struct {
	Version string `json:"version"`
	loaded
	Native *loaded   `json:"native"` // DuckDB
	Load   *loaded   `json:"load"`   // ClickHouse
	Ingest *ingested `json:"ingest"` // VictoriaLogs
}

type loaded struct {
	EventsPerSecond float64          `json:"events_per_s"`
	Seconds         float64          `json:"load_s"`
	CPU             float64          `json:"cpu_s_per_m"`
	CPUSettled      float64          `json:"cpu_s_per_m_settled"`
	Bytes           float64          `json:"bytes_per_event"`
	PeakRSS         float64          `json:"peak_rss_mb"`
	Queries         map[string]Asked `json:"queries"`
}

func (l *loaded) ingested() *ingested {
	settled := l.CPUSettled
	if settled == 0 {
		settled = l.CPU
	}
	return &ingested{QueryableSeconds: l.Seconds, EventsPerSecond: l.EventsPerSecond, CPU: l.CPU, CPUSettled: settled, PeakRSS: l.PeakRSS, BytesPerEvent: l.Bytes}
}

// drive runs a driver and reads the one line it prints.
func drive(ctx context.Context, stdin []byte, out any, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	b, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %.400s", name, args[0], err, stderr.Bytes())
	}
	return json.Unmarshal(bytes.TrimSpace(b), out)
}

// driver is the driver of a system, and whether all that it needs is there.
func (c *contest) driver(what, file, module string) (string, error) {
	path := filepath.Join(c.perf, file)
	if _, err := os.Stat(path); err != nil {
		return "", &absent{what, "there is no " + path}
	}
	if module == "" {
		return path, nil
	}
	if _, err := os.Stat(filepath.Join(c.modules, "node_modules", filepath.FromSlash(module))); err != nil {
		return "", &absent{what, "install it with `npm install --prefix " + c.modules + " " + module + "`"}
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "", &absent{what, "there is no node"}
	}
	return path, nil
}

func (c *contest) duckdb(ctx context.Context, day string) ([]line, error) {
	path, err := c.driver("DuckDB", "drive_duckdb.mjs", "@duckdb/node-api")
	if err != nil {
		return nil, err
	}
	var d driven
	if err := c.node(ctx, day, &d, path, "--phase", "native"); err != nil {
		return nil, err
	}
	l := line{System: "DuckDB", Version: d.Version, Events: c.n, Durable: "one bulk load, safe at its end", Ingest: d.Native.ingested(), Queries: d.Native.Queries}
	return []line{l}, c.peer(ctx, day, "duckdb", duckdbSQL, &l)
}

func (c *contest) clickhouse(ctx context.Context, day string) ([]line, error) {
	path, err := c.driver("ClickHouse", "drive_chdb.mjs", "chdb")
	if err != nil {
		return nil, err
	}
	var d driven
	if err := c.node(ctx, day, &d, path); err != nil {
		return nil, err
	}
	l := line{System: "ClickHouse", Version: d.Version, Events: c.n, Durable: "one bulk load, not fsynced", Ingest: d.Load.ingested(), Queries: d.Queries}
	return []line{l}, c.peer(ctx, day, "chdb", clickhouseSQL, &l)
}

func (c *contest) node(ctx context.Context, day string, out any, script string, more ...string) error {
	args := []string{script, "--modules", c.modules, "--data", filepath.Dir(day), "--work", c.dir, "--runs", strconv.Itoa(c.runs)}
	return drive(ctx, nil, out, "node", append(args, more...)...)
}

// peer asks the questions with a further filter, and judges all answers.
func (c *contest) peer(ctx context.Context, day, system string, d dialect, l *line) error {
	type statement struct {
		Name string `json:"name"`
		SQL  string `json:"sql"`
	}
	var list struct {
		Queries []statement `json:"queries"`
	}
	byName := map[string]question{}
	for _, q := range questions(c.facts, d) {
		byName[q.name] = q
		if q.more.name != "" {
			list.Queries = append(list.Queries, statement{q.name, q.sql})
		}
	}
	in, err := json.Marshal(list)
	if err != nil {
		return err
	}
	var out map[string]struct {
		MS   []float64  `json:"ms"`
		CPU  []float64  `json:"cpu_ms"`
		Rows [][]string `json:"rows"`
	}
	err = drive(ctx, in, &out, "node", filepath.Join("bench", "peer.mjs"), "--system", system, "--modules", c.modules,
		"--data", filepath.Dir(day), "--work", c.dir, "--runs", strconv.Itoa(c.runs))
	if err != nil {
		return err
	}
	for name, r := range out {
		answer, err := shape(byName[name].kind, r.Rows)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", name, l.System, err)
		}
		l.Queries[name] = asked(r.MS, r.CPU, answer)
	}
	c.judge(l)
	return nil
}

// judge compares the digests of a system's answers with the right ones.
func (c *contest) judge(l *line) {
	for name, a := range l.Queries {
		a.OK = c.right.right(name, a.Answer)
		l.Queries[name] = a
	}
}

// victoriaLogs asks VictoriaLogs, with streams by host as its documentation
// advises, and by token, which suits the questions about tokens best.
func (c *contest) victoriaLogs(ctx context.Context, day string) (out []line, err error) {
	path, err := c.driver("VictoriaLogs", "drive_victorialogs", "")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.victoria); err != nil {
		return nil, &absent{"VictoriaLogs", "there is no " + c.victoria + "; build github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"}
	}
	for _, streams := range []string{"host", "token"} {
		l, err := c.victoriaLogsBy(ctx, day, path, streams)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (c *contest) victoriaLogsBy(ctx context.Context, day, driver, streams string) (l line, err error) {
	store, err := os.MkdirTemp(c.dir, "victorialogs-")
	if err != nil {
		return l, err
	}
	defer os.RemoveAll(store)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return l, err
	}
	addr := listener.Addr().String()
	listener.Close()
	server := exec.CommandContext(ctx, c.victoria, "-storageDataPath="+store, "-retentionPeriod=100y", "-httpListenAddr="+addr)
	if err := server.Start(); err != nil {
		return l, err
	}
	defer func() {
		server.Process.Kill()
		server.Wait()
	}()
	url := "http://" + addr
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url + "/health")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Since(begin) > 20*time.Second {
			return l, fmt.Errorf("VictoriaLogs does not answer: %w", err)
		}
	}
	var d driven
	err = drive(ctx, nil, &d, driver, "--url", url, "--pid", strconv.Itoa(server.Process.Pid), "--data", filepath.Dir(day), "--storage", store,
		"--stream-fields", streams, "--conns", strconv.Itoa(c.conns), "--chunk-mb", strconv.Itoa(c.chunk>>20), "--runs", strconv.Itoa(c.runs))
	if err != nil {
		return l, err
	}
	l = line{System: "VictoriaLogs, " + streams + " streams", Version: c.victoriaVersion(ctx), Events: c.n,
		Durable: "acknowledged before anything is on disk", Ingest: d.Ingest, Queries: d.Queries}
	c.judge(&l)
	if a, ok := l.Queries["Q7"]; ok { // its quantile is of a sample
		a.OK = nil
		l.Queries["Q7"] = a
	}
	return l, nil
}

// victoriaVersion reads the version out of how the binary was built.
func (c *contest) victoriaVersion(ctx context.Context) string {
	b, err := exec.CommandContext(ctx, "go", "version", "-m", c.victoria).Output()
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(b))
	if at := slices.Index(fields, "mod"); at >= 0 && at+2 < len(fields) {
		return fields[at+2]
	}
	return "unknown"
}
