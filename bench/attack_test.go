package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// site is a running server that an attack goes against, and all that it answered.
type site struct {
	*Server
	t       *testing.T
	binary  string
	dir     string
	answers bytes.Buffer
	logs    bytes.Buffer // standard error of all that was started
}

// bin is where program builds.
var bin = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tokenwatch") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := bin(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// program builds the program, once.
func program(t *testing.T) string {
	t.Helper()
	dir, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "tokenwatch")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/tokenwatch").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), binary: program(t)}
	s.start()
	t.Cleanup(func() { s.Kill() })
	return s
}

func (s *site) start() {
	server, err := Start(s.t.Context(), s.binary, s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Server = server
}

// restart stops the server as it should be stopped and starts it again.
func (s *site) restart() {
	s.stop()
	s.start()
}

func (s *site) stop() {
	if err := s.Stop(); err != nil {
		s.t.Errorf("the server did not end as it should: %v", err)
	}
	s.logs.Write(s.Stderr())
}

// answer is what a request for ingest was told.
type answer struct {
	Status        int
	Accepted      int            `json:"accepted"`
	Duplicate     bool           `json:"duplicate"`
	RejectedTotal int            `json:"rejected_total"`
	Reasons       map[string]int `json:"reasons"`
	text          string
}

func (s *site) post(query, key, coding string, body io.Reader) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+"/v1/ingest?source=web&"+query, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if coding != "" {
		req.Header.Set("Content-Encoding", coding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil { // the server may close on a body that it does not take
		return answer{text: err.Error()}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.answers.Write(text)
	a := answer{Status: resp.StatusCode, text: string(text)}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &a); err != nil {
			s.t.Fatalf("%v in %s", err, text)
		}
	}
	return a
}

// read fetches what anyone with a key may read.
func (s *site) read() string {
	s.t.Helper()
	if err := s.AwaitEngine(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range []string{"/v1/findings?page_size=1000", "/v1/rejects?page_size=1000", "/v1/history?page_size=1000", "/v1/tokens?page_size=1000", "/metrics"} {
		b, err := s.get(s.t.Context(), path)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n%s\n", path, b)
	}
	return all.String()
}

// findings are the findings, without what a revision has of its own.
func (s *site) findings() string {
	s.t.Helper()
	if err := s.AwaitEngine(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	b, err := s.get(s.t.Context(), "/v1/findings?page_size=1000")
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// entries returns the log of the stopped server.
func (s *site) entries() (out []tokenwatch.Entry, conflicts []*history.Conflict) {
	s.t.Helper()
	store, err := local.Open(local.Config{Dir: filepath.Join(s.dir, "data")})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	for e, err := range store.Scan(s.t.Context(), storage.Range{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, e)
	}
	for l, err := range store.Leaves(s.t.Context(), "default", 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		leaf, err := history.Decode(l.Bytes)
		if err != nil {
			s.t.Fatal(err)
		}
		if c, ok := leaf.Body.(*history.Conflict); ok {
			conflicts = append(conflicts, c)
		}
	}
	return out, conflicts
}

// rows are the request ids of a log, by how often they were stored.
func rows(entries []tokenwatch.Entry) map[string]int {
	out := map[string]int{}
	for _, e := range entries {
		if e.Batch != nil {
			for i := range e.Batch.Rows() {
				out[e.Batch.Text(tokenwatch.ColRequestID, i)]++
			}
		}
	}
	return out
}

// blatant is an attack that leaves a finding: a new actor doing what nobody did.
func blatant(name string) string {
	return string(attack(name, 0, "2026-03-02T12:00:00Z"))
}

// TestAgain is V02 and V03: a batch that comes three times is stored once, and
// under its key nothing else is.
func TestAgain(t *testing.T) {
	s := newSite(t)
	body := blatant("mallory")
	if a := s.post("format=json", "batch-1", "", strings.NewReader(body)); a.Status != 200 || a.Duplicate || a.Accepted != 120 {
		t.Fatalf("first: %+v", a)
	}
	before := s.findings()
	if !strings.Contains(before, "mallory") {
		t.Fatalf("no finding: %s", before)
	}
	again := func(when string) {
		if a := s.post("format=json", "batch-1", "", strings.NewReader(body)); a.Status != 200 || !a.Duplicate || a.Accepted != 120 {
			t.Errorf("%s: %+v", when, a)
		}
		if now := s.findings(); now != before {
			t.Errorf("%s the findings are others:\n%s\nbefore:\n%s", when, now, before)
		}
	}
	again("at once")
	s.restart()
	again("after a restart")
	other := strings.Replace(body, "DELETE", "GET", 1)
	if a := s.post("format=json", "batch-1", "", strings.NewReader(other)); a.Status != http.StatusConflict {
		t.Errorf("other content under the key: %+v", a)
	}
	if now := s.findings(); now != before {
		t.Error("other content under the key changed the findings")
	}
	s.stop()
	entries, conflicts := s.entries()
	for id, n := range rows(entries) {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
	if len(conflicts) != 1 || conflicts[0].Stored != history.Digest(sha256.Sum256([]byte(body))) || conflicts[0].Refused != history.Digest(sha256.Sum256([]byte(other))) {
		t.Errorf("the history has %d conflicts, or one with other digests", len(conflicts))
	}
}

// TestFloods is V04, V05 and V07: what is too large, too deep or never ends costs
// its sender an answer, and the server no memory.
func TestFloods(t *testing.T) {
	s := newSite(t)
	good := func(i int) string {
		return fmt.Sprintf(`{"time":"2026-03-02T00:00:00Z","request_id":"good-%d"}`+"\n", i)
	}
	expect := func(what string, a answer, status, accepted int, reason string) {
		t.Helper()
		if a.Status != status || a.Accepted != accepted || reason != "" && a.Reasons[reason] != 1 {
			t.Errorf("%s: %+v", what, a)
		}
	}
	s.post("format=json", "", "", strings.NewReader(good(0)))
	rest := s.PeakRSS()

	// V04: 10 MiB that are 10 GiB.
	var member bytes.Buffer
	w, _ := gzip.NewWriterLevel(&member, gzip.BestCompression)
	w.Write(make([]byte, 16<<20))
	w.Close()
	bomb := bytes.Repeat(member.Bytes(), 10<<30/(16<<20))
	expect("bomb", s.post("format=json", "", "gzip", bytes.NewReader(bomb)), http.StatusRequestEntityTooLarge, 0, "")

	// V05: nested 100,000 deep, short enough for a record; a string of 1 GiB.
	deep := `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}\n"
	expect("deep", s.post("format=json", "", "", strings.NewReader(good(1)+deep+good(2))), 200, 2, tokenwatch.ReasonTooDeep)
	if a := s.post("format=json", "", "", io.MultiReader(strings.NewReader(good(3)+`{"a":"`), endless(1<<30), strings.NewReader(`"}`+"\n"))); a.Status != http.StatusRequestEntityTooLarge && a.Status != 0 {
		t.Errorf("1 GiB in one string: %+v", a)
	}

	// V07: a line that does not end, as long as a body may be, and lines after it.
	for _, format := range []string{"json", "combined"} {
		line := good(4)
		if format == "combined" {
			line = `192.0.2.1 - - [02/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5.0" rid=good-5` + "\n"
		}
		expect("endless line", s.post("format="+format, "", "", io.MultiReader(endless(60<<20), strings.NewReader("\n"+line))), 200, 1, tokenwatch.ReasonLineTooLong)
	}
	peak := s.PeakRSS()
	t.Logf("%.0f MB at rest, %.0f MB at most", rest, peak)
	if peak-rest > 96 { // the cap of a body is 64 MiB
		t.Errorf("memory rose by %.0f MB", peak-rest)
	}
	all := s.read()
	s.stop()
	entries, _ := s.entries()
	got := rows(entries)
	for i, want := range []int{1, 1, 1, 0, 1, 1} {
		if n := got[fmt.Sprintf("good-%d", i)]; n != want {
			t.Errorf("good-%d is stored %d times, want %d", i, n, want)
		}
	}
	if text := all + s.logs.String() + s.answers.String(); strings.Contains(text, "xxxxxxxxxxxx") || strings.Contains(text, "[[[[[[") {
		t.Error("content of what was refused is answered or logged")
	}
}

// endless is a body of n times x.
func endless(n int64) io.Reader { return io.LimitReader(exes{}, n) }

type exes struct{}

func (exes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestForgery is V08 and V16: text that means to be more than one record, or to
// steer whoever reads it, is one record and shown escaped; times that cannot be
// right are stored, marked, and change no finding.
func TestForgery(t *testing.T) {
	s := newSite(t)
	hostile := "a\x1b[2J\x00\r\n\u202egnp\u2066\xff 192.0.2.9 - - [02/Mar/2026:00:00:01 +0000] \"GET /forged HTTP/1.1\" 200 5"
	in := strings.NewReplacer("\x1b", `\u001b`, "\x00", `\u0000`, "\r", `\r`, "\n", `\n`, `"`, `\"`).Replace(hostile)
	line := `{"time":"2026-03-02T12:00:00Z","user":"` + in + `","path":"/` + in + `","user_agent":"` + in + `","note":"` + in + `"}` + "\n"
	if a := s.post("format=json", "", "", strings.NewReader(line)); a.Status != 200 || a.Accepted != 1 {
		t.Fatalf("%+v", a)
	}
	combined := `192.0.2.1 - - [02/Mar/2026:12:00:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "` + strings.NewReplacer("\n", "", `"`, `\"`).Replace(hostile) + `"` + "\n"
	if a := s.post("format=combined", "", "", strings.NewReader(combined)); a.Accepted+a.RejectedTotal != 1 {
		t.Fatalf("%+v", a)
	}
	actor := strings.ReplaceAll(blatant("QQ"), `"QQ"`, `"`+in+`"`)
	if a := s.post("format=json", "", "", strings.NewReader(actor)); a.Status != 200 || a.Accepted != 120 {
		t.Fatalf("%+v", a)
	}
	before := s.findings()
	odd := ""
	for i, when := range []string{"1970-01-01T00:00:00Z", "2026-01-31T00:00:00Z", "2036-03-02T00:00:00Z"} {
		odd += fmt.Sprintf(`{"time":%q,"user":"odd","action":"x","request_id":"odd-%d"}`+"\n", when, i)
	}
	if a := s.post("format=json", "", "", strings.NewReader(odd)); a.Status != 200 || a.Accepted != 3 {
		t.Errorf("odd times: %+v", a)
	}
	if now := s.findings(); now != before {
		t.Errorf("odd times changed the findings:\n%s\nbefore:\n%s", now, before)
	}
	all := s.read()
	s.stop()
	for _, r := range all + s.answers.String() + s.logs.String() {
		if r < ' ' && r != '\n' || r == 0x7f || r == 0x202e || r == 0x2066 {
			t.Fatalf("%U is answered or logged", r)
		}
	}
	entries, _ := s.entries()
	n, late, future := 0, 0, 0
	for _, e := range entries {
		if e.Batch == nil {
			continue
		}
		for i := range e.Batch.Rows() {
			n++
			if e.Batch.Bool(tokenwatch.ColLate, i) {
				late++
			}
			if e.Batch.Bool(tokenwatch.ColFuture, i) {
				future++
			}
			if e.Batch.Text(tokenwatch.ColPath, i) == "/forged" {
				t.Error("the second record within the first is one")
			}
		}
	}
	if n < 124 || n > 125 || late != 2 || future != 1 {
		t.Errorf("%d rows, %d late, %d in the future", n, late, future)
	}
}

// TestNothingRemains is V11 and V12 on everything that a server leaves behind:
// credentials in places that declare them, and in lines that cannot be read.
func TestNothingRemains(t *testing.T) {
	s := newSite(t)
	r := rand.New(rand.NewPCG(7, 7))
	words := strings.Fields("copper lantern walnut basket harbor violet thistle meadow pepper saddle orchard velvet anchor cobalt juniper marble")
	var secrets []string
	secret := func() string {
		var v string
		switch len(secrets) % 3 {
		case 0:
			v = fmt.Sprintf("%s-%s-%s-%d", words[r.IntN(16)], words[r.IntN(16)], words[r.IntN(16)], r.IntN(1e6))
		case 1:
			v = fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
		default:
			v = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%020d", r.Uint64()))
		}
		secrets = append(secrets, v)
		return v
	}
	places := []string{
		`{"time":"2026-03-02T00:00:00Z","authorization":"Bearer %[1]s","note":"%[2]s"}`,
		`{"time":"2026-03-02T00:00:00Z","path":"/x?api_key=%[3]s","note":"%[2]s"}`,
		`{"time":"2026-03-02T00:00:00Z","referer":"https://u:%[3]s@h.example/x","path":"/%[2]s"}`,
		`{"time":"2026-03-02T00:00:00Z","user_agent":"bot (+https://h.example/?key=%[3]s)","user":"%[1]s"}`,
		`{"time":"2026-03-02T00:00:00Z","body":"{\"password\":\"%[1]s\"}","path":"/%[2]s","action":"x %[1]s"}`,
		`192.0.2.1 - %[1]s [02/Mar/2026:00:00:00 +0000] "GET /x?token=%[3]s HTTP/1.1" 200 5 "-" "%[2]s"`,
		`{"eventVersion":"1.08","eventTime":"2026-03-02T00:00:00Z","eventSource":"iam.amazonaws.com","eventName":"%[1]s","awsRegion":"x","userIdentity":{"type":"IAMUser","userName":"u"},"requestParameters":{"password":"%[1]s"}}`,
		// None of these can be read.
		`{"authorization":"Bearer %[1]s"`, `GET /x?token=%[1]s Authorization: Bearer %[1]s`, `{"password":"%[1]s"}`, `[02/Mar/2026] "%[1]s`,
	}
	codings := []func(string) string{
		func(v string) string { return v }, url.QueryEscape,
		func(v string) string { return base64.StdEncoding.EncodeToString([]byte("x" + v)) },
		func(v string) string { return hex.EncodeToString([]byte(v)) },
	}
	accepted, refused := 0, 0
	for i, format := range []string{"json", "combined", "cloudtrail", "auto"} {
		for round := range 10 {
			var body strings.Builder
			for k, place := range places {
				v := secret()
				fmt.Fprintf(&body, place+"\n", v, codings[(k+round)%len(codings)](v), url.QueryEscape(v))
			}
			a := s.post("format="+format, fmt.Sprintf("%d-%d-%s", i, round, secret()), "", strings.NewReader(body.String()))
			accepted, refused = accepted+a.Accepted, refused+a.RejectedTotal
		}
	}
	if accepted == 0 || refused == 0 {
		t.Fatalf("%d accepted, %d refused", accepted, refused)
	}
	var all bytes.Buffer
	all.WriteString(s.read())
	s.restart() // everything is read back once
	all.WriteString(s.read())
	s.stop()
	all.Write(s.answers.Bytes())
	all.Write(s.logs.Bytes())
	entries, _ := s.entries()
	for _, e := range entries {
		b, err := json.Marshal(e.Requests)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		if e.Batch != nil {
			for c := range tokenwatch.NumColumns {
				v := e.Batch.Column(tokenwatch.Col(c))
				all.Write(v.Dict.Bytes)
				all.WriteByte(0)
				all.Write(v.Text.Bytes)
				all.WriteByte(0)
			}
			all.Write(e.Batch.Attrs().Values.Bytes)
			for _, n := range e.Batch.Names() {
				fmt.Fprintf(&all, "\x00%s\x00%s", n.Alias.Value, n.Issuer)
			}
		}
	}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(strings.ToLower(d.Name()), "ballast") {
			return err
		}
		b, err := os.ReadFile(path)
		all.WriteByte(0)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]bool{}
	const part = 12
	for _, v := range secrets {
		for _, text := range []string{v, hex.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte("x" + v))[2:]} {
			for i := 0; i+part <= len(text); i++ {
				parts[text[i:i+part]] = true
			}
		}
	}
	kept := all.Bytes()
	for i := 0; i+part <= len(kept); i++ {
		if parts[string(kept[i:i+part])] {
			t.Errorf("%q remains: …%q…", kept[i:i+part], kept[max(0, i-60):min(len(kept), i+60)])
			break
		}
	}
	t.Logf("%d credentials in %d stored and %d refused records, %d bytes searched", len(secrets), accepted, refused, len(kept))
}
