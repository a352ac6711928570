package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tokenwatch/tokenwatch"
)

// fakePipeline stores lines, but for those that say "bad", and answers
// what it is told to.
type fakePipeline struct {
	err    error
	stored []string
	last   Delivery
	bytes  int64
}

func (f *fakePipeline) Ingest(_ context.Context, d Delivery) (Answer, error) {
	f.last = d
	a := Answer{Format: "combined"}
	lines := bufio.NewScanner(d.Body)
	lines.Buffer(nil, 1<<20)
	offset := int64(0)
	for i := 0; lines.Scan(); i++ {
		f.bytes += int64(len(lines.Bytes()))
		if lines.Text() == "bad" || strings.Contains(lines.Text(), `"bad"`) {
			a.RejectedTotal++
			a.Rejected = append(a.Rejected, tokenwatch.Reject{Index: i, Offset: offset, Length: 3, Digest: "dg_x", Reason: tokenwatch.ReasonMalformed})
		} else {
			a.Accepted++
			f.stored = append(f.stored, lines.Text())
		}
		offset += int64(len(lines.Bytes())) + 1
	}
	if lines.Err() != nil {
		return Answer{}, lines.Err()
	}
	if a.Accepted == 0 && a.RejectedTotal > 0 {
		return a, &tokenwatch.Refusal{Reason: tokenwatch.RefusedAllRejected, Detail: "no record could be stored"}
	}
	return a, f.err
}

