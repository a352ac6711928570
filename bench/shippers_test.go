//go:build integration

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The shippers of others that TestShippers runs are put in a directory by
// tools/shippers/install.sh.
var (
	shippersDir = flag.String("shippers", os.Getenv("SHIPPERS"), "where tools/shippers/install.sh put them")
	shipped     = flag.Int("records", 3000, "how many records each shipper sends")
)

// have returns the path of something installed, "" if it is not there: then its
// shippers are not tried, and the test says so.
func have(t *testing.T, path string) string {
	if !strings.Contains(path, "/") {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
		path = "/usr/sbin/" + path
	} else if !filepath.IsAbs(path) {
		path = filepath.Join(*shippersDir, path)
	}
	if _, err := os.Stat(path); err != nil {
		t.Logf("NOT RUN: there is no %s", path)
		return ""
	}
	return path
}

// port returns one that is free now.
func port(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

// target is a server that is killed and started again at the same addresses.
type target struct {
	t           *testing.T
	binary, dir string
	http, grpc  string
	config      string
	secure      bool
	mu          sync.Mutex
	s           *Server
}

func newTarget(t *testing.T, binary, config string, secure bool) *target {
	g := &target{t: t, binary: binary, dir: t.TempDir(), http: "127.0.0.1:" + port(t), grpc: "127.0.0.1:" + port(t), secure: secure}
	g.config = filepath.Join(g.dir, "config.yaml")
	if err := os.WriteFile(g.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(func() { g.s.Kill() })
	return g
}

func (g *target) start() {
	s, err := Start(g.t.Context(), g.binary, g.dir, "--config", g.config, "--http", g.http, "--grpc", g.grpc)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	g.s = s
	g.mu.Unlock()
}

// kill ends the server as a crash does, and starts it again.
func (g *target) kill() {
	g.s.Kill()
	g.start()
}

var anyCertificate = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: time.Minute}

// counts asks how many records of each shipper are stored, and how many of them
// are different ones. An event that came twice under its own id counts once.
func (g *target) counts() (all, distinct map[string]int) {
	all, distinct = map[string]int{}, map[string]int{}
	url := "http://" + g.http
	if g.secure {
		url = "https://" + g.http
	}
	body, _ := json.Marshal(map[string]string{"sql": "SELECT path, count(*) FROM events WHERE path LIKE '/ship/%' GROUP BY 1"})
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, url+"/v1/query", bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.s.Key)
	resp, err := anyCertificate.Do(req)
	if err != nil {
		return all, distinct // it is being killed
	}
	defer resp.Body.Close()
	var answer struct{ Rows [][]any }
	text, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(text, &answer) != nil || resp.StatusCode != http.StatusOK {
		return all, distinct
	}
	for _, row := range answer.Rows {
		name := strings.Split(row[0].(string), "/")[2]
		all[name] += int(row[1].(float64))
		distinct[name]++
	}
	return all, distinct
}

// settle waits until everything is there, or nothing more comes.
func (g *target) settle(names []string, n int) (all, distinct map[string]int) {
	last, since := -1, time.Now()
	for {
		all, distinct = g.counts()
		sum, done := 0, true
		for _, name := range names {
			sum += all[name]
			done = done && distinct[name] >= n
		}
		if sum != last {
			last, since = sum, time.Now()
		}
		if done || time.Since(since) > 25*time.Second {
			return all, distinct
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// givesUp is how many records a shipper may lose at a kill because it gives up what
// it is sending when the connection breaks, whatever it is told to try again: loki4j
// 2.0 only does after refused connections, time-outs, 429 and 503.
var givesUp = map[string]int{"loki4j": 500}

// report checks that nothing of the shippers is missing, but for what is given up,
// and nothing is there twice.
func report(t *testing.T, names []string, n, kills int, all, distinct map[string]int) {
	t.Helper()
	slices.Sort(names)
	for _, name := range names {
		missing, twice := n-distinct[name], all[name]-distinct[name]
		t.Logf("%-24s sent %d, missing %d, twice %d", name, n, missing, twice)
		if missing < 0 || missing > kills*givesUp[name] || twice != 0 {
			t.Errorf("%s: %d missing, %d twice", name, missing, twice)
		}
	}
}

// run runs a shipper until it ends, and says what it printed if that is a failure.
func run(t *testing.T, wg *sync.WaitGroup, name string, args ...string) {
	wg.Go(func() {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		out, err := cmd.CombinedOutput()
		if err != nil && t.Context().Err() == nil {
			t.Errorf("%s: %v\n%.2000s", name, err, out)
		}
	})
}

// background runs a daemon until the test ends.
func background(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s printed: %.3000s", filepath.Base(args[0]), out.String())
		}
	})
}

