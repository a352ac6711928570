package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// memoryLog keeps entries as storage.Events promises to, in memory.
type memoryLog struct {
	mu      sync.Mutex
	entries []tokenwatch.Entry
	keys    map[string]stored
	delay   time.Duration // of an append, in fake time
}

type stored struct {
	digest  [32]byte
	receipt tokenwatch.Receipt
}

func (l *memoryLog) Append(_ context.Context, entries ...tokenwatch.Entry) ([]tokenwatch.Receipt, error) {
	if l.delay > 0 {
		time.Sleep(l.delay)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var receipts []tokenwatch.Receipt
	for _, e := range entries {
		kept := e
		kept.Requests = nil
		kept.Offset = tokenwatch.Offset(len(l.entries) + 1)
		at := 0
		var batches []*tokenwatch.Batch
		for _, r := range e.Requests {
			key := e.Tenant + "\x00" + r.Principal + "\x00" + r.Source + "\x00" + r.Key
			receipt := tokenwatch.Receipt{Offset: kept.Offset, Rows: r.Rows, Rejects: r.Rejects}
			before, seen := l.keys[key]
			switch {
			case r.Key != "" && seen && before.digest == r.Digest:
				receipt = before.receipt
				receipt.Duplicate = true
			case r.Key != "" && seen:
				receipt = tokenwatch.Receipt{Conflict: true}
			default:
				kept.Requests = append(kept.Requests, r)
				batches = append(batches, e.Batch)
				if r.Key != "" {
					l.keys[key] = stored{r.Digest, receipt}
				}
			}
			at += r.Rows
			receipts = append(receipts, receipt)
		}
		if at != e.Batch.Rows() {
			return nil, errors.New("rows and requests do not fit together")
		}
		if len(batches) > 0 {
			l.entries = append(l.entries, kept)
		}
	}
	return receipts, nil
}

func (l *memoryLog) rows() int {
	n := 0
	for _, e := range l.entries {
		n += e.Batch.Rows()
	}
	return n
}

// counts is a Metrics that adds up.
type counts struct {
	mu       sync.Mutex
	accepted int
	rejected map[string]int
	refused  map[string]int
	stages   map[Stage]int
	commits  int
}

func newCounts() *counts {
	return &counts{rejected: map[string]int{}, refused: map[string]int{}, stages: map[Stage]int{}}
}

func (c *counts) Accepted(_ string, n int, _ int64) { c.do(func() { c.accepted += n }) }
func (c *counts) Rejected(tenant, reason string, n int) {
	c.do(func() { c.rejected[tenant+"/"+reason] += n })
}
func (c *counts) Refused(tenant, reason string) { c.do(func() { c.refused[tenant+"/"+reason]++ }) }
func (c *counts) Took(s Stage, _ time.Duration) { c.do(func() { c.stages[s]++ }) }
func (c *counts) Committed(int)                 { c.do(func() { c.commits++ }) }
func (c *counts) do(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func testKeys(t testing.TB) seal.Keys {
	t.Helper()
	keys, err := seal.NewKeys(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// house is a whole pipeline over a log in memory.
type house struct {
	*Pipeline
	log    *memoryLog
	counts *counts
}

func newHouse(t testing.TB, c Config) *house {
	t.Helper()
	h := &house{log: &memoryLog{keys: map[string]stored{}}, counts: newCounts()}
	c.Keys, c.Metrics = testKeys(t), h.counts
	b := NewBatcher(h.log, BatcherConfig{Metrics: h.counts})
	h.Pipeline = New(b, c)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

// post sends a body over HTTP, but for the network.
func (h *house) post(tenant, query, key string, body io.Reader) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/v1/ingest?"+query, body)
	r = r.WithContext(tokenwatch.WithPrincipal(r.Context(), tokenwatch.Principal{ID: "key1", Tenant: tenant}))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	source.NewHTTP(h.Pipeline, source.HTTPConfig{}).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// dump writes all that an entry says of its tenant's log.
func dump(e tokenwatch.Entry) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d tenant=%s\n", e.Offset, e.Tenant)
	for _, r := range e.Requests {
		fmt.Fprintf(&out, "  request source=%s key=%q digest=%x… rows=%d\n", r.Source, r.Key, r.Digest[:4], r.Rows)
		for _, j := range r.Rejects {
			fmt.Fprintf(&out, "    reject index=%d offset=%d length=%d digest=%.6s… reason=%s\n", j.Index, j.Offset, j.Length, j.Digest, j.Reason)
		}
	}
	for i := range e.Batch.Rows() {
		out.WriteString("  row")
		for _, c := range []tokenwatch.Col{tokenwatch.ColSource, tokenwatch.ColFormat, tokenwatch.ColToken, tokenwatch.ColMethod, tokenwatch.ColPath, tokenwatch.ColRoute} {
			if e.Batch.Has(c, i) {
				fmt.Fprintf(&out, " %s=%s", c, e.Batch.Text(c, i))
			}
		}
		fmt.Fprintf(&out, " time=%d status=%d\n", e.Batch.Int(tokenwatch.ColTime, i), e.Batch.Int(tokenwatch.ColStatus, i))
	}
	return out.String()
}

// TestPipeline shows requests, their answers and what the log then holds.
func TestPipeline(t *testing.T) {
	datadriven.Walk(t, "../testdata/source/pipeline", func(t *testing.T, path string) {
		h := newHouse(t, Config{MaxRecords: 100, MaxRejects: 50})
		shown := 0
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "post":
				tenant, query, key, body := "t1", "source=web", "", d.Input
				for _, arg := range d.CmdArgs {
					switch v := strings.Join(arg.Vals, ","); arg.Key {
					case "tenant":
						tenant = v
					case "query":
						query = v
					case "key":
						key = v
					case "deep":
						body = strings.ReplaceAll(body, "DEEP", strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000))
					case "long":
						body = strings.ReplaceAll(body, "LONG", strings.Repeat("x", 1<<20))
					case "bytes":
						body = unescape(body)
					case "repeat":
						body = strings.Repeat(body+"\n", 101)
					default:
						t.Fatalf("unknown argument %s", arg.Key)
					}
				}
				code, answer := h.post(tenant, query, key, strings.NewReader(body))
				return fmt.Sprintf("%d\n%s", code, answer)
			case "log":
				var out strings.Builder
				for ; shown < len(h.log.entries); shown++ {
					out.WriteString(dump(h.log.entries[shown]))
				}
				return out.String()
			case "metrics":
				return fmt.Sprintf("accepted: %d\nrejected: %v\nrefused: %v\n", h.counts.accepted, h.counts.rejected, h.counts.refused)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

// unescape turns \xNN, \n and \t of a test file into bytes.
func unescape(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		var b byte
		if strings.HasPrefix(s, `\x`) {
			fmt.Sscanf(s[2:4], "%02x", &b)
			s = s[4:]
		} else {
			b, s = s[0], s[1:]
		}
		out.WriteByte(b)
	}
	return out.String()
}

// panicking is a parser that panics on records that say so.
type panicking struct{ format.Parser }

func (p panicking) Parse(record []byte, row *tokenwatch.Row) error {
	if bytes.Contains(record, []byte("panic")) {
		panic("at " + string(record))
	}
	return p.Parser.Parse(record, row)
}

const goodLine = `192.0.2.1 - - [26/Jan/2019:19:45:25 +0000] "GET /v1/items HTTP/1.1" 200 5 "-" "curl/8.5.0"` + "\n"

// TestPanicInParser: the record is refused, its neighbours are stored, the next
// request is well, and what the panic said appears nowhere.
func TestPanicInParser(t *testing.T) {
	combined, ok := format.ByName("combined")
	if !ok {
		t.Fatal("no combined format")
	}
	inner := combined.New
	combined.New = func(c format.Config) (format.Parser, error) {
		p, err := inner(c)
		return panicking{p}, err
	}
	h := newHouse(t, Config{Formats: []format.Format{combined}})
	for range 2 {
		code, answer := h.post("t1", "format=combined", "", strings.NewReader(goodLine+"hunter2 panic\n"+goodLine))
		if code != http.StatusOK || !strings.Contains(answer, `"accepted":2`) || !strings.Contains(answer, tokenwatch.ReasonFault) || strings.Contains(answer, "hunter2") {
			t.Errorf("%d %s", code, answer)
		}
	}
	if h.log.rows() != 4 || h.counts.rejected["t1/"+tokenwatch.ReasonFault] != 2 {
		t.Errorf("%d rows, %v", h.log.rows(), h.counts.rejected)
	}
}

// TestBrokenLineWithCredential: nothing of a line that cannot be read is kept or
// answered (V12).
func TestBrokenLineWithCredential(t *testing.T) {
	const secret = "Zk3vQ9xLr7Tn2Wb8Yc5Md1Pf6Hs4Jg0A"
	h := newHouse(t, Config{})
	_, answer := h.post("t1", "", "", strings.NewReader(goodLine+"Authorization: Bearer "+secret+"\n{\"authorization\":\"Bearer "+secret+"\n"))
	all := answer
	for _, e := range h.log.entries {
		b, err := json.Marshal(e.Requests)
		if err != nil {
			t.Fatal(err)
		}
		all += string(b) + dump(e)
	}
	for i := range len(secret) - 12 {
		if strings.Contains(all, secret[i:i+12]) {
			t.Fatalf("12 bytes of the credential from %d on are kept or answered", i)
		}
	}
	if !strings.Contains(answer, `"rejected_total":2`) {
		t.Error(answer)
	}
}

// endless is a body of n bytes without a line break, then a good line.
func endless(n int64) io.Reader {
	return io.MultiReader(io.LimitReader(exes{}, n), strings.NewReader("\n"+goodLine))
}

type exes struct{}

func (exes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestEndlessLine: a line of 60 MiB is one reject, the line after it is stored,
// and memory stays small (V07).
func TestEndlessLine(t *testing.T) {
	h := newHouse(t, Config{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code, answer := h.post("t1", "", "", endless(60<<20))
	runtime.ReadMemStats(&after)
	if code != http.StatusOK || !strings.Contains(answer, `"accepted":1`) || !strings.Contains(answer, tokenwatch.ReasonLineTooLong) {
		t.Errorf("%d %s", code, answer)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("allocated %d bytes", allocated)
	}
}

// TestCutBody: a body that ends in an error leaves nothing behind, whatever of it
// was read before.
func TestCutBody(t *testing.T) {
	h := newHouse(t, Config{})
	torn := io.MultiReader(strings.NewReader(strings.Repeat(goodLine, 3000)), errorReader{})
	for range 3 { // the workers that were left are used again
		_, err := h.Ingest(t.Context(), source.Delivery{Tenant: "t1", Source: "web", Format: "auto", Body: torn})
		if reason(err) != tokenwatch.RefusedBody {
			t.Errorf("refused with %v", err)
		}
		torn = io.MultiReader(strings.NewReader(goodLine), errorReader{})
	}
	if h.log.rows() != 0 || h.budget.used != 0 {
		t.Errorf("%d rows stored, %d bytes charged", h.log.rows(), h.budget.used)
	}
	a, err := h.Ingest(t.Context(), source.Delivery{Tenant: "t1", Source: "web", Format: "auto", Body: strings.NewReader(goodLine)})
	if err != nil || a.Accepted != 1 || h.log.rows() != 1 {
		t.Errorf("%+v, %v: %d rows stored", a, err, h.log.rows())
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) {
	return 0, &tokenwatch.Refusal{Reason: tokenwatch.RefusedBody}
}

// TestOverload offers far more than can be committed. What is refused comes with
// advice and is not stored; what is accepted is (V20).
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &memoryLog{keys: map[string]stored{}, delay: 10 * time.Millisecond}
		seen := newCounts()
		b := NewBatcher(log, BatcherConfig{QueueRequests: 8, Metrics: seen})
		p := New(b, Config{Keys: testKeys(t), InFlight: 64 << 10, Metrics: seen})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		var mu sync.Mutex
		var senders sync.WaitGroup
		accepted, refused := 0, 0
		for i := range 200 {
			senders.Go(func() {
				for range 10 {
					time.Sleep(time.Duration(i) * 100 * time.Microsecond)
					a, err := p.Ingest(ctx, source.Delivery{Tenant: fmt.Sprint(i % 3), Source: "web", Format: "combined", Body: strings.NewReader(strings.Repeat(goodLine, 5))})
					mu.Lock()
					var r *tokenwatch.Refusal
					switch {
					case err == nil:
						accepted += a.Accepted
					case errors.As(err, &r) && r.Reason == tokenwatch.RefusedOverload && r.RetryAfter > 0:
						refused++
					default:
						t.Errorf("refused with %v", err)
					}
					mu.Unlock()
				}
			})
		}
		senders.Wait()
		if accepted != log.rows() || accepted != seen.accepted || accepted == 0 {
			t.Errorf("%d accepted, %d stored, %d counted", accepted, log.rows(), seen.accepted)
		}
		if n := seen.refused["0/overloaded"] + seen.refused["1/overloaded"] + seen.refused["2/overloaded"]; refused == 0 || n != refused {
			t.Errorf("%d refused, %d counted", refused, n)
		}
		if p.budget.used != 0 {
			t.Errorf("%d bytes are still charged", p.budget.used)
		}
		t.Logf("%d records accepted in %d commits, %d requests refused", accepted, seen.commits, refused)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestStages: a request passes all stages.
func TestStages(t *testing.T) {
	h := newHouse(t, Config{})
	h.post("t1", "", "", strings.NewReader(goodLine))
	for _, s := range []Stage{StageRead, StageParse, StageWait, StageCommit} {
		if h.counts.stages[s] != 1 {
			t.Errorf("stage %s: %d times", s, h.counts.stages[s])
		}
	}
}

// TestForgetsInputs: the memory of formats is bounded.
func TestForgetsInputs(t *testing.T) {
	c := newChooser(10, format.Config{})
	for i := range 100 {
		c.learn(input{"t", fmt.Sprint(i)}, format.All[0], 1, 0)
	}
	if len(c.by) != 10 {
		t.Errorf("%d inputs remembered", len(c.by))
	}
}

// TestSplit: JSON files are cut by records, of which only too long ones are lost.
func TestSplit(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", frame.DefaultLimit) + `"}`
	s := Split(strings.NewReader(`{"Records":[{"a":1}, ` + long + `, {"a":2}]}`))
	var got []string
	for {
		record, offset, err := s.Next()
		if err == io.EOF {
			break
		}
		var rejection *tokenwatch.Rejection
		if errors.As(err, &rejection) {
			record = []byte(rejection.Reason)
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s", offset, record))
	}
	want := fmt.Sprint([]string{`12 {"a":1}`, "21 " + tokenwatch.ReasonLineTooLong, fmt.Sprintf(`%d {"a":2}`, 21+len(long)+2)})
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTinyRecords: a body of nothing but line breaks and single letters is
// refused before it makes us hold much.
func TestTinyRecords(t *testing.T) {
	h := newHouse(t, Config{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code, answer := h.post("t1", "", "", strings.NewReader(strings.Repeat("x\n", 8<<20)))
	runtime.ReadMemStats(&after)
	if code != http.StatusRequestEntityTooLarge || len(answer) > 1000 {
		t.Errorf("%d, %d bytes of answer", code, len(answer))
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<20 {
		t.Errorf("allocated %d bytes", allocated)
	}
	if h.log.rows() != 0 || h.budget.used != 0 {
		t.Errorf("%d rows stored, %d bytes charged", h.log.rows(), h.budget.used)
	}
}

// BenchmarkIngest takes requests of 1000 lines to a log in memory.
func BenchmarkIngest(b *testing.B) {
	h := newHouse(b, Config{})
	var lines strings.Builder
	for i := range 1000 {
		lines.WriteString(lineAt(i%7, i, mergeNow.Add(time.Duration(i)*time.Second)))
	}
	b.SetBytes(int64(lines.Len()))
	b.ReportAllocs()
	for b.Loop() {
		a, err := h.Ingest(b.Context(), source.Delivery{Tenant: "t", Source: "web", Format: "auto", Body: strings.NewReader(lines.String())})
		if err != nil || a.Accepted != 1000 {
			b.Fatal(a, err)
		}
		h.log.entries = nil
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "records/s")
}

// panickingReader stands for any part of the pipeline that fails.
type panickingReader struct{}

func (panickingReader) Read([]byte) (int, error) { panic("hunter2") }

// TestPanicElsewhere: what is left of a request that panicked does not come into
// the next one.
func TestPanicElsewhere(t *testing.T) {
	var logged bytes.Buffer
	h := newHouse(t, Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	torn := io.MultiReader(strings.NewReader(strings.Repeat(goodLine, 3000)), panickingReader{})
	_, err := h.Ingest(t.Context(), source.Delivery{Tenant: "t1", Source: "web", Format: "combined", Body: torn})
	if reason(err) != tokenwatch.RefusedInternal {
		t.Errorf("refused with %v", err)
	}
	a, err := h.Ingest(t.Context(), source.Delivery{Tenant: "t1", Source: "web", Format: "combined", Body: strings.NewReader(goodLine)})
	if err != nil || a.Accepted != 1 || h.log.rows() != 1 || h.budget.used != 0 {
		t.Errorf("%+v, %v: %d rows stored, %d bytes charged", a, err, h.log.rows(), h.budget.used)
	}
	if !strings.Contains(logged.String(), "pipeline panicked") || strings.Contains(logged.String(), "hunter2") {
		t.Errorf("logged %d bytes", logged.Len())
	}
}

// TestSourceName shows that a name of a source which holds a credential is
// refused, and that nothing of the request is kept.
func TestSourceName(t *testing.T) {
	h := newHouse(t, Config{})
	const line = `192.0.2.7 - - [22/Nov/2026:12:00:00 +0000] "GET /x HTTP/1.1" 200 12` + "\n"
	if code, body := h.post("t1", "format=combined&source=ghp_0123456789abcdefghijABCDEFGHIJ012345", "b1", strings.NewReader(line)); code != http.StatusBadRequest || strings.Contains(body, "ghp_") {
		t.Errorf("answered %d %s", code, body)
	}
	if code, body := h.post("t1", "format=combined&source=web", "b1", strings.NewReader(line)); code != http.StatusOK {
		t.Errorf("answered %d %s", code, body)
	}
}

// TestHeaderKept: the header of a source's records holds for its next request,
// also where that is another worker's, and for no other source.
func TestHeaderKept(t *testing.T) {
	p := New(nil, Config{Keys: testKeys(t)})
	rows := func(name, body string) (int, int) {
		t.Helper()
		s, _, err := p.Seal(source.Delivery{Tenant: "t", Source: name, Format: "w3c", Body: strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Request.Rows, len(s.Request.Rejects)
	}
	if n, r := rows("a", "#Fields: date time c-ip x-own\n2026-03-02 08:15:01 203.0.113.7 1\n"); n != 1 || r != 0 {
		t.Fatalf("with a header: %d rows, %d rejects", n, r)
	}
	if n, r := rows("b", "2026-03-02 08:15:01 203.0.113.7 1\n"); n != 0 || r != 1 {
		t.Errorf("of another source: %d rows, %d rejects", n, r)
	}
	if n, r := rows("a", "2026-03-02 08:15:02 203.0.113.7 2\n2026-03-02 08:15:03 203.0.113.7 3\n"); n != 2 || r != 0 {
		t.Errorf("the next request: %d rows, %d rejects", n, r)
	}
}
