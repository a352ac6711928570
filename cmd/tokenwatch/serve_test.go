package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// mainVariable makes the test binary be tokenwatch.
const mainVariable = "TOKENWATCH_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// server is a server in this process.
type server struct {
	addresses
	key    string
	stop   context.CancelFunc
	code   chan int
	stderr *safeBuffer
	stdout *bufio.Reader // behind the ready line
}

// safeBuffer may be written while it is read.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs serve, or demo, on free ports, and waits for its ready line.
func (s *script) start(t *testing.T, command string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c, _, _ := s.console()
	in, out := io.Pipe()
	up := &server{stop: cancel, code: make(chan int, 1), stderr: &safeBuffer{}}
	c.stdout, c.stderr = out, up.stderr
	go func() {
		up.code <- run(ctx, s.words(command+" --json --http 127.0.0.1:0 --grpc 127.0.0.1:0"), c)
		out.Close()
	}()
	up.stdout = bufio.NewReader(in)
	line, err := up.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v\n%s", err, up.stderr)
	}
	must(t, json.Unmarshal([]byte(line), &up.addresses))
	key, err := os.ReadFile(up.AdminKey)
	must(t, err)
	up.key = strings.TrimSpace(string(key))
	return up
}

func (u *server) end(t *testing.T) {
	t.Helper()
	u.stop()
	if code := <-u.code; code != 0 {
		t.Errorf("exit code %d\n%s", code, u.stderr)
	}
}

func (u *server) get(t *testing.T, path, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, u.url()+path, nil)
	must(t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(b)
}

const brokenLog = `203.0.113.7 - - [02/Mar/2026:11:00:00 +0000] "GET /v1/users/123?api_key=CANARY-k3yk3yk3yk3yk3y HTTP/1.1" 200 12 "-" "curl/8.5.0"
Authorization: Bearer CANARY-bbbbbbbbbbbbbbbbbbbb
`

// TestServe goes through a server's life: start, logs in, questions over REST
// and by the command line, stop; and what was accepted is in the store after.
func TestServe(t *testing.T) {
	s := newScript(t)
	writeFile(t, filepath.Join(s.dir, "a.log"), brokenLog)
	s.written = append(s.written, filepath.Join(s.dir, "a.log"))
	writeFile(t, filepath.Join(s.dir, "c.yaml"), "data: "+s.dir+"/data\nkeys: "+s.dir+"/keys\nstore: {ballast: 1MiB}\nengine: {shards: 1}\n")
	up := s.start(t, "serve --config $DIR/c.yaml")
	go io.Copy(io.Discard, up.stdout)
	s.env["TOKENWATCH_URL"], s.env["TOKENWATCH_KEY"] = up.url(), up.key

	if code, body := up.get(t, "/healthz", ""); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %s", code, body)
	}
	if code, _ := up.get(t, "/readyz", up.key); code != 200 {
		t.Errorf("readyz: %d", code)
	}
	if code, _ := up.get(t, "/v1/findings", ""); code != 401 {
		t.Errorf("findings without a key: %d", code)
	}
	expect := func(line string, want string) {
		t.Helper()
		stdout, stderr, code := s.execute(line)
		if got := fmt.Sprintf("%s%s%d", stdout, stderr, code); !strings.Contains(got, want) || strings.Contains(got, canary) {
			t.Errorf("%s: %s\nwant %s", line, got, want)
		}
	}
	expect("ingest --source trail $DEMO", "1910 accepted")
	expect("ingest --source web $DIR/a.log", "2 records: 1 accepted, 0 stored before, 1 rejected")
	expect("ingest --source web $DIR/a.log", "nothing added")
	expect("rejects", "web\t1\t129\t49\tmalformed")
	expect("keys create --role analyst --json", `"role":"analyst"`)
	expect("keys list", "analyst\tdefault")
	expect("keys revoke nobody", "not found")
	expect("findings --tenant other", "--tenant works with --data only")
	expect("finding fnd_absent", "not found")

	if n := overgRPC(t, up); n != 1 {
		t.Errorf("%d records accepted over gRPC", n)
	}
	up.get(t, "/v1/findings:poll?wait=30s", up.key) // until there is one
	if code, body := up.get(t, "/v1/findings", up.key); code != 200 || !strings.Contains(body, "AKIATFQR7NSC8Q4X20BJ") {
		t.Errorf("findings: %d, of %d bytes", code, len(body))
	}
	expect("findings --entity AKIATFQR7NSC8Q4X20BJ", "token AKIATFQR7NSC8Q4X20BJ")
	var f tokenwatch.Finding
	stdout, _, _ := s.execute("findings --json --entity AKIATFQR7NSC8Q4X20BJ")
	for line := range strings.Lines(stdout) {
		var one tokenwatch.Finding
		must(t, json.Unmarshal([]byte(line), &one))
		if one.Class == tokenwatch.ClassAnomaly {
			f = one
		}
	}
	expect("finding "+f.ID, "novelty, action: observed")

	code, body := up.get(t, "/metrics", up.key)
	if code != 200 || !strings.Contains(body, `tokenwatch_ingest_records_total{tenant="default"} 1912`) ||
		!strings.Contains(body, `tokenwatch_ingest_rejects_total{reason="malformed",tenant="default"} 1`) {
		t.Errorf("metrics: %d\n%s", code, body)
	}
	if strings.Contains(body+up.stderr.String(), canary) {
		t.Error("metrics or log hold a credential")
	}
	s.env["TOKENWATCH_KEY"] = "tkwk_wrong"
	expect("findings", "does not know the API key")
	up.end(t)
	s.search(t)

	delete(s.env, "TOKENWATCH_URL")
	expect("rejects --data $DIR/data", "web\t1\t129\t49\tmalformed")
	expect("findings --data $DIR/data --entity AKIATFQR7NSC8Q4X20BJ", "token AKIATFQR7NSC8Q4X20BJ")
	expect("export --data $DIR/data --keys $DIR/keys --out $DIR/audit", "verifier key: tokenwatch/")
}