func compress(t testing.TB, coding string, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	switch coding {
	case "gzip":
	case "zstd":
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case "deflate":
		w = zlib.NewWriter(&out)
	case "raw-deflate":
		z, err := flate.NewWriter(&out, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case "snappy-framed":
		w = snappy.NewBufferedWriter(&out)
	case "snappy-block":
		return snappy.Encode(nil, plain)
	default:
		t.Fatalf("no coding %s", coding)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func authenticated(r *http.Request) *http.Request {
	return r.WithContext(tokenwatch.WithPrincipal(r.Context(), tokenwatch.Principal{ID: "key1", Tenant: "t1", Role: tokenwatch.RoleIngest}))
}

// TestHTTP shows requests and their answers.
func TestHTTP(t *testing.T) {
	for _, name := range []string{"http", "bulk", "hec", "loki", "otlp"} {
		t.Run(name, func(t *testing.T) { datadriven.RunTest(t, "../../testdata/source/"+name, answerOne) })
	}
}

// answerOne sends one request and shows the answer and what the pipeline saw.
func answerOne(t *testing.T, d *datadriven.TestData) string {
	f := &fakePipeline{}
	var refused []string
	h := NewHTTP(f, HTTPConfig{
		Limits:  Limits{Compressed: 2048, Expanded: 4096, Floor: 1024, Ratio: 10},
		Now:     func() time.Time { return time.Unix(1_700_000_000, 0) },
		Refused: func(tenant, reason string) { refused = append(refused, tenant+"/"+reason) },
	})
	method, target, body := http.MethodPost, "/v1/ingest", []byte(d.Input)
	header := http.Header{}
	anonymous := false
	for _, arg := range d.CmdArgs {
		v := strings.Join(arg.Vals, ",")
		switch arg.Key {
		case "path":
			target = v
		case "type":
			header.Set("Content-Type", v)
		case "base64":
			b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(d.Input), ""))
			if err != nil {
				t.Fatal(err)
			}
			body = b
		case "snappy":
			body = snappy.Encode(nil, lokiPush(body))
		case "query":
			target += "?" + v
		case "key":
			header.Add("Idempotency-Key", v)
		case "long-key":
			header.Add("Idempotency-Key", strings.Repeat("k", 257))
		case "encoding":
			header.Add("Content-Encoding", v)
		case "compress":
			body = compress(t, v, body)
		case "cut":
			body = body[:len(body)-4]
		case "repeat":
			n, err := strconv.Atoi(v)
			if err != nil {
				t.Fatal(err)
			}
			body = bytes.Repeat(append(body, '\n'), n)
		case "method":
			method = v
		case "anonymous":
			anonymous = true
		case "fails":
			refusal := &tokenwatch.Refusal{Reason: v, Detail: "as told", Err: errors.New("secret cause")}
			if v == tokenwatch.RefusedOverload || v == tokenwatch.RefusedUnavailable {
				refusal.RetryAfter = 1500 * time.Millisecond
			}
			f.err = refusal
		case "breaks":
			f.err = errors.New("secret cause")
		case "gone":
			f.err = fmt.Errorf("wait: %w", context.Canceled)
		default:
			t.Fatalf("unknown argument %s", arg.Key)
		}
	}
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.Header = header
	if !anonymous {
		r = authenticated(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "secret") {
		t.Errorf("the answer holds the cause of an error")
	}
	out := fmt.Sprintf("%d", w.Code)
	for _, name := range []string{"Retry-After", "Accept-Encoding", "Allow", "Connection"} {
		if v := w.Header().Get(name); v != "" {
			out += fmt.Sprintf(" %s=%s", name, v)
		}
	}
	out += "\n" + w.Body.String()
	if f.last.Tenant != "" {
		out += fmt.Sprintf("delivery: tenant=%s principal=%s source=%s format=%s key=%q lines=%d\n",
			f.last.Tenant, f.last.Principal, f.last.Source, f.last.Format, f.last.Key, len(f.stored))
		if target != "/v1/ingest" && !strings.Contains(target, "ingest?") {
			for _, line := range f.stored {
				out += "  " + line + "\n"
			}
		}
	}
	if refused != nil {
		out += fmt.Sprintf("counted: %v\n", refused)
	}
	return out
}

// lokiPush makes a protobuf push of lines, each "labels|seconds|line".
func lokiPush(text []byte) (push []byte) {
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSpace(line), "|", 3)
		seconds, _ := strconv.ParseUint(part[1], 10, 64) // the golden cases have numbers
		var at, entry, stream []byte
		at = protowire.AppendVarint(protowire.AppendTag(at, 1, protowire.VarintType), seconds)
		entry = protowire.AppendBytes(protowire.AppendTag(entry, 1, protowire.BytesType), at)
		entry = protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), part[2])
		stream = protowire.AppendString(protowire.AppendTag(stream, 1, protowire.BytesType), part[0])
		stream = protowire.AppendBytes(protowire.AppendTag(stream, 2, protowire.BytesType), entry)
		push = protowire.AppendBytes(protowire.AppendTag(push, 1, protowire.BytesType), stream)
	}
	return push
}

// TestBomb sends what expands a thousandfold and looks at what it made us hold.
func TestBomb(t *testing.T) {
	for form, coding := range map[string]string{
		"gzip": "gzip", "zstd": "zstd", "deflate": "deflate", "raw-deflate": "deflate", "snappy-framed": "snappy", "snappy-block": "snappy",
	} {
		t.Run(form, func(t *testing.T) {
			line := append(bytes.Repeat([]byte{'a'}, 1023), '\n')
			bomb := compress(t, form, bytes.Repeat(line, 128<<10)) // 128 MiB
			f := &sinkPipeline{}
			h := NewHTTP(f, HTTPConfig{})
			r := authenticated(httptest.NewRequest(http.MethodPost, "/v1/ingest", bytes.NewReader(bomb)))
			r.Header.Set("Content-Encoding", coding)
			w := httptest.NewRecorder()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			h.ServeHTTP(w, r)
			runtime.ReadMemStats(&after)
			if w.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d", w.Code)
			}
			limits := Limits{}.withDefaults()
			if most := max(limits.Floor, limits.Ratio*int64(len(bomb))); f.n > min(most, limits.Expanded) {
				t.Errorf("%d bytes passed of a bomb of %d", f.n, len(bomb))
			}
			allocated := after.TotalAlloc - before.TotalAlloc // all of it, garbage included: more than the peak
			if allocated > 64<<20 {
				t.Errorf("allocated %d bytes", allocated)
			}
			t.Logf("%d bytes sent, %d passed, %d allocated in all", len(bomb), f.n, allocated)
		})
	}
}