func shipLine(name string, i int) string {
	return fmt.Sprintf(`{"time":%q,"method":"GET","path":"/ship/%s/%d","status":200,"user":"u%d","request_id":"%s-%d"}`,
		time.Now().UTC().Format(time.RFC3339Nano), name, i, i%7, name, i)
}

// TestShippers: shippers that repeat what was not acknowledged lose nothing while the
// server is killed twice. Whoever has no ids to be known by may come twice; the
// records here have some, as audit logs do.
func TestShippers(t *testing.T) {
	if *shippersDir == "" {
		t.Fatal("no shippers: run tools/shippers/install.sh DIR, and give -shippers DIR")
	}
	n, binary := *shipped, program(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "ship"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	hub, err := natsd.NewServer(&natsd.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	hub.Start()
	defer hub.Shutdown()
	if !hub.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server does not start")
	}
	nc, err := nats.Connect(hub.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SHIP", Subjects: []string{"ship"}}); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	s3, access, web := "127.0.0.1:"+port(t), filepath.Join(work, "access.log"), "127.0.0.1:"+port(t)
	g := newTarget(t, binary, fmt.Sprintf(`
ingest:
  files: [{paths: [%q], source: nginx}]
  kafka: [{brokers: [%q], topics: [ship], group: tokenwatch}]
  nats: [{url: %q, stream: SHIP, subject: ship}]
  buckets: [{bucket: logs, prefix: app/, region: us-east-1, endpoint: "http://%s", every: 1s}]
`, access, cluster.ListenAddrs()[0], hub.ClientURL(), s3), false)

	var names []string
	var sending sync.WaitGroup
	if python := have(t, "venv/bin/python"); python != "" {
		for _, kind := range []string{"elasticsearch", "splunk", "loki"} {
			run(t, &sending, kind, python, filepath.Join(*shippersDir, "clients.py"), kind, "http://"+g.http, g.s.Key, fmt.Sprint(n))
			names = append(names, kind)
		}
	}
	if node := have(t, "node"); node != "" && have(t, "node/node_modules/splunk-logging") != "" {
		for _, kind := range []string{"elasticsearch-js", "splunk-js"} {
			run(t, &sending, kind, node, filepath.Join(*shippersDir, "node/clients.js"), kind, "http://"+g.http, g.s.Key, fmt.Sprint(n))
			names = append(names, kind)
		}
	}
	if java := have(t, "java"); java != "" && have(t, "java/") != "" {
		run(t, &sending, "loki4j", java, "-cp", filepath.Join(*shippersDir, "java/*"), filepath.Join(*shippersDir, "Loki4j.java"), "http://"+g.http, g.s.Key, fmt.Sprint(n))
		names = append(names, "loki4j")
	}
	if collector := have(t, "./collector"); collector != "" {
		startCollector(t, collector, g, "collector-grpc", "collector-http")
		names = append(names, "collector-grpc", "collector-http")
	}
	if shippers := have(t, "./shippers"); shippers != "" {
		run(t, &sending, "otlp-grpc", shippers, "otlp-grpc", g.grpc, g.s.Key, fmt.Sprint(n))
		run(t, &sending, "otlp-http", shippers, "otlp-http", g.http, g.s.Key, fmt.Sprint(n))
		cmd := exec.Command(shippers, "s3", s3, fmt.Sprint(n))
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stdin.Close()
			cmd.Wait() // its exit code says nothing
		})
		names = append(names, "otlp-grpc", "otlp-http", "s3")
	}
	if nginx := have(t, "nginx"); nginx != "" {
		startNginx(t, nginx, work, web, fmt.Sprintf("location / { access_log %s combined; return 204; }", access))
		sending.Go(func() { request(t, "http://"+web+"/ship/nginx-file/", n) })
		names = append(names, "nginx-file")
	}
	sending.Go(func() {
		client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("ship"))
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		for i := range n {
			client.Produce(t.Context(), kgo.StringRecord(shipLine("kafka", i)), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
	sending.Go(func() {
		for i := range n {
			if _, err := js.Publish(t.Context(), "ship", []byte(shipLine("nats", i))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	names = append(names, "kafka", "nats")

	kills := 0
	done := make(chan struct{})
	go func() { sending.Wait(); close(done) }()
	for deadline := time.Now().Add(40 * time.Minute); kills < 2 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		all, _ := g.counts()
		sum := 0
		for _, c := range all {
			sum += c
		}
		if sum > (kills+1)*len(names)*n/4 {
			g.kill()
			kills++
			t.Logf("killed with %d of %d stored", sum, len(names)*n)
		}
	}
	select {
	case <-done:
	case <-time.After(40 * time.Minute):
		t.Fatal("the shippers do not end")
	}
	if kills != 2 {
		t.Errorf("%d kills", kills)
	}
	all, distinct := g.settle(names, n)
	report(t, names, n, kills, all, distinct)
	hung := time.AfterFunc(40*time.Second, func() { g.s.cmd.Process.Signal(syscall.SIGQUIT) }) // it says where it hangs
	defer hung.Stop()
	if err := g.s.Stop(); err != nil {
		t.Errorf("the server did not end as it should: %v\n%.20000s", err, g.s.Stderr())
	}
}

// startCollector has the OpenTelemetry Collector follow a file for each exporter, with
// its place and its queue on disk.
func startCollector(t *testing.T, collector string, g *target, overGRPC, overHTTP string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{overGRPC, overHTTP} {
		var b strings.Builder
		for i := range *shipped {
			b.WriteString(shipLine(name, i) + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, name+".log"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "collector.yaml")
	text := fmt.Sprintf(`
extensions: {file_storage: {directory: %[1]q}}
receivers:
  file_log/%[2]s: {include: [%[1]s/%[2]s.log], start_at: beginning, storage: file_storage}
  file_log/%[3]s: {include: [%[1]s/%[3]s.log], start_at: beginning, storage: file_storage}
exporters:
  otlp_grpc: {endpoint: %[4]q, tls: {insecure: true}, headers: {authorization: "Bearer %[6]s"}, sending_queue: &queue {storage: file_storage, block_on_overflow: true}, retry_on_failure: &retry {initial_interval: 200ms, max_interval: 1s, max_elapsed_time: 0}}
  otlp_http: {endpoint: "http://%[5]s", headers: {authorization: "Bearer %[6]s"}, sending_queue: *queue, retry_on_failure: *retry}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}}
  pipelines:
    logs/grpc: {receivers: [file_log/%[2]s], exporters: [otlp_grpc]}
    logs/http: {receivers: [file_log/%[3]s], exporters: [otlp_http]}
`, dir, overGRPC, overHTTP, g.grpc, g.http, g.s.Key)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, nil, collector, "--config", conf)
}

// startNginx serves locations on an address.
func startNginx(t *testing.T, nginx, dir, addr, locations string) {
	t.Helper()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; pid %[1]s/nginx.pid; error_log stderr; worker_processes 1;
events {}
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen %[2]s; %[3]s } }
`, dir, addr, locations)
	if os.Getuid() == 0 {
		text = "user root; " + text
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, nil, nginx, "-c", conf, "-p", dir)
	for range 100 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nginx does not listen")
}

// request asks for n different paths.
func request(t *testing.T, prefix string, n int) {
	for i := range n {
		resp, err := http.Get(fmt.Sprint(prefix, i))
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}
}

// certificate makes a key and a certificate of its own for 127.0.0.1.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// accessLines writes a log of n lines for a syslog daemon to read.
func accessLines(t *testing.T, dir, name string, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "10.0.0.%d - u%d [%s] \"GET /ship/%s/%d HTTP/1.1\" 200 2 \"-\" \"curl/8.5.0\"\n",
			i%250, i%7, time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"), name, i)
	}
	path := filepath.Join(dir, name+".log")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// syslogPorts are where a target listens for syslog.
type syslogPorts struct{ udp, tcp, tls string }

func startRsyslog(t *testing.T, rsyslogd string, at syslogPorts, cert string, logs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, "global(workDirectory=%q defaultNetstreamDriverCAFile=%q)\nmodule(load=\"imfile\")\n", dir, cert)
	for name, path := range logs {
		action := map[string]string{
			"rsyslog-udp-3164":        `port="` + at.udp + `" protocol="udp" udp.sendDelay="200" template="RSYSLOG_TraditionalForwardFormat"`,
			"rsyslog-udp-5424":        `port="` + at.udp + `" protocol="udp" udp.sendDelay="200" template="RSYSLOG_SyslogProtocol23Format"`,
			"rsyslog-tcp-3164":        `port="` + at.tcp + `" protocol="tcp" template="RSYSLOG_TraditionalForwardFormat"`,
			"rsyslog-tcp-5424":        `port="` + at.tcp + `" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"`,
			"rsyslog-tcp-5424-killed": `port="` + at.tcp + `" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format" action.resumeInterval="1" action.resumeRetryCount="-1"`,
			"rsyslog-tls-5424":        `port="` + at.tls + `" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format" streamDriver="ossl" streamDriverMode="1" streamDriverAuthMode="anon"`,
		}[name]
		fmt.Fprintf(&b, "input(type=\"imfile\" file=%q tag=\"nginx:\" ruleset=%q)\n", path, name)
		fmt.Fprintf(&b, "ruleset(name=%q queue.type=\"LinkedList\" queue.size=\"200000\") { action(type=\"omfwd\" target=\"127.0.0.1\" %s) }\n", name, action)
	}
	conf := filepath.Join(dir, "rsyslog.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, nil, rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
}

func startSyslogNG(t *testing.T, program string, at syslogPorts, cert string, logs map[string]string) {
	t.Helper()
	dir, root := t.TempDir(), filepath.Join(*shippersDir, "syslog-ng")
	var b strings.Builder
	b.WriteString("@version: 3.38\noptions { keep-hostname(yes); };\n")
	for name, path := range logs {
		destination := map[string]string{
			"syslogng-udp-3164": `network("127.0.0.1" port(` + at.udp + `) transport("udp") throttle(4000) persist-name("NAME"))`,
			"syslogng-udp-5424": `syslog("127.0.0.1" port(` + at.udp + `) transport("udp") throttle(4000) persist-name("NAME"))`,
			"syslogng-tcp-3164": `network("127.0.0.1" port(` + at.tcp + `) transport("tcp") persist-name("NAME"))`,
			"syslogng-tcp-5424": `syslog("127.0.0.1" port(` + at.tcp + `) transport("tcp") persist-name("NAME"))`,
			"syslogng-tls-5424": `syslog("127.0.0.1" port(` + at.tls + `) transport("tls") tls(ca-file("` + cert + `") peer-verify(required-untrusted)) persist-name("NAME"))`,
		}[name]
		destination = strings.ReplaceAll(destination, "NAME", name)
		fmt.Fprintf(&b, "log { source { file(%q flags(no-parse) program-override(\"nginx\") follow-freq(1)); }; destination { %s; }; flags(flow-control); };\n", path, destination)
	}
	conf := filepath.Join(dir, "syslog-ng.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	modules, _ := filepath.Glob(filepath.Join(root, "usr/lib/syslog-ng/3.*"))
	if len(modules) != 1 {
		t.Fatalf("syslog-ng has no modules in %s", root)
	}
	libraries := []string{"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/syslog-ng"}
	for i := range libraries {
		libraries[i] = filepath.Join(root, libraries[i])
	}
	background(t, []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, ":")}, program, "-F", "--no-caps", "-f", conf,
		"--module-path="+modules[0], "-R", filepath.Join(dir, "persist"), "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "ctl"))
}

// TestSyslogShippers: what rsyslog, syslog-ng and nginx send by syslog arrives, in
// both formats and over all three transports. Syslog acknowledges nothing: what is in
// the buffers of a connection when the server is killed is gone, and how much that
// was is told, not judged; a daemon that comes back goes on.
func TestSyslogShippers(t *testing.T) {
	if *shippersDir == "" {
		t.Fatal("no shippers: run tools/shippers/install.sh DIR, and give -shippers DIR")
	}
	n, work := *shipped, t.TempDir()
	cert, key := certificate(t, work)
	at := syslogPorts{port(t), port(t), port(t)}
	g := newTarget(t, program(t), fmt.Sprintf(`
tls_cert: %q
tls_key: %q
ingest:
  syslog:
    - {network: udp, addr: "127.0.0.1:%s", source: udp}
    - {network: tcp, addr: "127.0.0.1:%s", source: tcp}
    - {network: tls, addr: "127.0.0.1:%s", source: tls}
`, cert, key, at.udp, at.tcp, at.tls), true)
	logs := func(names ...string) map[string]string {
		out := map[string]string{}
		for _, name := range names {
			out[name] = accessLines(t, work, name, n)
		}
		return out
	}
	var names []string
	rsyslogd := have(t, "rsyslogd")
	if rsyslogd != "" {
		mine := []string{"rsyslog-udp-3164", "rsyslog-udp-5424", "rsyslog-tcp-3164", "rsyslog-tcp-5424", "rsyslog-tls-5424"}
		startRsyslog(t, rsyslogd, at, cert, logs(mine...))
		names = append(names, mine...)
	}
	if syslogNG := have(t, "syslog-ng/usr/sbin/syslog-ng"); syslogNG != "" {
		mine := []string{"syslogng-udp-3164", "syslogng-udp-5424", "syslogng-tcp-3164", "syslogng-tcp-5424", "syslogng-tls-5424"}
		startSyslogNG(t, syslogNG, at, cert, logs(mine...))
		names = append(names, mine...)
	}
	if nginx := have(t, "nginx"); nginx != "" {
		web := "127.0.0.1:" + port(t)
		startNginx(t, nginx, work, web, fmt.Sprintf("location / { access_log syslog:server=127.0.0.1:%s,tag=nginx combined; return 204; }", at.udp))
		request(t, "http://"+web+"/ship/nginx-syslog/", n)
		names = append(names, "nginx-syslog")
	}
	all, distinct := g.settle(names, n)
	report(t, names, n, 0, all, distinct)

	if rsyslogd == "" {
		return
	}
	const name = "rsyslog-tcp-5424-killed"
	startRsyslog(t, rsyslogd, at, cert, logs(name))
	for kills, deadline := 0, time.Now().Add(time.Minute); kills < 2 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, distinct := g.counts(); distinct[name] > kills*n/3 {
			g.kill()
			kills++
		}
	}
	more, err := os.OpenFile(filepath.Join(work, name+".log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	for i, deadline := n, time.Now().Add(time.Minute); ; i++ { // until it is seen to go on
		fmt.Fprintf(more, "10.0.0.1 - - [%s] \"GET /ship/after-kill/%d HTTP/1.1\" 200 2 \"-\" \"curl/8.5.0\"\n", time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"), i)
		time.Sleep(200 * time.Millisecond)
		if all, distinct = g.counts(); distinct["after-kill"] > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("rsyslog does not go on after the server was killed")
		}
	}
	t.Logf("%-24s sent %d, missing %d, twice %d, over two kills: plain syslog acknowledges nothing", name, n, n-distinct[name], all[name]-distinct[name])
}