// overgRPC sends a record over gRPC and returns how many were accepted.
func overgRPC(t *testing.T, up *server) int32 {
	t.Helper()
	conn, err := grpc.NewClient(up.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+up.key)
	answer, err := pb.NewIngestClient(conn).Ingest(ctx, &pb.IngestRequest{
		Source: "grpc", Records: []byte(strings.SplitAfter(brokenLog, "\n")[0]),
	})
	must(t, err)
	return answer.GetAccepted()
}

// TestDemoServe: the demo stays up, its findings are there over REST, and the
// second run adds nothing.
func TestDemoServe(t *testing.T) {
	s := newScript(t)
	entries := ""
	for range 2 {
		up := s.start(t, "demo --serve --data $DIR/data")
		if line, err := up.stdout.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"id":"fnd_`) {
			t.Fatalf("no finding printed: %q, %v\n%s", line, err, up.stderr)
		}
		go io.Copy(io.Discard, up.stdout)
		_, body := up.get(t, "/v1/findings", up.key)
		for _, key := range []string{"AKIATFQR7NSC8Q4X20BJ", "ASIATFQR7NSC36DZQP7P"} {
			if !strings.Contains(body, key) {
				t.Errorf("no finding about %s", key)
			}
		}
		for _, key := range []string{"AKIATFQR7NSCUXC3DDDP", "AKIATFQZ7NSC8Q4X21BJ"} {
			if strings.Contains(body, key) {
				t.Errorf("a finding about %s, which is harmless", key)
			}
		}
		_, metrics := up.get(t, "/metrics", up.key)
		for line := range strings.Lines(metrics) {
			if rest, ok := strings.CutPrefix(line, "tokenwatch_log_last_offset "); ok {
				if entries != "" && rest != entries {
					t.Errorf("the log has %s entries after the second run, %s after the first", rest, entries)
				}
				entries = rest
			}
		}
		up.end(t)
	}
	if entries != "2\n" { // the policies, and the trail
		t.Errorf("the log has %q entries", entries)
	}
}

// TestTrail: the attacker's key and the stolen session are found in the shipped
// trail without its user agents, at once and settled; the collector is not.
func TestTrail(t *testing.T) {
	s := newScript(t)
	stdout, _, code := s.execute("scan --json --mask user_agent $DEMO")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	found := map[string]bool{}
	for line := range strings.Lines(stdout) {
		var f tokenwatch.Finding
		must(t, json.Unmarshal([]byte(line), &f))
		for _, a := range f.Aliases {
			found[fmt.Sprintf("%s settled=%v", a.Value, f.Settled)] = true
		}
		for _, r := range f.Reasons {
			if r.Axis == "agent_family" {
				t.Error("the user agent was not masked")
			}
		}
	}
	for _, key := range []string{"AKIATFQR7NSC8Q4X20BJ", "ASIATFQR7NSC36DZQP7P"} {
		if !found[key+" settled=true"] || !found[key+" settled=false"] {
			t.Errorf("no finding about %s: %v", key, found)
		}
	}
	for key := range found {
		if strings.HasPrefix(key, "AKIATFQR7NSCUXC3DDDP") || strings.HasPrefix(key, "AKIATFQZ7NSC8Q4X21BJ") {
			t.Errorf("a finding about %s, which is harmless", key)
		}
	}
	again, _, _ := s.execute("scan --json --mask user_agent $DEMO")
	if settledLines(again) != settledLines(stdout) {
		t.Error("the second scan found something else")
	}
}

// settledLines are the settled findings of a scan, without the wall clock.
func settledLines(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		var f tokenwatch.Finding
		if json.Unmarshal([]byte(line), &f) == nil && f.Settled {
			b.Write(f.Canonical())
		}
	}
	return b.String()
}

// TestProcess: as a process of its own the server keeps others out of its store
// and ends with exit code 0 on SIGTERM.
func TestProcess(t *testing.T) {
	dir := t.TempDir()
	program := func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = []string{mainVariable + "=1", "HOME=" + dir}
		return cmd
	}
	server := program("serve", "--data", dir+"/data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
	var log safeBuffer
	server.Stderr = &log
	out, err := server.StdoutPipe()
	must(t, err)
	must(t, server.Start())
	defer server.Process.Kill() // no harm once it has ended
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "tokenwatch ready http=127.0.0.1:") {
		t.Fatalf("ready line %q, %v\n%s", line, err, &log)
	}
	other, err := program("findings", "--data", dir+"/data").CombinedOutput()
	if err == nil || !strings.Contains(string(other), errInUse.Error()) {
		t.Errorf("a second process on the store: %v, %s", err, other)
	}
	must(t, server.Process.Signal(syscall.SIGTERM))
	if err := server.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, &log)
	}
	if _, err := program("findings", "--data", dir+"/data").CombinedOutput(); err != nil {
		t.Errorf("findings after the server ended: %v", err)
	}
}