// TestCodings: every protocol takes every coding, and says alike what it makes of
// a bomb and of damage.
func TestCodings(t *testing.T) {
	bodies := map[string]struct{ kind, body string }{
		"/v1/ingest":                    {"", "one\ntwo\n"},
		"/_bulk":                        {"application/x-ndjson", `{"index":{"_index":"i"}}` + "\n" + `{"message":"one"}` + "\n"},
		"/services/collector/event":     {"", `{"event":"one"}`},
		"/services/collector/raw":       {"", "one\n"},
		"/loki/api/v1/push":             {"application/json", `{"streams":[{"stream":{"a":"b"},"values":[["1","one"]]}]}`},
		"/v1/logs":                      {"application/json", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"one"}}]}]}]}`},
		"/services/collector/event/1.0": {"", `{"event":"one"}`},
		"/services/collector/raw/1.0":   {"", "one\n"},
	}
	forms := map[string]string{
		"gzip": "gzip", "zstd": "zstd", "deflate": "deflate", "raw-deflate": "deflate", "snappy-framed": "snappy", "snappy-block": "snappy",
	}
	for path, b := range bodies {
		bomb := bytes.Repeat([]byte(b.body), 4<<20/len(b.body))
		if b.kind == "application/json" { // one value, and what follows is not looked at
			bomb = append(bytes.Repeat([]byte(" "), 4<<20), b.body...)
		}
		for form, coding := range forms {
			for _, test := range []struct {
				name string
				body []byte
				code int
			}{
				{"whole", compress(t, form, []byte(b.body)), 200},
				{"cut", func() []byte { c := compress(t, form, []byte(b.body)); return c[:len(c)/2] }(), 400},
				{"bomb", compress(t, form, bomb), 413},
			} {
				p := &fakePipeline{}
				h := NewHTTP(p, HTTPConfig{Limits: Limits{Expanded: 1 << 20, Floor: 4096, Ratio: 20}})
				r := authenticated(httptest.NewRequest(http.MethodPost, path, bytes.NewReader(test.body)))
				r.Header.Set("Content-Encoding", coding)
				r.Header.Set("Content-Type", b.kind)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if test.code == 200 && w.Code/100 == 2 && len(p.stored) > 0 && strings.Contains(p.stored[0], "one") {
					continue
				}
				if w.Code != test.code {
					t.Errorf("%s in %s, %s: %d %s, stored %q", path, form, test.name, w.Code, w.Body, p.stored)
				}
			}
		}
	}
}

// TestWindow: a zstd window that is too large is called that, not damage.
func TestWindow(t *testing.T) {
	var body bytes.Buffer
	z, err := zstd.NewWriter(&body, zstd.WithWindowSize(2*maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	z.Write(bytes.Repeat([]byte("line\n"), 4<<20)) // an error comes again from Close
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	NewHTTP(&sinkPipeline{}, HTTPConfig{}).ServeHTTP(w, authenticated(httptest.NewRequest(http.MethodPost, "/v1/ingest", &body)))
	if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "window") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// sinkPipeline reads and counts.
type sinkPipeline struct{ n int64 }

func (s *sinkPipeline) Ingest(_ context.Context, d Delivery) (Answer, error) {
	n, err := io.Copy(io.Discard, d.Body)
	s.n += n
	return Answer{}, err
}

// TestLimitIsExact: a body of exactly the limit passes, one byte more does not.
func TestLimitIsExact(t *testing.T) {
	for extra, want := range []int{http.StatusOK, http.StatusRequestEntityTooLarge} {
		body := strings.Repeat("x", 99) + "\n" + strings.Repeat("y", 28+extra)
		for _, known := range []bool{true, false} {
			h := NewHTTP(&fakePipeline{}, HTTPConfig{Limits: Limits{Expanded: 128}})
			r := authenticated(httptest.NewRequest(http.MethodPost, "/v1/ingest", strings.NewReader(body)))
			if !known {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%d bytes, length known %v: status %d, want %d", len(body), known, w.Code, want)
			}
		}
	}
}

// TestSharedIsBounded: what many records share is not taken in once for each
// beyond the limit of a body.
func TestSharedIsBounded(t *testing.T) {
	shared := strings.Repeat("s", 4000)
	for path, body := range map[string]string{
		"/loki/api/v1/push": `{"streams":[{"stream":{"a":"` + shared + `"},"values":[` + strings.Repeat(`["1","x"],`, 99) + `["1","x"]]}]}`,
		"/v1/logs": `{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"` + shared +
			`"}}]},"scopeLogs":[{"logRecords":[` + strings.Repeat(`{"body":{"stringValue":"x"}},`, 99) + `{}]}]}]}`,
	} {
		p := &sinkPipeline{}
		h := NewHTTP(p, HTTPConfig{Limits: Limits{Expanded: 64 << 10}})
		r := authenticated(httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || p.n != 0 {
			t.Errorf("%s: status %d, %d bytes passed", path, w.Code, p.n)
		}
	}
}

// FuzzHTTP: whatever the body, it is answered, and never more is passed on than
// the limits say.
func FuzzHTTP(f *testing.F) {
	for _, e := range Endpoints {
		path := strings.NewReplacer("{index}", "i", "{name}", "n", "{$}", "").Replace(strings.TrimPrefix(strings.TrimPrefix(e.Routes[0], "POST "), "GET "))
		f.Add([]byte("one\ntwo\n"), "", path)
		f.Add([]byte(`{"index":{"_index":"i"}}`+"\n"+`{"event":"e","time":1.5}`+"\n"), "", path)
		f.Add([]byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x",{"c":"d"}]]}],"acks":[1],"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":"1"}}]}]}]}`), "", path)
	}
	f.Add(compress(f, "gzip", []byte("one\n")), "gzip", "/v1/ingest")
	f.Add(compress(f, "zstd", []byte("one\n")), "zstd", "/v1/ingest")
	f.Add(compress(f, "gzip", bytes.Repeat([]byte("one\n"), 10_000)), "gzip", "/_bulk")
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xff}, "identity", "/v1/ingest")
	f.Add(snappy.Encode(nil, lokiPush([]byte("{a=\"b\"}|1|x\n"))), "snappy", "/loki/api/v1/push")
	f.Add(snappy.Encode(nil, bytes.Repeat([]byte("x"), 100_000)), "", "/loki/api/v1/push")
	f.Fuzz(func(t *testing.T, body []byte, coding, path string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \x00\r\n\t%?#") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // net/http lets no such path in
		}
		p := &sinkPipeline{}
		h := NewHTTP(p, HTTPConfig{Limits: Limits{Compressed: 4096, Expanded: 8192, Floor: 256, Ratio: 10}})
		for _, kind := range []string{"application/json", "application/x-protobuf"} {
			r := authenticated(httptest.NewRequest(http.MethodPost, "http://h"+path, bytes.NewReader(body)))
			r.Header.Set("Content-Encoding", coding)
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			p.n = 0
			h.ServeHTTP(w, r)
			if w.Code >= http.StatusInternalServerError {
				t.Errorf("status %d", w.Code)
			}
			// An envelope is larger than what it holds: by its own names, and by what
			// has to be escaped.
			if p.n > 8*8192 {
				t.Errorf("%d bytes passed", p.n)
			}
		}
	})
}
